import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.classes import BINARY, CLASSES, EIGHT, Taxonomy
from ml.data import examples, ham10000, snapshot, splits
from ml.data.errors import DataError
from ml.data.images import ImageStore
from ml.synthetic import METADATA, synthesize


def test_a_published_folder_is_read_with_its_problems_counted(tmp_path: Path) -> None:
    synthesize(14, tmp_path)
    frame = pd.read_csv(tmp_path / METADATA)
    frame.loc[0, "dx"] = "unheard of"
    frame.loc[1, "age"] = None
    frame.loc[2, "sex"] = "unknown"
    frame.loc[3, "lesion_id"] = None
    frame = pd.concat([frame, frame.iloc[[5]]])
    frame.to_csv(tmp_path / METADATA, index=False)
    (tmp_path / f"{frame['image_id'].iloc[4]}.jpg").unlink()
    dataset = ham10000.read(tmp_path)
    assert len(dataset.table) == 11
    assert dataset.problems == {
        "duplicate_image_id": 1,
        "missing_lesion_id": 1,
        "unknown_class": 1,
        "missing_file": 1,
        "missing_age": 1,
        "missing_sex": 1,
    }
    assert dataset.unknown == {"unheard of": 1}
    assert set(dataset.table["dx"]) <= set(CLASSES)


def test_images_may_lie_in_archives_and_square_crops_and_masks_are_left_out(tmp_path: Path) -> None:
    synthesize(3, tmp_path)
    files = sorted(tmp_path.glob("*.jpg"))
    for name, content in (("images.zip", files[:2]), ("masks.zip", files[2:])):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for file in content:
                archive.write(file, f"images/{file.name}")
    expected = [file.read_bytes() for file in files]
    with zipfile.ZipFile(tmp_path / "a_squares.zip", "w") as archive:
        from io import BytesIO

        from PIL import Image

        square = BytesIO()
        Image.new("RGB", (64, 64)).save(square, "JPEG")
        archive.writestr(f"images/{files[0].name}", square.getvalue())
    for file in files:
        file.unlink()
    dataset = ham10000.read(tmp_path)
    assert dataset.problems == {"missing_file": 1}
    assert dataset.images.read(files[0].stem) == expected[0]


@pytest.mark.parametrize(
    ("code", "content"),
    [("no_table", None), ("missing_columns", "a,b\n1,2\n"), ("no_images", "image_id,lesion_id,dx\nx,y,mel\n")],
)
def test_a_folder_that_cannot_be_used_says_why(tmp_path: Path, code: str, content: str | None) -> None:
    if content:
        (tmp_path / METADATA).write_text(content)
    with pytest.raises(DataError) as caught:
        ham10000.read(tmp_path)
    assert caught.value.code == code


def test_labels_that_are_no_class_are_named_where_no_row_is_left(tmp_path: Path) -> None:
    synthesize(2, tmp_path)
    frame = pd.read_csv(tmp_path / METADATA).assign(dx=["naevus", "Melanoma"])
    frame.to_csv(tmp_path / METADATA, index=False)
    with pytest.raises(DataError, match=r"unknown_class 2\)\. Known classes are MEL, NV, .*, not naevus, Melanoma\."):
        ham10000.read(tmp_path)


def test_a_broken_image_is_named_and_the_rest_is_loaded(tmp_path: Path) -> None:
    synthesize(4, tmp_path)
    broken = sorted(tmp_path.glob("*.jpg"))[1]
    broken.write_bytes(broken.read_bytes()[:500])
    dataset = ham10000.read(tmp_path)
    loaded = examples.load(dataset.table, dataset.images, (192, 144))
    assert list(loaded.refused) == [broken.stem]
    assert loaded.pixels.shape == (3, 144, 192, 3)
    assert loaded.labels.tolist() == [0, 2, 3]
    assert loaded.fingerprints.shape == (3, 4)
    assert len(loaded.take(np.array([True, False, True]))) == 2


rows = st.lists(
    st.tuples(st.integers(0, 25), st.one_of(st.none(), st.integers(0, 12)), st.sampled_from(CLASSES)),
    min_size=1,
    max_size=80,
)


def table_of(drawn: list[tuple[int, int | None, str]]) -> pd.DataFrame:
    """Images as (lesion, patient or none, class)."""
    return pd.DataFrame(
        {
            "lesion_id": [f"L{lesion}" for lesion, _, _ in drawn],
            "patient_id": ["" if patient is None else f"P{patient}" for _, patient, _ in drawn],
            "dx": [dx for _, _, dx in drawn],
        }
    )


@given(rows, st.integers(0, 5))
def test_no_lesion_and_no_patient_stands_on_two_sides(drawn: list[tuple[int, int | None, str]], seed: int) -> None:
    table = splits.assign(table_of(drawn), seed)
    assert set(table["split"]) <= {"train", "validation", "test"}
    assert table.groupby("lesion_id")["split"].nunique().max() == 1
    named = table[table["patient_id"] != ""]
    assert named.empty or named.groupby("patient_id")["split"].nunique().max() == 1


@given(rows, st.randoms())
def test_the_order_of_rows_does_not_matter(drawn: list[tuple[int, int | None, str]], shuffle: object) -> None:
    table = table_of(drawn)
    order = np.random.default_rng(shuffle.randint(0, 2**32)).permutation(len(table))  # type: ignore[attr-defined]
    shuffled = splits.assign(table.iloc[order])
    pd.testing.assert_series_equal(shuffled["split"].sort_index(), splits.assign(table)["split"])


