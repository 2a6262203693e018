"""A training run: one at a time, run under a lease, ended once, whatever dies on the way."""

import uuid
from datetime import timedelta
from threading import Barrier

import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from pytest_django.fixtures import Settings

from tests.factories import ConsensusFactory, MembershipFactory, ReleaseFactory, RunFactory, UserFactory
from tests.tables import empty_tables
from tests.webapp.elsewhere import at_once
from tests.webapp.registry.gates import gate
from webapp.audit.services import SYSTEM, Actor
from webapp.errors import Problem
from webapp.registry.models import ModelRelease, PatientSplit, TrainingRun
from webapp.registry.selectors import accepted_labels, retraining_is_due
from webapp.registry.training import (
    claim_run,
    fail_run,
    finish_run,
    give_back_run,
    keep_run,
    report_progress,
    start_run,
    start_run_if_due,
    stop_run,
    sweep_training,
)

pytestmark = pytest.mark.django_db(transaction=True)
State = TrainingRun.State
Leased = tuple[uuid.UUID, TrainingRun]


def labels(count: int = 4) -> None:
    ConsensusFactory.create_batch(count, dx="MEL")


def manifest(name: str = "candidate") -> dict[str, object]:
    return {"name": name, "code_version": "abc", "members": [], "thresholds": {}}


def finish(leased: Leased, sha256: str = "") -> ModelRelease | None:
    token, run = leased
    digest = sha256 or uuid.uuid4().hex * 2
    return finish_run(run=run, token=token, gate=gate("passed"), bundle_sha256=digest, manifest=manifest(digest))


def leased() -> Leased:
    claimed = claim_run()
    assert claimed is not None
    return claimed


def worker_dies() -> None:
    TrainingRun.objects.filter(state=State.RUNNING).update(lease_until=timezone.now() - timedelta(seconds=1))


def test_an_operator_starts_a_run_from_the_active_release() -> None:
    parent, person = ReleaseFactory(active=True), UserFactory()
    labels()
    run = start_run(actor=Actor(user=person), epochs=7)
    assert (run.parent, run.requested_by, run.epochs, run.members) == (parent, person, 7, ["tiny"])
    assert run.snapshot.images == 4
    with pytest.raises(Problem) as second:
        start_run(actor=SYSTEM)
    assert second.value.code == "training_active"


def test_two_starts_at_once_make_one_run() -> None:
    ReleaseFactory(active=True)
    labels()
    together, codes = Barrier(4), []

    def start(_: int) -> None:
        together.wait()
        try:
            start_run(actor=SYSTEM)
        except Problem as problem:
            codes.append(problem.code)

    at_once(start, range(4))
    assert codes == ["training_active"] * 3
    assert TrainingRun.objects.count() == 1


def test_there_must_be_something_to_train_on_and_something_to_test_with() -> None:
    with pytest.raises(Problem) as nothing:
        start_run(actor=SYSTEM)
    assert nothing.value.code == "no_active_release"
    ReleaseFactory(active=True)
    labels(1)
    with pytest.raises(Problem) as few:
        start_run(actor=SYSTEM)
    assert few.value.code == "too_few_labels"
    assert few.value.details["images"] == {"train": 1, "validation": 0, "test": 0}
    assert "1 labelled images to train on and 0 to test with" in few.value.message
    assert not TrainingRun.objects.exists()


def test_labels_of_seven_classes_train_no_release_of_others(settings: Settings, client: Client) -> None:
    settings.RETRAIN_AFTER_LABELS = 3
    release = ReleaseFactory(active=True)
    release.manifest["classes"] = ["BENIGN", "MALIGNANT"]
    release.save()
    labels()
    with pytest.raises(Problem) as refused:
        start_run(actor=SYSTEM)
    assert refused.value.code == "other_classes"
    assert f"{release.name} tells 2 apart" in refused.value.message
    assert not retraining_is_due()
    client.force_login(MembershipFactory(role="operator").user)
    page = client.get("/models/runs/").content.decode()
    assert f"{release.name} tells 2 apart" in page
    assert "Start a run now" not in page


def test_enough_new_labels_start_a_run_once(settings: Settings) -> None:
    settings.RETRAIN_AFTER_LABELS = 3
    labels(3)
    assert not retraining_is_due()  # no release to go on from
    ReleaseFactory(active=True)
    assert retraining_is_due()
    run = start_run_if_due()
    assert run is not None
    assert run.requested_by is None
    fail_run(run=run, token=leased()[0], error="training_crashed: It ended.")
    assert accepted_labels().new == 0
    assert start_run_if_due() is None  # a failed run is not repeated for ever
    labels(3)
    assert accepted_labels().new == 3
    assert start_run_if_due() is not None


def test_labels_that_start_no_run_are_no_error(settings: Settings) -> None:
    settings.RETRAIN_AFTER_LABELS = 1
    ReleaseFactory(active=True)
    labels(1)
    assert start_run_if_due() is None


