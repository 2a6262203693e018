from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import ml.data
from ml.bench import Report, Row, Truth, bench, drawn, of_data
from ml.bench.command import show
from ml.bench.ways import LOGITS, WHOLE
from ml.bundle import load
from ml.classes import CLASSES
from ml.cli import main
from ml.data import splits
from ml.imaging.refusal import ImageRefused
from ml.runtime import Runtime
from ml.synthetic import draw, synthesize
from tests.ml.conftest import BF16_TOLERANCE, F32_TOLERANCE, SMALL


def test_ways_are_measured_against_keras(tiny_bundle: Path, cache: Path, runtime: Runtime) -> None:
    truth = Truth(np.arange(14) % 7, np.array([f"L{index}" for index in range(14)]))
    ways, asked = ["keras", "openvino-f32", "openvino-bf16", "runtime", "runtime-decoding"], []
    report = bench(
        load(tiny_bundle),
        drawn(14),
        cache,
        batch=4,
        truth=truth,
        ways=ways,
        advance=lambda: asked.append(1),
    )
    rows = {row.way: cast(Any, row) for row in report.rows}
    assert list(rows) == ways
    assert len(asked) == len(ways)
    assert not any(row.note for row in report.rows)
    assert rows["keras"].ratio == 1
    assert rows["keras"].largest == 0
    assert rows["openvino-f32"].rate == pytest.approx(rows["openvino-f32"].ratio * rows["keras"].rate)
    assert rows["openvino-f32"].largest < 1e-2
    # docs/runtime.md states both: of the probabilities that a bundle answers with, against Keras in float32.
    for way, tolerance in (("openvino-f32", F32_TOLERANCE), ("openvino-bf16", BF16_TOLERANCE)):
        told = rows[way].probabilities
        assert 0 <= told["malignant_median"] <= told["malignant_largest"] <= tolerance
        assert told["class_largest"] <= tolerance
    assert rows["keras"].probabilities == dict.fromkeys(told, 0)
    assert rows["openvino-f32"].probabilities["advice_changed"] == 0
    assert rows["openvino-f32"].costs["balanced_accuracy"][0] == pytest.approx(0, abs=1e-9)
    assert rows["runtime"].largest is None
    assert 50 < rows["runtime"].memory < rows["keras"].memory  # no TensorFlow in it
    assert report.overlap == pytest.approx(rows["runtime-decoding"].rate / rows["runtime"].rate)


def test_the_help_names_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["bench", "--help"])
    named = {line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("  ")}
    assert named >= {*LOGITS, *WHOLE}


def test_a_way_whose_library_is_missing_names_the_package(
    tiny_bundle: Path, cache: Path, runtime: Runtime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "nncf.py").write_text("import not_installed.here")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    images = drawn(2)
    (row,) = bench(load(tiny_bundle), images, cache, train=images, ways=["openvino-int8"]).rows
    assert row.note == (
        "needs not-installed, which serving does not: pip install not-installed in the version of requirements-dev.txt"
    )


def test_a_way_that_fails_says_why_and_stops_no_other(
    tiny_bundle: Path, cache: Path, runtime: Runtime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "nncf.py").write_text("raise ImportError('no nncf here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    images, ways = drawn(2), ["openvino-int8", "runtime"]
    quantised, answered = bench(load(tiny_bundle), images, cache, train=images, ways=ways).rows
    assert quantised.rate is None
    assert quantised.note == "ImportError: no nncf here"
    assert answered.rate is not None
    assert answered.rate > 0


def test_eight_bits_are_not_measured_without_train_images(tiny_bundle: Path, cache: Path, runtime: Runtime) -> None:
    (row,) = bench(load(tiny_bundle), drawn(2), cache, ways=["openvino-int8"]).rows
    assert row.rate is None
    assert row.note == "eight bits take their ranges from train images: say with --data where labelled ones lie"


def test_what_is_answered_is_the_validation_side_and_ranges_come_from_the_train_side(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ml.bench.OF_EACH_CLASS", 3)
    synthesize(7 * 8, tmp_path, size=SMALL)
    dataset = ml.data.read(tmp_path)
    side = splits.assign(dataset.table).set_index("image_id")
    image_of = {dataset.images.read(image_id): image_id for image_id in side.index}
    answered, truth, train = of_data(tmp_path, load(tiny_bundle))
    rows = side.loc[[image_of[image] for image in answered]]
    assert set(rows["split"]) == {"validation"}
    assert [CLASSES[label] for label in truth.labels] == list(rows["dx"])
    assert list(truth.lesions) == list(rows["lesion_id"])
    learnt = side.loc[[image_of[image] for image in train]]
    assert set(learnt["split"]) == {"train"}
    assert set(learnt["dx"].value_counts()) == {3}
    assert side["dx"][side["split"] == "train"].value_counts().min() > 3


def test_an_image_that_cannot_be_read_is_told(tiny_bundle: Path, cache: Path, runtime: Runtime) -> None:
    with pytest.raises(ImageRefused):
        bench(load(tiny_bundle), [b"no image"], cache, ways=["runtime"])


def test_a_folder_without_images_is_told(tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--bundle", str(tiny_bundle), "--images", str(tmp_path)]) == 2
    assert "No image was found." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("classes", "told"),
    [
        (("benign", "malignant"), "is labelled BENIGN, MALIGNANT, and tiny answers MEL, NV,"),
        (("mel", "nv"), "too few lesions to have a validation split: give its images with --images."),
    ],
)
def test_labelled_images_that_no_cost_can_be_told_on_are_refused(
    classes: tuple[str, str], told: str, tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in classes:
        (tmp_path / name).mkdir()
        draw("NV", 0, (96, 72)).save(tmp_path / name / f"{name}.jpg")
    assert main(["bench", "--bundle", str(tiny_bundle), "--data", str(tmp_path)]) == 1
    assert told in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("option", ["--images", "--data"])
def test_an_image_that_cannot_be_measured_on_is_named(
    option: str, tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    synthesize(7 * 4, tmp_path, size=SMALL)
    table = splits.assign(ml.data.read(tmp_path).table)
    damaged = table["image_id"][table["split"] == "validation"].iloc[0]
    (tmp_path / f"{damaged}.jpg").write_bytes(b"")
    assert main(["bench", "--bundle", str(tiny_bundle), option, str(tmp_path)]) == 1
    assert f"{damaged} cannot be read (empty)." in " ".join(capsys.readouterr().err.split())


def test_the_table_says_what_was_not_measured(capsys: pytest.CaptureFixture[str]) -> None:
    moved = {"malignant_median": 0.001, "malignant_largest": 0.02, "class_largest": 0.03, "advice_changed": 0.25}
    rows = [
        Row("keras", 20.0, 1.0, 900.0, 0.0, 0.0, moved, {"malignant_auc": (0.0, 0.0, 0.0)}),
        Row("onnx", note="ModuleNotFoundError: No module named 'onnxruntime'"),
    ]
    show(Report("tiny", "a machine", 2, "2026-11-21", 4, 2, rows, 0.5))
    told = capsys.readouterr().out
    assert "a machine, 2 cores, 2026-11-21" in told
    assert "+0.0000" in told
    assert ["keras", "0.001", "0.02", "0.03", "25.0%"] in [line.replace("│", " ").split() for line in told.splitlines()]
    assert "onnx: ModuleNotFoundError: No module named 'onnxruntime'" in told
    assert "50%" in told
