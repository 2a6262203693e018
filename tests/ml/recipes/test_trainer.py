"""A recipe in small, from a folder in HAM10000's layout to a bundle that serves."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ml import bundle, recipes
from ml.classes import BINARY, SEVEN
from ml.data.errors import DataError
from ml.export import backends
from ml.export.errors import ExportError
from ml.imaging.preprocess import VERSION
from ml.preparation import Preparation
from ml.progress import JsonProgress
from ml.recipes import sides, trainer
from ml.recipes.recipe import Part
from ml.recipes.sides import ByImage
from ml.runtime import Runtime
from ml.stack import StackError
from ml.synthetic import draw
from ml.training import Settings
from ml.training.work_folder import MADE_FROM
from tests.ml.conftest import jpeg
from tests.ml.recipes.small import LESIONS_OF_A_CLASS, QUICK, TINY, Stopped, run_of


def test_a_recipe_becomes_a_bundle_that_says_what_both_splits_measured(published: Path, tmp_path: Path) -> None:
    run = run_of(TINY, published, tmp_path)
    made = trainer.train(run, JsonProgress())

    of_class = round(LESIONS_OF_A_CLASS * 0.15)
    assert made.taxonomy == SEVEN
    assert made.manifest["recipe"] == "tiny"
    assert made.manifest["metrics"]["lesions"] + made.manifest["metrics"]["dropped_seen"] / 2 >= 7 * of_class - 1
    compared = made.manifest["comparison"]
    assert compared["reported"] == {"accuracy": 0.99}
    assert compared["as_authors"]["images"] == 14 * LESIONS_OF_A_CLASS * 0.2
    assert compared["as_authors"]["leaked_images"] > 0.6 * compared["as_authors"]["images"]
    for split in (compared["as_authors"]["everything"], compared["by_lesion"]):
        assert 0 <= split["accuracy"]["low"] <= split["accuracy"]["value"] <= split["accuracy"]["high"] <= 1

    assert compared["as_authors"]["malignant_leaked"] == pytest.approx(3 / 7, abs=0.1)

    card = (run.output / "model_card.md").read_text()
    assert "Nobody published this." in card
    assert "strong augmentation, mixup 0.2, learning rate" in card
    assert "missing_age" in card
    assert "| accuracy | 0.990 | " in card
    assert f"{compared['as_authors']['leaked_images']} of the {compared['as_authors']['images']} test images" in card
    figures = {path.name for path in (run.output / "figures").iterdir()}
    assert figures >= {
        "confusion.png", "curves.png", "reliability.png", "training_tiny.png", "assessment.md", "predictions.png"
    }  # fmt: skip

    (prediction,) = (runtime := Runtime(run.output, tmp_path / "cache")).predict(
        [runtime.prepare(jpeg(np.asarray(draw("NV", 9999))))]
    )
    assert sum(prediction.probabilities.values()) == pytest.approx(1)

    more = TINY.reduced(epochs=50)
    again = trainer.train(replace(run, recipe=more, output=tmp_path / "again"), Stopped("training tiny"))
    assert (tmp_path / "again" / "tiny.npz").read_bytes() == (run.output / "tiny.npz").read_bytes()
    assert "2 epochs of 320 images" in (again.path / "model_card.md").read_text()


def test_an_interrupted_run_keeps_what_it_has(published: Path, tmp_path: Path) -> None:
    run = run_of(TINY, published, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        trainer.train(run, Stopped("the split by lesion"))
    assert (tmp_path / "work" / "tiny" / "by-image" / "tiny.npz").exists()
    assert not (tmp_path / "work" / "tiny" / "by-lesion").exists()


@pytest.mark.parametrize(
    "change", ["a lesion less", "another class", "pictures of another size", "other frames", "no note"]
)
def test_members_that_learnt_from_other_data_are_refused(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Whoever removes a lesion divides the others anew, and some that a finished member learnt from would test it."""
    other = tmp_path / "other"
    other.mkdir()
    for picture in published.glob("*.jpg"):
        (other / picture.name).symlink_to(picture)
    table = pd.read_csv(published / "small_metadata.csv", keep_default_na=False)
    table.to_csv(other / "small_metadata.csv", index=False)
    run = run_of(replace(TINY, authors_split=None), other, tmp_path)
    work = run.work / "tiny" / "by-lesion"
    with pytest.raises(KeyboardInterrupt):
        trainer.train(run, Stopped("training tiny"))
    (work / "teacher").mkdir()
    (work / "teacher" / "0.teacher.npy").touch()
    with pytest.raises(KeyboardInterrupt):
        trainer.train(run, Stopped("training tiny"))  # the same data go on
    if change == "a lesion less":
        table = table[table["lesion_id"] != "L_3"]
    elif change == "another class":
        table.loc[table["lesion_id"] == "L_3", "dx"] = "nv"
    elif change == "pictures of another size":
        for picture in other.glob("*.jpg"):
            with Image.open(picture) as opened:
                resized = opened.resize((144, 108))
            picture.unlink()
            resized.save(picture)
    elif change == "other frames":
        monkeypatch.setattr(trainer, "VERSION", "another")
    else:
        (work / MADE_FROM).unlink()
    table.to_csv(other / "small_metadata.csv", index=False)
    with pytest.raises(DataError, match="Say another --work") as refused:
        trainer.train(run, Stopped("training tiny"))
    assert refused.value.code == "other_data"