def test_progress_is_appended_only_under_the_lease() -> None:
    RunFactory()
    token, run = leased()
    assert report_progress(run=run, token=token, events=[{"event": "stage", "name": "reading"}])
    assert report_progress(run=run, token=token, events=[{"event": "epoch"}, {"event": "epoch"}])
    assert not report_progress(run=run, token=uuid.uuid4(), events=[{"event": "stolen"}])
    run.refresh_from_db()
    assert [event["event"] for event in run.progress] == ["stage", "epoch", "epoch"]


def test_a_run_whose_worker_died_is_done_again_by_another() -> None:
    RunFactory()
    first = leased()
    report_progress(run=first[1], token=first[0], events=[{"event": "epoch"}])
    assert sweep_training() == 0
    worker_dies()
    assert sweep_training() == 1
    second = leased()
    assert second[1].attempt == 2
    assert second[1].progress == []
    assert not keep_run(run=first[1], token=first[0])
    assert finish(first) is None
    assert not fail_run(run=first[1], token=first[0], error="late: It came late.")
    candidate = finish(second)
    assert candidate is not None
    assert second[1].state == State.EVALUATED
    assert ModelRelease.objects.filter(training_run__isnull=False).get() == candidate


def test_a_run_that_kills_every_worker_fails(settings: Settings) -> None:
    settings.MAX_ATTEMPTS = 2
    run = RunFactory()
    for _ in range(2):
        leased()
        worker_dies()
        assert sweep_training() == 1
    run.refresh_from_db()
    assert run.state == State.FAILED
    assert run.error.startswith("worker_lost")


def test_a_worker_that_stops_gives_the_run_back_at_no_cost() -> None:
    RunFactory()
    token, run = leased()
    assert give_back_run(run=run, token=token)
    assert leased()[1].attempt == 1


def test_a_candidate_that_is_an_existing_release_fails_the_run() -> None:
    known = ReleaseFactory()
    RunFactory()
    token, run = leased()
    assert finish((token, run), known.bundle_sha256) is None
    assert run.state == State.FAILED
    assert run.error.startswith("nothing_learned")


class RunMachine(RuleBasedStateMachine):
    """Operators start and stop runs; workers claim, die, stop, come late and finish in any order."""

    leases = Bundle("leases")

    @initialize()
    def start(self) -> None:
        empty_tables()
        ReleaseFactory(active=True)
        labels()
        self.ended: dict[uuid.UUID, str] = {}
        self.splits: dict[uuid.UUID, str] = {}

    @rule()
    def operator_starts(self) -> None:
        live = TrainingRun.objects.filter(state__in=[State.QUEUED, State.RUNNING]).exists()
        try:
            start_run(actor=SYSTEM)
        except Problem:
            assert live
        else:
            assert not live

    @rule()
    def operator_stops(self) -> None:
        for run in TrainingRun.objects.filter(finished_at=None):
            stop_run(actor=SYSTEM, run=run)

    @rule(target=leases)
    def claim(self) -> Leased | None:
        return claim_run()

    @rule(lease=leases, how=st.sampled_from(["finish", "fail", "give back", "keep", "report"]))
    def worker_acts(self, lease: Leased | None, how: str) -> None:
        """A lease may be used again and again: a worker may not have noticed that it lost it."""
        if lease is None:
            return
        token, run = lease
        held = TrainingRun.objects.filter(pk=run.pk, lease_token=token, state=State.RUNNING).exists()
        if how == "finish":
            assert (finish(lease) is not None) == held
        elif how == "fail":
            assert fail_run(run=run, token=token, error="training_crashed: It ended.") == held
        elif how == "give back":
            assert give_back_run(run=run, token=token) == held
        elif how == "keep":
            assert keep_run(run=run, token=token) == held
        else:
            assert report_progress(run=run, token=token, events=[{"event": "stage"}]) == held

    @rule()
    def workers_die(self) -> None:
        worker_dies()
        sweep_training()

    @rule()
    def more_labels(self) -> None:
        labels(2)

    @invariant()
    def one_is_live(self) -> None:
        assert TrainingRun.objects.filter(state__in=[State.QUEUED, State.RUNNING]).count() <= 1

    @invariant()
    def what_ended_stays_as_it_ended(self) -> None:
        now = dict(TrainingRun.objects.filter(finished_at__isnull=False).values_list("pk", "state"))
        assert self.ended.items() <= now.items()
        self.ended = now

    @invariant()
    def every_candidate_has_one_evaluated_run(self) -> None:
        trained = ModelRelease.objects.exclude(state=ModelRelease.State.ACTIVE).count()
        assert trained == TrainingRun.objects.filter(state=State.EVALUATED).count()

    @invariant()
    def a_patient_keeps_their_split(self) -> None:
        now = dict(PatientSplit.objects.values_list("patient_id", "split"))
        assert self.splits.items() <= now.items()
        self.splits = now


def test_any_order_of_starts_claims_deaths_and_ends() -> None:
    run_state_machine_as_test(
        RunMachine,
        settings=hypothesis_settings(
            max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
