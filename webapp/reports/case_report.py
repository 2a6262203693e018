"""One case as a report to print, to file or to send with a referral."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from typing import Any

from django.template.defaultfilters import capfirst
from django.utils import timezone
from PIL import Image as Pillow

from ml.classes import is_malignant
from webapp import storage
from webapp.cases.models import Case, Image
from webapp.cases.pictures import heatmap_of
from webapp.inference.models import Answer
from webapp.inference.selectors import image_answer
from webapp.pages.words import ADVICE, NOTICE, STATES, class_name, nature, percent, spread
from webapp.patients.words import frequency
from webapp.reports import wording
from webapp.reports.typesetting import Document

SIDE = 900  # pixels of a picture's longer side: 260 a printed inch
HEATMAP = "Heatmap: what drew the model towards its answer"


def case_report(case: Case) -> Document:
    """The report of a case that `with_answers` has fetched."""
    result = case.answer
    data = {
        "title": f"Case {case.external_id}",
        "running": f"Case {case.external_id}, {_patient(case)}{case.batch.organisation.name}",
        "clinic": case.batch.organisation.name,
        "notice": NOTICE,
        "made": f"Printed {wording.when(timezone.now())}.",
        "facts": list(_facts(case)),
        "headline": wording.headline(case),
        "colour": ADVICE[result.advice].colour if result else "secondary",
        "sentences": wording.sentences(result) if result else ["There is no answer by the model for this case."],
        "warnings": wording.warnings(case, case.images.all()),
        "review": {
            "headline": wording.review(case),
            "note": case.review_note,
            "colour": STATES["released" if case.reviewed_at else "to_review"].colour,
        },
        "answer": _answer(result) if result else None,
        "pictures": [_picture(case, image, number) for number, image in enumerate(case.images.all(), 1)],
        "origin": list(_origin(result)) if result else [],
    }
    return Document("case", data)


def _facts(case: Case) -> Iterator[tuple[str, str]]:
    yield "Patient", case.patient.external_id if case.patient.is_named else "not given"
    if case.said_lesion:
        yield "Lesion", case.said_lesion
    yield "Age", "not given" if case.age is None else str(case.age)
    yield "Sex", case.get_sex_display()
    yield "Body site", capfirst(case.anatom_site) or "not given"
    yield "Picture", case.get_capture_display()
    yield "Sent", wording.when(case.created_at)
    yield "Reference", str(case.pk)
    if case.notes:
        yield "Notes", case.notes


def _patient(case: Case) -> str:
    """The patient, where the clinic named one."""
    return f"patient {case.patient.external_id}, " if case.patient.is_named else ""


def _answer(result: Answer) -> dict[str, Any]:
    told = frequency(result.malignant)
    likeliest_first = sorted(result.probabilities.items(), key=lambda item: -item[1])
    return {
        "malignant": f"P(malignant) {percent(result.malignant)}{spread(result.malignant, result.uncertainty)}",
        "classes": [
            {
                "name": class_name(code),
                "nature": nature(code),
                "malignant": is_malignant(code),
                "value": value,
                "percent": percent(value),
            }
            for code, value in likeliest_first
        ],
        "frequency": told.sentence,
        "dots": [dot.kind for dot in told.dots],
    }


def _picture(case: Case, image: Image, number: int) -> dict[str, Any]:
    answer = image_answer(image) if case.answer else None
    wanted = [(partial(storage.read, image.clean_key), f"Picture {number} of the lesion")] if image.width else []
    if answer and image.width:
        wanted.append((partial(heatmap_of, answer), HEATMAP))
    files = [{"bytes": list(small), "alt": words} for read, words in wanted if (small := _printable(read))]
    size = f", {image.width} × {image.height} pixels" if image.width else ""
    heat = f" {HEATMAP}." if len(files) == 2 else ""
    return {
        "files": files,
        "caption": f"Picture {number}: {image.filename}{size}.{heat}",
        "notes": list(_notes(image, answer if len(case.images.all()) > 1 else None)),
    }


def _notes(image: Image, answer: Answer | None) -> Iterator[str]:
    """What there is to say of a picture, and its own answer where that is not the case's."""
    if image.state == Image.State.READY:
        if image.is_ill_advised:
            yield "Used against the advice of the quality check:"
        yield from (_unnamed(flag["advice"]) for flag in image.quality)
    elif image.deleted_at:
        yield f"{STATES[image.state].word}, {wording.when(image.deleted_at)}."
    else:
        yield f"{STATES[image.state].word}. {_unnamed(image.advice)}".strip()
    if answer:
        yield (
            f"On its own: {class_name(answer.top_class)}, "
            f"P(malignant) {percent(answer.malignant)}{spread(answer.malignant, answer.uncertainty)}."
        )


def _unnamed(advice: str) -> str:
    """What is told of a picture without the id of another case: that may be another patient's, and a report travels."""
    return re.sub(r"(?s)^Case .* of this batch\b", "Another case of this batch", advice)


def _origin(result: Answer) -> Iterator[tuple[str, str]]:
    yield "Model release", result.release.name
    yield "Bundle (SHA-256)", result.release.bundle_sha256
    yield "Code version", result.release.code_version
    yield "Answered", wording.when(result.created_at)


def _printable(read: Callable[[], bytes]) -> bytes | None:
    """The picture in a size for print, as JPEG; None where there is none, or none that can be read."""
    try:
        with Pillow.open(BytesIO(read()), formats=["JPEG"]) as picture:
            picture.draft("RGB", (SIDE, SIDE))
            picture.thumbnail((SIDE, SIDE))
            small = BytesIO()
            picture.convert("RGB").save(small, "JPEG", quality=85)
            return small.getvalue()
    except OSError:  # also of a file that is missing, and of one that is no picture
        return None
