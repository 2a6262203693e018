import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml import bundle
from ml.bundle import BundleError
from ml.classes import SEVEN
from tests.ml.tiny_bundle import MALIGNANT_SHARE, THRESHOLDS, make_tiny_bundle


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    loaded = bundle.load(make_tiny_bundle(tmp_path / "tiny"))
    assert loaded.name == "tiny"
    assert loaded.members == [bundle.Member("tiny", tmp_path / "tiny" / "tiny.npz", (192, 144), ("whole",))]
    assert loaded.frame == (256, 192)
    assert loaded.taxonomy == SEVEN
    assert loaded.calibration.thresholds == THRESHOLDS
    assert loaded.calibration.malignant_share == MALIGNANT_SHARE
    assert loaded.seen.shape == (0, 4)
    np.testing.assert_array_equal(loaded.calibration.stack.coefficients, np.eye(7))


def test_the_hash_is_that_of_the_files(tmp_path: Path) -> None:
    first, same = (bundle.load(make_tiny_bundle(tmp_path / name, name="tiny")) for name in ("one", "two"))
    other = bundle.load(make_tiny_bundle(tmp_path / "three", seed=1, name="tiny"))
    assert first.hash == same.hash
    assert first.hash != other.hash
    assert len(first.hash) == 64
    (tmp_path / "one" / ".hidden").write_text("not part of it")
    assert bundle.digest(first.path) == first.hash
    (tmp_path / "one" / "model_card.md").write_text("changed")
    assert bundle.digest(first.path) != first.hash


def change(key: str, value: Any) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        manifest = json.loads((path / "manifest.json").read_text())
        manifest[key] = value
        (path / "manifest.json").write_text(json.dumps(manifest))

    return apply


def lose(name: str) -> Callable[[Path], None]:
    return lambda path: (path / name).unlink()


def cut(name: str) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        (path / name).write_bytes((path / name).read_bytes()[:60])

    return apply


def flip(name: str) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        content = bytearray((path / name).read_bytes())
        content[200] ^= 1
        (path / name).write_bytes(content)

    return apply


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lose("manifest.json"), "it is not a bundle"),
        (lambda path: (path / "manifest.json").write_text("{"), "not JSON"),
        (change("format", 99), "format is not 2"),
        (change("classes", ["MEL", "NV"]), "the classes are"),
        (change("members", []), "no members"),
        (
            change("preprocessing", {"version": "other", "width": 1, "height": 1}),
            "wants preprocessing other.* or train it anew",
        ),
        (
            change("preparation", {"remove_hair": False, "segmenter": "nobody"}),
            "wants the segmenter nobody, and .*segmenters has none of that name",
        ),
        (change("stack", {"coefficients": [[0.0]], "intercept": [0.0]}), "coefficients have shape"),
        (
            change("stack", {"coefficients": np.eye(7).tolist(), "intercept": [0.0]}),
            "intercept .* does not fit 7 classes",
        ),
        (change("stack", {"coefficients": np.eye(7).tolist(), "intercept": [np.nan] * 7}), "no finite number"),
        (
            change("stack", {"coefficients": np.full((7, 7), np.inf).tolist(), "intercept": [0.0] * 7}),
            "no finite number",
        ),
        (change("decision", {"bias": [0.0] * 6 + [np.nan], "temperature": 1.0}), "no finite number"),
        (change("conformal", [np.nan] * 7), "no finite number"),
        (change("stack", []), "manifest.json: an entry is not as this version writes it"),
        (
            change("members", [{"name": "tiny", "weights": "tiny.npz", "width": 0, "height": 144, "views": ["whole"]}]),
            r"the sides of its frame and its members are \[256, 192, 0, 144\]",
        ),
        (change("members", "tiny"), "an entry is not as this version writes it"),
        (change("members", [{"name": "tiny"}]), "an entry is not as this version writes it.*'weights'"),
        (change("preparation", {"zoom": 2}), "an entry is not as this version writes it.*'zoom'"),
        (change("preprocessing", []), "an entry is not as this version writes it"),
        (change("conformal", [0.1]), "do not fit 7 classes"),
        (change("decision", {"bias": [0.0], "temperature": 1.0}), "does not fit 7 classes"),
        (change("thresholds", {"routine_referral": 0.9, "urgent_referral": 0.1}), "do not rise"),
        (change("thresholds", {}), "do not rise"),
        (lose("tiny.npz"), "tiny.npz missing"),
        (lose("seen.npy"), "seen.npy missing"),
        (lose("model_card.md"), "model_card.md missing"),
        (lambda path: np.save(path / "seen.npy", np.zeros(3)), "not uint64"),
        (cut("tiny.npz"), "tiny.npz damaged: copy the bundle again"),
        (flip("tiny.npz"), "tiny.npz damaged"),
        (cut("novelty.npz"), "novelty.npz damaged"),
        (cut("seen.npy"), "seen.npy damaged"),
        (lambda path: (path / "seen.npy").write_bytes(b""), "seen.npy damaged"),
        (lambda path: (path / "trained.npy").write_bytes(b"no array"), "trained.npy damaged"),
    ],
)
def test_a_damaged_bundle_says_what_is_wrong(tmp_path: Path, damage: Callable[[Path], None], message: str) -> None:
    path = make_tiny_bundle(tmp_path / "tiny")
    damage(path)
    with pytest.raises(BundleError, match=message):
        bundle.load(path)


def test_a_manifest_with_a_hole_says_which(tmp_path: Path) -> None:
    path = make_tiny_bundle(tmp_path / "tiny")
    manifest = json.loads((path / "manifest.json").read_text())
    del manifest["data_hash"], manifest["stack"]
    (path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="lacks data_hash, stack"):
        bundle.load(path)


def test_a_manifest_alone_says_whether_this_version_can_answer_with_it(tmp_path: Path) -> None:
    manifest = json.loads((make_tiny_bundle(tmp_path / "tiny") / "manifest.json").read_text())
    assert bundle.unusable(manifest) is None
    older = {**manifest["preprocessing"], "version": "frame-4x3-v4"}
    assert "it wants preprocessing frame-4x3-v4" in str(bundle.unusable({**manifest, "preprocessing": older}))
    assert "format is not" in str(bundle.unusable({**manifest, "format": bundle.FORMAT - 1}))