def test_a_run_that_kept_nothing_binds_no_later_one(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(replace(TINY, authors_split=None), published, tmp_path)
    for version in ("one", "another"):
        monkeypatch.setattr(trainer, "VERSION", version)
        with pytest.raises(KeyboardInterrupt):
            trainer.train(run, Stopped("training tiny"))


def test_imagenet_weights_are_looked_for_before_any_image_is_read(
    published: Path, tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But not for a member that goes on from a bundle, or is finished on both splits."""
    part = replace(TINY.members[0], size=(192, 144), imagenet=True)
    run = run_of(replace(TINY, members=(part,)), published, tmp_path)

    class Read(Exception):
        pass

    def reads(*given: object) -> None:
        raise Read

    monkeypatch.setattr(sides, "load", reads)
    with pytest.raises(FileNotFoundError, match="tiny starts from ImageNet weights: say with --backbones"):
        trainer.train(run, JsonProgress())
    with pytest.raises(FileNotFoundError, match="No ImageNet weights for tiny"):
        trainer.train(replace(run, backbones=tmp_path), JsonProgress())
    with pytest.raises(Read):
        trainer.train(replace(run, start=tiny_bundle), JsonProgress())
    for split, stops in (("by-lesion", FileNotFoundError), ("by-image", Read)):
        (run.work / "tiny" / split).mkdir(parents=True)
        (run.work / "tiny" / split / "tiny.npz").touch()
        with pytest.raises(stops):
            trainer.train(run, JsonProgress())


@pytest.mark.usefixtures("unpainted")
def test_a_student_learns_malignancy_from_a_teacher_of_seven_classes(
    published: Path, tmp_path: Path, tiny_bundle: Path
) -> None:
    """What the teacher has seen counts as seen by the student."""
    recipe = replace(QUICK, taxonomy=BINARY, remove_hair=True)
    made = trainer.train(replace(run_of(recipe, published, tmp_path), teacher=tiny_bundle), JsonProgress())
    assert made.taxonomy == BINARY
    assert made.preparation == Preparation(remove_hair=True)
    assert len(made.seen) >= len(bundle.load(tiny_bundle).seen)
    assert made.manifest["comparison"]["as_authors"] is None
    card = (made.path / "model_card.md").read_text()
    assert "probabilities of 2 classes" in card
    assert "melanoma" not in card
    assert "Members learn the answers of tiny" in card
    assert "Hairs are taken out of every frame." in card
    assert "Beside its authors" not in card
    assert list((tmp_path / "work").rglob("*.teacher.npy"))


@pytest.mark.usefixtures("unpainted")
def test_members_go_on_from_a_bundle(published: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    """With a step too small to matter, they are what they were."""
    still = Settings(epochs=1, samples=32, learning_rate=1e-12, weight_decay=0, ema=0, freeze_batch_norm=True)
    part = Part("tiny", still, size=(192, 144), imagenet=False)
    recipe = replace(TINY, members=(part,), authors_split=None)
    made = trainer.train(replace(run_of(recipe, published, tmp_path), start=tiny_bundle), JsonProgress())
    before, after = (np.load(folder / "tiny.npz") for folder in (tiny_bundle, made.path))
    for name in before.files:
        np.testing.assert_allclose(before[name], after[name], atol=1e-3)


@pytest.mark.usefixtures("unpainted")
def test_a_member_stays_as_it_was(published: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    """Also one of another version's frames, which the card then tells, with what that one says of itself."""
    older = shutil.copytree(tiny_bundle, tmp_path / "older")
    manifest = (older / "manifest.json").read_text()
    told = {"origin": ["Learnt from the old images."], "ancestors": [{"name": "oldest", "bundle": "0" * 64}]}
    frames = {**json.loads(manifest)["preprocessing"], "version": "frame-before"}
    (older / "manifest.json").write_text(json.dumps({**json.loads(manifest), **told, "preprocessing": frames}))
    for folder, name in ((older, "tiny"), (tmp_path / "made", "another")):
        (folder / "figures").mkdir(parents=True)
        (folder / "figures" / f"training_{name}.png").write_bytes(b"its curves")
    part = Part("tiny", Settings(epochs=2, samples=320), size=(192, 144), imagenet=False)
    recipe = replace(TINY, members=(part,), authors_split=None).reduced(keep=["tiny"])
    made = trainer.train(replace(run_of(recipe, published, tmp_path), start=older), JsonProgress())
    assert (made.path / "tiny.npz").read_bytes() == (tiny_bundle / "tiny.npz").read_bytes()
    assert [path.read_bytes() for path in (made.path / "figures").glob("training_*.png")] == [b"its curves"]
    assert "![training tiny](training_tiny.png)" in (made.path / "figures" / "assessment.md").read_text()
    card = (made.path / "model_card.md").read_text()
    assert "tiny (192 x 144 pixels): weights unchanged from tiny." in card
    assert f"tiny prepares pictures by preprocessing version frame-before, this bundle by {VERSION}." in card
    assert "Learnt from the old images." not in made.manifest["origin"]
    assert "- Learnt from the old images." in card.split("## What it goes on from")[1]
    assert [one["name"] for one in made.manifest["ancestors"]] == ["tiny", "oldest"]


def test_data_of_other_classes_are_refused_before_training(published: Path, tmp_path: Path) -> None:
    benign = tmp_path / "benign"
    for code in ("benign", "malignant"):
        (benign / code).mkdir(parents=True)
        draw("NV", 0, (96, 72)).save(benign / code / f"{code}.jpg")
    with pytest.raises(DataError) as refused:
        trainer.train(run_of(replace(TINY, taxonomy=SEVEN), benign, tmp_path), JsonProgress())
    assert refused.value.code == "wrong_classes"


def test_too_few_lesions_are_refused_before_training(published: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    few.mkdir()
    table = pd.read_csv(published / "small_metadata.csv", keep_default_na=False)[: 2 * 7 * 20]
    table.to_csv(few / "small_metadata.csv", index=False)
    for name in table["image_id"]:
        (few / f"{name}.jpg").symlink_to(published / f"{name}.jpg")
    with pytest.raises(StackError, match="five lesions of each class"):
        trainer.train(run_of(TINY, few, tmp_path), Stopped("the authors' split, by image"))


def test_too_few_lesions_by_the_authors_split_are_refused_before_training(published: Path, tmp_path: Path) -> None:
    """A class has six lesions in the split by lesion, and four images in theirs."""
    run = run_of(replace(TINY, authors_split=ByImage(test=0.2, validation=0.05)), published, tmp_path)
    with pytest.raises(StackError, match=r"five lesions of each class .* --only-by-lesion"):
        trainer.train(run, Stopped("training tiny"))
    with pytest.raises(KeyboardInterrupt):
        trainer.train(replace(run, as_authors=False), Stopped("training tiny"))


def test_an_output_that_cannot_be_written_is_refused_before_training(published: Path, tmp_path: Path) -> None:
    run = run_of(TINY, published, tmp_path)
    run.output.write_text("a file")
    with pytest.raises(FileExistsError, match="made"):
        trainer.train(run, Stopped("the authors' split, by image"))


def test_what_a_recipe_needs_in_the_end_is_looked_for_first(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(backends.NEEDED, "tflite", ("not_installed",))
    with pytest.raises(ExportError, match="needs not-installed"):
        trainer.train(run_of(recipes.named("mobilenetv2-edge"), published, tmp_path), Stopped("reading"))
