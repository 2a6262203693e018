"""What an operator reads, before a run is started, of what its gate could decide by."""

import csv
import io
import re

import pytest
import structlog
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from ml.gate import CLASS_LESIONS, lesions_needed
from tests.factories import CaseFactory, ConsensusFactory, ImageFactory, MembershipFactory, ReleaseFactory, RunFactory
from webapp.accounts.models import Membership, Patient
from webapp.labels.models import Consensus
from webapp.registry.models import PatientSplit, Split, TrainingRun
from webapp.registry.snapshots import draw_up, preview
from webapp.registry.training import gate_needs, start_run_if_due

pytestmark = pytest.mark.django_db
PAGE = "/models/runs/"


@pytest.fixture
def operator(client: Client) -> Client:
    ReleaseFactory(active=True)
    client.force_login(MembershipFactory(role=Membership.Role.OPERATOR).user)
    return client


def labelled(split: str, dx: str, *, drawn: bool = True) -> Consensus:
    """A picture whose class is settled, of a patient of its own."""
    consensus: Consensus = ConsensusFactory(dx=dx, drawn=drawn)
    PatientSplit.objects.create(patient=consensus.image.case.patient, split=split)
    return consensus


def table(operator: Client) -> dict[str, tuple[str, str, str]]:
    """By the kind of lesion: how many there are, how many are needed, and whether they are enough."""
    row = r'fw-normal">([^<]+)</th><td[^>]*>(\d+)</td><td[^>]*>(\d+)</td>.*?(enough|too few)</td>'
    cells = re.findall(row, operator.get(PAGE).content.decode(), re.DOTALL)
    return {kind: (there, needed, told) for kind, there, needed, told in cells}


def test_lesions_that_chance_chose_to_measure_on_are_counted_beside_what_the_gate_needs(operator: Client) -> None:
    one = labelled(Split.TEST, "MEL").image.case
    again = CaseFactory(patient=one.patient, batch__organisation=one.organisation)
    ConsensusFactory(image=ImageFactory(case=again, ready=True), dx="MEL", drawn=True)  # the same lesion
    for split, dx, drawn in (("test", "NV", True), ("test", "BCC", False), ("train", "MEL", True)):
        labelled(split, dx, drawn=drawn)
    assert table(operator) == {
        "Malignant": ("1", "73", "too few"),
        "Benign": ("1", "35", "too few"),
        "Melanoma": ("1", "10", "too few"),
        "Basal cell carcinoma": ("0", "10", "too few"),
        "Actinic keratosis or Bowen&#x27;s disease": ("0", "10", "too few"),
    }
    page = operator.get(PAGE).content.decode()
    assert "cannot show what it is worth" in page
    assert '<button class="btn" type="submit">' in page  # it may be started all the same


def test_the_count_is_what_the_trainer_finds_in_the_snapshot() -> None:
    for number in range(60):
        dx = ("MEL", "NV", "BCC", "DF")[number % 4]
        labelled(Split.TEST if number % 3 else Split.TRAIN, dx, drawn=number % 5 > 0)
    content = preview()
    rows = [row for row in csv.DictReader(io.StringIO(content.data.decode())) if row["split"] == "test"]
    for side, codes in (("malignant", {"MEL", "BCC", "AKIEC"}), ("benign", {"NV", "DF"}), ("MEL", {"MEL"})):
        lesions = {row["lesion_id"] for row in rows if row["drawn"] == "yes" and row["dx"] in codes}
        assert content.deciding[side] == len(lesions) > 0


def test_enough_of_each_kind_are_enough_for_a_verdict(operator: Client, settings: Settings) -> None:
    settings.GATE_MARGIN, settings.GATE_MIN_LESIONS = 0.5, 1
    labelled(Split.TRAIN, "NV")
    for dx in ("MEL", "BCC", "AKIEC"):
        for _ in range(CLASS_LESIONS):
            labelled(Split.TEST, dx)
    benign = lesions_needed({"specificity": 0.10}, 1)["benign"]
    for _ in range(benign - 1):
        labelled(Split.TEST, "NV")
    assert [each.kind for each in gate_needs(preview().deciding) if not each.enough] == ["benign"]
    labelled(Split.TEST, "NV")
    assert all(each.enough for each in gate_needs(preview().deciding))
    page = operator.get(PAGE).content.decode()
    assert "they are enough for a verdict" in page
    assert '<button class="btn btn-primary" type="submit">' in page


def test_a_look_decides_no_patients_split(operator: Client) -> None:
    for dx in ("MEL", "NV", "MEL", "NV"):
        ConsensusFactory(dx=dx)
    operator.get(PAGE)
    assert not PatientSplit.objects.exists()
    looked_at = preview()
    assert draw_up().sha256 == looked_at.sha256


def test_where_none_can_start_the_page_says_why_in_place_of_its_button(operator: Client) -> None:
    for number in range(2):
        ConsensusFactory(image__case__patient__external_id=f"{Patient.UNNAMED}{number}")
    page = operator.get(PAGE).content.decode()
    assert "No run can start. There are 2 labelled images to train on and 0 to test with." in page
    assert "send `patient_id`" in page
    assert "Start a run now" not in page


def test_the_labels_are_read_once_for_the_page_until_another_comes(operator: Client) -> None:
    labelled(Split.TEST, "MEL")
    with CaptureQueriesContext(connection) as made:
        assert [table(operator)["Melanoma"][0] for _ in range(2)] == ["1", "1"]
    assert sum("registry_patientsplit" in query["sql"] for query in made) == 1
    labelled(Split.TEST, "MEL")
    assert table(operator)["Melanoma"][0] == "2"


def test_the_page_is_there_while_redis_is_away(operator: Client, settings: Settings) -> None:
    labelled(Split.TEST, "MEL")
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}}
    assert table(operator)["Melanoma"][0] == "1"


def test_a_run_that_another_forestalled_is_tried_again_at_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.RETRAIN_AFTER_LABELS = 1
    other = RunFactory()
    ConsensusFactory.create_batch(4, dx="MEL")
    ReleaseFactory(active=True)
    with monkeypatch.context() as patched:  # the other came after it had looked
        patched.setattr("webapp.registry.training.retraining_is_due", lambda: True)
        assert start_run_if_due() is None
    other.delete()
    assert start_run_if_due() == TrainingRun.objects.get()


def test_labels_of_which_no_run_can_start_are_not_drawn_up_with_every_sweep(settings: Settings) -> None:
    settings.RETRAIN_AFTER_LABELS = 1
    ReleaseFactory(active=True)
    with structlog.testing.capture_logs() as log:
        ConsensusFactory()
        assert [start_run_if_due() for _ in range(3)] == [None] * 3
        ConsensusFactory(image__case__patient__external_id=f"{Patient.UNNAMED}1")
        assert [start_run_if_due() for _ in range(3)] == [None] * 3
    assert [entry["event"] for entry in log].count("snapshot_drawn_up") == 2  # once more, since another label came
    ConsensusFactory()
    assert start_run_if_due() == TrainingRun.objects.get()
