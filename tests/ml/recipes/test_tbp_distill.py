"""A student that learns from a teacher with metadata, in small: made-up total body photographs in both layouts."""

from dataclasses import replace
from pathlib import Path

import h5py  # type: ignore[import-untyped]
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from ml import bundle
from ml.classes import BINARY, SEVEN, Taxonomy
from ml.data.errors import DataError
from ml.data.examples import Examples
from ml.data.images import ImageStore
from ml.data.table import Dataset, build
from ml.imaging.preprocess import FRAME
from ml.metrics import Scored
from ml.progress import JsonProgress
from ml.recipes import measures, sides, trainer
from ml.recipes.given import Run
from ml.recipes.recipe import Lesson, Part
from ml.recipes.sides import Sides
from ml.recipes.tbp import benefit
from ml.recipes.tbp.metadata import classifier, learnt
from ml.recipes.tbp.teacher import Teacher
from ml.recipes.tbp_distill import RECIPE, teach
from ml.runtime import Runtime
from ml.synthetic import draw
from ml.training import Settings
from tests.ml.conftest import jpeg
from tests.ml.recipes.small import OneEpoch

BENIGN, MALIGNANT = 200, 60
SIZE = (32, 24)
TINY = replace(
    RECIPE,
    members=(Part("tiny", Settings(epochs=2, samples=128, learning_rate=3e-3), size=SIZE, imagenet=False),),
    benign_per_malignant=3,
)
ROWS = pd.DataFrame(
    {
        "age": [40.0, 60.0, np.nan, 80.0],
        "sex": ["male", "", "female", "male"],
        "site": ["torso", "head", "torso", ""],
        "size_mm": [np.nan] * 4,
    }
)


class Stopped(JsonProgress):
    """Keeps the names of the stages, and interrupts when one begins for the given time."""

    def __init__(self, at: str = "", time: int = 1) -> None:
        self._at, self._time = at, time
        self.stages: list[str] = []

    def stage(self, name: str) -> None:
        self.stages.append(name)
        if name == self._at and self.stages.count(name) == self._time:
            raise KeyboardInterrupt


