"""What the registry keeps of a bundle."""

from collections.abc import Mapping
from typing import Any

from ml import bundle
from ml.classes import CLASSES
from ml.imaging import preprocess


def usable_manifest(thresholds: Mapping[str, float]) -> dict[str, Any]:
    """A manifest that this version takes for a bundle's; what only a runtime reads is empty."""
    return {
        **{name: {} for name in bundle.NEEDED},
        "format": bundle.FORMAT,
        "preprocessing": {"version": preprocess.VERSION},
        "classes": list(CLASSES),
        "thresholds": thresholds,
        "members": [{"name": "tiny", "weights": "tiny.npz"}],
        "metrics": {},
        "malignant_share": 0.2,
    }
