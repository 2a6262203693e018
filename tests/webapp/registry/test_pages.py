"""The operator's pages: who may enter, what they show, and what their buttons do."""

import re

import pytest
from django.test import Client

from tests.factories import (
    ConsensusFactory,
    JobFactory,
    MembershipFactory,
    ReleaseFactory,
    ResultFactory,
    RunFactory,
    UserFactory,
)
from webapp import storage
from webapp.accounts.models import Membership
from webapp.audit.models import Event
from webapp.registry.models import ModelRelease, TrainingRun

pytestmark = pytest.mark.django_db
Role = Membership.Role
METRICS = {
    "images": 200, "lesions": 150, "malignant_lesions": 40, "dropped_seen": 3,
    "metrics": {
        "sensitivity": {"value": 0.951, "low": 0.9, "high": 0.98},
        "ece": {"value": None, "low": None, "high": None},
        "malignant_auc": {"value": 1.0, "low": None, "high": None},
    },
}  # fmt: skip
ADDRESSES = (
    "", "releases/{release}/", "releases/{release}/promote/", "releases/{release}/reject/", "roll-back/{release}/",
    "runs/", "runs/{run}/", "runs/{run}/live/", "trace/",
)  # fmt: skip


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(MembershipFactory(role=Role.OPERATOR).user)
    return client


@pytest.fixture
def active() -> ModelRelease:
    release: ModelRelease = ReleaseFactory(active=True, name="first")
    release.manifest["metrics"] = METRICS
    release.save()
    return release


@pytest.fixture
def run(active: ModelRelease) -> TrainingRun:
    found: TrainingRun = RunFactory(evaluated=True, verdict="inconclusive", parent=active)
    return found


def candidate_of(run: TrainingRun) -> ModelRelease:
    assert run.candidate is not None
    return run.candidate


@pytest.mark.parametrize("role", [Role.PROVIDER, Role.ANNOTATOR, None])
def test_others_are_refused(client: Client, run: TrainingRun, role: str | None) -> None:
    client.force_login(MembershipFactory(role=role).user if role else UserFactory())
    for address in ADDRESSES:
        response = client.get("/models/" + address.format(release=candidate_of(run).pk, run=run.pk))
        allowed = address == "trace/" and role == Role.PROVIDER
        assert response.status_code == (200 if allowed else 403), address
    for address in ("releases/{release}/promote/", "roll-back/{release}/", "runs/start/"):
        assert client.post("/models/" + address.format(release=candidate_of(run).pk)).status_code == 403
    assert candidate_of(run).state == ModelRelease.State.CANDIDATE


