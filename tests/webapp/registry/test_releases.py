"""One release is active, whoever promotes, rejects and rolls back, in any order and at the same time."""

from collections.abc import Callable
from contextlib import suppress
from threading import Barrier

import pytest
from django.utils import timezone
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.factories import ReleaseFactory, RunFactory, UserFactory
from tests.webapp.elsewhere import at_once
from webapp.audit.models import Event
from webapp.audit.services import SYSTEM, Actor
from webapp.errors import Problem
from webapp.registry.models import ModelRelease, TrainingRun
from webapp.registry.selectors import active_release
from webapp.registry.services import promote, register_release, reject, roll_back

State = ModelRelease.State
MANIFEST = {"name": "first", "code_version": "abc", "thresholds": {}, "members": []}


def problem_of(verb: Callable[[], object]) -> str | None:
    """The code of the problem that a service raises, if it does."""
    try:
        verb()
    except Problem as problem:
        return problem.code
    return None


class ReleaseMachine(RuleBasedStateMachine):
    """Candidates come, trained or shipped, and an operator decides on them in any order."""

    releases = Bundle("releases")

    @initialize()
    def start(self) -> None:
        TrainingRun.objects.all().delete()
        ModelRelease.objects.all().delete()
        self.operator = Actor(user=UserFactory())
        self.rejected: set[int] = set()
        self.active: int | None = None
        self.replaced: dict[int, int | None] = {}

    @rule(target=releases, verdict=st.sampled_from(["passed", "failed", "inconclusive", None]))
    def register(self, verdict: str | None) -> ModelRelease:
        if verdict is None:
            return ReleaseFactory()
        candidate = RunFactory(evaluated=True, verdict=verdict, parent=self.root()).candidate
        assert candidate is not None
        return candidate

    def root(self) -> ModelRelease:
        return ModelRelease.objects.order_by("pk").first() or ReleaseFactory()

    @rule(release=releases, note=st.sampled_from(["", "  ", "It is better on melanoma."]))
    def promote(self, release: ModelRelease, note: str) -> None:
        before = ModelRelease.objects.get(pk=release.pk).state
        run = TrainingRun.objects.filter(candidate=release).first()
        gate = run.gate if run and before == State.CANDIDATE else None
        passed = run and gate and gate["verdict"] == "passed" and run.parent_id == self.active
        problem = problem_of(lambda: promote(actor=self.operator, release=release, note=note))
        if before == State.REJECTED:
            assert problem == "release_rejected"
        elif gate and not passed and not note.strip():
            assert problem == "gate_not_passed"
        else:
            assert problem is None
            if release.pk not in self.chain():  # else it is a rollback
                self.replaced[release.pk] = self.active
            self.active = release.pk

    def chain(self) -> list[int]:
        """The active release, and those that rollbacks lead to."""
        steps, step = [], self.active
        while step is not None:
            steps.append(step)
            step = self.replaced.get(step)
        return steps

    @rule(release=releases)
    def reject(self, release: ModelRelease) -> None:
        before = ModelRelease.objects.get(pk=release.pk).state
        problem = problem_of(lambda: reject(actor=self.operator, release=release))
        assert problem == (None if before == State.CANDIDATE else "not_a_candidate")
        if problem is None:
            self.rejected.add(release.pk)

    @rule()
    def roll_back(self) -> None:
        earlier = self.replaced.get(self.active) if self.active else None
        problem = problem_of(lambda: roll_back(actor=self.operator))
        assert problem == (None if earlier else "nothing_to_roll_back_to")
        self.active = earlier or self.active

    @invariant()
    def one_is_active_and_no_rejected_one(self) -> None:
        active = list(ModelRelease.objects.filter(state=State.ACTIVE).values_list("pk", flat=True))
        assert active == ([self.active] if self.active else [])
        assert not self.rejected & set(active)

    @invariant()
    def rollbacks_end(self) -> None:
        chain = self.chain()
        assert len(set(chain)) == len(chain)

    @invariant()
    def every_decision_has_a_person_and_a_time(self) -> None:
        decided = ModelRelease.objects.exclude(state=State.CANDIDATE)
        assert not decided.filter(decided_at=None).exists()
        assert not decided.filter(decided_by=None).exists()


@pytest.mark.django_db
def test_any_order_of_decisions() -> None:
    run_state_machine_as_test(
        ReleaseMachine, settings=hypothesis_settings(max_examples=25, stateful_step_count=25, deadline=None)
    )


@pytest.mark.django_db(transaction=True)
def test_promotions_at_the_same_time_leave_one_active() -> None:
    candidates = [ReleaseFactory() for _ in range(6)]
    together, problems = Barrier(len(candidates)), []

    def decide(candidate: ModelRelease) -> None:
        together.wait()
        try:
            promote(actor=SYSTEM, release=candidate)
        except Exception as problem:
            problems.append(problem)

    at_once(decide, candidates, threads=len(candidates))
    assert problems == []
    assert ModelRelease.objects.filter(state=State.ACTIVE).count() == 1
    assert ModelRelease.objects.filter(state=State.RETIRED).count() == len(candidates) - 1


