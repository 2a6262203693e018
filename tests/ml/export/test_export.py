import contextlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from ml import bundle
from ml.cli import main
from ml.export import backends, check_frames
from ml.imaging.fingerprint import WORDS
from ml.imaging.preprocess import framed, preprocess, scaled
from ml.metrics import METRICS
from ml.metrics.measured import words
from ml.networks.members import VIEWS
from ml.runtime.convert import keras_model
from ml.stack import malignant, softmax
from ml.synthetic import draw, synthesize
from tests.ml.conftest import SMALL, jpeg


@pytest.fixture
def export(tiny_bundle: Path, cache: Path, tmp_path: Path) -> Any:
    """Runs the command and gives the folder written."""

    def run(*arguments: str, code: int = 0) -> Path:
        output = tmp_path / "exported"
        always = ["--bundle", str(tiny_bundle), "--cache", str(cache), "--output", str(output)]
        assert main(["export", *always, *arguments]) == code
        return output

    return run


@pytest.mark.parametrize(("to", "file"), [("onnx", "tiny.onnx"), ("openvino", "tiny.xml"), ("tflite", "tiny.tflite")])
def test_a_member_answers_elsewhere_as_it_serves(export: Any, tiny_bundle: Path, to: str, file: str) -> None:
    output = export("--to", to)
    told = json.loads((output / "export.json").read_text())
    (member,) = told["members"]
    assert (member["file"], member["sha256"]) == (file, bundle.sha256(output / file))
    assert member["largest_difference_of_logits"] <= member["tolerance"]

    loaded = bundle.load(tiny_bundle)
    frames = np.random.default_rng(3).integers(0, 256, (2, 192, 256, 3), dtype=np.uint8)
    wanted = keras_model(loaded.members[0], loaded.frame)(frames, training=False)
    answers = backends.run(to, output / file, frames)
    for name in ("logits", "features"):
        np.testing.assert_allclose(answers[name], np.asarray(wanted[name]), atol=0.02)
    assert answers["maps"].shape == tuple(wanted["maps"].shape)


@pytest.mark.parametrize("members", [1, 2])
def test_the_readme_makes_calibrated_probabilities_of_logits(
    export: Any, tiny_bundle: Path, tmp_path: Path, rng: np.random.Generator, members: int
) -> None:
    """Its code, run beside `export.json`, gives what the bundle's calibration does, and a spread of several members."""
    folder = shutil.copytree(tiny_bundle, tmp_path / "calibrated")
    manifest = json.loads((folder / bundle.MANIFEST).read_text())
    manifest["members"] *= members
    coefficients = rng.normal(size=(7 * members, 7))
    manifest["stack"] = {"coefficients": coefficients.tolist(), "intercept": rng.normal(size=7).tolist()}
    manifest["decision"] = {"bias": rng.normal(size=7).tolist(), "temperature": 1.7}
    (folder / bundle.MANIFEST).write_text(json.dumps(manifest))
    output = export("--to", "openvino", "--bundle", str(folder))

    (code,) = re.findall(r"```python\n(.*?)```", (output / "README.md").read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    with contextlib.chdir(output):
        exec(code, names)  # noqa: S102
    logits = rng.normal(0, 3, (5, members, 7)).astype(np.float32)
    probabilities, decided, p_malignant, *spread = names["answer"](logits)
    calibration = bundle.load(folder).calibration
    wanted = calibration.stack.probabilities(logits)
    np.testing.assert_allclose(probabilities, wanted, atol=1e-6)
    np.testing.assert_allclose(decided, calibration.decision.probabilities(wanted), atol=1e-6)
    np.testing.assert_allclose(p_malignant, malignant(wanted), atol=1e-6)
    wanted_spread = [malignant(softmax(logits)).std(axis=1)] if members > 1 else []
    np.testing.assert_allclose(spread, wanted_spread, atol=1e-6)


@pytest.mark.parametrize("shape", [(450, 600), (600, 450), (300, 300)])
def test_the_folder_alone_makes_the_frame_of_a_round_dim_field(
    export: Any, tmp_path: Path, shape: tuple[int, int]
) -> None:
    """By the README's first step, with its two files run where nothing else of this project is."""
    photo = np.array(draw("NV", 0, shape[::-1])) // 2 + 30
    y, x = np.mgrid[: shape[0], : shape[1]]
    photo[np.hypot(x - shape[1] / 2, y - shape[0] / 2) > 0.42 * max(shape)] = 6
    output = export("--to", "openvino")
    np.save(tmp_path / "photo.npy", scaled(photo))
    code = (
        "import sys, numpy, field, light;"
        "numpy.save(sys.argv[2], light.brightened(field.completed(numpy.load(sys.argv[1]))))"
    )
    paths = [tmp_path / "photo.npy", tmp_path / "finished.npy"]
    subprocess.run([sys.executable, "-c", code, *paths], cwd=output, env={}, check=True)
    finished = np.load(tmp_path / "finished.npy")
    assert finished.max() > scaled(photo).max()
    np.testing.assert_array_equal(framed(finished), preprocess(photo))


def test_an_older_export_leaves_no_file_beside_a_new_one(export: Any, tiny_bundle: Path) -> None:
    output = export("--to", "openvino")
    (output / "own.txt").write_text("of somebody else")
    (output / "tiny.onnx").touch()
    export("--to", "tflite")
    found = {path.name for path in output.iterdir()}
    assert found == {"tiny.tflite", "export.json", "README.md", "field.py", "light.py", "own.txt", "tiny.onnx"}


@pytest.mark.parametrize("told", ["", "{}", "[1]", '{"members": [1]}'])
def test_an_export_does_not_write_over_what_no_export_wrote(
    export: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], told: str
) -> None:
    (tmp_path / "exported").mkdir()
    (tmp_path / "exported" / "export.json").write_text(told)
    assert (export("--to", "openvino", code=1) / "export.json").read_text() == told
    assert "say another --output" in " ".join(capsys.readouterr().err.split())


