"""A segmenter of which a file was copied only in part."""

import shutil
from pathlib import Path

import pytest

from ml.cli import main
from ml.segmentation.segmenter import SEEN, WEIGHTS, shipped
from ml.synthetic import synthesize


@pytest.mark.parametrize("name", [WEIGHTS, SEEN])
def test_the_damaged_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    folder = Path(shutil.copytree(shipped(), tmp_path / "segmenter"))
    (folder / name).write_bytes((folder / name).read_bytes()[:100])
    synthesize(2, tmp_path / "drawn")
    assert main(["segment-evaluate", "--data", str(tmp_path / "drawn"), "--segmenter", str(folder)]) == 1
    assert f"{folder}: {name} damaged: copy the segmenter again. (weights_error)" in capsys.readouterr().err
