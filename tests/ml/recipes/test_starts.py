"""Trainings that go on from a bundle, or are taught by one."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ml.data
from ml import bundle
from ml.bundle import MANIFEST, SEEN, TRAINED, BundleError
from ml.data import examples, splits
from ml.data.errors import DataError
from ml.evaluate import SeenError
from ml.imaging.fingerprint import matches
from ml.imaging.preprocess import FRAME
from ml.progress import JsonProgress
from ml.recipes import trainer
from ml.recipes.recipe import Made, Part
from ml.training import Settings
from tests.ml.recipes.small import TINY, OneEpoch, Stopped, run_of

pytestmark = pytest.mark.usefixtures("unpainted")
GOES_ON = replace(
    TINY,
    members=(Part("tiny", Settings(epochs=1, samples=32), size=(192, 144), imagenet=False),),
    authors_split=None,
    extras=(),
)


def test_what_members_learnt_from_calibrates_nothing(published: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    """The bundle to start from knows a lesion of each class that is of the validation side here."""
    dataset = ml.data.read(published)
    table = splits.assign(dataset.table)
    validation = examples.load(table[table["split"] == "validation"], dataset.images, FRAME)
    some = validation.rows.groupby("dx")["lesion_id"].first()
    known = validation.fingerprints[np.isin(validation.lesions, some)]
    start = shutil.copytree(tiny_bundle, tmp_path / "start")
    for name in (SEEN, TRAINED):
        np.save(start / name, known)

    made = trainer.train(replace(run_of(GOES_ON, published, tmp_path), start=start), JsonProgress())
    card = (made.path / "model_card.md").read_text()
    left_out = int(matches(validation.fingerprints, made.trained).sum())
    assert left_out >= len(known) == 14
    assert f"{len(validation) - left_out} images for validation" in card
    assert f"{left_out} validation images were left out, since members have learnt from them." in card
    assert matches(known, made.trained).all()
    assert not matches(made.seen, made.trained).all()


def test_a_bundle_that_does_not_tell_what_its_members_learnt_from_is_told(
    published: Path, tmp_path: Path, tiny_bundle: Path
) -> None:
    """As the release that ships: all that it has seen would leave no image to calibrate on."""
    dataset = ml.data.read(published)
    start = shutil.copytree(tiny_bundle, tmp_path / "start")
    seen = examples.load(splits.assign(dataset.table), dataset.images, FRAME)
    validation = splits.assign(dataset.table)["split"].to_numpy() == "validation"
    np.save(start / SEEN, seen.fingerprints[validation])
    made = trainer.train(replace(run_of(GOES_ON, published, tmp_path), start=start), JsonProgress())
    told = "of the validation images and keeps no list of those that its members learnt from."
    (sentence,) = (line for line in made.manifest["origin"] if told in line)
    assert sentence.startswith("tiny has seen ")
    assert not made.tells_trained
    assert bundle.load(start).trained.shape == seen.fingerprints[validation].shape


def test_a_bundle_that_is_half_written_over_is_none(published: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    """Weights of one with the stack and thresholds of another would answer, and be wrong."""

    def fails(made: Made) -> list[str]:
        raise OSError("No space left on device")

    shutil.copytree(tiny_bundle, tmp_path / "made")
    run = run_of(replace(GOES_ON, extras=(fails,)), published, tmp_path)
    with pytest.raises(OSError, match="No space"):
        trainer.train(run, JsonProgress())
    with pytest.raises(BundleError, match="not a bundle"):
        bundle.load(run.output)


def test_nothing_to_measure_on_is_told_before_training(published: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    """And the bundle that lies in the output stays one."""
    dataset = ml.data.read(published)
    table = splits.assign(dataset.table)
    start = shutil.copytree(tiny_bundle, tmp_path / "start")
    test = examples.load(table[table["split"] == "test"], dataset.images, FRAME)
    np.save(start / SEEN, test.fingerprints)
    run = replace(run_of(GOES_ON, published, tmp_path), start=start)
    shutil.copytree(tiny_bundle, run.output)
    with pytest.raises(SeenError, match=f"all {len(test)} test images"):
        trainer.train(run, Stopped("the split by lesion"))
    assert bundle.load(run.output).name == "tiny"


@pytest.mark.parametrize("role", ["start", "teacher"])
def test_a_bundle_that_is_learnt_from_is_not_written_over(
    published: Path, tmp_path: Path, tiny_bundle: Path, role: str
) -> None:
    output = shutil.copytree(tiny_bundle, tmp_path / "made")
    run, same = run_of(GOES_ON, published, tmp_path), output / ".." / "made"
    run = replace(run, start=same) if role == "start" else replace(run, teacher=same)
    with pytest.raises(DataError, match="say another --output") as refused:
        trainer.train(run, Stopped("calibrating"))
    assert refused.value.code == "output_holds_the_bundle"


def test_a_member_is_told_as_it_was_fitted(
    published: Path, tmp_path: Path, tiny_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that was fine-tuned is not that of the bundle to start from because another run would keep it."""
    run = replace(run_of(GOES_ON, published, tmp_path), start=tiny_bundle)
    for _ in range(2):
        trainer.train(run, JsonProgress())
    assert "other settings" not in capsys.readouterr().out
    for other in (GOES_ON.reduced(seed=5), GOES_ON.reduced(epochs=3)):
        again = trainer.train(replace(run, recipe=other), JsonProgress())
        told = capsys.readouterr().out
        assert "keeping tiny as it was trained: epochs 1, seed 0" in told
        assert f"other settings of tiny; to train it anew, delete {run.work / 'tiny/by-lesion/tiny.npz'}" in told
        assert again.manifest["seed"] == 0
        assert "starts from tiny: 1 epochs of 32 images" in (again.path / "model_card.md").read_text()
        assert "seed 0." in (again.path / "model_card.md").read_text()
    with pytest.raises(DataError, match="another --keep") as refused:
        trainer.train(replace(run, recipe=GOES_ON.reduced(keep=["tiny"])), Stopped("calibrating"))
    assert refused.value.code == "other_data"