def test_eight_bits_are_smaller_and_close(export: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And say which images they were not fitted to, since these could not be read."""
    synthesize(7, tmp_path / "representative")
    (tmp_path / "representative" / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing more")
    (tmp_path / "representative" / "._twin.jpg").write_bytes(b"a resource fork")
    whole = (export("--to", "tflite") / "tiny.tflite").read_bytes()
    output = export("--to", "tflite", "--int8", str(tmp_path / "representative"))
    assert len((output / "tiny.tflite").read_bytes()) < len(whole)
    told = json.loads((output / "export.json").read_text())
    assert 0 < told["members"][0]["largest_difference_of_logits"] < 0.2
    assert told["representative"] == {"images": 7, "refused": {"broken": "corrupt"}}
    assert "Images left out since they cannot be read: 1 (broken (corrupt))" in capsys.readouterr().err


def test_labelled_images_tell_what_the_files_lose(
    export: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    synthesize(70, tmp_path / "data", size=SMALL)
    output = export("--to", "openvino", "--data", str(tmp_path / "data"))
    measured = json.loads((output / "export.json").read_text())["measured"]
    assert (measured["images"], measured["lesions"], measured["dropped_seen"]) == (14, 14, 0)
    rows = {row["metric"]: row for row in measured["rows"]}
    assert rows.keys() == METRICS.keys()
    for row in rows.values():
        assert row["exported"]["value"] == pytest.approx(row["bundle"]["value"], abs=1e-3)
    area = words(rows["malignant_auc"]["exported"])
    assert f" | {area} | +0.000" in (output / "README.md").read_text()
    shown = capsys.readouterr().out
    assert "14 images of 14 lesions" in shown
    assert area[:5] in shown


def test_eight_bits_are_not_measured_on_what_they_were_fitted_to(
    export: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    synthesize(70, tmp_path / "data", size=SMALL)
    few = tmp_path / "few"
    few.mkdir()
    for photo in sorted((tmp_path / "data").glob("*.jpg"))[:7]:
        shutil.copy(photo, few)
    in_eight_bits = ("--to", "tflite", "--int8", str(few))
    output = export(*in_eight_bits)
    unmeasured = "What eight bits cost in accuracy was not measured"
    assert unmeasured in (output / "README.md").read_text()
    assert unmeasured in capsys.readouterr().err

    export(*in_eight_bits, "--data", str(tmp_path / "data"), "--split", "all")
    measured = json.loads((output / "export.json").read_text())["measured"]
    assert measured["dropped_seen"] >= 7
    assert measured["images"] + measured["dropped_seen"] == 70
    guide = (output / "README.md").read_text()
    assert unmeasured not in guide + capsys.readouterr().err
    left_out = f"{measured['dropped_seen']} more were left out"
    assert f"bundle has not seen and --int8 took no range from; {left_out}" in " ".join(guide.split())

    export("--to", "tflite", "--int8", str(tmp_path / "data"), "--data", str(tmp_path / "data"), code=1)
    why = "has seen, or --int8 took its ranges from, all 14 test images: name other images."
    assert why in " ".join(capsys.readouterr().err.split())


def test_representative_images_are_spread_over_all(tmp_path: Path) -> None:
    for level in range(5):
        (tmp_path / f"{level}.jpg").write_bytes(jpeg(np.full((75, 100, 3), 180 + 15 * level, np.uint8)))
    frames, prints, _ = backends.representative(tmp_path, (64, 48), 3)
    assert [round((frame.mean() - 180) / 15) for frame in frames] == [0, 2, 4]
    assert prints.shape == (3, WORDS)
    assert len(backends.representative(tmp_path, (64, 48), 9)[0]) == 5


def test_a_file_that_answers_otherwise_fails_loudly(
    export: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = export("--to", "openvino")
    run = backends.run

    def wrong(*given: Any) -> dict[str, np.ndarray]:
        answers = run(*given)
        return {**answers, "logits": answers["logits"] + 0.1}

    monkeypatch.setattr(backends, "run", wrong)
    export("--to", "openvino", code=1)
    assert "differ from those of Keras by up to 0.1, and 0.001 is allowed" in " ".join(capsys.readouterr().err.split())
    assert not (output / "export.json").exists()

    monkeypatch.setattr(backends, "run", lambda *given: {"logits": np.zeros((7, 7))})
    export("--to", "openvino", code=1)
    assert "up to inf" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("fault", ["other weights", "reversed channels"])
def test_a_file_of_another_network_is_not_kept(
    export: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    """The file is sound, and holds the network with somebody else's head, or one that takes BGR for RGB."""
    write = backends.write

    def wrong(to: str, member: Any, frame: Any, target: Path, *, model: Any, **rest: Any) -> None:
        spoilt = keras_model(member, frame)
        if fault == "other weights":
            *kept, head, bias = spoilt.get_weights()
            spoilt.set_weights([*kept, head[..., ::-1], bias])
        else:
            spoilt = keras.Model(spoilt.input, spoilt(spoilt.input[..., ::-1]))
        write(to, member, frame, target, model=spoilt, **rest)

    monkeypatch.setattr(backends, "write", wrong)
    output = export("--to", "onnx", code=1)
    told = " ".join(capsys.readouterr().err.split())
    assert re.search(r"differ from those of Keras by up to \d", told)  # not by infinity: the file can be run
    assert not (output / "export.json").exists()


def test_no_pixel_of_the_check_hangs_on_how_a_runtime_rounds() -> None:
    """None lies near the middle between two grey levels, where the last bit of a resized pixel would decide."""
    release = bundle.load(bundle.shipped())
    frames = check_frames(release.frame).astype(np.float32)
    for member in release.members:
        for view in member.views:
            resized = np.asarray(VIEWS[view](frames, member.size))
            assert np.abs(resized % 1 - 0.5).min() > 0.005


def test_the_release_that_ships_can_be_exported(export: Any) -> None:
    output = export("--to", "onnx", "--bundle", str(bundle.shipped()))
    told = json.loads((output / "export.json").read_text())
    assert len(told["members"]) == len(bundle.load(bundle.shipped()).members)


def test_what_is_not_installed_is_named(
    export: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(backends.NEEDED, "onnx", ("tf2onnx", "not_installed_here"))
    export("--to", "onnx", code=1)
    assert "needs not-installed-here" in " ".join(capsys.readouterr().err.split())


def test_eight_bits_are_for_tflite(export: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export("--to", "onnx", "--int8", str(tmp_path), code=1)
    assert "Eight bits are for tflite" in " ".join(capsys.readouterr().err.split())


def test_eight_bits_need_an_image_to_be_fitted_to(
    export: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    export("--to", "tflite", "--int8", str(photos), code=2)
    assert "No image was found" in " ".join(capsys.readouterr().err.split())
    (photos / "broken.jpg").write_bytes(b"no picture")
    export("--to", "tflite", "--int8", str(photos), code=1)
    assert "no image that can be read" in " ".join(capsys.readouterr().err.split())


def test_the_check_always_sees_the_same_frames() -> None:
    frames = check_frames((256, 192))
    assert frames.shape == (7, 192, 256, 3)
    assert frames.dtype == np.uint8
    np.testing.assert_array_equal(frames, check_frames((256, 192)))