def write_slice_3d(folder: Path, *, hdf5: bool) -> Path:
    """Crops whose age tells more than they show themselves, some ages missing."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    photos, rows = {}, []
    for number in range(BENIGN + MALIGNANT):
        target = int(number >= BENIGN)
        photos[f"ISIC_{number}"] = jpeg(np.asarray(draw("MEL" if target else "NV", number, (72, 72))))
        rows.append(
            {
                "isic_id": f"ISIC_{number}",
                "target": target,
                "patient_id": f"IP_{number}",
                "age_approx": "" if number % 10 == 0 else 40 + 25 * target + int(rng.integers(10)),
                "sex": ("male", "female", "")[number % 3],
                "anatom_site_general": "posterior torso",
                "clin_size_long_diam_mm": round(3 + target + rng.random(), 2),
                "lesion_id": "",
            }
        )
    pd.DataFrame(rows).to_csv(folder / "train-metadata.csv", index=False)
    if hdf5:
        with h5py.File(folder / "train-image.hdf5", "w") as file:
            for name, photo in photos.items():
                file[name] = np.void(photo)
    else:
        (folder / "train-image").mkdir()
        for name, photo in photos.items():
            (folder / "train-image" / f"{name}.jpg").write_bytes(photo)
    return folder


def lesson_of(taxonomy: Taxonomy, work: Path, epochs: int) -> Lesson:
    """Grey pictures that tell nothing, and ages that tell the class."""
    labels = np.arange(140) % len(taxonomy.codes)
    rows = pd.DataFrame({"age": labels * 10.0, "sex": "male", "site": "", "size_mm": np.nan})
    names = np.arange(140).astype(str)
    grey = np.full((140, *FRAME[::-1], 3), 128, dtype=np.uint8)
    examples = Examples(grey, labels, names, np.zeros((140, 4), np.uint64), rows=rows)
    settings = Settings(epochs=epochs, samples=320, learning_rate=2e-2, label_smoothing=0.0)
    recipe = replace(TINY, members=(Part("tiny", settings, size=SIZE, imagenet=False),))
    return Lesson(recipe, Sides(examples, examples, examples), taxonomy, work, None, None, JsonProgress())


@pytest.mark.usefixtures("unpainted")
def test_a_student_becomes_a_bundle_whose_card_says_what_the_metadata_are_worth(tmp_path: Path) -> None:
    """Interrupted on an HDF5 file, the run goes on from the same images in a folder, and what is fitted stays."""
    in_hdf5, in_folder = (write_slice_3d(tmp_path / name, hdf5=name == "hdf5") for name in ("hdf5", "folder"))
    run = Run(TINY, in_hdf5, tmp_path / "work", tmp_path / "made", draws=20)
    stopped, going_on = Stopped(at="training tiny", time=2), Stopped()
    with pytest.raises(KeyboardInterrupt):
        trainer.train(run, stopped)
    made = trainer.train(replace(run, data=in_folder), going_on)
    training = ["training tiny", "training the teacher", "training tiny"]
    assert [stage for stage in stopped.stages if stage.startswith("training")] == training
    assert [stage for stage in going_on.stages if stage.startswith("training")] == training[2:]
    assert made.taxonomy == BINARY
    assert [member.name for member in made.members] == ["tiny"]
    card = (run.output / "model_card.md").read_text()
    assert "benign_left_out 20" in card
    assert "Of 240 images of the data it is not known which show one lesion" in card
    assert "lesion\nof its own, and the intervals are too narrow." in card, "patients are known, and on one side each"

    origin = made.manifest["origin"]
    (intro,) = (line for line in origin if line.startswith("What the metadata"))
    start = origin.index(intro) + 1
    names = (benefit.METADATA, benefit.IMAGE, benefit.TEACHER, benefit.STUDENT)
    for name, line in zip(names, origin[start:], strict=False):
        assert line.startswith((f"{name}: malignant AUC 0.", f"{name}: malignant AUC 1."))
        assert "pAUC above 80 % sensitivity 0." in line
    assert [line.split(" minus")[0] for line in origin[start + 4 :]] == [benefit.TEACHER, benefit.STUDENT]

    runtime = Runtime(run.output, tmp_path / "cache")
    (answer,) = runtime.predict([runtime.prepare(jpeg(np.asarray(draw("NV", 9999))))])
    assert set(answer.probabilities) == set(BINARY.codes)


@pytest.mark.parametrize("taxonomy", [BINARY, SEVEN])
def test_a_teacher_knows_what_only_the_metadata_tell(taxonomy: Taxonomy, tmp_path: Path) -> None:
    lesson = lesson_of(taxonomy, tmp_path, epochs=6)
    train = lesson.sides.train
    teacher = Teacher(lesson)
    right = (teacher.logits(train).argmax(axis=1) == train.labels).mean()
    assert right > 1.5 / len(taxonomy.codes)
    np.testing.assert_array_equal(teacher.logits(train), Teacher(lesson).logits(train))


def test_soft_labels_hold_the_label_and_the_softened_answer(tmp_path: Path) -> None:
    lesson = lesson_of(BINARY, tmp_path, epochs=1)
    soft = teach(lesson)
    np.testing.assert_allclose(soft.sum(axis=1), 1, atol=1e-6)
    of_label = soft[np.arange(len(soft)), lesson.sides.train.labels]
    assert (of_label >= 0.3).all(), "the label's own weight"
    logits = Teacher(lesson).logits(lesson.sides.train)[0]
    expected = 0.7 / (1 + np.exp((logits[1] - logits[0]) / 2))
    assert soft[0, 0] == pytest.approx(expected + 0.3, abs=1e-5)


def test_a_student_is_told_beside_none_that_was_fitted_otherwise(tmp_path: Path) -> None:
    """More epochs would count as the worth of the metadata. An interrupted teacher goes on as it began, too."""
    work = tmp_path / "teacher"
    lesson, longer = lesson_of(BINARY, work, epochs=1), lesson_of(BINARY, work, epochs=2)
    never = Stopped(at="training tiny")
    benefit.image_alone(lesson)
    with pytest.raises(DataError, match="its twin and its teacher") as refused:
        teach(replace(longer, progress=never))
    assert (refused.value.code, never.stages) == ("other_data", [])
    with pytest.raises(KeyboardInterrupt):
        Teacher(replace(lesson, progress=OneEpoch()))
    with pytest.raises(DataError, match=r"teacher\.checkpoint there"):
        Teacher(longer)
    teach(lesson)
    (work / "image-alone" / "tiny.npz").unlink()
    with pytest.raises(DataError, match="its twin and its teacher"):
        teach(longer)


def test_missing_metadata_are_the_median_or_unknown_and_say_so() -> None:
    metadata = learnt(ROWS)
    vectors = metadata.vectors(ROWS)
    assert vectors.shape == (4, metadata.width)
    assert vectors.dtype == np.float32
    age, age_missing, size, size_missing = vectors[:, :4].T
    spread = np.std([40, 60, 80])
    np.testing.assert_allclose(age, np.array([-20, 0, 0, 20]) / spread, rtol=1e-6)
    assert age_missing.tolist() == [0, 0, 1, 0]
    assert size.tolist() == [0] * 4
    assert size_missing.tolist() == [1] * 4
    female, male, no_sex, head, torso, no_site = vectors[:, 4:].T
    assert (female + male + no_sex).tolist() == [1] * 4
    assert no_sex.tolist() == [0, 1, 0, 0]
    assert (head + torso + no_site).tolist() == [1] * 4
    assert no_site.tolist() == [0, 0, 0, 1]


def test_a_site_that_the_train_side_never_had_is_unknown() -> None:
    vectors = learnt(ROWS).vectors(ROWS.assign(site="knee"))
    assert vectors[:, -3:].tolist() == [[0, 0, 1]] * 4


def test_a_classifier_of_metadata_ranks_by_age() -> None:
    rows = pd.DataFrame({"age": np.arange(40.0), "sex": "", "site": "", "size_mm": 1.0})
    labels = (np.arange(40) >= 35).astype(int)
    vectors = learnt(rows).vectors(rows)
    assert roc_auc_score(labels, classifier(vectors, labels).predict_log_proba(vectors)[:, 1]) == 1


def test_the_partial_area_is_that_of_the_challenge() -> None:
    """As published: scikit-learn's standardised area of the curve turned about its other diagonal, rescaled."""
    rng = np.random.default_rng(0)
    labels = (rng.random(400) < 0.1).astype(int)
    p = np.round(np.clip(0.3 * labels + 0.7 * rng.random(400), 0, 1), 2)
    scored = Scored(np.stack([1 - p, p], axis=1), labels, np.arange(400).astype(str), 0.5, BINARY)
    weight = rng.integers(0, 3, 400).astype(float)
    for weights in (np.ones(400), weight):
        scaled = roc_auc_score(1 - labels, -p, max_fpr=0.2, sample_weight=weights)
        expected = 0.5 * 0.2**2 + (0.2 - 0.5 * 0.2**2) / (1.0 - 0.5) * (scaled - 0.5)
        assert measures.partial_auc(scored, weights) == pytest.approx(expected)
    assert np.isnan(measures.partial_auc(scored, 1.0 - labels))
    blind = Scored(np.full((400, 2), 0.5), labels, scored.lesions, 0.5, BINARY)
    assert measures.partial_auc(blind, np.ones(400)) == pytest.approx(0.02)
    sure = Scored(np.eye(2)[labels], labels, scored.lesions, 0.5, BINARY)
    assert measures.partial_auc(sure, np.ones(400)) == pytest.approx(0.2)


