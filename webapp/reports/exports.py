"""A batch's results as a stream: one row a case, thousands of them in little memory."""

import csv
import json
from collections.abc import Iterator
from typing import Any

from django.db.models import Prefetch
from rest_framework.utils.encoders import JSONEncoder

from ml.advice import Advice
from ml.classes import EIGHT
from webapp.cases.models import Batch, Case, Image
from webapp.cases.selectors import for_stage, is_at_model
from webapp.inference.models import CaseResult
from webapp.pages.words import NOTICE
from webapp.registry.models import ModelRelease
from webapp.reports.wording import is_insisted_on
from webapp.spreadsheets import for_spreadsheet

CHUNK = 2000
REFUSED = (Image.State.REJECTED, Image.State.EXPIRED)
THRESHOLDS = (Advice.URGENT_REFERRAL, Advice.ROUTINE_REFERRAL)

OF_AN_ANSWER = ("advice", "top_class", "release", "release_sha256")  # texts that are null without one
CLASSES = EIGHT.codes  # the column of a class that an answer does not tell apart is empty

COLUMNS = [
    "case_id",
    "patient_id",
    "lesion_id",
    "age",
    "sex",
    "anatom_site",
    "capture",
    "images",
    "images_used",
    "images_refused",
    "images_unrecognised",
    "status",
    "advice",
    "top_class",
    "p_malignant",
    "uncertainty",
    *(f"p_{code.lower()}" for code in CLASSES),
    "release",
    "release_sha256",
    *(f"threshold_{name.value}" for name in THRESHOLDS),
    "answered_at",
    "review",
    "reviewed_at",
    "released_at",
    "raised_at",
    "opinion",
    "case",
    "notice",
]

NUMBERS = ("p_", "threshold_", "uncertainty")


def _kind(column: str) -> dict[str, Any]:
    """What the OpenAPI document says of a column's value."""
    if column in ("age", "images", "images_used", "images_unrecognised"):
        return {"type": "integer", "nullable": column == "age"}
    if column.startswith(NUMBERS):
        return {"type": "number", "nullable": True}
    if column.endswith("_at"):
        return {"type": "string", "format": "date-time", "nullable": True}
    return {"type": "string", "nullable": column in (*OF_AN_ANSWER, "opinion")}


ROW = {"type": "object", "required": COLUMNS, "properties": {column: _kind(column) for column in COLUMNS}}
HEAD = ("batch", "name", "state", "notice")
AS_JSON = {
    "type": "object",
    "required": [*HEAD, "results"],
    "properties": {**{name: {"type": "string"} for name in HEAD}, "results": {"type": "array", "items": ROW}},
}


def as_csv(batch: Batch) -> Iterator[str]:
    """Lines of CSV, the header first. Texts that a spreadsheet would take for a formula are quoted for it."""
    writer = csv.writer(_Line())
    yield writer.writerow(COLUMNS)
    for row in _rows(batch):
        yield writer.writerow([_cell(value) for value in row.values()])


def as_json(batch: Batch) -> Iterator[str]:
    """Pieces of one JSON object: the batch, and a list of its results. Times are whole, since a release names its
    answer by one.
    """
    head = {"batch": str(batch.pk), "name": batch.name, "state": batch.state, "notice": NOTICE}
    yield json.dumps(head)[:-1] + ', "results": ['
    for number, row in enumerate(_rows(batch)):
        yield (",\n" if number else "\n") + json.dumps(row, cls=JSONEncoder)
    yield "\n]}\n"


def _rows(batch: Batch) -> Iterator[dict[str, Any]]:
    thresholds = _Thresholds()
    cases = batch.cases.select_related("patient", "answer__release").defer("answer__release__manifest")
    images = Prefetch("images", Image.objects.only("case", "state", "reason", "quality").order_by("created_at", "id"))
    cases = cases.prefetch_related(images, *for_stage(batch))
    for case in cases.iterator(chunk_size=CHUNK):
        yield dict(zip(COLUMNS, _row(case, batch, thresholds), strict=True))


def _row(case: Case, batch: Batch, thresholds: "_Thresholds") -> Iterator[Any]:
    images = case.images.all()
    result = case.answer
    unused = REFUSED if result else (*REFUSED, Image.State.PURGED)
    refused = [image.reason or image.state for image in images if image.reason or image.state in unused]
    yield from (case.external_id, case.patient.external_id, case.said_lesion, case.age, case.sex)
    yield from (case.anatom_site, case.capture, len(images))
    yield result.images if result else 0
    yield " ".join(refused)
    yield sum(map(is_insisted_on, images)) if result else 0
    yield "answered" if result else _without_answer(case, batch)
    yield from _answer(result, thresholds)
    yield "released" if case.released_at else ("waiting" if result else "no_result")  # as the API has it
    yield from (case.reviewed_at, case.released_at, case.raised_at, case.dissent or None, str(case.pk), NOTICE)


def _without_answer(case: Case, batch: Batch) -> str:
    """The status of a case of this batch that has no answer. What is at the model when a batch is cancelled is still
    answered.
    """
    if case.erased_at:
        return "erased"
    if batch.state == Batch.State.CANCELLED:
        return "in_progress" if is_at_model(case) else "cancelled"
    return "in_progress" if batch.finished_at is None else "no_result"


def _answer(result: CaseResult | None, thresholds: "_Thresholds") -> Iterator[Any]:
    """From `advice` to `answered_at`; empty without a result."""
    if result is None:
        yield from [None] * (4 + len(CLASSES) + 2 + len(THRESHOLDS) + 1)
        return
    yield from (result.advice, result.top_class, result.malignant, result.uncertainty)
    yield from (result.probabilities.get(code) for code in CLASSES)
    yield from (result.release.name, result.release.bundle_sha256)
    yield from (thresholds[result.release_id][name] for name in THRESHOLDS)
    yield result.created_at


class _Thresholds(dict[int, dict[str, float]]):
    """The thresholds of each release, asked for once: another one may begin to answer while rows are written."""

    def __missing__(self, release_id: int) -> dict[str, float]:
        found: dict[str, float] = ModelRelease.objects.values_list("manifest__thresholds", flat=True).get(pk=release_id)
        self[release_id] = found
        return found


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return for_spreadsheet(value)
    return value.isoformat() if hasattr(value, "isoformat") else value


class _Line:
    """What `csv.writer` writes to: gives each line back."""

    def write(self, line: str) -> str:
        return line
