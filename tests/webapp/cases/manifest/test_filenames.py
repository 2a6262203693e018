"""Files that come without a table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.cases.manifest.filenames import LONGEST, case_ids, is_no_picture


def test_a_case_is_known_by_its_file() -> None:
    assert case_ids(["a.jpg", "b.jpg", "b.png", ".hidden"]) == ["a", "b.jpg", "b.png", ".hidden"]


def test_files_of_one_name_are_told_apart_by_their_folders() -> None:
    assert case_ids(["p1/1.jpg", "p2/1.jpg", "p2/1.png"]) == ["p1/1", "p2/1.jpg", "p2/1.png"]
    first, second = case_ids(["x" * 200 + "/p1/1.jpg", "x" * 200 + "/p2/1.jpg"])
    assert (first[:2], first[-5:], second[-5:]) == ("…x", "/p1/1", "/p2/1")


def test_names_that_collide_are_numbered() -> None:
    """`a.jpg.png` without its ending is the name of another file."""
    assert case_ids(["a.jpg", "a.png", "a.jpg.png"]) == ["a.jpg", "a.png", "a.jpg (2)"]


@given(st.lists(st.text(alphabet="ab. (2)/", min_size=1, max_size=6) | st.just("x" * 150) | st.just("x/" * 75)))
def test_ids_are_unique_and_fit(names: list[str]) -> None:
    ids = case_ids(names)
    assert len(set(ids)) == len(names)
    assert all(0 < len(case_id) <= LONGEST for case_id in ids)


@pytest.mark.parametrize(
    "name",
    [
        *("readme", "LICENSE", "a/readme.txt", "a/1.JSON", "Thumbs.db", ".DS_Store", "a/.ds_store", ".nomedia"),
        *("._1.jpg", "a/._1.jpg", "IMG_1.AAE", "IMG_1.MOV", "1.jpg.txt"),
    ],
)
def test_what_nobody_means_as_a_picture(name: str) -> None:
    assert is_no_picture(name)


@pytest.mark.parametrize(
    "name",
    [
        "1.jpg",
        "txt",
        "db",
        "IM000001",
        "DICOM.1",
        "1.",
        "a.txt/1.jpg",
        "a._b.jpg",
        "._a/1.jpg",
        "my readme",
        "1.txt.jpg",
    ],
)
def test_what_may_be_meant_as_one(name: str) -> None:
    assert not is_no_picture(name)
