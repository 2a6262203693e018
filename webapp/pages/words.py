"""The words for what the model says: its notice, its probabilities and classes; and those for states and advice.

A state has an icon and a colour, because colour alone tells some people nothing.
"""

from dataclasses import dataclass

from ml.advice import Advice
from ml.classes import DISPLAY_NAMES, is_malignant

NOTICE = "This supports a professional's decision and never replaces it. It is not a diagnosis."
ONE_IMAGE = "One picture alone would be referred, so the case is, though the mean of all is below the threshold."
CLOSE, NEAR = 0.05, 0.15  # standard deviations of P(malignant): below these the models agree closely, differ somewhat


@dataclass(frozen=True)
class StateWords:
    """A state as people read it. `colour` is one of the design system's."""

    word: str
    icon: str
    colour: str


@dataclass(frozen=True)
class AdviceWords:
    """An advice as a professional reads it, with what to do next."""

    word: str
    icon: str
    colour: str
    next_step: str


ADVICE: dict[str, AdviceWords] = {
    Advice.URGENT_REFERRAL.value: AdviceWords(
        "Urgent referral",
        "alert-triangle",
        "red",
        "Refer to a dermatologist on the urgent suspected-cancer pathway; aim for an examination within two weeks.",
    ),
    Advice.ROUTINE_REFERRAL.value: AdviceWords(
        "Routine referral",
        "calendar-event",
        "yellow",
        "Arrange an examination by a dermatologist. Bring it forward if the lesion changes, bleeds or does not heal.",
    ),
    Advice.SELF_MONITOR.value: AdviceWords(
        "Self-monitoring",
        "eye",
        "green",
        "This answer alone advises no referral. Tell the patient what change looks like, and photograph the lesion "
        "again in three months.",
    ),
}

STATES: dict[str, StateWords] = {
    # batches
    "open": StateWords("Open", "circle-dashed", "secondary"),
    "submitted": StateWords("In progress", "loader-2", "blue"),
    "completed": StateWords("Completed", "circle-check", "green"),
    "completed_with_failures": StateWords("Completed with failures", "alert-circle", "yellow"),
    "cancelled": StateWords("Cancelled", "ban", "secondary"),
    # images
    "awaiting_upload": StateWords("Waiting for upload", "upload", "secondary"),
    "stored": StateWords("Being checked", "search", "blue"),
    "ready": StateWords("Usable", "check", "blue"),
    "rejected": StateWords("Not usable", "circle-x", "red"),
    "expired": StateWords("Never uploaded", "photo-off", "secondary"),
    "purged": StateWords("Deleted", "trash", "secondary"),
    # jobs, training runs and messages
    "queued": StateWords("Queued", "clock", "secondary"),
    "running": StateWords("Running", "loader-2", "blue"),
    "succeeded": StateWords("Done", "circle-check", "green"),
    "evaluated": StateWords("Evaluated", "chart-bar", "green"),
    "failed": StateWords("Failed", "circle-x", "red"),
    "pending": StateWords("Waiting", "clock", "secondary"),
    "sending": StateWords("Being sent", "loader-2", "blue"),
    "sent": StateWords("Sent", "send", "green"),
    # webhooks and their deliveries
    "delivered": StateWords("Delivered", "circle-check", "green"),
    "enabled": StateWords("Enabled", "circle-check", "green"),
    "disabled": StateWords("Disabled", "ban", "secondary"),
    "gone": StateWords("Disabled: gone", "circle-x", "red"),
    "failing": StateWords("Disabled: failing", "circle-x", "red"),
    # releases of the model
    "candidate": StateWords("Candidate", "circle-dashed", "blue"),
    "active": StateWords("Active", "circle-check", "green"),
    "retired": StateWords("Retired", "history", "secondary"),
    # what a clinician has done with a case
    "to_review": StateWords("To review", "stethoscope", "blue"),
    "released": StateWords("Released", "send", "green"),
    "waiting": StateWords("No result yet", "clock", "secondary"),
    "erased": StateWords("Erased", "trash", "secondary"),
    "no_result": StateWords("Ended without a result", "circle-x", "red"),
}


def counted(count: int, thing: str) -> str:
    """So many of a thing: of 1 it is one, and of 0 or 2,000 they are several."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def uncertainty_in_words(uncertainty: float | None) -> str:
    """How far the models agree, from the standard deviation of their P(malignant); nothing of one that is alone."""
    if uncertainty is None:
        return ""
    if uncertainty < CLOSE:
        return "the models agree closely"
    if uncertainty < NEAR:
        return "the models differ somewhat"
    return "the models disagree"


def class_name(code: str) -> str:
    """A lesion class in words; a code that is not one (such as `cannot_tell`) as words of its own."""
    return DISPLAY_NAMES.get(code) or code.replace("_", " ").capitalize()


def agreed_on(code: str) -> str:
    """Whose opinion a class is that dermatologists settled a picture on: people's, of a picture; no diagnosis."""
    return f"dermatologists who labelled a picture of this case settled on {class_name(code)}"


def nature(code: str) -> str:
    """What a class that counts as malignant is; empty for others, and for one whose own name says it."""
    if code == "AKIEC":
        return "pre-malignant"
    return "malignant" if is_malignant(code) and code != "MALIGNANT" else ""


def percent(value: float) -> str:
    """A probability as a whole percentage that never claims certainty."""
    if value < 0.01:
        return "under 1%"
    if value > 0.99:
        return "over 99%"
    return f"{value:.0%}"


def points(value: float) -> str:
    """A standard deviation of a probability, in percentage points."""
    return "under 1" if value < 0.01 else f"{100 * value:.0f}"


def percentage_points(value: float) -> str:
    """The same with its unit, for a sentence."""
    number = points(value)
    return f"{number} percentage {'point' if number in {'1', 'under 1'} else 'points'}"


def cut_range(malignant: float, uncertainty: float) -> str:
    """From where to where a P(malignant) is uncertain, where the two sides of its ± would pass 0 or 100."""
    low, high = malignant - uncertainty, malignant + uncertainty
    if uncertainty < 0.01 or (low >= 0 and high <= 1):
        return ""
    return f" ({100 * max(low, 0):.0f}–{100 * min(high, 1):.0f})"


def spread(malignant: float, uncertainty: float | None) -> str:
    """What follows a P(malignant): its uncertainty in percentage points, or nothing where there is none."""
    if uncertainty is None:
        return ""
    return cut_range(malignant, uncertainty) or f" ± {points(uncertainty)}"


def holds_where(malignant_share: float | None) -> str:
    """Among which pictures a P(malignant) is right; empty where its release does not say."""
    if malignant_share is None:
        return ""
    return (
        f"P(malignant) holds where {percent(malignant_share)} of the pictures are malignant, as where it was "
        "calibrated; where fewer are, it is lower."
    )


def malignant_classes(probabilities: dict[str, float]) -> str:
    """The malignant classes that an answer tells apart, for a sentence; empty where it has no more than one."""
    codes = [code for code in DISPLAY_NAMES if code in probabilities and is_malignant(code)]
    names = [DISPLAY_NAMES[code] for code in codes if len(codes) > 1]
    return ", ".join(name[0].lower() + name[1:] for name in names)
