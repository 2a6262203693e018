"""A case is erased: nothing of it or of its patient is left in any table, the counts hold, and nothing comes back."""

import pytest

from tests.factories import (
    ArchiveFactory,
    CaseFactory,
    CaseResultFactory,
    ConsensusFactory,
    ImageFactory,
    LabelFactory,
    MessageFactory,
    UserFactory,
)
from tests.webapp.cases.files import answered, left_of, states, with_files
from tests.webapp.cases.telling import MARK, everything, only, telling
from tests.webapp.elsewhere import at_once
from webapp import storage
from webapp.accounts.models import Patient
from webapp.audit.models import Event
from webapp.audit.services import SYSTEM, Actor
from webapp.cases.erasure import erase_case
from webapp.cases.models import Archive
from webapp.inference.models import CaseResult, Result
from webapp.labels.models import Consensus, Label
from webapp.notify.delivery import claim_message, mark_sent
from webapp.notify.letters import UndeliverableError, compose
from webapp.notify.links import find_link, make_result_link
from webapp.notify.models import Message
from webapp.registry.snapshots import draw_up, read_snapshot, store

pytestmark = pytest.mark.django_db(transaction=True)


def test_nothing_that_tells_the_patient_is_left_in_any_table() -> None:
    image = telling()
    keys = with_files(image)
    LabelFactory(image=image, note=MARK)
    MessageFactory(case=image.case, recipient=f"{MARK}@home.example")
    line = {"code": "unsafe_name", "message": "Left out."}
    names = [image.filename, f"export/{image.filename}", "other.jpg"]
    report = [{"name": name, **line} for name in names]
    ArchiveFactory(batch=image.batch, state=Archive.State.EXPANDED, report=report)
    sha256 = image.sha256
    assert len([row for row in everything() if MARK in row]) >= 6
    clinician = UserFactory()

    erase_case(actor=Actor(user=clinician), case=image.case)

    rows = list(everything())
    for trace in (MARK, "datetime.date(1951", sha256):
        assert [row for row in rows if trace in row] == [], trace
    assert left_of(keys) == []
    assert (Result.objects.count(), CaseResult.objects.count(), states()) == (0, 0, ["purged"])
    assert [line["name"] for line in Archive.objects.get().report] == ["other.jpg"]
    case = only()
    assert case.erased_at
    assert (case.age, case.sex, case.capture, case.risk, case.advice) == (None, "unknown", "unknown", -1, "")
    assert not case.patient.is_named
    event = Event.objects.get(action="case.erased")
    assert (event.user, event.object_id, event.detail) == (clinician, str(case.pk), "")


def test_twice_changes_nothing() -> None:
    image = telling()
    erase_case(actor=SYSTEM, case=image.case)
    before = list(everything())

    erase_case(actor=SYSTEM, case=image.case)

    assert list(everything()) == before


def test_many_who_erase_at_once_erase_it_once() -> None:
    case = answered().case
    at_once(lambda _: erase_case(actor=SYSTEM, case=case), range(4))
    assert Event.objects.filter(action="case.erased").count() == 1


def test_other_cases_of_the_batch_and_the_patient_stay() -> None:
    image = telling()
    others = [ImageFactory(case=CaseFactory(batch=image.batch, patient=image.case.patient), ready=True)]
    others += [ImageFactory(case__patient=image.case.patient, case__batch__organisation=image.organisation, ready=True)]
    for other in others:
        storage.write(other.clean_key, b"skin")
        CaseResultFactory(case=other.case)
    before = Patient.objects.filter(external_id=MARK).values().get()

    erase_case(actor=SYSTEM, case=image.case)

    assert Patient.objects.filter(external_id=MARK).values().get() == before
    assert set(image.case.patient.cases.values_list("pk", flat=True)) == {other.case_id for other in others}
    assert left_of([other.clean_key for other in others]) == [other.clean_key for other in others]
    assert CaseResult.objects.count() == 2
    for other in others:  # the last of them takes the patient along
        erase_case(actor=SYSTEM, case=other.case)
    assert [row for row in everything() if MARK in row] == []


def test_a_patient_with_an_account_keeps_it_without_the_case() -> None:
    user = UserFactory()
    image = telling(user=user)

    erase_case(actor=SYSTEM, case=image.case)

    assert user.patients.get().external_id == MARK
    assert not user.patients.get().cases.exists()


# letters and links


def test_letters_are_not_sent_and_links_open_nothing() -> None:
    image = telling()
    token = make_result_link(case=image.case)
    MessageFactory(case=image.case)

    erase_case(actor=SYSTEM, case=image.case)

    assert claim_message() is None
    assert find_link(token) is None


def test_a_letter_that_is_being_sent_leaves_no_link_and_no_row() -> None:
    image = telling()
    MessageFactory(case=image.case)
    claimed = claim_message()
    assert claimed
    token, message = claimed
    erase_case(actor=SYSTEM, case=image.case)

    with pytest.raises(UndeliverableError):
        compose(message)
    assert not mark_sent(message=message, token=token)
    assert not Message.objects.exists()


# labels and training


def test_labels_stay_without_their_words_and_the_next_snapshot_leaves_the_image_out() -> None:
    agreed, other = telling(), ConsensusFactory(dx="NV").image
    ConsensusFactory(image=agreed, dx="MEL")
    LabelFactory(image=agreed, dx="MEL", note=MARK, state=Label.State.ACCEPTED)
    before = store(draw_up())

    erase_case(actor=SYSTEM, case=agreed.case)

    assert read_snapshot(before).count(b"\n") == 3
    after = store(draw_up())
    assert str(other.pk).encode() in read_snapshot(after)
    assert str(agreed.pk).encode() not in read_snapshot(after)
    assert Consensus.objects.get(image=agreed).result is None
    assert Label.objects.values_list("dx", "note").get() == ("MEL", "")
