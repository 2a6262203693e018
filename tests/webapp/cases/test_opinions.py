"""What dermatologists agree on is heard where it calls for more than the model's answer."""

from importlib import import_module
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from ml.classes import MALIGNANT
from tests.factories import (
    BatchFactory,
    CaseFactory,
    CaseResultFactory,
    ConsensusFactory,
    ImageFactory,
    LabelFactory,
    MembershipFactory,
    UserFactory,
)
from webapp.accounts.models import Organisation
from webapp.audit.services import SYSTEM, Actor
from webapp.cases.erasure import erase_case
from webapp.cases.models import Case
from webapp.cases.opinions import CALLS_FOR
from webapp.cases.review import release_automatically, release_case
from webapp.errors import Problem
from webapp.labels.models import Consensus
from webapp.labels.services import settle_disagreement, submit_label

pytestmark = pytest.mark.django_db
LIST = reverse("cases:to_review")
ROW = "Dermatologists: Melanoma"
SAYS = "settled on Melanoma"


def answered(clinic: Organisation, advice: str, name: str = "A-1", **fields: Any) -> Case:
    """A case with one picture and this advice."""
    case: Case = CaseFactory(batch=BatchFactory(organisation=clinic, completed=True), external_id=name, **fields)
    ImageFactory(case=case, ready=True)
    CaseResultFactory(case=case, advice=advice, malignant=0.03)
    return case


def agree(case: Case, *dxs: str) -> Case:
    """Two annotators, or as many as there are classes, say this of the case's newest picture."""
    image = case.images.last()
    assert image is not None
    for dx in dxs if len(dxs) > 1 else dxs * 2:
        user = MembershipFactory(organisation=case.organisation, role="annotator").user
        image.assignments.create(annotator=user, expires_at=timezone.now())
        submit_label(actor=Actor(user=user), annotator=user, image=image, dx=dx, confidence=3)
    case.refresh_from_db()
    return case


def page(client: Client, case: Case) -> str:
    return client.get(f"/cases/{case.pk}/").content.decode()


def test_every_malignant_class_calls_for_a_referral() -> None:
    assert CALLS_FOR.keys() == set(MALIGNANT)
    assert set(CALLS_FOR.values()) <= {"urgent_referral", "routine_referral"}


@pytest.mark.parametrize(
    ("advice", "dx", "more"),
    [
        ("self_monitor", "MEL", True),
        ("self_monitor", "BCC", True),
        ("self_monitor", "AKIEC", True),
        ("self_monitor", "NV", False),
        ("self_monitor", "cannot_tell", False),
        ("routine_referral", "MEL", True),
        ("routine_referral", "BCC", False),
        ("urgent_referral", "MEL", False),
    ],
)
def test_an_opinion_counts_where_it_calls_for_more(
    client: Client, clinic: Organisation, advice: str, dx: str, more: bool
) -> None:
    for released in (False, True):
        case = answered(clinic, advice)
        if released:
            release_case(actor=SYSTEM, case=case)
        agree(case, dx)
        assert (case.dissent == dx) == more
        assert (case.raised_at is not None) == (more and released)
        assert ("more than this answer advises" in page(client, case)) == more
        assert ("Dermatologists: " in client.get(LIST).content.decode()) == more
        assert ("Dermatologists: " in client.get(f"/batches/{case.batch_id}/").content.decode()) == more


def test_such_cases_come_first_and_j_goes_through_them(client: Client, clinic: Organisation) -> None:
    answered(clinic, "urgent_referral", "urgent")
    answered(clinic, "self_monitor", "watch")
    seen = agree(answered(clinic, "self_monitor", "seen"), "MEL")
    assert [case.external_id for case in client.get(LIST).context["page"].rows] == ["seen", "urgent", "watch"]
    opened = client.get(f"/cases/{seen.pk}/?list=to_review")
    assert opened.context["previous"] is None
    assert opened.context["following"].external_id == "urgent"
    assert ROW in client.get(LIST).content.decode()


def test_a_lower_result_is_released_only_by_who_has_read_it(client: Client, clinic: Organisation) -> None:
    case = answered(clinic, "self_monitor")
    sent = {"result": case.answer.created_at.isoformat(), "note": "Come in."} if case.answer else {}
    agree(case, "MEL")
    html = client.post(f"/cases/{case.pk}/release/", sent).content.decode()
    assert "Nothing was released: dermatologists who labelled a picture of this case settled on Melanoma" in html
    assert 'name="opinion" value="MEL" required' in html
    assert ">Come in.</textarea>" in html
    case.refresh_from_db()
    assert case.released_at is None

    client.post(f"/cases/{case.pk}/release/", {**sent, "opinion": "MEL"})
    case.refresh_from_db()
    assert (case.released_at is not None, case.raised_at) == (True, None)
    assert SAYS in page(client, case)


def test_a_newer_answer_that_is_as_urgent_agrees_with_them(client: Client, clinic: Organisation) -> None:
    case = agree(answered(clinic, "self_monitor"), "MEL")
    CaseResultFactory(case=case, advice="urgent_referral")
    case.refresh_from_db()
    assert case.dissent == ""
    assert ROW not in client.get(LIST).content.decode()
    assert release_case(actor=SYSTEM, case=case).released_at is not None


