"""Where the answers go, and what is left where the command cannot go on."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ml.cli import main
from ml.data.images import ImageStore
from ml.predict import predict as write
from ml.runtime import Runtime
from tests.ml.predict.conftest import picture, rows


@pytest.mark.parametrize("more", [(), ("--format", "json")])
def test_a_full_disk_is_told_with_the_file_that_it_had_no_room_for(
    more: tuple[str, ...], tiny_bundle: Path, cache: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--images", str(photos), "--bundle", str(tiny_bundle), "--cache", str(cache), *more]
    assert main(["predict", *arguments, "--output", "/dev/full"]) == 1
    assert "/dev/full: No space left on device. (os_error)" in capsys.readouterr().err


def test_a_picture_without_room_is_told_by_its_name(
    predict: Any, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "answers.png").symlink_to("/dev/full")
    assert rows(predict(photos, "csv", code=1, more=("--picture", str(tmp_path / "answers.png"))))
    assert "answers.png: No space left on device. (os_error)" in "".join(capsys.readouterr().err.splitlines())


def test_what_is_ended_from_outside_leaves_nothing_half_written(
    tiny_bundle: Path, cache: Path, runtime: object, tmp_path: Path
) -> None:
    source, output = tmp_path / "photos", tmp_path / "answers" / "answers.csv"
    for folder in (source, output.parent):
        folder.mkdir()
    (source / "0.jpg").write_bytes(picture(0))
    for number in range(1, 2000):
        os.link(source / "0.jpg", source / f"{number}.jpg")
    paths = ("--images", source, "--output", output, "--bundle", tiny_bundle, "--cache", cache)
    command = [sys.executable, "-m", "ml", "predict", *map(str, paths)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as predicting:
        while predicting.poll() is None and not any(output.parent.iterdir()):
            time.sleep(0.01)
        predicting.terminate()
        _, told = predicting.communicate(timeout=60)
    assert (predicting.returncode, "Stopped." in told) == (130, True)
    assert not any(output.parent.iterdir())


def test_a_pipe_is_written_into_and_a_link_is_kept(runtime: Runtime, photos: Path, tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link.csv"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write(runtime, ImageStore(photos), pipe)
        assert os.read(reading, 100_000).startswith(b"image,")
    finally:
        os.close(reading)
    assert pipe.is_fifo()
    link.symlink_to(tmp_path / "linked.csv")
    write(runtime, ImageStore(photos), link)
    assert link.is_symlink()
    assert len(rows(tmp_path / "linked.csv")) == 4
