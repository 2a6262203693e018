"""No patient, lesion or picture on two sides, whatever the labels look like and in whatever order they come."""

import uuid
from collections import Counter, defaultdict

from hypothesis import given
from hypothesis import strategies as st

from ml.classes import CLASSES
from webapp.registry.models import Split
from webapp.registry.splits import Labelled, Told, divide, select

PATIENTS = [uuid.UUID(int=n) for n in range(12)]

# Lesions and pictures are drawn from few, so that they turn up under several patients.
rows = st.builds(
    Labelled,
    image_id=st.uuids(),
    lesion=st.sampled_from([f"lesion-{n}" for n in range(15)]),
    patient_id=st.sampled_from(PATIENTS),
    dx=st.sampled_from(CLASSES),
    sha256=st.sampled_from([f"picture-{n}" for n in range(30)]),
)
tables = st.lists(rows, max_size=40, unique_by=lambda row: row.image_id)


@given(st.lists(tables, min_size=1, max_size=4))
def test_sides_never_share_a_patient_a_lesion_or_a_picture_and_test_stays_test(batches: list[list[Labelled]]) -> None:
    """Labels arrive in batches; each snapshot holds all so far, and none ever trains on what another tested with."""
    decided: dict[uuid.UUID, str] = {}
    known: list[Labelled] = []
    tested: set[object] = set()
    trained: set[object] = set()
    for batch in batches:
        known += batch
        before = dict(decided)
        decided |= divide(known, decided)
        assert before.items() <= decided.items()
        sides: dict[str, dict[str, set[object]]] = defaultdict(lambda: defaultdict(set))
        kept = select(known, decided)
        for row, split in kept:
            for kind in ("patient_id", "lesion", "sha256"):
                sides[kind][split].add(getattr(row, kind))
        for by_split in sides.values():
            assert sum(map(len, by_split.values())) == len(set().union(*by_split.values()))
        assert len({row.sha256 for row, _ in kept}) == len(kept)
        assert {split for row, split in kept if row.told == Told.NOBODY} <= {Split.TRAIN}
        for name in ("patient_id", "lesion"):
            tested |= sides[name][Split.TEST]
            trained |= sides[name][Split.TRAIN]
        assert not tested & trained


@given(tables)
def test_the_order_of_the_labels_decides_nothing_but_whose_label_is_newest(table: list[Labelled]) -> None:
    forwards, backwards = divide(table, {}), divide(table[::-1], {})
    assert forwards == backwards
    unique = list({row.sha256: row for row in table}.values())
    assert select(unique, forwards) == select(unique[::-1], forwards)


def labelled(patient: int, dx: str = "NV", lesion: str = "", sha256: str = "", *, told: Told = Told.LESION) -> Labelled:
    image = uuid.uuid4()
    return Labelled(image, lesion or str(image), uuid.UUID(int=patient), dx, sha256 or str(image), False, told)


def test_each_class_is_divided_in_its_shares() -> None:
    table = [labelled(n, dx="MEL" if n < 100 else "NV") for n in range(1100)]
    splits = divide(table, {})
    for code, total in (("MEL", 100), ("NV", 1000)):
        counts = Counter(splits[row.patient_id] for row in table if row.dx == code)
        assert counts == {Split.TRAIN: 0.6 * total, Split.VALIDATION: 0.15 * total, Split.TEST: 0.25 * total}


def test_what_is_nobodys_is_learnt_from_alone_and_the_others_measure() -> None:
    table = [labelled(n, told=Told.NOBODY if n < 60 else Told.PATIENT) for n in range(100)]
    splits = divide(table, {})
    assert Counter(splits[row.patient_id] for row in table) == {
        Split.TRAIN: 60, Split.VALIDATION: 15, Split.TEST: 25
    }  # fmt: skip
    assert {splits[row.patient_id] for row in table[:60]} == {Split.TRAIN}
    assert len(select(table, splits)) == 100


def test_what_is_nobodys_and_was_to_measure_before_is_left_out() -> None:
    table = [labelled(1, told=Told.NOBODY), labelled(2)]
    decided = {uuid.UUID(int=1): Split.TEST, uuid.UUID(int=2): Split.TEST}
    assert [row.patient_id for row, _ in select(table, decided)] == [uuid.UUID(int=2)]


def test_a_picture_that_somebody_is_known_to_have_measures_as_theirs() -> None:
    table = [labelled(1, sha256="same"), labelled(2, sha256="same", told=Told.NOBODY), labelled(3)]
    splits: dict[uuid.UUID, str] = {uuid.UUID(int=1): Split.TEST}
    splits |= divide(table, splits)
    assert splits[uuid.UUID(int=2)] == Split.TEST
    assert {row.patient_id for row, split in select(table, splits) if split == Split.TEST} == {uuid.UUID(int=1)}


def test_two_patients_of_a_class_are_enough_to_train_and_to_test() -> None:
    assert set(divide([labelled(1), labelled(2)], {}).values()) == {Split.TRAIN, Split.TEST}


def test_who_shares_a_lesion_with_a_test_patient_goes_to_test() -> None:
    table = [labelled(1, lesion="a"), labelled(2, lesion="a"), labelled(2, lesion="b"), labelled(3, lesion="b")]
    new = divide(table, {uuid.UUID(int=1): Split.TEST})
    assert new == {uuid.UUID(int=2): Split.TEST, uuid.UUID(int=3): Split.TEST}


def test_a_lesion_that_turns_up_on_both_sides_is_on_neither() -> None:
    """Another photo of it may have been learnt from, so it can measure nothing any more."""
    decided = {uuid.UUID(int=1): Split.TEST, uuid.UUID(int=2): Split.TRAIN}
    table = [labelled(1, lesion="a"), labelled(2, lesion="a"), labelled(2, lesion="b")]
    assert divide(table, decided) == {}
    assert [(row.lesion, split) for row, split in select(table, decided)] == [("b", Split.TRAIN)]


def test_a_picture_that_turns_up_on_both_sides_stays_in_test_only() -> None:
    decided = {uuid.UUID(int=1): Split.TEST, uuid.UUID(int=2): Split.TRAIN}
    table = [labelled(1, sha256="a"), labelled(2, sha256="a"), labelled(2, sha256="b")]
    assert {row.sha256: split for row, split in select(table, decided)} == {"a": Split.TEST, "b": Split.TRAIN}


def test_a_picture_that_was_sent_twice_counts_once_under_its_newest_label() -> None:
    table = [labelled(1, dx="NV", sha256="same"), labelled(1, dx="MEL", sha256="same")]
    [(row, _)] = select(table, divide(table, {}))
    assert row.dx == "MEL"
