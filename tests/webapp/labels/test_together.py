"""Annotators who work at the same moment."""

from threading import Barrier

import pytest
from django.db.models import Count

from tests.factories import BatchFactory, CaseFactory, ImageFactory, MembershipFactory, OrganisationFactory
from tests.webapp.elsewhere import at_once
from webapp.accounts.models import User
from webapp.audit.services import Actor
from webapp.labels.models import Assignment, Consensus, Label
from webapp.labels.services import next_image, submit_label

pytestmark = pytest.mark.django_db(transaction=True)
PEOPLE = 6


def test_annotators_who_ask_at_once_never_overshoot() -> None:
    clinic = OrganisationFactory()
    people = [MembershipFactory(organisation=clinic, role="annotator").user for _ in range(PEOPLE)]
    batch = BatchFactory(organisation=clinic)
    ImageFactory.create_batch(12, case=CaseFactory(batch=batch), ready=True)
    together = Barrier(PEOPLE)

    def answer(number: int) -> None:
        user, actor = people[number], Actor(user=people[number])
        while (image := next_image(actor=actor, annotator=user)) is not None:
            busiest = Assignment.objects.values("image").annotate(n=Count("pk")).order_by("-n").first()
            assert busiest is None or busiest["n"] <= 3
            submit_label(actor=actor, annotator=user, image=image, dx="MEL" if number % 2 else "NV", confidence=2)

    def work(number: int) -> None:
        together.wait(20)
        answer(number)

    at_once(work, range(PEOPLE), threads=PEOPLE)
    for number in range(PEOPLE):  # an image that another has locked is passed over: whoever asks again is given it
        answer(number)
    assert Consensus.objects.count() == 12
    answers = Label.objects.values("image").annotate(n=Count("pk"))
    assert {row["n"] for row in answers} <= {2, 3}
    assert not Assignment.objects.exists()


def test_one_annotator_in_two_tabs_has_one_image() -> None:
    membership = MembershipFactory(role="annotator")
    batch = BatchFactory(organisation=membership.organisation)
    ImageFactory.create_batch(4, case=CaseFactory(batch=batch), ready=True)
    together = Barrier(2)

    def ask(_: int) -> object:
        user: User = membership.user
        together.wait(20)
        return next_image(actor=Actor(user=user), annotator=user)

    first, second = at_once(ask, range(2))
    assert first == second
    assert Assignment.objects.count() == 1
