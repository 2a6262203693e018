"""The recipes as they are written down, and the pieces that they are made of."""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml import recipes
from ml.bundle import MANIFEST
from ml.classes import BINARY, EIGHT, SEVEN, Taxonomy
from ml.data.errors import DataError
from ml.metrics import Scored
from ml.networks import members
from ml.recipes import command, distillation, measures, sides, tbp_distill
from ml.recipes.sides import ByImage
from ml.training import LOSSES, SAMPLING
from ml.training.augment import STRENGTHS, Strength


@pytest.mark.parametrize("name", recipes.NAMES)
def test_a_recipe_asks_for_nothing_that_is_not_there(name: str) -> None:
    recipe = recipes.named(name)
    assert recipe.name == name
    assert set(recipe.reported) <= set(measures.MEASURES)
    for part in recipe.members:
        assert part.name in members.ARCHITECTURES
        assert set(part.views) <= set(members.VIEWS)
        assert part.settings.loss in LOSSES
        assert part.settings.sampling in SAMPLING
        assert part.settings.augmentation in STRENGTHS


WRITTEN = """
release|mobilenet_v2|192 144 imagenet|8 None 32|cross_entropy sqrt strong|0.0005 0.02 0.05 0.99 0.3
release|efficientnet_lite0|192 144 imagenet|8 None 32|cross_entropy sqrt strong|0.0005 0.02 0.05 0.99 0.3
release|efficientnet_lite2|224 168 imagenet|8 None 32|cross_entropy sqrt strong|0.0005 0.02 0.05 0.99 0.3
release|mobilenet|192 144 imagenet|6 None 32|cross_entropy sqrt strong|0.0005 0.02 0.05 0.99 0.3
lesionlens|mobilenet|192 144 imagenet|40 None 32|cross_entropy balanced strong|0.0007 0.02 0.05 0.99 0.0
lesionlens|densenet121|192 144 random|80 None 32|cross_entropy balanced strong|0.001 0.02 0.05 0.99 0.0
lesionlens|densenet169|192 144 random|80 None 32|cross_entropy balanced strong|0.001 0.02 0.05 0.99 0.0
lesionlens|nasnet_mobile|192 144 random|80 None 32|cross_entropy balanced strong|0.001 0.02 0.05 0.99 0.0
ham-cnn|plain|128 128 random|40 None 32|cross_entropy balanced geometric|0.001 0.0 0.0 0.0 0.0
mobilenetv2-binary|mobilenet_v2_dense64|192 144 imagenet|10 None 32|cross_entropy none slight|0.001 0.0 0.0 0.0 0.0
mobilenetv2-edge|mobilenet_v2|192 144 imagenet|20 None 32|focal balanced strong|0.0007 0.02 0.0 0.99 0.0
tbp-distill|mobilenet_v2|128 96 imagenet|16 8192 32|cross_entropy sqrt strong|0.0007 0.02 0.0 0.99 0.0
"""
"""Recipe, member; width, height, start; epochs, samples, batch; loss, sampling, augmentation; learning rate, weight
decay, label smoothing, moving average, mixup.
"""


@pytest.mark.parametrize("name", recipes.NAMES)
def test_a_recipe_trains_as_it_is_written(name: str) -> None:
    """As its authors did where they say it: a constant that changes by accident changes what the figures are of."""
    told = []
    for part in recipes.named(name).members:
        used, start = part.settings, "imagenet" if part.imagenet else "random"
        cells = (
            (name,), (part.name,), (*part.size, start), (used.epochs, used.samples, used.batch),
            (used.loss, used.sampling, used.augmentation),
            (used.learning_rate, used.weight_decay, used.label_smoothing, used.ema, used.mixup),
        )  # fmt: skip
        told.append([" ".join(map(str, cell)) for cell in cells])
    rows = [[cell.strip() for cell in line.split("|")] for line in WRITTEN.strip().splitlines()]
    assert told == [row for row in rows if row[0] == name]
    frozen, constant = (name == "mobilenetv2-binary"), name in ("ham-cnn", "mobilenetv2-binary")
    for part in recipes.named(name).members:
        assert (part.settings.freeze_backbone, part.settings.cosine) == (frozen, not constant)


SEVENTY = ByImage(test=0.2, validation=0.1)


@pytest.mark.parametrize(
    ("name", "split", "taxonomy", "frames"),
    [
        ("release", None, None, "sharp"),
        ("lesionlens", SEVENTY, BINARY, "hairless masked"),
        ("ham-cnn", SEVENTY, None, ""),
        ("mobilenetv2-binary", ByImage(test=0.2, validation=0.08), BINARY, ""),
        ("mobilenetv2-edge", SEVENTY, None, "masked"),
        ("tbp-distill", None, None, ""),
    ],
)
def test_a_recipe_divides_and_prepares_as_it_is_written(
    name: str, split: ByImage | None, taxonomy: Taxonomy | None, frames: str
) -> None:
    recipe = recipes.named(name)
    assert (recipe.authors_split, recipe.taxonomy) == (split, taxonomy)
    done = {"hairless": recipe.remove_hair, "masked": recipe.mask, "sharp": recipe.sharp_copies}
    assert " ".join(what for what, is_done in done.items() if is_done) == frames
    assert recipe.benign_per_malignant == (50 if name == "tbp-distill" else None)
    assert bool(recipe.differs) == (name != "release")


