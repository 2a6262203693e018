"""Any order of annotators, answers, undoing and expiry keeps the promises of labelling."""

from collections import Counter
from contextlib import suppress

import pytest
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.factories import BatchFactory, CaseFactory, ImageFactory, MembershipFactory, OrganisationFactory
from webapp.audit.services import Actor
from webapp.cases.models import Image
from webapp.errors import Problem
from webapp.labels.models import Assignment, Consensus, Label
from webapp.labels.selectors import disagreements
from webapp.labels.services import compare, next_image, settle_disagreement, submit_label, undo

someone = st.runner().flatmap(lambda machine: st.integers(0, machine.PEOPLE - 1))
some_image = st.runner().flatmap(lambda machine: st.sampled_from(machine.images))
answers = st.sampled_from(["MEL", "NV", "cannot_tell"])


class LabelMachine(RuleBasedStateMachine):
    """Five annotators, three images, three possible answers."""

    PEOPLE = 5
    IMAGES = 3
    STEPS = 30

    def __init__(self) -> None:
        super().__init__()
        self.world = transaction.atomic()
        self.world.__enter__()
        clinic = OrganisationFactory()
        self.people = [MembershipFactory(organisation=clinic, role="annotator").user for _ in range(self.PEOPLE)]
        case = CaseFactory(batch=BatchFactory(organisation=clinic))
        self.clinic, self.images = clinic, ImageFactory.create_batch(self.IMAGES, case=case, ready=True)
        self.screens: list[Image | None] = [None] * self.PEOPLE
        self.settled: dict[object, str] = {}
        self.talked_over: dict[object, str] = {}
        self.read: dict[object, dict[int, str]] = {}

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.world.__exit__(None, None, None)

    @rule(who=someone)
    def ask(self, who: int) -> None:
        image = next_image(actor=Actor(user=self.people[who]), annotator=self.people[who])
        if image is not None:
            assert not image.labels.filter(annotator=self.people[who]).exists()
        self.screens[who] = image or self.screens[who]

    @rule(who=someone, dx=answers)
    def answer(self, who: int, dx: str) -> None:
        if (image := self.screens[who]) is not None:  # an old page may still be open: answers come late, and twice
            with suppress(Problem):
                user = self.people[who]
                submit_label(actor=Actor(user=user), annotator=user, image=image, dx=dx, confidence=2)

    @rule(who=someone, image=some_image)
    def take_back(self, who: int, image: Image) -> None:
        for label in Label.objects.filter(annotator=self.people[who], image=image):
            is_final = label.compared_at is not None or image.labels.count() > 1
            try:
                undo(actor=Actor(user=self.people[who]), label=label)
            except Problem:
                assert is_final
            else:
                assert not is_final

    @rule(who=someone, image=some_image)
    def look_at_the_model(self, who: int, image: Image) -> None:
        for label in Label.objects.filter(annotator=self.people[who], image=image):
            compare(actor=Actor(user=label.annotator), label=label)

    @rule(who=someone, image=some_image, dx=answers)
    def settle_one(self, who: int, image: Image, dx: str) -> None:
        with suppress(Problem):  # agreed, or somebody is left to ask
            settle_disagreement(actor=Actor(user=self.people[who]), annotator=self.people[who], image=image, dx=dx)
            self.talked_over[image.pk] = dx

    @rule(who=someone)
    def fall_asleep(self, who: int) -> None:
        Assignment.objects.filter(annotator=self.people[who]).update(expires_at=timezone.now())

    @invariant()
    def promises_hold(self) -> None:
        every_label, settled_as = list(Label.objects.all()), list(Consensus.objects.all())
        shown = set(disagreements(self.clinic))  # a long question, so it is asked once
        for image in self.images:
            labels = [label for label in every_label if label.image_id == image.pk]
            self.check_who_may_have_read(image, labels, shown)
            votes = Counter(label.dx for label in labels)
            agreed = [dx for dx, count in votes.items() if count >= 2]
            if image.pk in self.talked_over:
                assert not agreed
                agreed = [self.talked_over[image.pk]]
            assert len(labels) <= 3
            assert [row.dx for row in settled_as if row.image_id == image.pk] == agreed
            for label in labels:
                expected = "submitted" if not agreed else "accepted" if label.dx == agreed[0] else "superseded"
                assert label.state == expected
            if agreed:
                assert self.settled.setdefault(image.pk, agreed[0]) == agreed[0]
            assert (image.pk in self.settled) == bool(agreed)  # never unsettled again
            nobody_left = len(labels) == min(3, self.PEOPLE)
            assert (image in shown) == (nobody_left and not agreed)
        assert not Assignment.objects.filter(image__labels__annotator=F("annotator")).exists()

    def check_who_may_have_read(self, image: Image, labels: list[Label], shown: set[Image]) -> None:
        """Who may have read what others say changes nothing."""
        said = {label.annotator_id: label.dx for label in labels}
        if image in shown:
            self.read.setdefault(image.pk, said)
        assert self.read.get(image.pk, said) == said


class PairMachine(LabelMachine):
    """Nobody is left where they disagree."""

    PEOPLE = 2
    IMAGES = 1
    STEPS = 15  # two answers are all that there is to give, to take back and to settle


@pytest.mark.django_db
@pytest.mark.parametrize("machine", [LabelMachine, PairMachine])
def test_any_order_of_events_keeps_the_promises_of_labelling(machine: type[LabelMachine]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=30, stateful_step_count=machine.STEPS, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
