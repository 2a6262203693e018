"""What the reports say of a case in the house's words, whatever they are written in."""

from collections.abc import Iterable
from datetime import datetime

from django.template.defaultfilters import capfirst
from django.utils import timezone

from ml.classes import BINARY
from webapp.cases.models import Case, Image
from webapp.cases.selectors import stage
from webapp.inference.models import CaseResult
from webapp.inference.selectors import image_answer
from webapp.pages.words import (
    ADVICE,
    ONE_IMAGE,
    STATES,
    agreed_on,
    class_name,
    cut_range,
    holds_where,
    malignant_classes,
    percent,
    percentage_points,
    uncertainty_in_words,
)

NOT_REVIEWED = "Not yet reviewed by a clinician"
LEARNT = "the model learnt from dermoscopic pictures, so rely less on its answer here."


def when(moment: datetime) -> str:
    """A moment in the site's time zone, which it names."""
    local = timezone.localtime(moment)
    return f"{local.day} {local:%B %Y, %H:%M %Z}"


def headline(case: Case) -> str:
    """What is advised, or why nothing is, in a word or two."""
    return ADVICE[case.advice].word if case.advice else STATES[stage(case)].word


def sentences(result: CaseResult) -> list[str]:
    """What to do, how likely it is malignant, how sure the model is, and what is likeliest."""
    names = malignant_classes(result.probabilities)
    of_what = f"{names} together" if names else "any malignant or pre-malignant lesion"
    how_sure = f": {of_what}."
    if result.uncertainty is not None:
        agreed = uncertainty_in_words(result.uncertainty).capitalize()
        around = cut_range(result.malignant, result.uncertainty) or f" ± {percentage_points(result.uncertainty)}"
        how_sure = f"{around}: {of_what}. {agreed}."
    return [
        ADVICE[result.advice].next_step,
        *([ONE_IMAGE] if result.follows_one_image else []),
        f"P(malignant) is {percent(result.malignant)}{how_sure} Likeliest: {class_name(result.top_class)}.",
        *filter(None, [holds_where(result.malignant_share)]),
    ]


def warnings(case: Case, images: Iterable[Image]) -> list[str]:
    """Why to rely less on the answer of a case with these images; empty where nothing speaks for it.

    It asks for their results.
    """
    if case.answer is None:
        return []
    found = [] if case.capture == Case.Capture.DERMOSCOPIC else [f"{Case.Capture(case.capture).label}: {LEARNT}"]
    for number, image in enumerate(images, 1):
        if is_insisted_on(image):
            found.append(
                f"The model saw no lesion in picture {number} and answered only because a provider insisted: "
                "do not rely on its numbers."
            )
        result = image_answer(image)
        if result is None and image.state == Image.State.READY:
            found.append(f"Picture {number} has no answer by the model: the result leaves it out.")
        if case.top_class not in BINARY.codes:
            continue
        if result and result.probabilities.keys() != case.answer.probabilities.keys():
            found.append(f"Picture {number} was answered in other classes: only malignant and benign are combined.")
    return found


def is_insisted_on(image: Image) -> bool:
    """Whether the model saw no lesion in it and answered only because a provider insisted."""
    return image.was_unrecognised and not image.reason


def opinion(case: Case) -> str:
    """What dermatologists settled on, where it calls for more than the answer; empty where it does not."""
    return f"{capfirst(agreed_on(case.dissent))}, which is more urgent" if case.dissent else ""


def review(case: Case) -> str:
    """Whether a clinician has seen the answer, whether the patient may, and whether a later one, or what dermatologists
    agree on, is more urgent: both where both are. It asks for the results of a case that waits to be looked at again.
    """
    agreed = f". {opinion(case)}" if case.dissent else ""
    if case.released_at is None:
        return f"{NOT_REVIEWED}{agreed}"
    if case.reviewed_at is None:
        said = f"{NOT_REVIEWED}: released automatically, {when(case.released_at)}"
    else:
        by = case.reviewed_by.email if case.reviewed_by else "the clinic's software"
        said = f"Reviewed and released by {by}, {when(case.released_at)}"
    if case.raised_at is None:
        return f"{said}{agreed}"
    answered = not agreed or any(result.created_at == case.raised_at for result in case.results.all())
    later = f". An answer of {when(case.raised_at)} is more urgent" if answered else ""
    return f"{said}{agreed}{later}: decide whether to see the patient again"