def test_networks_and_views_are_as_recipes_write_them() -> None:
    """Dense 64, a dropout of 0.3 and pixels in [0, 1]; a rotation by 20 degrees and a zoom by a fifth."""
    assert members.ARCHITECTURES["mobilenet_v2_dense64"].hidden == 64
    assert members.ARCHITECTURES["plain"].unit_range
    assert members.build("plain", (128, 128)).get_layer("dropout").rate == 0.3
    assert STRENGTHS["slight"] == Strength(np.deg2rad(20), (0.8, 1.2))
    assert STRENGTHS["geometric"] == Strength(np.pi, (0.8, 1.2))
    assert (tbp_distill.TEMPERATURE, distillation.TRUST) == (2.0, 0.7)


def test_a_recipe_is_reduced_for_a_small_machine() -> None:
    small = recipes.named("lesionlens").reduced(("nasnet_mobile", "mobilenet"), epochs=2, samples=64, seed=5)
    assert [part.name for part in small.members] == ["nasnet_mobile", "mobilenet"]
    assert [part.settings.seed for part in small.members] == [5, 6]
    assert {(part.settings.epochs, part.settings.samples) for part in small.members} == {(2, 64)}
    assert small.reduced().members[0].settings.samples == 64


def test_an_unknown_recipe_is_refused() -> None:
    with pytest.raises(KeyError):
        recipes.named("trainer")


def test_a_split_by_image_keeps_the_shares_of_each_class() -> None:
    table = pd.DataFrame({"dx": ["NV"] * 400 + ["MEL"] * 50}, index=[f"I_{row}" for row in range(450)])
    side = sides.by_image(table, ByImage(test=0.2, validation=0.08))
    assert side[table["dx"] == "NV"].value_counts().to_dict() == {"train": 288, "test": 80, "validation": 32}
    assert side[table["dx"] == "MEL"].value_counts().to_dict() == {"train": 36, "test": 10, "validation": 4}
    assert (side == sides.by_image(table, ByImage(test=0.2, validation=0.08))).all()


def test_precision_and_f1_weigh_classes_by_their_images() -> None:
    """Worked by hand: three benign images of which one is called malignant, and one malignant that is found."""
    named = np.array([0, 0, 1, 1])
    scored = Scored(np.eye(2)[named], np.array([0, 0, 0, 1]), np.arange(4).astype(str), 0.5, BINARY)
    once = np.ones(4)
    assert measures.MEASURES["recall"](scored, once) == pytest.approx(3 / 4)
    assert measures.precision(scored, once) == pytest.approx(3 / 4 * 1 + 1 / 4 * 1 / 2)
    assert measures.f1(scored, once) == pytest.approx(3 / 4 * 4 / 5 + 1 / 4 * 2 / 3)
    assert np.isnan(measures.f1(scored, np.zeros(4)))


def test_the_table_sets_each_way_beside_the_authors() -> None:
    scored = Scored(np.eye(2)[[0, 1]], np.array([0, 1]), np.array(["a", "b"]), 0.5, BINARY)
    lines = measures.table({"accuracy": 0.9}, {"(a)": measures.measured(scored, 20)})
    assert lines[0] == "| metric | authors report | (a) |"
    assert "| accuracy | 0.900 | 1.000 (0.342 to 1.000) |" in lines
    assert "| F1, weighted | – | 1.000 |" in lines


def test_a_teacher_speaks_the_language_of_its_student() -> None:
    answers = np.array([[0.1, 0.5, 0.1, 0.1, 0.2, 0.0, 0.0]])
    np.testing.assert_allclose(distillation.in_taxonomy(answers, SEVEN, BINARY), [[0.7, 0.3]])
    np.testing.assert_allclose(distillation.in_taxonomy(answers, SEVEN, EIGHT), [[*answers[0], 0]])
    with pytest.raises(DataError):
        distillation.in_taxonomy(np.array([[0.4, 0.6]]), BINARY, SEVEN)


def test_soft_labels_lie_between_the_teacher_and_the_label() -> None:
    np.testing.assert_allclose(distillation.mixed(np.array([[0.5, 0.5]]), np.array([1]), trust=0.6), [[0.3, 0.7]])


def test_a_member_that_the_recipe_or_the_start_lacks_is_named(tmp_path: Path, tiny_bundle: Path) -> None:
    """Before anything is read: nothing of such a start would come into the network."""
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    other = shutil.copytree(tiny_bundle, tmp_path / "other")
    manifest = json.loads((other / MANIFEST).read_text())
    manifest["members"][0]["name"] = "plain"
    (other / MANIFEST).write_text(json.dumps(manifest))
    for asked, said in (
        (("--members", "plain,resnet"), "ham-cnn has no resnet, only plain"),
        (("--keep", "plain"), "--start gives no plain"),
        (("--start", str(tiny_bundle)), "--start gives tiny, and no member of ham-cnn goes on from these"),
        (("--start", str(other), "--keep", "plain,tiny"), "--start gives no tiny that ham-cnn could keep"),
    ):
        paths = [word for name in ("data", "work", "output") for word in (f"--{name}", str(tmp_path))]
        with pytest.raises(DataError, match=said) as refused:
            command.run(parser.parse_args(["ham-cnn", *paths, *asked]))
        assert refused.value.code == "unknown_member"
