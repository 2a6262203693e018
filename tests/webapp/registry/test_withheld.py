"""Photos whose patient does not agree that models learn from them are in no snapshot, and it is said how many."""

import pytest
from django.test import Client

from tests.factories import ConsensusFactory, ImageFactory, MembershipFactory, ReleaseFactory
from webapp.accounts.consent import choose_training
from webapp.audit.services import SYSTEM
from webapp.labels.models import CANNOT_TELL
from webapp.registry.models import DatasetSnapshot, TrainingRun
from webapp.registry.selectors import accepted_labels
from webapp.registry.snapshots import draw_up, read_snapshot, store

pytestmark = pytest.mark.django_db


def make_snapshot() -> DatasetSnapshot:
    return store(draw_up())


def test_what_a_patient_withdraws_is_in_none_from_then_on_and_is_counted() -> None:
    kept, withdrawn = ConsensusFactory(), ConsensusFactory()
    ConsensusFactory(image__case__patient__training_consent=False, dx=CANNOT_TELL)  # of no use to anybody
    before = make_snapshot()
    assert (before.images, before.withheld) == (2, 0)

    choose_training(actor=SYSTEM, patient=withdrawn.image.case.patient, agreed=False)
    after = make_snapshot()

    assert (after.images, after.withheld) == (1, 1)
    assert str(kept.image_id) in read_snapshot(after).decode()
    assert str(withdrawn.image_id) not in read_snapshot(after).decode()
    assert accepted_labels().total == accepted_labels().withheld == 1
    choose_training(actor=SYSTEM, patient=withdrawn.image.case.patient, agreed=True)
    assert make_snapshot() == before


def test_a_picture_that_is_also_anothers_is_in_none_while_one_of_them_refuses() -> None:
    """Their clinic has sent it twice, as of two patients: one of them of whom it named none."""
    labelled = ConsensusFactory()
    twin = ImageFactory(case__batch__organisation=labelled.image.organisation, ready=True, sha256=labelled.image.sha256)
    other_clinics = ImageFactory(ready=True, sha256=labelled.image.sha256, case__patient__training_consent=False)
    assert other_clinics.organisation != labelled.image.organisation
    assert (make_snapshot().images, make_snapshot().withheld) == (1, 0)

    choose_training(actor=SYSTEM, patient=twin.case.patient, agreed=False)
    after = make_snapshot()
    assert (after.images, after.withheld) == (0, 1)


def test_operators_read_how_many(client: Client) -> None:
    client.force_login(MembershipFactory(role="operator").user)
    ReleaseFactory(active=True)
    for agreed in (True, True, True, False, False):
        ConsensusFactory(image__case__patient__training_consent=agreed)
    listed = client.get("/models/runs/").content.decode()
    assert "2 more labels cannot be used: the patients of the pictures do not agree" in listed
    client.post("/models/runs/start/")
    page = client.get(f"/models/runs/{TrainingRun.objects.get().pk}/").content.decode()
    assert "2 labelled images more were left out: their patients do not agree" in page