def test_an_interrupted_member_goes_on_as_it_began(published: Path, tmp_path: Path) -> None:
    """The epochs of one schedule and the learning rates of another would be neither."""
    run = run_of(GOES_ON.reduced(epochs=2), published, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        trainer.train(run, OneEpoch())
    for other in (GOES_ON.reduced(epochs=4), GOES_ON.reduced(epochs=2, samples=64), GOES_ON.reduced(epochs=2, seed=1)):
        with pytest.raises(DataError, match=r"tiny\.checkpoint there to train it anew"):
            trainer.train(replace(run, recipe=other), Stopped("calibrating"))
    with pytest.raises(KeyboardInterrupt):
        trainer.train(run, Stopped("calibrating"))


def test_the_licences_of_what_is_learnt_from_are_carried_on(published: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    """And pictures that only stand in a table like HAM10000's are not told as HAM10000."""
    before = {}
    for role in ("start", "teacher"):
        before[role] = shutil.copytree(tiny_bundle, tmp_path / role)
        manifest = json.loads((before[role] / MANIFEST).read_text())
        told = {"name": role, "licence": f"The {role} is for no commerce."}
        (before[role] / MANIFEST).write_text(json.dumps({**manifest, **told}))
    run = replace(run_of(GOES_ON, published, tmp_path), start=before["start"], teacher=before["teacher"])
    made = trainer.train(run, JsonProgress())
    licence = made.manifest["licence"]
    assert "Backbones" not in licence  # it began from none
    assert licence.startswith("Images in HAM10000's layout: the terms of these images hold")
    for role in before:
        assert f"Of {role}, which members learnt from: The {role} is for no commerce." in licence
    card = (made.path / "model_card.md").read_text()
    assert licence in card
    assert "Images in HAM10000's layout, split by lesion: " in card
