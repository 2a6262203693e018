"""Each layout as it is published, in small, through the one door."""

import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import numpy as np
import pandas as pd
import pytest

import ml.data
from ml.classes import BINARY, EIGHT, SEVEN
from ml.data import challenges, splits
from ml.data.errors import DataError
from ml.data.examples import load
from ml.data.table import COLUMNS
from ml.synthetic import synthesize
from tests.ml.conftest import jpeg

SIZE = (64, 48)
STORED: dict[str, Callable[[bytes], Any]] = {
    "bytes": np.bytes_,
    "void": np.void,
    "array": partial(np.frombuffer, dtype=np.uint8),
}
"""Ways to keep an encoded image in an HDF5 file."""


def photo(number: int = 0) -> bytes:
    return jpeg(np.full((72, 96, 3), 40 + 10 * number, dtype=np.uint8))


def photos(folder: Path, *ids: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, image_id in enumerate(ids):
        (folder / f"{image_id}.jpg").write_bytes(photo(number))


def one_hot(path: Path, codes: tuple[str, ...], marked: dict[str, str]) -> None:
    """A ground truth in which each image marks the classes named, separated by blanks."""
    rows = [{"image": image, **{code: float(code in dx.split()) for code in codes}} for image, dx in marked.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(path, index=False)


def test_ham10000_is_told_by_its_table(tmp_path: Path) -> None:
    synthesize(7, tmp_path)
    dataset = ml.data.read(tmp_path)
    assert dataset.taxonomy == SEVEN
    assert tuple(dataset.table.columns) == COLUMNS
    assert dataset.table["dx"].tolist() == list(SEVEN.codes)
    assert dataset.problems == {}
    assert dataset.details is None


def test_isic_2018_with_its_lesion_groupings(tmp_path: Path) -> None:
    marked = {"a": "MEL", "b": "MEL", "c": "AKIEC", "d": "", "e": "MEL NV", "f": "NV", "a_copy": "DF"}
    one_hot(tmp_path / "unpacked" / "ISIC2018_Task3_Training_GroundTruth.csv", SEVEN.codes, marked)
    photos(tmp_path / "ISIC2018_Task3_Training_Input", "a", "b", "c", "d", "e", "g")
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.writestr("a_copy.jpg", photo())
    (tmp_path / "ISIC2018_Task3_Training_LesionGroupings.csv").write_text(
        "image,lesion_id,diagnosis_confirm_type\n"
        "a,HAM_1,histopathology\nb,HAM_1,serial imaging showing no change\nc,HAM_2,single image expert consensus\n"
        "d,HAM_3,histopathology\ne,HAM_4,histopathology\nf,HAM_5,histopathology\ng,HAM_6,histopathology\n"
    )
    dataset = ml.data.read(tmp_path)
    table = dataset.table.set_index("image_id")
    assert table["dx"].to_dict() == {"a": "MEL", "b": "MEL", "c": "AKIEC", "a_copy": "DF"}
    assert table["lesion_id"].to_dict() == {"a": "HAM_1", "b": "HAM_1", "c": "HAM_2", "a_copy": "a_copy"}
    assert table["dx_type"].to_dict() == {"a": "histo", "b": "follow_up", "c": "consensus", "a_copy": ""}
    missing = {"missing_age": 4, "missing_sex": 4, "missing_site": 4}
    # d marks no class, e two, g is in the groupings alone.
    assert dataset.problems == {"missing_class": 3, "missing_file": 1, "image_as_lesion": 1, **missing}


def test_the_test_set_of_isic_2018_has_no_groupings(tmp_path: Path) -> None:
    one_hot(tmp_path / "ISIC2018_Task3_Test_GroundTruth.csv", SEVEN.codes, {"a": "MEL", "b": "VASC"})
    photos(tmp_path / "images", "a", "b")
    dataset = ml.data.read(tmp_path)
    assert dataset.taxonomy == SEVEN
    assert dataset.table["lesion_id"].tolist() == ["a", "b"]
    assert dataset.problems["image_as_lesion"] == 2


def test_isic_2019_has_eight_classes_and_counts_the_unknown(tmp_path: Path) -> None:
    marked = {"a": "AK", "b": "SCC", "c": "UNK", "d": "NV", "e": "MEL"}
    one_hot(tmp_path / "ISIC_2019_Training_GroundTruth.csv", challenges.CLASSES_2019, marked)
    photos(tmp_path / "ISIC_2019_Training_Input", *marked)
    (tmp_path / "ISIC_2019_Training_Metadata.csv").write_text(
        "image,age_approx,anatom_site_general,lesion_id,sex\n"
        "a,55.0,anterior torso,BCN_1,female\nb,,head/neck,BCN_1,male\nc,30.0,,BCN_2,male\n"
        "d,40.0,lower extremity,,\ne,45.0,palms/soles,MSK4_1,male\ne,45.0,palms/soles,MSK4_1,male\n"
    )
    dataset = ml.data.read(tmp_path)
    assert dataset.taxonomy == EIGHT
    assert dataset.problems == {
        "duplicate_image_id": 1,
        "unknown_class": 1,
        "image_as_lesion": 1,
        "missing_age": 1,
        "missing_sex": 1,
    }
    table = dataset.table
    assert table["dx"].tolist() == ["AKIEC", "SCC", "NV", "MEL"]
    assert table["lesion_id"].tolist() == ["BCN_1", "BCN_1", "d", "MSK4_1"]
    assert table["site"].tolist()[:2] == ["anterior torso", "head/neck"]
    examples = load(table, dataset.images, SIZE, taxonomy=dataset.taxonomy)
    assert examples.labels.tolist() == [3, 7, 1, 0]
    with pytest.raises(KeyError, match="SCC"):
        load(table, dataset.images, SIZE)


def slice_3d(folder: Path) -> None:
    (folder / "train-metadata.csv").write_text(
        "isic_id,target,patient_id,age_approx,sex,anatom_site_general,clin_size_long_diam_mm,lesion_id,iddx_full\n"
        "ISIC_1,0,IP_1,60.0,male,lower extremity,3.04,,Benign\n"
        "ISIC_2,1,IP_2,,female,head/neck,5.5,IL_2,Malignant\n"
        "ISIC_3,0,IP_1,60.0,,posterior torso,,,Benign\n"
        "ISIC_4,2,IP_3,60.0,male,posterior torso,1.1,,Benign\n"
        "ISIC_5,,IP_3,60.0,male,posterior torso,1.1,,Benign\n"
        "ISIC_6,0,IP_3,60.0,male,posterior torso,1.1,,Benign\n"
    )


@pytest.mark.parametrize("kept_as", [*STORED, "folder"])
def test_isic_2024_reads_an_hdf5_file_or_a_folder(tmp_path: Path, kept_as: str) -> None:
    slice_3d(tmp_path)
    names = [f"ISIC_{number}" for number in (1, 2, 3, 4, 5)]
    if kept_as == "folder":
        photos(tmp_path / "train-image" / "image", *names)
    else:
        with h5py.File(tmp_path / "train-image.hdf5", "w") as file:
            for number, name in enumerate(names):
                file[name] = STORED[kept_as](photo(number))
    dataset = ml.data.read(tmp_path)
    assert dataset.taxonomy == BINARY
    assert dataset.problems == {
        "missing_file": 1,
        "missing_class": 1,
        "unknown_class": 1,
        "image_as_lesion": 2,
        "missing_age": 1,
        "missing_sex": 1,
        "missing_size": 1,
    }
    table = dataset.table
    assert table["dx"].tolist() == ["BENIGN", "MALIGNANT", "BENIGN"]
    assert table["lesion_id"].tolist() == ["ISIC_1", "IL_2", "ISIC_3"]
    np.testing.assert_array_equal(table["size_mm"], [3.04, 5.5, np.nan])
    sides = splits.assign(table)["split"]
    assert sides[0] == sides[2], "one patient"
    assert dataset.images.read("ISIC_2") == photo(1)
    assert load(table, dataset.images, SIZE, taxonomy=BINARY).labels.tolist() == [0, 1, 0]


def test_tables_of_isic_2024_without_labels_are_counted(tmp_path: Path) -> None:
    """The competition's folder as it is downloaded: the test's table comes first and has no target."""
    slice_3d(tmp_path)
    photos(tmp_path, "ISIC_1", "ISIC_2", "ISIC_9")
    (tmp_path / "test-metadata.csv").write_text("isic_id,patient_id,age_approx\nISIC_9,IP_9,45.0\n")
    dataset = ml.data.read(tmp_path)
    assert dataset.table["image_id"].tolist() == ["ISIC_1", "ISIC_2"]
    assert dataset.problems["missing_class"] == 1


@pytest.mark.parametrize("layout", ["table", "folders"])
def test_a_link_to_a_folder_is_followed_and_one_that_leads_back_is_not(tmp_path: Path, layout: str) -> None:
    photos(tmp_path / "elsewhere", "a", "b")
    (tmp_path / "elsewhere" / "round").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "back").symlink_to(tmp_path)
    (tmp_path / "data" / "mel").symlink_to(tmp_path / "elsewhere")
    if layout == "table":
        (tmp_path / "data" / "metadata.csv").write_text("image_id,lesion_id,dx\na,x,mel\nb,y,mel\n")
    dataset = ml.data.read(tmp_path / "data")
    assert dataset.table["image_id"].tolist() == ["a", "b"]
    assert not {"missing_file", "unknown_class", "duplicate_image_id"} & set(dataset.problems)


def test_another_table_of_metadata_does_not_hide_that_of_ham10000(tmp_path: Path) -> None:
    synthesize(3, tmp_path)
    (tmp_path / "a_metadata.csv").write_text("device,count\nx,1\n")
    assert len(ml.data.read(tmp_path).table) == 3


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n\xff\xfe\x00"])
def test_a_table_that_is_no_csv_lacks_every_column(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "metadata.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"metadata\.csv lacks dx, image_id, lesion_id"):
        ml.data.read(tmp_path)


@pytest.mark.parametrize(("comma", "encoding"), [(";", "utf-8"), (",", "utf-16"), ("\t", "utf-8")])
def test_a_table_that_a_spreadsheet_saved_in_its_own_way_says_how_to_save_it(
    tmp_path: Path, comma: str, encoding: str
) -> None:
    table = "image_id,lesion_id,dx\na,b,mel\n".replace(",", comma)
    (tmp_path / "metadata.csv").write_text(table, encoding=encoding)
    with pytest.raises(DataError, match=r"lesion_id: save it as a CSV file in UTF-8, its columns parted by commas"):
        ml.data.read(tmp_path)


def test_a_table_with_a_broken_row_is_named(tmp_path: Path) -> None:
    for content, said in (
        ("a,b,mel,x\na,b,mel,too,many\n", "no sound CSV"),
        ("a,b,mel,Rücken\n", "not in UTF-8: save"),
    ):
        (tmp_path / "metadata.csv").write_text(f"image_id,lesion_id,dx,site\n{content}", encoding="latin-1")
        with pytest.raises(DataError, match=rf"metadata\.csv is {said}") as caught:
            ml.data.read(tmp_path)
        assert caught.value.code == "unreadable_table"


def test_groupings_that_name_no_lesion_are_refused(tmp_path: Path) -> None:
    one_hot(tmp_path / "ISIC2018_Task3_Training_GroundTruth.csv", SEVEN.codes, {"a": "MEL"})
    photos(tmp_path, "a")
    (tmp_path / "ISIC2018_Task3_Training_LesionGroupings.csv").write_text("image,lesion\na,L1\n")
    with pytest.raises(DataError, match="lacks the columns lesion_id") as caught:
        ml.data.read(tmp_path)
    assert caught.value.code == "missing_columns"


@pytest.mark.parametrize(
    ("names", "taxonomy", "codes"),
    [
        (("Benign", "malignant"), BINARY, ["BENIGN", "MALIGNANT"]),
        (("akiec", "Mel", "NV"), SEVEN, ["AKIEC", "MEL", "NV"]),
        (("AK", "MEL", "scc"), EIGHT, ["AKIEC", "MEL", "SCC"]),
    ],
)
def test_a_folder_for_each_class(tmp_path: Path, names: tuple[str, ...], taxonomy: object, codes: list[str]) -> None:
    for name in names:
        photos(tmp_path / name / "deeper", f"{name}_1", f"{name}_2")
    dataset = ml.data.read(tmp_path)
    assert dataset.taxonomy == taxonomy
    assert sorted(set(dataset.table["dx"])) == codes
    assert (dataset.table["lesion_id"] == dataset.table["image_id"]).all()
    assert dataset.problems["image_as_lesion"] == len(dataset.table) == 2 * len(names)


def test_class_folders_name_their_lesions_and_their_problems(tmp_path: Path) -> None:
    photos(tmp_path / "mel", "a", "b", "c")
    photos(tmp_path / "nv", "d", "c")
    (tmp_path / "nv" / "c.jpg").write_bytes(photo(9))
    photos(tmp_path / "wart", "e", "f")
    photos(tmp_path, "g")
    (tmp_path / "lesions.csv").write_text("image_id,lesion_id,age\na,L1,50\nb,L1,\nz,L2,20\n")
    dataset = ml.data.read(tmp_path)
    table = dataset.table.set_index("image_id")
    assert table["lesion_id"].to_dict() == {"a": "L1", "b": "L1", "c": "c", "d": "d"}
    assert table.loc["a", "age"] == 50
    assert table.loc["c", "dx"] == "MEL"
    assert dataset.images.read("c") == photo(2), "the picture of the row that was kept"
    counts = {"duplicate_image_id": 1, "unknown_class": 2, "missing_class": 1, "missing_file": 1, "image_as_lesion": 2}
    assert dataset.problems == {**counts, "missing_age": 3, "missing_sex": 4, "missing_site": 4}


def test_files_of_a_class_that_are_no_images_are_counted(tmp_path: Path) -> None:
    photos(tmp_path / "mel", "a")
    (tmp_path / "nv" / "deep").mkdir(parents=True)
    for name in ("mel/b.bmp", "nv/deep/c.gif", "nv/.hidden", "notes.txt"):
        (tmp_path / name).write_bytes(b"BM")
    assert ml.data.read(tmp_path).problems["other_file"] == 2
    (tmp_path / "mel" / "a.jpg").unlink()
    with pytest.raises(DataError, match="other_file 2"):
        ml.data.read(tmp_path)


def test_a_folder_that_fits_no_layout_says_what_each_would_need(tmp_path: Path) -> None:
    (tmp_path / "my_metadata.csv").write_text("image_id,lesion_id,label\nx,y,mel\n")
    photos(tmp_path / "pictures", "x")
    with pytest.raises(DataError) as caught:
        ml.data.read(tmp_path)
    assert caught.value.code == "unknown_layout"
    told = str(caught.value)
    assert "HAM10000 (my_metadata.csv lacks dx)" in told
    assert "ISIC 2018 task 3 (no ISIC2018_Task3_*_GroundTruth.csv)" in told
    assert "ISIC 2019 (no ISIC_2019_*_GroundTruth.csv)" in told
    assert "ISIC 2024 (my_metadata.csv lacks isic_id, target)" in told
    assert "a folder for each class (none is named AK, AKIEC, BCC, BENIGN" in told


@pytest.mark.parametrize("name", ["nowhere", "file.csv"])
def test_what_is_no_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file.csv").write_text("a\n1\n")
    with pytest.raises(DataError, match="is not a folder"):
        ml.data.read(tmp_path / name)


def test_a_damaged_hdf5_file_is_named(tmp_path: Path) -> None:
    slice_3d(tmp_path)
    (tmp_path / "train-image.hdf5").write_bytes(b"not HDF5")
    with pytest.raises(DataError, match=r"train-image\.hdf5") as caught:
        ml.data.read(tmp_path)
    assert caught.value.code == "no_image_source"
