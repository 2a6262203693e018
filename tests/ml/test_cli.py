import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ml.cli import main
from tests.ml.tiny_bundle import make_tiny_bundle

COMMANDS = [
    "train", "backbone", "retrain", "synthesize", "evaluate", "compare", "predict", "export", "warm", "bench",
    "segment-train", "segment-evaluate",
]  # fmt: skip


def test_synthesize_writes_pictures(tmp_path: Path) -> None:
    assert main(["synthesize", "--count", "2", "--output", str(tmp_path / "drawn")]) == 0
    assert len(list((tmp_path / "drawn").glob("*.jpg"))) == 2


@pytest.mark.parametrize("count", ["0", "-3", "x"])
@pytest.mark.parametrize(
    "command",
    [
        "synthesize --count", "train release --epochs", "train release --samples", "retrain --epochs",
        "retrain --min-lesions", "segment-train --epochs", "segment-train --samples", "bench --count", "bench --batch",
    ],
)  # fmt: skip
def test_nothing_is_no_number_of_what_there_is_to_do(
    command: str, count: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([*command.split(), count])
    assert f"{count!r} is not a number of 1 or more" in capsys.readouterr().err


@pytest.mark.parametrize("seed", ["-1", "4294967295", "x"])
@pytest.mark.parametrize("command", ["synthesize", "retrain", "segment-train"])
def test_a_seed_that_cannot_be_one_is_refused(command: str, seed: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, f"--seed={seed}"])
    assert f"{seed!r} is not a number from 0 to 2147483647" in capsys.readouterr().err


@pytest.mark.parametrize("share", ["0", "1", "nan", "abc"])
def test_a_margin_that_is_no_share_is_refused(share: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["retrain", "--margin", share])
    assert f"{share!r} is no share between 0 and 1, such as 0.05" in capsys.readouterr().err


