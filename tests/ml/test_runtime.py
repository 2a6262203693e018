from pathlib import Path

import numpy as np
import pytest

from ml.classes import CLASSES, MALIGNANT
from ml.ensemble import KerasMember
from ml.imaging.refusal import ImageRefused
from ml.runtime import Runtime
from ml.stack import softmax
from tests.ml.conftest import jpeg
from tests.ml.tiny_bundle import THRESHOLDS, make_tiny_bundle


def photo(rng: np.random.Generator, rows: int = 300, columns: int = 400) -> np.ndarray:
    return rng.integers(0, 256, (rows, columns, 3), dtype=np.uint8)


def test_it_answers_as_keras_does(runtime: Runtime, rng: np.random.Generator) -> None:
    """The member that serves on a GPU gives what OpenVINO gives on a CPU."""
    pixels = [runtime.prepare(jpeg(photo(rng))) for _ in range(4)]
    logits, grids = KerasMember("tiny", runtime.bundle.weights["tiny"], runtime.bundle.size)(np.stack(pixels))
    expected, maps = softmax(logits), softmax(grids)
    malignant = [CLASSES.index(code) for code in MALIGNANT]
    for index, prediction in enumerate(runtime.predict(pixels)):
        np.testing.assert_allclose(list(prediction.probabilities.values()), expected[index], atol=1e-4)
        local = maps[index][..., malignant].sum(axis=-1)
        assert prediction.heatmap.shape == (9, 12)
        np.testing.assert_allclose(prediction.heatmap, local, atol=1e-3)  # the tiny member's grid is the heatmap's


def test_a_prediction_is_whole(runtime: Runtime, rng: np.random.Generator) -> None:
    (prediction,) = runtime.predict([runtime.prepare(jpeg(photo(rng)))])
    assert list(prediction.probabilities) == list(CLASSES)
    assert sum(prediction.probabilities.values()) == pytest.approx(1)
    assert prediction.malignant == pytest.approx(sum(prediction.probabilities[code] for code in MALIGNANT))
    assert prediction.uncertainty == 0  # one member agrees with itself
    assert prediction.advice in ("urgent_referral", "routine_referral", "self_monitor")
    assert (prediction.malignant >= THRESHOLDS["routine_referral"]) == (prediction.advice != "self_monitor")
    assert prediction.heatmap.dtype == np.float32
    assert prediction.heatmap.min() >= 0
    assert prediction.heatmap.max() <= 1


def test_the_answer_does_not_depend_on_the_company(runtime: Runtime, rng: np.random.Generator) -> None:
    pixels = [runtime.prepare(jpeg(photo(rng))) for _ in range(5)]
    together = runtime.predict(pixels)
    for image, prediction in zip(pixels, together, strict=True):
        alone = runtime.predict([image])[0]
        assert alone.malignant == pytest.approx(prediction.malignant, abs=1e-5)
        np.testing.assert_allclose(alone.heatmap, prediction.heatmap, atol=1e-5)
    assert runtime.predict([]) == []


def test_the_heatmap_lies_as_the_photo_does(runtime: Runtime) -> None:
    """A photo and the same photo turned a quarter give one answer, and heatmaps that differ by that turn."""
    wide = np.full((300, 400, 3), 180, dtype=np.uint8)
    wide[30:90, 300:380] = (20, 10, 200)
    tall = np.ascontiguousarray(np.rot90(wide, k=-1))
    landscape, portrait = runtime.predict([runtime.prepare(jpeg(wide)), runtime.prepare(jpeg(tall))])
    assert portrait.heatmap.shape == (12, 9)
    assert portrait.malignant == pytest.approx(landscape.malignant, abs=0.01)
    np.testing.assert_allclose(np.rot90(landscape.heatmap, k=-1), portrait.heatmap, atol=0.05)
    mark = np.abs(portrait.heatmap - np.median(portrait.heatmap))
    row, column = np.unravel_index(mark.argmax(), mark.shape)
    assert row >= 8  # what was right in the wide photo is low in the tall one
    assert column >= 5


def test_a_bad_file_is_refused(runtime: Runtime) -> None:
    with pytest.raises(ImageRefused):
        runtime.prepare(b"no image")


def test_bundles_with_one_member_in_common_share_its_network(
    tmp_path: Path, tiny_bundle: Path, cache: Path, runtime: Runtime
) -> None:
    networks = set(cache.iterdir())
    twin = make_tiny_bundle(tmp_path / "twin", name="another name")
    other = Runtime(twin, cache)
    assert other.bundle.hash != runtime.bundle.hash
    assert set(cache.iterdir()) == networks
    assert other.name == "another name"
    assert other.preprocessing_version == "frame-4x3-v1"