def test_every_class_reaches_every_split() -> None:
    table = table_of([(lesion, None, CLASSES[lesion % 7]) for lesion in range(140)])
    counts = pd.crosstab(splits.assign(table)["dx"], splits.assign(table)["split"])
    assert (counts["test"] == 3).all()
    assert (counts["validation"] == 3).all()


def test_the_split_of_the_seven_classes_stays_as_it_is() -> None:
    """What was fitted and measured before was split so: another answer would mix train and test."""
    rng = np.random.default_rng(2018)
    lesions = rng.integers(0, 700, 1000)
    classes = rng.choice(7, 1000, p=(0.11, 0.67, 0.05, 0.03, 0.11, 0.01, 0.02))
    table = table_of(
        [
            (int(lesion), int(lesion) % 300 if lesion % 5 == 0 else None, CLASSES[dx])
            for lesion, dx in zip(lesions, classes, strict=True)
        ]
    )
    sides = splits.assign(table)["split"]
    assert sides.value_counts().to_dict() == {"train": 688, "validation": 164, "test": 148}
    digest = hashlib.sha256(",".join(sides).encode()).hexdigest()
    assert digest == "de44b2ceb6fa74c77a4a2dd30d43dc212e85e53fdcec71ef145619a59d78cbbc"


@pytest.mark.parametrize("taxonomy", [EIGHT, BINARY])
def test_other_taxonomies_are_split_by_class_too(taxonomy: Taxonomy) -> None:
    codes = taxonomy.codes
    table = splits.assign(table_of([(lesion, None, codes[lesion % len(codes)]) for lesion in range(20 * len(codes))]))
    counts = pd.crosstab(table["dx"], table["split"])
    assert set(counts.index) == set(codes)
    assert (counts[["test", "validation"]] == 3).all(axis=None)


def snapshot_of(folder: Path, **changes: list[str]) -> Path:
    """Three synthetic images and their snapshot, with columns changed."""
    synthesize(3, folder)
    frame = pd.DataFrame(
        {
            "image_id": sorted(file.stem for file in folder.glob("*.jpg")),
            "lesion_id": ["a", "b", "c"],
            "patient_id": ["p", "q", "r"],
            "dx": ["MEL", "NV", "BCC"],
            "split": ["train", "validation", "test"],
            "sha256": ["0" * 64] * 3,
            "drawn": ["no", "yes", "no"],
        }
    ).assign(**changes)
    path = folder / "snapshot.csv"
    frame.to_csv(path, index=False)
    return path


def test_a_snapshot_keeps_the_splits_it_came_with(tmp_path: Path) -> None:
    dataset = snapshot.read(snapshot_of(tmp_path), tmp_path)
    assert dataset.table["split"].tolist() == ["train", "validation", "test"]
    assert dataset.table["drawn"].tolist() == [False, True, False]
    assert dataset.split("test")["dx"].tolist() == ["BCC"]


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("unknown_class", {"dx": ["MEL", "NV", "ham"]}),
        ("unknown_split", {"split": ["train", "test", "dev"]}),
        ("unknown_drawn", {"drawn": ["yes", "no", "True"]}),
        ("leaking_split", {"patient_id": ["p", "q", "p"]}),
        ("leaking_split", {"lesion_id": ["a", "b", "b"]}),
        ("missing_images", {"image_id": ["x", "y", "z"]}),
        ("unusable_rows", {"image_id": ["x", "x", "y"]}),
        ("unusable_rows", {"lesion_id": ["a", "", "c"]}),
    ],
)
def test_a_snapshot_that_is_not_sound_is_refused(tmp_path: Path, code: str, changes: dict[str, list[str]]) -> None:
    with pytest.raises(DataError) as caught:
        snapshot.read(snapshot_of(tmp_path, **changes), tmp_path)
    assert caught.value.code == code


def test_an_entry_that_is_damaged_is_named_and_the_rest_is_loaded(tmp_path: Path) -> None:
    synthesize(3, tmp_path)
    files = sorted(tmp_path.glob("*.jpg"))
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for file in files:
            archive.write(file, file.name)
            file.unlink()
        place = archive.getinfo(files[1].name).header_offset + 200
    content = bytearray((tmp_path / "images.zip").read_bytes())
    content[place] ^= 0xFF
    (tmp_path / "images.zip").write_bytes(content)
    dataset = ham10000.read(tmp_path)
    loaded = examples.load(dataset.table, dataset.images, (192, 144))
    assert loaded.refused == {files[1].stem: "corrupt"}
    assert len(loaded) == 2


def test_a_store_reads_folders_and_archives_and_the_first_wins(tmp_path: Path) -> None:
    (tmp_path / "one" / "deep").mkdir(parents=True)
    (tmp_path / "one" / "deep" / "a.jpg").write_bytes(b"from the folder")
    (tmp_path / "one" / "notes.txt").write_text("not an image")
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("x/a.jpg", "from the archive")
        archive.writestr("x/b.png", "only there")
    store = ImageStore(tmp_path / "one", tmp_path / "two.zip")
    assert store.ids() == ["a", "b"]
    assert store.read("a") == b"from the folder"
    assert store.read("b") == b"only there"
    with pytest.raises(KeyError):
        store.read("c")
    for name, wrong in (
        ("nowhere", r"nowhere does not exist\."),
        ("one/notes.txt", "is neither a folder nor a ZIP or HDF5 file"),
        ("one/deep/a.jpg", "is one image: put it into a folder, and name the folder"),
    ):
        with pytest.raises(DataError, match=wrong):
            ImageStore(tmp_path / name)
