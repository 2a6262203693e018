"""An exported folder of a bundle that prepares its frames answers as the service does, where nothing else of this
project is.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ml import bundle
from ml.cli import main
from ml.imaging.preprocess import Size
from ml.preparation import Preparation
from ml.runtime import Runtime, ensemble
from ml.segmentation import eight_bits
from ml.segmentation.segmenter import shipped
from ml.synthetic import draw, synthesize

Answers = Callable[[Path], np.ndarray]

TOLERANCE, TOLERANCE_IN_8_BITS = 0.01, 0.035
"""Of a class's probability, against the runtime in float32."""

SHARPER = 10
"""By how much the stack widens what the tiny network tells apart, which is little."""

ALONE = """
import importlib.util, json, re, sys
import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter
import field, light

for code in re.findall(r"```python\\n(.*?)```", open("README.md").read(), re.DOTALL):
    exec(code)


def opened(file, given):
    network = Interpreter(file).get_signature_runner()
    return lambda pictures: np.concatenate([network(**{given: picture[None]})["logits"] for picture in pictures])


told = json.load(open("export.json"))
photos = [cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB) for path in sys.argv[2:]]
fitting = [cv2.resize(photo, (256, 192), interpolation=cv2.INTER_AREA) for photo in photos]
frames = np.stack([light.brightened(field.completed(small)) for small in fitting])
segmenter = told["segmenter"] and opened(told["segmenter"]["file"], told["segmenter"]["input"]["name"])
frames = prepared(frames, segmenter) if segmenter else prepared(frames)
logits = np.stack([opened(member["file"], "frame")(frames) for member in told["members"]], axis=1)
np.save(sys.argv[1], answer(logits)[0])
assert importlib.util.find_spec("ml") is None
assert not {"tensorflow", "keras", "openvino", "PIL"} & {*sys.modules}
"""


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """With hairs across them."""
    folder = tmp_path / "photos"
    folder.mkdir()
    paths = []
    for seed, code in enumerate(("MEL", "NV", "BCC")):
        pixels = np.array(draw(code, seed, (600, 450)))
        pixels[:, 150:600:90] = pixels[:, 151:600:90] = 30
        paths.append(folder / f"{code}.png")
        Image.fromarray(pixels).save(paths[-1])
    return paths


def told_as(tiny_bundle: Path, folder: Path, **facts: Any) -> Path:
    """The tiny bundle with other facts in its manifest."""
    manifest = json.loads((tiny_bundle / bundle.MANIFEST).read_text())
    shutil.copytree(tiny_bundle, folder)
    (folder / bundle.MANIFEST).write_text(json.dumps({**manifest, **facts}))
    return folder


@pytest.fixture
def answers(cache: Path, photos: list[Path], monkeypatch: pytest.MonkeyPatch) -> Answers:
    """The probabilities of a bundle for the photos, (n, classes), in float32."""
    monkeypatch.setattr(ensemble, "native_precision", lambda: "f32")

    def of(folder: Path) -> np.ndarray:
        runtime = Runtime(folder, cache)
        said = runtime.predict([runtime.prepare(path.read_bytes()) for path in photos])
        return np.array([list(one.probabilities.values()) for one in said])

    return of


@pytest.fixture
def sharp(tiny_bundle: Path, answers: Answers) -> dict[str, Any]:
    """The numbers of a stack that tells the photos apart."""
    usual = np.log(answers(tiny_bundle).mean(axis=0))
    return {"coefficients": (SHARPER * np.eye(7)).tolist(), "intercept": (-SHARPER * usual).tolist()}


@pytest.mark.parametrize(
    ("preparation", "int8"),
    [
        (Preparation(remove_hair=True), False),
        (Preparation(remove_hair=True, segmenter=shipped().name), False),
        (Preparation(segmenter=shipped().name), True),
    ],
    ids=["hair", "both", "skin in 8 bits"],
)
def test_the_folder_alone_answers_as_the_service(
    tiny_bundle: Path,
    tmp_path: Path,
    photos: list[Path],
    answers: Answers,
    sharp: dict[str, Any],
    *,
    preparation: Preparation,
    int8: bool,
) -> None:
    untouched = told_as(tiny_bundle, tmp_path / "untouched", stack=sharp)
    prepared = told_as(tiny_bundle, tmp_path / "prepared", stack=sharp, preparation=vars(preparation))
    output = tmp_path / "exported"
    command = ["export", "--bundle", str(prepared), "--output", str(output), "--to", "tflite"]
    assert main([*command, *(["--int8", str(photos[0].parent)] if int8 else [])]) == 0
    subprocess.run([sys.executable, "-c", ALONE, tmp_path / "said.npy", *photos], cwd=output, env={}, check=True)
    wanted, tolerance = answers(prepared), TOLERANCE_IN_8_BITS if int8 else TOLERANCE
    np.testing.assert_allclose(np.load(tmp_path / "said.npy"), wanted, atol=tolerance)
    assert np.abs(wanted - answers(untouched)).max() > tolerance, "what is done to frames shows"


def test_what_eight_bits_cost_is_measured_behind_their_own_outlines(
    tiny_bundle: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    blanking = eight_bits.blanking

    def watched(file: Path, size: Size) -> eight_bits.Frames:
        asked.append(file)
        return blanking(file, size)

    monkeypatch.setattr(eight_bits, "blanking", watched)
    for name, first in (("few", 70), ("data", 0)):
        synthesize(7, tmp_path / name, seed=first)
    prepared = told_as(tiny_bundle, tmp_path / "prepared", preparation=vars(Preparation(segmenter=shipped().name)))
    command = ["export", "--bundle", str(prepared), "--cache", str(cache), "--output", str(tmp_path / "exported")]
    data = ["--data", str(tmp_path / "data"), "--split", "all"]
    assert main([*command, "--to", "tflite", "--int8", str(tmp_path / "few"), *data]) == 0
    told = json.loads((tmp_path / "exported" / "export.json").read_text())
    assert asked == [tmp_path / "exported" / told["segmenter"]["file"]]
    assert told["measured"]["images"] > 0


@pytest.mark.parametrize("to", ["onnx", "openvino"])
def test_the_segmenter_goes_along_to_every_runtime(tiny_bundle: Path, cache: Path, tmp_path: Path, to: str) -> None:
    prepared = told_as(tiny_bundle, tmp_path / "prepared", preparation=vars(Preparation(segmenter=shipped().name)))
    command = ["export", "--bundle", str(prepared), "--cache", str(cache), "--output", str(tmp_path / "exported")]
    assert main([*command, "--to", to]) == 0
    told = json.loads((tmp_path / "exported" / "export.json").read_text())
    assert told["segmenter"]["sha256"] == bundle.sha256(tmp_path / "exported" / told["segmenter"]["file"])
    assert 0 < told["segmenter"]["largest_difference_of_logits"] < 0.001
    assert main([*command, "--bundle", str(tiny_bundle), "--to", to]) == 0
    left = {path.name for path in (tmp_path / "exported").iterdir()}
    assert not {told["segmenter"]["file"], "outline.py", "focus.py"} & left, "nothing of the older export stays"
