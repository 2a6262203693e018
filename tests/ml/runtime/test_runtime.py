import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ml.assess import not_lesions, novelty
from ml.bundle import NOVELTY
from ml.classes import CLASSES, MALIGNANT
from ml.data.examples import load
from ml.data.images import ImageStore
from ml.imaging.preprocess import FRAME, fit, framed
from ml.imaging.refusal import ImageRefused
from ml.runtime import Runtime, ensemble
from ml.runtime.ensemble import Answers, KerasNetwork, heat
from ml.stack import softmax
from ml.synthetic import draw
from tests.ml.conftest import jpeg
from tests.ml.imaging.golden import PICTURES
from tests.ml.tiny_bundle import THRESHOLDS, make_tiny_bundle


def photo(rng: np.random.Generator, rows: int = 300, columns: int = 400) -> np.ndarray:
    return rng.integers(0, 256, (rows, columns, 3), dtype=np.uint8)


@pytest.mark.parametrize("turned", [1, 6])
def test_training_and_serving_see_the_very_same_frames(runtime: Runtime, tmp_path: Path, turned: int) -> None:
    """Of the same files, also of photos that say how they were held."""
    told = Image.Exif()
    told[0x0112] = turned
    for name, picture in PICTURES.items():
        Image.fromarray(picture()).save(tmp_path / f"{name}.jpg", quality=90, exif=told)
    store = ImageStore(tmp_path)
    table = pd.DataFrame({"image_id": list(PICTURES), "lesion_id": list(PICTURES), "dx": "MEL"})
    learnt = load(table, store, runtime.bundle.frame)
    assert learnt.refused == {}
    for name, pixels in zip(PICTURES, learnt.pixels, strict=True):
        np.testing.assert_array_equal(pixels, framed(runtime.prepare(store.read(name)), runtime.bundle.frame))


def test_it_answers_as_keras_does(runtime: Runtime, rng: np.random.Generator) -> None:
    """The member that serves on a GPU gives what OpenVINO gives on a CPU, as near as bfloat16 comes."""
    pixels = [runtime.prepare(jpeg(photo(rng))) for _ in range(4)]
    (member,) = runtime.bundle.members
    logits, grids, _ = KerasNetwork(member, runtime.bundle.frame)(np.stack(pixels))
    expected = softmax(logits)
    for index, prediction in enumerate(runtime.predict(pixels)):
        np.testing.assert_allclose(list(prediction.probabilities.values()), expected[index], atol=0.02)
        assert prediction.heatmap.shape == (9, 12)
        np.testing.assert_allclose(prediction.heatmap, heat([grids], expected.argmax(axis=1))[index], atol=0.03)


def test_heat_is_where_a_class_stands_out() -> None:
    """A place that speaks for another class shows nothing; an even map is cold; members are averaged."""
    even, spotted = np.zeros((2, 1, 9, 12, 7), np.float32)
    spotted[0, 2, 3, CLASSES.index("MEL")] = 60
    spotted[0, 5, 6, CLASSES.index("NV")] = 50
    named = np.array([CLASSES.index("MEL")])
    alone = heat([spotted], named)[0]
    assert alone[2, 3] == 1
    assert alone.sum() == 1
    np.testing.assert_array_equal(heat([spotted, even], named)[0], alone)
    assert not heat([even], named).any()
    faint = spotted / 120
    assert heat([faint], named)[0, 2, 3] == pytest.approx(0.5, abs=0.01)
    assert heat([faint, even], named)[0, 2, 3] == pytest.approx(0.25, abs=0.01)
    assert not heat([even + 9], named).any()
    both = heat([np.concatenate([faint, 9 + spotted])], np.repeat(named, 2))  # neither frame changes the other
    np.testing.assert_allclose(both, [heat([faint], named)[0], alone], atol=1e-6)


def test_a_prediction_is_whole(runtime: Runtime, rng: np.random.Generator) -> None:
    (prediction,) = runtime.predict([runtime.prepare(jpeg(photo(rng)))])
    assert list(prediction.probabilities) == list(CLASSES)
    assert sum(prediction.probabilities.values()) == pytest.approx(1)
    assert prediction.malignant == pytest.approx(sum(prediction.probabilities[code] for code in MALIGNANT))
    assert prediction.uncertainty is None  # that one member agrees with itself says nothing
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


def test_the_heatmap_lies_as_the_photo_does(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """A photo and the same photo turned a quarter give one answer, and heatmaps that differ by that turn."""

    def blueness(frames: np.ndarray) -> Answers:
        maps = np.zeros((1, 9, 12, 7), np.float32)
        maps[0, ..., 0] = cv2.resize(frames[0, ..., 2], (12, 9), interpolation=cv2.INTER_AREA) / 50
        return Answers(np.zeros((1, 1, 7), np.float32), [maps], np.zeros((1, 1), np.float32))

    wide = np.zeros((300, 400, 3), dtype=np.uint8)
    wide[30:90, 300:380] = (0, 0, 255)
    tall = np.ascontiguousarray(np.rot90(wide, k=-1))
    images = [runtime.prepare(jpeg(photo)) for photo in (wide, tall)]
    honest = runtime.predict(images)
    assert honest[0].malignant == pytest.approx(honest[1].malignant, abs=0.01)
    monkeypatch.setattr(runtime, "_ensemble", blueness)
    landscape, portrait = (runtime.predict([image])[0] for image in images)
    assert landscape.heatmap.shape == (9, 12)
    assert portrait.heatmap.shape == (12, 9)
    np.testing.assert_allclose(np.rot90(landscape.heatmap, k=-1), portrait.heatmap, atol=0.05)
    assert portrait.heatmap[10, 6] > 0.6  # blue is low in the tall photo, to the right
    assert landscape.heatmap[1, 10] > 0.6


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
    assert other.bundle.name == "another name"


def test_a_gpu_needs_no_network_converted(
    tiny_bundle: Path, tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keras, which serves there, is run on this machine's CPU."""
    monkeypatch.setattr(
        ensemble, "_on_gpu", lambda members, frame: lambda frames: [KerasNetwork(members[0], frame)(frames)]
    )
    runtime = Runtime(tiny_bundle, tmp_path)
    assert len(runtime.predict([runtime.prepare(jpeg(photo(rng)))])) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_picture_unlike_any_lesion_is_not_recognised(
    tiny_bundle: Path, cache: Path, tmp_path: Path, rng: np.random.Generator
) -> None:
    path = Path(shutil.copytree(tiny_bundle, tmp_path / "strict"))
    pixels = [fit(draw("NV", seed, FRAME)) for seed in range(60)]
    lenient = Runtime(path, cache)
    assert all(prediction.recognised for prediction in lenient.predict(pixels))
    features = lenient._ensemble(np.stack([framed(each) for each in pixels])).features
    novelty.fit(features[:40], features[40:], components=8).save(path / NOVELTY)
    strict = Runtime(path, cache)
    assert sum(prediction.recognised for prediction in strict.predict(pixels)) >= 54
    noise, text = (fit(not_lesions.draw(kind, 1)) for kind in ("white_noise", "text"))
    assert [prediction.recognised for prediction in strict.predict([noise, text])] == [False, False]


def test_the_plausible_classes_hold_the_likeliest(runtime: Runtime, rng: np.random.Generator) -> None:
    for prediction in runtime.predict([runtime.prepare(jpeg(photo(rng))) for _ in range(4)]):
        assert max(prediction.probabilities, key=prediction.probabilities.__getitem__) in prediction.plausible
        assert list(prediction.plausible) == [code for code in CLASSES if prediction.probabilities[code] >= 0.1 - 1e-9]