@pytest.mark.django_db(transaction=True)
def test_the_database_itself_allows_no_second_active_release() -> None:
    ReleaseFactory(active=True)
    with pytest.raises(Exception, match="release_one_active"):
        ReleaseFactory(active=True)


@pytest.mark.django_db
def test_registering_a_bundle_again_gives_the_same_release() -> None:
    first = register_release(bundle_sha256="a" * 64, manifest=MANIFEST)
    assert first.state == State.CANDIDATE
    assert (first.name, first.code_version) == ("first", "abc")
    assert register_release(bundle_sha256="a" * 64, manifest=MANIFEST) == first
    other = register_release(bundle_sha256="b" * 64, manifest=MANIFEST)
    assert other != first
    assert other.name == "first-bbbbbbbb"


@pytest.mark.django_db
def test_a_promotion_is_written_down() -> None:
    person = UserFactory()
    release = promote(actor=Actor(user=person), release=ReleaseFactory(), note="First")
    assert active_release() == release
    assert (release.decided_by, release.decision_note) == (person, "First")
    assert release.decided_at is not None
    assert release.decided_at <= timezone.now()
    assert Event.objects.filter(action="release.promoted", object_id=release.pk, user=person).exists()
    with suppress(Problem):
        roll_back(actor=SYSTEM)
    assert active_release() == release


@pytest.mark.django_db
def test_what_passed_against_a_release_that_serves_no_more_needs_a_reason() -> None:
    parent = ReleaseFactory(active=True)
    first, second = (RunFactory(evaluated=True, verdict="passed", parent=parent).candidate for _ in range(2))
    promote(actor=SYSTEM, release=first)
    assert problem_of(lambda: promote(actor=SYSTEM, release=second)) == "gate_not_passed"
    assert active_release() == first
    assert promote(actor=SYSTEM, release=second, note="Compared by hand.") == active_release()


@pytest.mark.django_db
def test_a_promotion_replaces_what_its_page_named_or_nothing() -> None:
    told, meanwhile, candidate = ReleaseFactory(active=True), ReleaseFactory(), ReleaseFactory()
    promote(actor=SYSTEM, release=meanwhile)
    stale = problem_of(lambda: promote(actor=SYSTEM, release=candidate, instead_of=told.name))
    assert stale == "not_the_active_release"
    assert active_release() == meanwhile
    assert promote(actor=SYSTEM, release=candidate, instead_of=meanwhile.name) == active_release()


@pytest.mark.django_db
def test_a_retired_release_says_who_retired_it_and_notes_only_what_was_written() -> None:
    alice, bob = UserFactory(), UserFactory()
    first, second, third = (ReleaseFactory() for _ in range(3))
    promote(actor=SYSTEM, release=first)
    promote(actor=Actor(user=alice), release=second, note="Better on melanoma.")
    roll_back(actor=Actor(user=bob))
    second.refresh_from_db()
    assert (second.state, second.decided_by) == (State.RETIRED, bob)
    assert second.decision_note == "Better on melanoma."
    promote(actor=Actor(user=alice), release=third)
    first.refresh_from_db()
    assert (first.state, first.decided_by) == (State.RETIRED, alice)
    assert first.decision_note == ""
    assert Event.objects.filter(action="release.retired", object_id=first.pk, user=alice).exists()


@pytest.mark.django_db
def test_a_release_that_is_made_active_again_is_rolled_back_to_what_it_had_replaced() -> None:
    oldest, older, newest = (promote(actor=SYSTEM, release=ReleaseFactory()) for _ in range(3))
    promote(actor=SYSTEM, release=older)
    assert roll_back(actor=SYSTEM) == oldest
    assert problem_of(lambda: roll_back(actor=SYSTEM)) == "nothing_to_roll_back_to"
    promote(actor=SYSTEM, release=newest)  # which is on no way back
    assert roll_back(actor=SYSTEM) == oldest


@pytest.mark.django_db
def test_what_this_version_cannot_load_is_not_made_active() -> None:
    older = promote(actor=SYSTEM, release=ReleaseFactory())
    serves = promote(actor=SYSTEM, release=ReleaseFactory())
    older.refresh_from_db()
    older.manifest["preprocessing"] = {"version": "frame-4x3-v4"}
    older.save()
    assert problem_of(lambda: promote(actor=SYSTEM, release=older, note="All the same")) == "release_unusable"
    assert problem_of(lambda: roll_back(actor=SYSTEM)) == "release_unusable"
    assert active_release() == serves
