"""A case in whose every word its patient can be told, and every word that is kept."""

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.utils import timezone

from tests.factories import BatchFactory, CaseFactory, CaseResultFactory, ImageFactory, PatientFactory, UserFactory
from webapp.cases.models import Case, Image

MARK = "Mustermann"
BORN = "1951-12-31"


def telling(**fields: Any) -> Image:
    """An image with all its files, of a released case in whose every word the patient can be told."""
    patient = PatientFactory(external_id=MARK, email=f"{MARK}@home.example", date_of_birth=BORN, **fields)
    case = CaseFactory(
        batch=BatchFactory(completed=True, organisation=patient.organisation), patient=patient, external_id=f"{MARK} 1",
        lesion_id=f"left arm of {MARK}", age=73, sex="male", anatom_site=f"arm {MARK}", notes=MARK,
    )  # fmt: skip
    image = ImageFactory(case=case, ready=True, filename=f"{MARK}.jpg", quality=[{"code": "dark", "advice": MARK}])
    CaseResultFactory(case=case)
    now = {"released_at": timezone.now(), "reviewed_at": timezone.now(), "reviewed_by": UserFactory()}
    Case.objects.update(**now, review_note=f"Dear {MARK}")
    return image


def everything() -> Iterator[str]:
    """Every row of every table of ours, as text."""
    for model in apps.get_models():
        if model.__module__.startswith("webapp."):
            for row in model.objects.order_by("pk").values():  # type: ignore[attr-defined]
                found = {name: bytes(value) if isinstance(value, memoryview) else value for name, value in row.items()}
                yield f"{model.__name__}: {found}"


def only() -> Case:
    return Case.objects.select_related("patient", "batch").get()