def test_a_teacher_starts_from_what_its_student_starts_from(tmp_path: Path, tiny_bundle: Path) -> None:
    """Else the two would differ in more than the metadata. With a step too small to matter, it is what it was."""
    lesson = lesson_of(SEVEN, tmp_path, 1)
    part = lesson.recipe.members[0]
    still = replace(part, settings=replace(part.settings, samples=32, learning_rate=1e-12, weight_decay=0, ema=0))
    Teacher(replace(lesson, recipe=replace(TINY, members=(still,)), start=bundle.load(tiny_bundle)))
    before, after = (np.load(path) for path in (tiny_bundle / "tiny.npz", tmp_path / "teacher.npz"))
    first = next(name for name in after.files if after[name].shape == before["0000"].shape)
    np.testing.assert_allclose(after[first], before["0000"], atol=1e-3)


def test_a_surplus_of_benign_images_is_left_out_and_counted(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"I_{number}.jpg").write_bytes(b"")
    names = [f"I_{number}" for number in range(20)]
    frame = pd.DataFrame({"image_id": names, "lesion_id": names, "dx": ["MALIGNANT"] * 2 + ["BENIGN"] * 18})
    dataset: Dataset = build(frame, ImageStore(tmp_path), BINARY)
    thinned = sides.thinned(dataset, 5)
    assert thinned.table["dx"].value_counts().to_dict() == {"BENIGN": 10, "MALIGNANT": 2}
    assert thinned.problems["benign_left_out"] == 8
    assert thinned.table["image_id"].tolist() == sides.thinned(dataset, 5).table["image_id"].tolist()
    assert sides.thinned(dataset, 9) is dataset


def test_the_worth_of_metadata_is_told_with_its_sign() -> None:
    rng = np.random.default_rng(1)
    labels = np.arange(200) % 2

    def scored(signal: float) -> Scored:
        p = np.clip(0.5 + signal * (labels - 0.5) + 0.3 * rng.standard_normal(200), 0, 1)
        return Scored(np.stack([1 - p, p], axis=1), labels, np.arange(200).astype(str), 0.5, BINARY)

    answers = {
        benefit.METADATA: scored(0.3),
        benefit.IMAGE: scored(0.1),
        benefit.TEACHER: scored(0.9),
        benefit.STUDENT: scored(0.0),
    }
    lines = benefit.told(answers, 50)
    assert "200 test images (100 malignant)" in lines[0]
    assert lines[-2].startswith("teacher, image and metadata minus image alone, paired by lesion: malignant AUC +0.")
    assert lines[-1].startswith("student minus image alone, paired by lesion: malignant AUC -0.")


def test_images_that_do_not_determine_the_worth_of_metadata_end_no_training() -> None:
    """A test side without a malignant lesion, as a small one may be."""
    benign = Scored(np.full((9, 2), 0.5), np.zeros(9, int), np.arange(9).astype(str), 0.5, BINARY)
    names = (benefit.METADATA, benefit.IMAGE, benefit.TEACHER, benefit.STUDENT)
    lines = benefit.told(dict.fromkeys(names, benign), 20)
    undetermined = "malignant AUC not determined, pAUC above 80 % sensitivity not determined."
    assert lines[1:5] == [f"{name}: {undetermined}" for name in names]
    assert lines[-1] == f"student minus image alone, paired by lesion: {undetermined}"
