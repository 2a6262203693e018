"""Photos are deleted: all files go, answers stay, and nothing comes back."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.factories import (
    CaseFactory,
    CaseResultFactory,
    ImageFactory,
    ReleaseFactory,
    UserFactory,
)
from tests.webapp.cases.files import ago, answered, left_of, states, with_files
from tests.webapp.elsewhere import at_once
from tests.webapp.inference.scenes import outcome
from webapp import storage
from webapp.audit.models import Event
from webapp.audit.services import SYSTEM, Actor
from webapp.cases import originals, retention
from webapp.cases.intake import InspectionResult, claim_images, finish_intake
from webapp.cases.models import Batch, Case, Image, PartedUpload
from webapp.cases.originals import forget_originals
from webapp.cases.retention import delete_photos
from webapp.cases.services import submit_batch
from webapp.cases.uploads import complete_uploads
from webapp.inference.claim import claim_jobs
from webapp.inference.models import Job, Result
from webapp.inference.reruns import newer_release
from webapp.inference.services import finish, sweep_jobs
from webapp.notify.models import Message

pytestmark = pytest.mark.django_db(transaction=True)


def an_hour_later() -> None:
    """The sweep, when nobody who began before can write any more."""
    Image.objects.filter(state="purged").update(ended_at=ago(1))
    forget_originals()


def test_every_file_goes_and_the_answer_stays() -> None:
    image = ImageFactory(case__batch__completed=True, ready=True)
    keys = with_files(image)
    held = CaseResultFactory(case=image.case)
    before = Result.objects.values().get()
    clinician = UserFactory()

    assert delete_photos(actor=Actor(user=clinician), case=image.case) == 1

    assert left_of(keys) == []
    assert not PartedUpload.objects.exists()
    assert Result.objects.values().get() == {**before, "heatmap": b"", "doubt": None}
    assert Case.objects.get().answer == held
    image.refresh_from_db()
    assert (image.state, image.width, image.deleted_at) == ("purged", 0, image.ended_at)
    event = Event.objects.get(action="case.photos_deleted")
    assert (event.user, event.object_id, event.detail) == (clinician, str(image.case_id), "1, as asked")

    assert delete_photos(actor=SYSTEM, case=image.case) == 0
    assert Event.objects.filter(action="case.photos_deleted").count() == 1


def test_others_photos_stay() -> None:
    image, other = answered(), answered()
    sibling = ImageFactory(case=CaseFactory(batch=image.batch), ready=True)
    storage.write(sibling.clean_key, b"skin")

    delete_photos(actor=SYSTEM, case=image.case)

    assert set(Image.objects.filter(state="ready")) == {other, sibling}
    assert left_of([other.clean_key, sibling.clean_key, image.clean_key]) == [other.clean_key, sibling.clean_key]


def test_a_photo_that_is_awaited_is_not_taken_any_more() -> None:
    image = ImageFactory()

    delete_photos(actor=SYSTEM, case=image.case)
    storage.write(image.upload_key, b"late")  # its URL is still valid
    complete_uploads(images=[image])

    assert image.state == "purged"
    an_hour_later()
    assert left_of([image.upload_key]) == []


def test_an_inspection_that_has_begun_brings_nothing_back() -> None:
    image = ImageFactory(case__batch__submitted=True, stored=True)
    token, [leased] = claim_images(limit=1)

    delete_photos(actor=SYSTEM, case=image.case)
    storage.write(image.clean_key, b"skin")

    assert finish_intake(token=token, inspected=[(leased, InspectionResult("a" * 64, 600, 450))]) == []
    assert states() == ["purged"]
    assert claim_images(limit=1)[1] == []
    assert Batch.objects.values_list("state", "failures").get() == ("completed_with_failures", 1)
    an_hour_later()
    assert left_of([image.clean_key]) == []


@pytest.mark.parametrize("claimed", [False, True])
def test_the_model_does_not_answer_for_it(claimed: bool) -> None:
    image = ImageFactory(ready=True)
    submit_batch(actor=SYSTEM, batch=image.batch)
    token, jobs = claim_jobs(limit=int(claimed))

    delete_photos(actor=SYSTEM, case=image.case)

    assert finish(token=token, ends=[(job, outcome(ReleaseFactory())) for job in jobs]) == set()
    assert sweep_jobs() == 0
    assert claim_jobs(limit=1)[1] == []
    assert not Result.objects.exists()
    assert Job.objects.get().state == Job.State.CANCELLED
    assert Batch.objects.values_list("state", "remaining", "failures").get() == ("completed_with_failures", 0, 1)
    assert Message.objects.filter(kind="batch_completed").count() == 1


def test_a_case_is_combined_from_what_was_answered_before() -> None:
    first = ImageFactory(ready=True)
    ImageFactory(case=first.case, ready=True)
    submit_batch(actor=SYSTEM, batch=first.batch)
    token, jobs = claim_jobs(limit=1)
    finish(token=token, ends=[(job, outcome(ReleaseFactory())) for job in jobs])

    delete_photos(actor=SYSTEM, case=first.case)

    held = Case.objects.get().answer
    assert held is not None
    assert held.images == 1
    assert Batch.objects.get().failures == 1


def test_a_batch_is_submitted_without_what_was_deleted_before() -> None:
    image = ImageFactory(ready=True, case__batch__source=Batch.Source.PATIENT)
    delete_photos(actor=SYSTEM, case=image.case)

    submit_batch(actor=SYSTEM, batch=image.batch)

    assert Batch.objects.values_list("state", "remaining", "failures").get() == ("completed_with_failures", 0, 1)
    assert not Message.objects.exists()  # nobody is asked for a better photo


def test_no_newer_release_is_offered_what_is_gone() -> None:
    image = answered()
    newest = ReleaseFactory(active=True)
    assert newer_release(image.batch) == newest

    delete_photos(actor=SYSTEM, case=image.case)

    assert newer_release(image.batch) is None


# what dies or breaks on the way


class Died(BaseException):
    """The process was killed."""


@pytest.fixture
def deleting(monkeypatch: pytest.MonkeyPatch) -> list[BaseException | None]:
    """What happens at each deletion of a file, in order; then all goes well."""
    events: list[BaseException | None] = []

    def delete(key: str) -> None:
        if events and (event := events.pop(0)):
            raise event
        real(key)

    real = storage.delete
    monkeypatch.setattr(storage, "delete", delete)
    return events


@pytest.mark.parametrize("survived", range(2))
def test_a_process_that_dies_leaves_no_file_for_long(deleting: list[BaseException | None], survived: int) -> None:
    image = answered()
    keys = [image.upload_key, image.clean_key]
    deleting += [*[None] * survived, Died()]

    with pytest.raises(Died):
        delete_photos(actor=SYSTEM, case=image.case)

    assert states() == ["purged"]  # nothing says that it is there
    assert len(left_of(keys)) == 2 - survived
    an_hour_later()
    assert left_of(keys) == []


def test_a_process_that_dies_before_has_changed_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    image = answered()

    def dies(**_: object) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(retention, "record", dies)
        with pytest.raises(Died):
            delete_photos(actor=SYSTEM, case=image.case)

    assert states() == ["ready"]
    assert Result.objects.get().heatmap
    assert left_of([image.clean_key]) == [image.clean_key]
    assert delete_photos(actor=SYSTEM, case=image.case) == 1


def test_storage_that_is_away_is_asked_again(deleting: list[BaseException | None]) -> None:
    image = answered()
    deleting += [ConnectionError()]

    assert delete_photos(actor=SYSTEM, case=image.case) == 1

    assert left_of([image.clean_key]) == [image.clean_key]
    an_hour_later()
    assert left_of([image.clean_key]) == []


def test_one_sweep_forgets_all_that_it_has_time_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(originals, "FORGOTTEN_AT_ONCE", 2)
    ImageFactory.create_batch(5, ready=True, ended_at=ago(1))
    assert forget_originals() == 5


def test_what_was_forgotten_before_storage_went_away_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    images = ImageFactory.create_batch(4, ready=True, ended_at=ago(1))
    asked: list[str] = []

    def away(key: str) -> None:
        asked.append(key)
        if len(asked) == 3:
            raise storage.StorageAway

    monkeypatch.setattr(storage, "delete", away)
    with pytest.raises(storage.StorageAway):
        forget_originals()
    forgotten = Image.objects.filter(original_forgotten=True)
    assert {image.upload_key for image in forgotten} == set(asked[:2]) < {image.upload_key for image in images}


def test_a_sweep_that_had_begun_does_not_forget_what_was_just_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has read the image before it was deleted, and the one who deleted it dies before the files are gone."""
    image = answered(days=1)

    def deleted_meanwhile(key: str) -> None:
        if key == image.upload_key and states() == ["ready"]:
            monkeypatch.setattr(retention, "delete_files", lambda images: None)
            delete_photos(actor=SYSTEM, case=image.case)

    with monkeypatch.context() as patch:
        patch.setattr(storage, "delete", deleted_meanwhile)
        forget_originals()

    assert states() == ["purged"]
    an_hour_later()
    assert left_of([image.clean_key]) == []


def test_two_who_delete_at_once_delete_it_once() -> None:
    case = answered().case
    assert sum(at_once(lambda _: delete_photos(actor=SYSTEM, case=case), range(4))) == 1
    assert Event.objects.filter(action="case.photos_deleted").count() == 1


def test_many_photos_cost_no_more_queries_than_one() -> None:
    counts = []
    for photos in (1, 4):
        case = CaseFactory(batch__submitted=True, batch__remaining=photos + 1)
        ImageFactory.create_batch(photos, case=case, stored=True)
        with CaptureQueriesContext(connection) as queries:
            delete_photos(actor=SYSTEM, case=case)
        counts.append(len(queries))
    assert counts[0] == counts[1]
