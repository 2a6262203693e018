"""What a snapshot holds, and that nothing changes it afterwards."""

import csv
import hashlib
import io
from threading import Barrier

import pytest
import structlog

from tests.factories import CaseFactory, ConsensusFactory, ImageFactory, PatientFactory
from tests.webapp.elsewhere import at_once
from webapp import storage
from webapp.accounts.models import Patient
from webapp.audit.services import SYSTEM
from webapp.cases.erasure import erase_case
from webapp.cases.models import Case, Image
from webapp.labels.models import CANNOT_TELL, IMAGE_PROBLEM, Consensus
from webapp.registry.models import DatasetSnapshot, PatientSplit, Split
from webapp.registry.snapshots import COLUMNS, NUMBERING, draw_up, read_snapshot, store

pytestmark = pytest.mark.django_db


def make_snapshot() -> DatasetSnapshot:
    return store(draw_up())


def rows(snapshot: DatasetSnapshot) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(read_snapshot(snapshot).decode())))


def test_a_snapshot_is_known_by_its_content() -> None:
    for dx in ("MEL", "NV", "NV", "BCC"):
        ConsensusFactory(dx=dx)
    snapshot = make_snapshot()
    data = read_snapshot(snapshot)
    assert snapshot.sha256 == hashlib.sha256(data).hexdigest()
    assert data.splitlines()[0].decode() == ",".join(COLUMNS)
    names = [row["image_id"] for row in rows(snapshot)]
    assert names == sorted(names)
    assert len(names) == snapshot.images == 4
    assert sum(sum(by_class.values()) for by_class in snapshot.counts.values()) == 4
    assert make_snapshot() == snapshot
    ConsensusFactory(dx="DF")
    assert make_snapshot() != snapshot
    assert read_snapshot(snapshot) == data


def test_a_stored_snapshot_that_was_changed_is_not_read() -> None:
    ConsensusFactory()
    snapshot = make_snapshot()
    storage.write(snapshot.key, read_snapshot(snapshot).replace(b"MEL", b"NV"))
    with pytest.raises(ValueError, match="was changed"):
        read_snapshot(snapshot)


def test_a_snapshot_row_cannot_be_rewritten() -> None:
    ConsensusFactory()
    snapshot = make_snapshot()
    snapshot.images = 7
    with pytest.raises(TypeError):
        snapshot.save()


def test_only_usable_images_with_one_of_the_seven_classes_are_in_it() -> None:
    kept = ConsensusFactory()
    ConsensusFactory(dx=CANNOT_TELL)
    ConsensusFactory(dx=IMAGE_PROBLEM)
    Image.objects.filter(pk=ConsensusFactory().image_id).update(state=Image.State.PURGED)
    assert [row["image_id"] for row in rows(make_snapshot())] == [str(kept.image_id)]


def test_it_says_which_images_chance_chose() -> None:
    by_chance, doubtful = ConsensusFactory(drawn=True), ConsensusFactory()
    found = {row["image_id"]: row["drawn"] for row in rows(make_snapshot())}
    assert found == {str(by_chance.image_id): "yes", str(doubtful.image_id): "no"}


def test_it_names_no_person() -> None:
    patient = PatientFactory(external_id="Jane Doe 1961")
    case = CaseFactory(patient=patient, batch__organisation=patient.organisation, lesion_id="Jane's left arm")
    ConsensusFactory(image=ImageFactory(case=case, ready=True, filename="jane.jpg"))
    snapshot = make_snapshot()
    [row] = rows(snapshot)
    assert str(patient.pk) not in read_snapshot(snapshot).decode()
    for name in ("lesion_id", "patient_id"):
        assert "ane" not in row[name]
        assert len(row[name]) == 24


def test_one_patient_has_one_name_in_every_snapshot() -> None:
    case = ConsensusFactory().image.case
    [first] = rows(make_snapshot())
    again = CaseFactory(patient=case.patient, batch__organisation=case.organisation)
    images = {str(ConsensusFactory(image=ImageFactory(case=one, ready=True)).image_id) for one in (again, again)}
    ConsensusFactory()
    found = rows(make_snapshot())
    assert {row["image_id"] for row in found if row["patient_id"] == first["patient_id"]} == {
        *images,
        first["image_id"],
    }


def test_what_is_erased_is_not_found_again_by_its_patient() -> None:
    """The patient's row stays, with their name, where they have another case."""
    image = ConsensusFactory().image
    CaseFactory(patient=image.case.patient, batch__organisation=image.organisation)
    patient, snapshot = image.case.patient, make_snapshot()
    erase_case(actor=SYSTEM, case=image.case)
    assert Patient.objects.filter(pk=patient.pk).exists()
    assert str(patient.pk) not in read_snapshot(snapshot).decode()


def test_a_lesion_id_belongs_to_its_organisation() -> None:
    """Two clinics' `A1` are two lesions; one clinic's `A1` in two cases is one."""
    first = ConsensusFactory(image__case__lesion_id="A1").image.case
    again = CaseFactory(patient=first.patient, batch__organisation=first.organisation, lesion_id="A1")
    ConsensusFactory(image=ImageFactory(case=again, ready=True))
    ConsensusFactory(image__case__lesion_id="A1")
    assert len({row["lesion_id"] for row in rows(make_snapshot())}) == 2


