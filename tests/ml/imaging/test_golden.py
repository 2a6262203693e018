"""What a version's frames are, and that none of their steps can change unnoticed."""

from typing import Any

import cv2
import numpy as np
import pytest

from ml.imaging import field, light, preprocess
from tests.ml.imaging.golden import FILE, PICTURES

MEAN, MOST = 0.05, 2
"""By how much of 255 a frame may differ in the mean, and a pixel at most: processors round a few pixels otherwise."""


def changed() -> list[str]:
    """The pictures whose frames are other than they were."""
    with np.load(FILE) as golden:
        far = {name: np.abs(preprocess.preprocess(PICTURES[name]()) - golden[name].astype(int)) for name in PICTURES}
    return [name for name, distance in far.items() if distance.mean() > MEAN or distance.max() > MOST]


def test_frames_are_what_their_version_says() -> None:
    """If a frame changes, VERSION must, and every bundle with it; `python -m tests.ml.imaging.golden` writes anew."""
    with np.load(FILE) as golden:
        assert golden["version"] == preprocess.VERSION
        assert {*golden} - {"version"} == {*PICTURES}
        assert {(golden[name].shape, golden[name].dtype.name) for name in PICTURES} == {((192, 256, 3), "uint8")}
    assert changed() == []


LARGER = ["bright", "dim", "round_field", "portrait_nearly_black", "square"]


@pytest.mark.parametrize(
    ("step", "instead", "told"),
    [
        ((preprocess, "brightened"), lambda pixels: pixels, ["dim", "portrait_nearly_black"]),
        ((preprocess, "completed"), lambda pixels: pixels, ["round_field"]),
        ((light, "LEAST"), light.LEAST + 2, ["dim"]),
        ((light, "LEAST"), light.LEAST - 2, ["dim"]),
        ((light, "MOST"), light.MOST + 0.1, ["portrait_nearly_black"]),
        ((light, "LEVEL"), 80, ["dim"]),
        ((field, "DEPTH"), 0.11, ["round_field"]),
        ((field, "EDGE"), 0.02, ["round_field"]),
        ((cv2, "INTER_AREA"), cv2.INTER_LINEAR, LARGER),
        ((cv2, "INTER_AREA"), cv2.INTER_CUBIC, LARGER),
        ((cv2, "INTER_AREA"), cv2.INTER_NEAREST, LARGER),
        ((cv2, "INTER_CUBIC"), cv2.INTER_LINEAR, ["enlarged"]),
        ((cv2, "INTER_CUBIC"), cv2.INTER_LANCZOS4, ["enlarged"]),
        ((cv2, "BORDER_REFLECT_101"), cv2.BORDER_REFLECT, ["square"]),
    ],
)
def test_a_step_that_changes_is_noticed(
    monkeypatch: pytest.MonkeyPatch, step: tuple[Any, str], instead: object, told: list[str]
) -> None:
    monkeypatch.setattr(*step, instead)
    assert changed() == told
