"""What a teacher is asked."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ml.data
from ml import bundle, evaluate
from ml.data import examples, splits
from ml.data.errors import DataError
from ml.preparation import Preparation
from ml.prepare import prepared
from ml.progress import JsonProgress
from ml.recipes import trainer
from tests.ml.recipes.small import TINY, Stopped, run_of


def test_a_teacher_sees_frames_as_its_own_bundle_wants_them(
    published: Path, tmp_path: Path, tiny_bundle: Path, cache: Path
) -> None:
    """Not as its student does, whose hairs are taken out."""
    student = replace(TINY, authors_split=None, remove_hair=True)
    with pytest.raises(KeyboardInterrupt):
        trainer.train(replace(run_of(student, published, tmp_path), teacher=tiny_bundle), Stopped("training tiny"))
    (kept,) = (tmp_path / "work").rglob("*.teacher.npy")

    dataset, teacher = ml.data.read(published), bundle.load(tiny_bundle)
    table = splits.assign(dataset.table)
    frames = examples.load(table[table["split"] == "train"], dataset.images, teacher.frame).pixels
    ensemble = evaluate.ready(teacher.members, cache, teacher.frame)

    def answers(pixels: np.ndarray) -> np.ndarray:
        return teacher.calibration.stack.probabilities(ensemble.in_batches(pixels).logits)

    np.testing.assert_allclose(np.load(kept), answers(frames), atol=1e-5)
    assert np.abs(answers(prepared(frames, Preparation(remove_hair=True))) - answers(frames)).max() > 1e-3


class Loses(JsonProgress):
    """A picture, when the teacher is asked."""

    def __init__(self, picture: Path) -> None:
        self._picture = picture

    def stage(self, name: str) -> None:
        if name == "asking tiny":
            self._picture.write_bytes(b"no picture")


def test_a_teacher_is_asked_of_every_image_or_not_at_all(published: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    """Answers to all but one would be kept, and fit no later run either."""
    data = shutil.copytree(published, tmp_path / "data")
    table = splits.assign(ml.data.read(data).table)
    lost = table.loc[table["split"] == "train", "image_id"].iloc[0]
    run = replace(run_of(replace(TINY, authors_split=None), data, tmp_path), teacher=tiny_bundle)
    with pytest.raises(DataError, match=f"1 train images, {lost} first") as refused:
        trainer.train(run, Loses(data / f"{lost}.jpg"))
    assert refused.value.code == "unreadable"
    assert not list(run.work.rglob("*.teacher.npy"))