def test_nobody_enters_unsigned(client: Client, run: TrainingRun) -> None:
    for address in ADDRESSES:
        response = client.get("/models/" + address.format(release=candidate_of(run).pk, run=run.pk))
        assert response.status_code == 302
        assert "/login/" in response.headers["Location"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_page_opens(operator: Client, run: TrainingRun, address: str) -> None:
    response = operator.get("/models/" + address.format(release=candidate_of(run).pk, run=run.pk))
    assert response.status_code == 200
    assert b"<h1" in response.content or b"run-live" in response.content


def test_pages_open_before_anything_is_there(operator: Client) -> None:
    for address in ("", "runs/", "trace/"):
        assert operator.get("/models/" + address).status_code == 200


def test_the_releases_say_how_good_they_are(operator: Client, run: TrainingRun) -> None:
    page = operator.get("/models/").content.decode()
    assert "Answering now" in page
    assert "0.951" in page
    assert "0.900 to 0.980" in page
    assert "1.000" in page
    assert "– to" not in page  # an interval that is not determined
    assert "Inconclusive" in page
    assert "−0.010 to +0.050" in page


def test_a_candidate_that_did_not_pass_needs_a_reason(operator: Client, run: TrainingRun, active: ModelRelease) -> None:
    candidate = candidate_of(run)
    address = f"/models/releases/{candidate.pk}/promote/"
    assert "Why should it serve" in operator.get(address).content.decode()
    refused = operator.post(address, {"note": " "})
    assert refused.status_code == 200
    assert "Write down why" in refused.content.decode()
    active.refresh_from_db()
    assert active.state == ModelRelease.State.ACTIVE
    promoted = operator.post(address, {"note": "Better on melanoma."}, follow=True)
    assert f"{candidate.name} is active" in promoted.content.decode()
    candidate.refresh_from_db()
    assert candidate.state == ModelRelease.State.ACTIVE
    assert candidate.decision_note == "Better on melanoma."


def test_a_gate_against_a_release_that_no_longer_serves_says_so(operator: Client, run: TrainingRun) -> None:
    address = f"/models/releases/{candidate_of(run).pk}/promote/"
    assert "has become active since" not in operator.get(address).content.decode()
    operator.post(f"/models/releases/{ReleaseFactory().pk}/promote/")
    assert "has become active since" in operator.get(address).content.decode()
    assert "Nothing says how it and" in operator.get("/models/").content.decode()


def test_each_number_of_a_gate_says_what_it_is_where_the_heads_of_columns_do_not_fit(
    operator: Client, run: TrainingRun, active: ModelRelease
) -> None:
    page = operator.get(f"/models/releases/{candidate_of(run).pk}/promote/").content.decode()
    table = page[page.index('<table class="table table-sm table-mobile-md') : page.index("</table>")]
    cells = re.findall(r"<td\b[^>]*>", table)
    labels = [re.findall('data-label="(.+?)"', cell) for cell in cells]
    assert labels[:5] == [["Compared with"], ["Candidate"], ["Difference"], ["95% interval"], ["Verdict"]]
    assert [] not in labels
    assert f"The candidate and {active.name} answered the same" in page


def test_one_image_is_told_as_one(operator: Client, run: TrainingRun, active: ModelRelease) -> None:
    active.manifest["metrics"] = METRICS | {"images": 1, "lesions": 1, "malignant_lesions": 1, "dropped_seen": 1}
    active.save()
    run.gate = {**(run.gate or {}), "images": 1, "lesions": 1}
    run.save()
    assert "Measured on 1 image of 1 lesion (1 malignant)" in (page := operator.get("/models/").content.decode())
    assert "; 1 was left out because" in page
    assert "test split: 1 image of 1 lesion, " in page


def test_a_promotion_says_what_it_replaces_and_replaces_nothing_else(operator: Client, active: ModelRelease) -> None:
    candidate, meanwhile = ReleaseFactory(), ReleaseFactory()
    address = f"/models/releases/{candidate.pk}/promote/"
    page = operator.get(address).content.decode()
    assert f"instead of {active.name}." in page
    assert f"roll back to {active.name}" in page
    operator.post(f"/models/releases/{meanwhile.pk}/promote/")
    told = operator.post(address, {"instead_of": active.name}).content.decode()
    assert "so nothing was changed" in told
    assert f'name="instead_of" value="{meanwhile.name}"' in told
    assert "is active" in operator.post(address, {"instead_of": meanwhile.name}, follow=True).content.decode()


def test_what_cannot_answer_here_says_so_in_place_of_its_buttons(operator: Client, run: TrainingRun) -> None:
    candidate, previous, serves = candidate_of(run), ReleaseFactory(), ReleaseFactory()
    for release in (previous, serves):
        operator.post(f"/models/releases/{release.pk}/promote/")
    everything = operator.get("/models/").content.decode()
    assert everything.count("/promote/") == 3
    assert f"Roll back to {previous.name}" in everything
    for one in (run.parent, candidate, previous, serves):
        one.refresh_from_db()
        one.manifest["preprocessing"] = {"version": "frame-4x3-v4"}
        one.save()
    everything = operator.get("/models/").content.decode()
    assert "/promote/" not in everything
    assert "Roll back to" not in everything
    assert "No image is answered: it wants preprocessing frame-4x3-v4" in everything
    for address in ("", "promote/"):
        page = operator.get(f"/models/releases/{candidate.pk}/{address}").content.decode()
        assert "It cannot answer: it wants preprocessing frame-4x3-v4" in page
        assert "<textarea" not in page


def test_a_rollback_is_one_click_with_a_script_and_two_without(operator: Client, run: TrainingRun) -> None:
    active, candidate = run.parent, candidate_of(run)
    operator.post(f"/models/releases/{candidate.pk}/promote/", {"note": "Better."})
    assert f"Roll back to {active.name}" in operator.get("/models/").content.decode()
    address = f"/models/roll-back/{active.pk}/"
    asked = operator.post(address)
    assert f"Roll back to {active.name}?" in asked.content.decode()
    candidate.refresh_from_db()
    assert candidate.state == ModelRelease.State.ACTIVE
    operator.post(address, {"confirmed": "1"})
    active.refresh_from_db()
    assert active.state == ModelRelease.State.ACTIVE
    assert "Roll back to" not in operator.get("/models/").content.decode()  # never forward again
    operator.post(f"/models/releases/{candidate.pk}/promote/", {"note": "Better all the same."})
    scripted = operator.post(address, {"confirmed": "1"}, headers={"HX-Request": "true"})
    assert scripted.headers["HX-Redirect"] == "/models/"
    active.refresh_from_db()
    assert active.state == ModelRelease.State.ACTIVE


def test_a_rollback_goes_to_what_its_button_named_or_nowhere(operator: Client, active: ModelRelease) -> None:
    second, third = ReleaseFactory(), ReleaseFactory()
    operator.post(f"/models/releases/{second.pk}/promote/")
    operator.post(f"/models/releases/{third.pk}/promote/")  # a page may still offer a rollback to `active`
    told = operator.post(f"/models/roll-back/{active.pk}/", {"confirmed": "1"}, follow=True)
    assert f"A rollback now goes to {second.name}." in told.content.decode()
    third.refresh_from_db()
    assert third.state == ModelRelease.State.ACTIVE


def test_a_rejected_candidate_is_listed_and_cannot_serve(operator: Client, run: TrainingRun) -> None:
    candidate = candidate_of(run)
    page = operator.post(f"/models/releases/{candidate.pk}/reject/", {"note": "Too few"}, follow=True)
    assert "Rejected" in page.content.decode()
    refused = operator.post(f"/models/releases/{candidate.pk}/promote/", {"note": "All the same"})
    assert "was rejected" in refused.content.decode()


def test_starting_a_run_says_what_is_missing_or_shows_it(operator: Client, active: ModelRelease) -> None:
    ConsensusFactory(dx="MEL")
    few = operator.post("/models/runs/start/", follow=True).content.decode()
    assert "1 labelled images to train on and 0 to test with" in few
    ConsensusFactory(dx="MEL")
    started = operator.post("/models/runs/start/", follow=True).content.decode()
    assert "Waits for the training worker" in started
    assert "is active already" in operator.post("/models/runs/start/", follow=True).content.decode()


def test_a_live_run_is_asked_about_until_it_has_ended(operator: Client, active: ModelRelease) -> None:
    epochs = [
        {"event": "epoch", "member": "tiny", "epoch": 1, "of": 2, "loss": 1.5, "validation_loss": None},
        {"event": "epoch", "member": "tiny", "epoch": 2, "of": 2, "loss": 0.8, "validation_loss": 0.9},
    ]
    run = RunFactory(parent=active, state="running", attempt=1, progress=[{"event": "stage", "name": "training tiny"}])
    page = operator.get(f"/models/runs/{run.pk}/").content.decode()
    assert "Training tiny, 0% of the epochs done" in page
    seen = re.search(r'hx-get="([^"]+)"', page)
    assert seen is not None
    assert operator.get(seen[1]).status_code == 204
    TrainingRun.objects.filter(pk=run.pk).update(progress=[*run.progress, *epochs])
    news = operator.get(seen[1]).content.decode()
    assert "100% of the epochs done" in news
    assert "<polyline" in news
    assert "1.500" in news  # the table beside the chart
    TrainingRun.objects.filter(pk=run.pk).update(
        state="failed", error="training_crashed: It ended.", finished_at=run.created_at
    )
    ended = operator.get(seen[1]).content.decode()
    assert "It ended." in ended
    assert "hx-get" not in ended


def test_a_release_shows_its_card_without_running_it(operator: Client, active: ModelRelease) -> None:
    storage.write(
        f"{active.key}/model_card.md",
        b"# A card\n\n<script>alert(1)</script> [bad](javascript:alert(1)) [good](https://example.org)\n\n"
        b"[Plots](figures/assessment.md).\n\n"
        b"| a | b |\n|---|---|\n| 1 | 2 |\n",
    )
    page = operator.get(f"/models/releases/{active.pk}/").content.decode()
    assert "<h3>A card</h3>" in page
    assert "<script>alert" not in page
    assert 'href="javascript' not in page
    assert 'href="https://example.org"' in page
    assert "<td>2</td>" in page
    assert "<p>Plots (figures/assessment.md in the bundle's folder).</p>" in page  # no page shows it


def test_an_answer_is_traced_to_release_snapshot_and_code(operator: Client, run: TrainingRun) -> None:
    result = ResultFactory(release=candidate_of(run))
    other = ResultFactory(release=run.parent, job=JobFactory(image=result.image, succeeded=True))
    for query, count in ((str(result.pk), 1), (str(result.image_id), 2), (str(result.case_id), 2)):
        page = operator.get("/models/trace/", {"q": query}).content.decode()
        assert page.count("<h2") == count
        for fact in (
            run.snapshot.sha256,
            run.parent.bundle_sha256,
            candidate_of(run).code_version,
            result.input_sha256,
        ):
            assert fact in page
        assert result.top_class not in re.sub("[0-9a-f]{32,}", "", page.split("<form method", 1)[1])
    assert Event.objects.filter(action="result.traced", object_id=other.pk).exists()
    for query in ("999999999", "9" * 40, "nonsense", "²"):
        assert operator.get("/models/trace/", {"q": query}).status_code == 404


def test_a_provider_traces_only_the_answers_of_the_clinic(client: Client, run: TrainingRun) -> None:
    result = ResultFactory(release=candidate_of(run))
    client.force_login(MembershipFactory(role=Role.PROVIDER, organisation=result.case.organisation).user)
    page = client.get("/models/trace/", {"q": result.pk}).content.decode()
    assert run.snapshot.sha256 in page
    assert "/models/releases/" not in page
    client.force_login(MembershipFactory(role=Role.PROVIDER).user)
    for query in (result.pk, result.image_id):
        assert client.get("/models/trace/", {"q": query}).status_code == 404
