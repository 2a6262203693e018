"""Photos are deleted when the time is over for which their clinic keeps them."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import transaction

from tests.deploy.processes import eventually
from tests.factories import (
    BatchFactory,
    CaseFactory,
    ConsensusFactory,
    ImageFactory,
    LabelFactory,
    OrganisationFactory,
    UserFactory,
)
from tests.webapp.cases.files import ago, answered, left_of, states
from tests.webapp.elsewhere import elsewhere, somebody_waits
from webapp import storage
from webapp.accounts.consent import choose_training
from webapp.audit.models import Event
from webapp.audit.services import SYSTEM, Actor
from webapp.cases import retention
from webapp.cases.models import Image
from webapp.cases.retention import delete_old_photos, delete_photos
from webapp.labels.models import Assignment
from webapp.labels.services import submit_label
from webapp.registry.snapshots import draw_up
from workers import upkeep

pytestmark = pytest.mark.django_db(transaction=True)


def test_photos_go_when_their_clinics_time_is_over() -> None:
    clinic = OrganisationFactory(retention_days=30)
    old, young = answered(days=31, organisation=clinic), answered(days=29, organisation=clinic)
    others = answered(days=5000)
    refused = ImageFactory(case=CaseFactory(batch=old.batch), state="rejected", reason="blurred", ended_at=ago(31))
    storage.write(refused.clean_key, b"skin")

    assert delete_old_photos() == 2

    assert set(Image.objects.filter(state="purged")) == {old, refused}
    assert left_of([old.clean_key, refused.clean_key, young.clean_key, others.clean_key]) == [
        young.clean_key, others.clean_key,
    ]  # fmt: skip
    event = Event.objects.get(action="case.photos_deleted", object_id=str(old.case_id))
    assert (event.user, event.organisation, event.detail) == (None, clinic, "1, after 30 days")
    assert delete_old_photos() == 0


@pytest.mark.parametrize(("dx", "stays"), [("MEL", True), ("cannot_tell", False), (None, False)])
def test_what_models_are_trained_with_stays_until_somebody_asks(dx: str | None, stays: bool) -> None:
    image = answered(days=31, organisation=OrganisationFactory(retention_days=30))
    LabelFactory(image=image)
    if dx:
        ConsensusFactory(image=image, dx=dx)

    assert delete_old_photos() == (not stays)
    assert sum(sum(split.values()) for split in draw_up().counts.values()) == stays

    delete_photos(actor=SYSTEM, case=image.case)
    assert states() == ["purged"]
    assert sum(sum(split.values()) for split in draw_up().counts.values()) == 0
    assert image.labels.exists()


def test_without_their_patients_consent_to_it_they_go_with_the_others() -> None:
    image = answered(days=31, organisation=OrganisationFactory(retention_days=30))
    ConsensusFactory(image=image)
    choose_training(actor=SYSTEM, patient=image.case.patient, agreed=False)
    assert delete_old_photos() == 1


def test_a_photo_on_which_annotators_agree_at_that_moment_stays() -> None:
    image = answered(days=31, organisation=OrganisationFactory(retention_days=30))
    LabelFactory(image=image, dx="MEL")
    annotator = UserFactory()
    Assignment.objects.create(image=image, annotator=annotator, expires_at=ago(-1))
    with ThreadPoolExecutor(1) as another:
        with transaction.atomic():
            submit_label(actor=Actor(user=annotator), annotator=annotator, image=image, dx="MEL", confidence=3)
            deleting = another.submit(elsewhere, delete_old_photos)
            assert eventually(somebody_waits)
        assert deleting.result() == 0
    assert states() == ["ready"]
    assert sum(sum(split.values()) for split in draw_up().counts.values()) == 1


@pytest.mark.parametrize("state", ["open", "cancelled", "submitted"])
def test_a_batch_that_is_being_answered_keeps_its_photos(state: str) -> None:
    clinic = OrganisationFactory(retention_days=1)
    times: dict[str, dict[str, object]] = {
        "submitted": {"submitted_at": ago(3), "remaining": 1},
        "cancelled": {"finished_at": ago(3)},
    }
    batch = BatchFactory(organisation=clinic, state=state, **times.get(state, {}))
    ImageFactory(case=CaseFactory(batch=batch), ready=True, ended_at=ago(2))
    ImageFactory(case=CaseFactory(batch=batch), stored=True)

    assert delete_old_photos() == (state != "submitted")
    assert states() == ["ready" if state == "submitted" else "purged", "stored"]


def test_the_beat_deletes_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = OrganisationFactory(retention_days=1)
    for _ in range(5):
        answered(days=2, organisation=clinic)
    rung: list[str] = []
    monkeypatch.setattr(upkeep, "ring_now", rung.append)
    monkeypatch.setattr(retention, "DELETED_AT_ONCE", 2)
    with monkeypatch.context() as patch:
        patch.setattr(upkeep, "RUN_SECONDS", -1)
        upkeep.delete_old()
    assert states().count("purged") == 2
    assert rung == ["upkeep.delete_old"]  # to go on

    upkeep.delete_old()
    assert states().count("purged") == 5
    assert len(rung) == 1


def test_a_batch_that_fails_does_not_keep_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = OrganisationFactory(retention_days=1)
    images = [answered(days=2, organisation=clinic) for _ in range(3)]
    bad = images[1].batch_id
    real = retention.purge

    def purge(*, batch_id: uuid.UUID, **rest: Any) -> object:
        if batch_id == bad:
            raise ConnectionError
        return real(batch_id=batch_id, **rest)

    monkeypatch.setattr(retention, "purge", purge)

    assert delete_old_photos() == 2
    assert Image.objects.get(state="ready").batch_id == bad