@pytest.mark.parametrize("target", [".", "no/such/told.json"])
@pytest.mark.parametrize("command", ["evaluate --bundle {tiny}", "compare {tiny} {tiny}", "bench --bundle {tiny}"])
def test_numbers_that_cannot_be_written_are_refused_before_they_are_measured(
    command: str, target: str, tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = ("--data", str(tmp_path / "none"), "--json", str(tmp_path / target))
    assert main([*command.format(tiny=tiny_bundle).split(), *paths]) == 2
    assert "cannot be written: name a file in a folder that exists" in " ".join(capsys.readouterr().err.split())


def test_numbers_may_lie_in_the_folder_of_a_report_that_is_not_made_yet(
    tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "new" / "report"
    paths = ("--bundle", str(tiny_bundle), "--data", str(tmp_path / "none"), "--report", str(report))
    assert main(["evaluate", *paths, "--json", str(report / "numbers.json")]) == 1
    assert "is not a folder" in " ".join(capsys.readouterr().err.split())  # the data, not where the file is to lie


def test_a_report_that_cannot_be_written_is_refused_before_anything_is_read(
    tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "report").write_text("a file")
    paths = ("--bundle", str(tiny_bundle), "--data", str(tmp_path / "none"))
    assert main(["evaluate", *paths, "--report", str(tmp_path / "report")]) == 1
    assert "(file_exists_error)" in capsys.readouterr().err


def test_masks_without_a_report_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--data", str(tmp_path), "--masks", str(tmp_path)]) == 2
    assert "say with --report where to write it" in " ".join(capsys.readouterr().err.split())


def test_a_path_is_told_as_it_was_given(tiny_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--bundle", str(tiny_bundle), "--data", "/x[left]/[/y]"]) == 1
    assert "/x[left]/[/y] is not a folder." in capsys.readouterr().err


def test_retraining_asks_for_the_table_that_is_missing(
    tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = (
        "--bundle",
        str(tiny_bundle),
        "--images",
        str(tmp_path),
        "--output",
        str(tmp_path / "next"),
        "--members",
        "tiny",
    )
    assert main(["retrain", *paths, "--snapshot", str(tmp_path / "none.csv")]) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert "is not a file: name a table with the columns image_id," in told


def test_warm_says_when_there_is_nothing_to_do(
    tiny_bundle: Path, cache: Path, runtime: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["warm", "--bundle", str(tiny_bundle), "--cache", str(cache)]) == 0
    assert "nothing, the cache was warm" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    told = capsys.readouterr().out
    assert re.search(rf"Examples?:\n  python -m ml {command}\b", told)
    assert max(map(len, told.splitlines())) <= 120


def test_help_reads_from_bundles_that_ship(capsys: pytest.CaptureFixture[str]) -> None:
    told = ""
    for command in COMMANDS:
        with pytest.raises(SystemExit):
            main([command, "--help"])
        told += capsys.readouterr().out
    named = re.findall(r"(?<!--output )\b(ml/bundles/[\w.-]+)", told)
    assert named
    assert [path for path in named if not (Path(__file__).parents[2] / path / "manifest.json").exists()] == []


def test_the_readme_lists_every_command() -> None:
    readme = (Path(__file__).parents[2] / "ml" / "README.md").read_text()
    assert [command for command in COMMANDS if f"| `{command}` |" not in readme] == []


def test_what_is_wrong_with_a_bundle_is_said_without_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["warm", "--bundle", str(tmp_path)]) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert "it is not a bundle" in told
    assert "(bundle_error)" in told


def test_a_bundle_that_is_not_there_is_told_without_a_greeting_by_tensorflow(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ml", "export", "--to", "onnx", "--output", "out", "--bundle", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr == f"{tmp_path} holds no manifest.json: it is not a bundle. (bundle_error)\n"


@pytest.mark.parametrize(
    ("command", "goes_on"),
    [("train ham-cnn --data x --work x --output x", True), ("warm --bundle {tiny}", False)],
)
def test_whoever_stops_a_command_is_told_whether_it_goes_on(
    command: str, goes_on: bool, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ml.recipes.trainer.train", stopped)
    monkeypatch.setattr("ml.runtime.convert.warm", stopped)
    assert main(command.format(tiny=tiny_bundle).split()) == 130
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == "\nStopped." + " The same command goes on from where it was." * goes_on + "\n"


@pytest.mark.parametrize(
    ("file", "where"),
    [
        (["work/state.npz"], "work/state.npz: No space left on device. Make room there."),
        ([], "No space left on device. Make room."),
    ],
)
def test_a_full_disk_is_told_with_how_the_training_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], file: list[str], where: str
) -> None:
    def full(*given: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), *file)

    monkeypatch.setattr("ml.recipes.trainer.train", full)
    assert main(["train", "ham-cnn", "--data", "x", "--work", "work", "--output", "x"]) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert f"{where} The same command goes on from where it was. (os_error)" in told


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("warm --bundle {file}", "holds no manifest.json: it is not a bundle. (bundle_error)"),
        ("synthesize --count 1 --output {file}", "a file stands where a folder is wanted. Name another."),
        ("synthesize --count 1 --output {file}/drawn", "a file stands where a folder is wanted. Name another."),
        ("segment-evaluate --data {data} --segmenter {data}", "holds no manifest.json: it is not a segmenter."),
        ("segment-train --data x --backbones {data} --work {data} --output x", "No ImageNet weights: looked for"),
        ("predict --images {file}.jpg --output x", "file.jpg is one image: put it into a folder, and name the folder."),
        ("predict --images {data}/none --output x", "none does not exist. (no_image_source)"),
        ("predict --images {file} --output x", "file is neither a folder nor a ZIP or HDF5 file."),
        ("retrain --snapshot x --images x --output x --bundle {folder}", "manifest.json: Is a directory."),
    ],
)
def test_what_is_wrong_with_a_path_is_said_in_words(
    command: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "file.jpg").touch()
    (tmp_path / "folder" / "manifest.json").mkdir(parents=True)
    paths = {"file": tmp_path / "file", "folder": tmp_path / "folder", "data": tmp_path}
    assert main(command.format(**paths).split()) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert told in said
    assert "[Errno" not in said


def test_a_defect_keeps_its_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def defect(*given: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("ml.runtime.convert.warm", defect)
    with pytest.raises(ZeroDivisionError):
        main(["warm", "--bundle", str(make_tiny_bundle(tmp_path / "tiny"))])
