"""The words for releases, verdicts and metrics: each state as a word, an icon and a colour."""

from typing import Any, Final

from django.conf import settings

from ml.classes import MALIGNANT, class_in_sentence
from webapp.pages.words import STATES, StateWords
from webapp.registry.models import ModelRelease

RELEASES: Final = {
    **{state: STATES[state] for state in ("candidate", "active", "retired")},
    ModelRelease.State.REJECTED.value: StateWords("Rejected", "ban", "red"),
}

VERDICTS: Final = {
    "passed": StateWords("Passed", "circle-check", "green"),
    "failed": StateWords("Failed", "circle-x", "red"),
    "inconclusive": StateWords("Inconclusive", "help-circle", "yellow"),
    "reported": StateWords("For information", "info-circle", "secondary"),
}

DECISIONS: Final = {
    "release.promoted": "Made active",
    "release.rolled_back": "Made active again by a rollback",
    "release.retired": "Retired",
    "release.rejected": "Rejected",
}

METRICS: Final = {
    "sensitivity": "Sensitivity for malignant, at the operating point",
    "specificity": "Specificity for malignant, at the operating point",
    "malignant_auc": "AUC, malignant against benign",
    **{
        f"sensitivity_{code}": f"Sensitivity for {class_in_sentence(code)}, at the operating point"
        for code in MALIGNANT
    },
    "melanoma_auc": "AUC, melanoma against all others",
    "balanced_accuracy": "Balanced accuracy",
    "ece": "Expected calibration error (smaller is better)",
}


def metric_name(metric: str) -> str:
    """A metric in words; one that is not known here by its own name."""
    return METRICS.get(metric) or metric.replace("_", " ").capitalize()


def too_few(manifest: dict[str, Any]) -> bool:
    """Whether a release was measured on fewer lesions, malignant or benign, than the gate decides by."""
    measure = manifest.get("metrics", {})
    malignant = measure.get("malignant_lesions", 0)
    return bool(min(malignant, measure.get("lesions", 0) - malignant) < settings.GATE_MIN_LESIONS)


def measured(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """The metrics of a manifest in the order of METRICS: name, value, the ends of the 95 % interval, and whether there
    were `too_few` lesions to say.
    """
    found = manifest.get("metrics", {}).get("metrics", {})
    names = [*(name for name in METRICS if name in found), *sorted(found.keys() - METRICS.keys())]
    return [{"name": metric_name(name), "too_few": too_few(manifest), **found[name]} for name in names]
