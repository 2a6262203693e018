"""What a teacher is asked."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ml.data
from ml import bundle, evaluate
from ml.data import examples, splits
from ml.preparation import Preparation
from ml.prepare import prepare
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
    assert np.abs(answers(prepare(frames, Preparation(remove_hair=True))) - answers(frames)).max() > 1e-3