def test_a_number_that_many_patients_have_names_no_lesion() -> None:
    """A clinic that numbers each patient's lesions 1, 2, 3 does not say that all its patients are one."""
    clinic = ConsensusFactory(image__case__lesion_id="1").image.organisation
    for _ in range(NUMBERING):
        case = CaseFactory(batch__organisation=clinic, lesion_id="1")
        ConsensusFactory(image=ImageFactory(case=case, ready=True))
    snapshot = make_snapshot()
    assert len({row["lesion_id"] for row in rows(snapshot)}) == snapshot.images == NUMBERING + 1
    assert len({row["split"] for row in rows(snapshot)}) > 1


def test_cases_of_one_patient_without_a_lesion_id_are_one_lesion() -> None:
    """At most: the photos of two visits would else be two lesions that the gate counts."""
    first = ConsensusFactory().image.case
    again = CaseFactory(patient=first.patient, batch__organisation=first.organisation)
    ConsensusFactory(image=ImageFactory(case=again, ready=True))
    other = CaseFactory(patient=first.patient, batch__organisation=first.organisation, lesion_id="left arm")
    ConsensusFactory(image=ImageFactory(case=other, ready=True))
    snapshot = make_snapshot()
    found = rows(snapshot)
    assert (len(found), len({row["lesion_id"] for row in found})) == (3, 2)
    assert sum(row["lesion_id"] == row["patient_id"] for row in found) == snapshot.by_patient == 2
    assert snapshot.of_nobody == 0


@pytest.mark.parametrize("lesion_id", ["", "1"])
def test_what_nobody_says_anything_of_is_learnt_from_alone(lesion_id: str) -> None:
    """Its next visit is another patient's, and may be learnt from while the first measures. A number that many patients
    have says nothing either.
    """
    clinic = ConsensusFactory(image__case__lesion_id=lesion_id).image.organisation
    for number in range(2 * NUMBERING):
        named = "P" if number < NUMBERING else Patient.UNNAMED
        patient = PatientFactory(organisation=clinic, external_id=f"{named}{number}")
        case = CaseFactory(batch__organisation=clinic, patient=patient, lesion_id=lesion_id)
        ConsensusFactory(image=ImageFactory(case=case, ready=True))
    snapshot = make_snapshot()
    nobodys = [row for row in rows(snapshot) if not row["patient_id"]]
    assert len(nobodys) == snapshot.of_nobody == NUMBERING
    assert {row["split"] for row in nobodys} == {Split.TRAIN}
    assert len({row["lesion_id"] for row in nobodys}) == NUMBERING
    assert {row["split"] for row in rows(snapshot)} > {Split.TRAIN}


def test_a_lesion_that_is_named_measures_without_its_patients_name() -> None:
    clinic = ConsensusFactory().image.organisation
    patient = PatientFactory(organisation=clinic, external_id=f"{Patient.UNNAMED}1")
    PatientSplit.objects.create(patient=patient, split=Split.TEST)
    case = CaseFactory(batch__organisation=clinic, patient=patient, lesion_id="left arm")
    ConsensusFactory(image=ImageFactory(case=case, ready=True))
    [row] = [row for row in rows(make_snapshot()) if row["split"] == Split.TEST]
    assert row["patient_id"]


def test_it_is_said_how_many_labels_are_left_out_since_their_lesion_is_on_both_sides() -> None:
    image, other = ConsensusFactory().image, ConsensusFactory().image
    for of, split in ((image, Split.TRAIN), (other, Split.TEST)):
        PatientSplit.objects.create(patient=of.case.patient, split=split)
        Case.objects.filter(pk=of.case_id).update(lesion_id="3", organisation=image.organisation)
    ConsensusFactory()
    with structlog.testing.capture_logs() as log:
        content = draw_up()
    assert sum(content.images(split) for split in Split) == 1
    assert (log[-1]["images"], log[-1]["left_out"], log[-1]["lesion_on_both_sides"]) == (1, 2, 2)


def test_a_test_patient_stays_in_test_when_their_labels_go_and_come_back() -> None:
    for _ in range(8):
        ConsensusFactory(dx="NV")
    tested = {patient_of(row) for row in rows(make_snapshot()) if row["split"] == Split.TEST}
    Consensus.objects.all().delete()
    make_snapshot()
    for patient in tested:
        case = CaseFactory(patient=patient, batch__organisation=patient.organisation)
        ConsensusFactory(dx="NV", image=ImageFactory(case=case, ready=True))
    assert tested
    assert {row["split"] for row in rows(make_snapshot())} == {Split.TEST}


def patient_of(row: dict[str, str]) -> Patient:
    return Image.objects.get(pk=row["image_id"]).case.patient


@pytest.mark.django_db(transaction=True)
def test_two_snapshots_at_once_decide_each_patient_once() -> None:
    for dx in ("MEL", "NV", "NV", "BCC", "MEL", "DF"):
        ConsensusFactory(dx=dx)
    together = Barrier(4)

    def draw(_: int) -> str:
        together.wait()
        return draw_up().sha256

    assert len(set(at_once(draw, range(4)))) == 1
