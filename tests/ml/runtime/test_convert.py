import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml.imaging.preprocess import FRAME, preprocess
from ml.runtime import Runtime, convert
from ml.runtime.arriving import ARRIVING, BROKEN_OFF_SECONDS
from ml.runtime.ensemble import Ensemble
from ml.stack import softmax
from ml.synthetic import draw
from tests.ml.tiny_bundle import make_tiny_bundle


def test_a_network_is_named_by_all_that_it_is_made_from(runtime: Runtime, cache: Path, tmp_path: Path) -> None:
    (member,) = runtime.bundle.members
    retrained = make_tiny_bundle(tmp_path / "other", seed=77) / "tiny.npz"  # which no other test converts
    others = [
        replace(member, weights=retrained),
        replace(member, size=(96, 72)),
        replace(member, views=("whole", "middle")),
    ]
    paths = [convert.network_path(each, FRAME, cache) for each in (member, *others)]
    paths.append(convert.network_path(member, (320, 240), cache))
    assert len(set(paths)) == 5
    assert convert.missing([member, *others], FRAME, cache) == others
    assert convert.classes(member.weights) == 7


def test_a_warm_cache_is_left_alone(runtime: Runtime, cache: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*")}
    assert convert.warm(runtime.bundle.members, FRAME, cache) == []
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*")} == before


def test_what_a_conversion_that_was_killed_has_left_is_deleted_and_what_another_makes_is_not(
    tiny_bundle: Path, runtime: Runtime, cache: Path
) -> None:
    killed, working = (cache / f"{ARRIVING}{name}" for name in ("killed", "working"))
    for half in (killed, working):
        half.mkdir()
        (half / "network.bin").write_bytes(b"half")
    long_ago = time.time() - BROKEN_OFF_SECONDS - 1
    os.utime(killed, (long_ago, long_ago))

    Runtime(tiny_bundle, cache)

    assert list(cache.glob(f"{ARRIVING}*")) == [working]
    shutil.rmtree(working)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"name": "unknown"}, "This version has no network unknown, only densenet121, "),
        ({"views": ("whole", "side")}, "This version has no view side, only middle, whole."),
    ],
)
def test_a_network_or_a_view_that_is_not_known_is_told_in_a_sentence(
    changed: dict[str, Any], told: str, runtime: Runtime, tmp_path: Path
) -> None:
    unknown = replace(runtime.bundle.members[0], **changed)
    with pytest.raises(convert.ConversionFailed) as failed:
        convert.warm([unknown], FRAME, tmp_path)
    assert str(failed.value).startswith(told)
    assert "\n" not in str(failed.value)
    assert convert.missing([unknown], FRAME, tmp_path) == [unknown]


def test_what_fails_in_a_process_of_its_own_is_told_in_that_sentence(runtime: Runtime, tmp_path: Path) -> None:
    unknown = replace(runtime.bundle.members[0], name="unknown")
    with pytest.raises(convert.ConversionFailed, match=r"^Converting unknown failed: This version has no .*[^\n]$"):
        convert.warm_elsewhere([unknown], FRAME, tmp_path)


def test_eight_bits_answer_almost_as_float32_does(runtime: Runtime, cache: Path, tmp_path: Path) -> None:
    pytest.importorskip("nncf")
    members = runtime.bundle.members
    convert.quantise(members, FRAME, cache, tmp_path, np.stack([preprocess(draw("NV", seed)) for seed in range(4, 20)]))
    frames = np.stack([preprocess(draw("NV", seed)) for seed in range(4)])
    exact = Ensemble(members, FRAME, cache, precision="f32")(frames).logits
    eight = Ensemble(members, FRAME, tmp_path, precision="f32")(frames).logits
    assert 0 < np.abs(softmax(exact) - softmax(eight)).max() < 0.1
