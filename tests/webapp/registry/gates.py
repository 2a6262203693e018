"""What the trainer says of a candidate."""

from typing import Any


def gate(verdict: str) -> dict[str, Any]:
    """What the trainer says of a candidate beside the active release."""
    numbers = {"active": 0.91, "candidate": 0.93, "difference": 0.02, "low": -0.01, "high": 0.05}
    return {
        "verdict": verdict,
        "reason": "No loss beyond the margins.",
        "images": 200,
        "lesions": 150,
        "malignant_lesions": 40,
        "margins": {"sensitivity": 0.05},
        "rows": [
            {"metric": "sensitivity", **numbers, "verdict": verdict},
            {"metric": "ece", **numbers, "low": None, "high": None, "verdict": "reported"},
        ],
    }