def test_an_opinion_before_the_answer_keeps_it_from_going_out_by_itself(clinic: Organisation) -> None:
    Organisation.objects.filter(pk=clinic.pk).update(release_policy="automatic")
    cases = [CaseFactory(batch=BatchFactory(organisation=clinic, completed=True)) for _ in range(2)]
    for case, dx in zip(cases, ("MEL", "NV"), strict=True):
        ImageFactory(case=case, ready=True)
        agree(case, dx)
        CaseResultFactory(case=case, advice="self_monitor")
        release_automatically(case=Case.objects.get(pk=case.pk))
        case.refresh_from_db()
    assert [case.released_at is not None for case in cases] == [False, True]


def test_a_clinician_looks_again_at_the_opinion_that_was_read(client: Client, clinic: Organisation) -> None:
    case = release_case(actor=SYSTEM, case=answered(clinic, "self_monitor"))
    CaseResultFactory(case=case, advice="routine_referral", malignant=0.31)
    case.refresh_from_db()
    read = {"raised_at": case.raised_at.isoformat() if case.raised_at else ""}
    agree(case, "MEL")
    html = client.get(LIST).content.decode()
    assert "31%" in html
    assert ROW in html
    assert "31%" in page(client, case)

    address = reverse("cases:case_look_again", args=[case.pk])
    client.post(address, read)  # of a page that was opened before they agreed
    assert Case.objects.get(pk=case.pk).raised_at is not None
    client.post(address, {**read, "opinion": "MEL"})
    assert Case.objects.get(pk=case.pk).raised_at is None
    assert "More urgent since" not in client.get(LIST).content.decode()
    assert SAYS in page(client, case)


def test_of_several_pictures_the_gravest_opinion_counts_and_raises_again(clinic: Organisation) -> None:
    case = release_case(actor=SYSTEM, case=answered(clinic, "self_monitor"))
    agree(case, "BCC")
    assert case.opinion == "BCC"
    Case.objects.update(raised_at=None)  # somebody has looked
    for dx, opinion, raised in (("AKIEC", "BCC", False), ("MEL", "MEL", True), ("BCC", "MEL", True)):
        ImageFactory(case=case, ready=True)
        heard = agree(Case.objects.get(pk=case.pk), dx)
        assert (heard.opinion, heard.raised_at is not None) == (opinion, raised)


def test_a_settled_disagreement_counts_as_an_agreement(clinic: Organisation) -> None:
    case = agree(answered(clinic, "self_monitor"), "MEL", "NV", "BKL")
    assert case.opinion == ""
    image, user = case.images.get(), MembershipFactory(organisation=clinic, role="annotator").user
    settle_disagreement(actor=Actor(user=user), annotator=user, image=image, dx="MEL")
    case.refresh_from_db()
    assert case.dissent == "MEL"


def test_an_erased_case_keeps_and_gets_none(client: Client, clinic: Organisation) -> None:
    erased = agree(answered(clinic, "self_monitor"), "MEL")
    erase_case(actor=SYSTEM, case=erased)
    erased.refresh_from_db()
    assert erased.opinion == ""

    late = answered(clinic, "self_monitor", "late")
    image = late.images.get()
    LabelFactory(image=image, dx="MEL", annotator=MembershipFactory(organisation=clinic, role="annotator").user)
    erase_case(actor=SYSTEM, case=late)
    with pytest.raises(Problem, match="settled"):
        agree(late, "MEL")
    late.refresh_from_db()
    assert late.opinion == ""
    assert SAYS not in client.get(LIST).content.decode()


def test_where_no_letter_went_out_nobody_is_said_to_wait(client: Client, clinic: Organisation) -> None:
    told = answered(clinic, "self_monitor", patient__user=UserFactory())
    untold = answered(clinic, "self_monitor", "A-2", patient__email="")
    for case in (told, untold):
        release_case(actor=SYSTEM, case=case)
        CaseResultFactory(case=case, advice="urgent_referral", malignant=0.77)
    waits, alone = page(client, told), page(client, untold)
    assert ("their page tells them" in waits, "do not wait for them to ask" in waits) == (True, False)
    assert ("their page tells them" in alone, "do not wait for them to ask" in alone) == (False, True)
    assert "which has not changed:" in alone
    assert alone.count("77%") == 2  # beside the question, and among the other answers


def test_what_was_agreed_before_the_column_was_there_is_heard(clinic: Organisation) -> None:
    waiting, given, fine = (answered(clinic, "self_monitor", name) for name in ("waiting", "given", "fine"))
    release_case(actor=SYSTEM, case=given)
    for case, dx in ((waiting, "BCC"), (given, "BCC"), (given, "MEL"), (fine, "NV")):
        ConsensusFactory(image=ImageFactory(case=case, ready=True), dx=dx)
    assert Consensus.objects.count() == 4
    migration = import_module("webapp.cases.migrations.0023_opinions_before")
    with connection.cursor() as cursor:
        cursor.execute(migration.HEARD)
        cursor.execute(migration.RAISED)
    assert {case.external_id: (case.opinion, case.raised_at is not None) for case in Case.objects.all()} == {
        "waiting": ("BCC", False),
        "given": ("MEL", True),
        "fine": ("", False),
    }
