"""A clinic with quotas, and what it sends."""

from tests.webapp.api.clinic import Clinic, case
from webapp.accounts.models import Organisation


def limited(clinic: Clinic, **limits: int) -> Organisation:
    Organisation.objects.filter(pk=clinic.organisation.pk).update(**limits)
    return Organisation.objects.get(pk=clinic.organisation.pk)


def manifest(*names: str) -> dict[str, object]:
    return {"cases": [case(name) for name in names]}
