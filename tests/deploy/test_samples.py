"""The cases of the demo: its own, and a newcomer's, whose paths and tables may be wrong."""

from pathlib import Path

import pytest

from deploy.local.samples import read_own
from ml.synthetic import synthesize


def test_a_patient_has_one_address_whichever_cases_are_drawn(tmp_path: Path) -> None:
    table = synthesize(12, tmp_path, seed=3)
    addresses = [
        {photo.patient_id: photo.patient_email for photo in read_own(tmp_path, table, count)} for count in (12, 5)
    ]

    assert addresses[1].items() <= addresses[0].items()
    assert len(set(addresses[0].values())) == len(addresses[0]) == 12


def test_what_a_newcomer_names_and_cannot_be_read_is_named_in_a_sentence(tmp_path: Path) -> None:
    table = synthesize(1, tmp_path, seed=3)
    binary = tmp_path / "table.xlsx"
    binary.write_bytes(b"PK\x03\x04\xbf")
    for images, metadata, told in [
        (tmp_path / "absent", table, "IMAGES is a folder"),
        (binary, table, "IMAGES is a folder"),
        (tmp_path, tmp_path / "absent.csv", "METADATA is a CSV"),
        (tmp_path, tmp_path, "METADATA is a CSV"),
        (tmp_path, binary, "METADATA is a CSV"),
    ]:
        with pytest.raises(RuntimeError, match=told):  # which the command line prints without a trace
            read_own(images, metadata, 1)


def test_a_cell_that_tells_nothing_is_left_out(tmp_path: Path) -> None:
    image = synthesize(1, tmp_path, seed=3).read_text().splitlines()[1].split(",")
    name = next(cell for cell in image if (tmp_path / f"{cell}.jpg").exists())
    table = tmp_path / "table.csv"
    table.write_text(f"image_id,age,dx\n{name},unknown\n")
    [photo] = read_own(tmp_path, table, 1)
    assert (photo.age, photo.dx) == (None, "")
