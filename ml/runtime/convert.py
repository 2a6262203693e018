"""From a member's Keras weights to an OpenVINO network on disk.

The only part of serving that needs TensorFlow, and it runs once for each weights file.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ml.bundle import Member
from ml.imaging.preprocess import Size
from ml.runtime.arriving import ARRIVING, forget_broken_off

if TYPE_CHECKING:
    import keras

RECIPE: Final = "2"
"""Changes whenever the network that is built from the same weights would."""

NETWORK: Final = "network.xml"


class ConversionFailed(Exception):
    """Weights of which no network can be made; the message says what failed."""


def network_path(member: Member, frame: Size, cache: Path) -> Path:
    """Where the cache keeps a member's network: named by its weights, so that bundles that share a member share it."""
    key = hashlib.sha256(f"{RECIPE} {member.name} {member.size} {member.views} {frame} ".encode())
    key.update(member.weights.read_bytes())
    return cache / f"{member.name}-{key.hexdigest()[:24]}" / NETWORK


def missing(members: Sequence[Member], frame: Size, cache: Path) -> list[Member]:
    """Those of `members` that are not converted yet."""
    return [member for member in members if not network_path(member, frame, cache).exists()]


def warm(members: Sequence[Member], frame: Size, cache: Path) -> list[Member]:
    """Converts what is missing and gives it.

    Two processes may do so at the same time: a network appears whole or not at all. Where Keras runs on another backend
    than TensorFlow, as a training may, this is `warm_elsewhere`.
    """
    todo = missing(members, frame, cache)
    if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        warm_elsewhere(todo, frame, cache)
        return todo
    cache.mkdir(parents=True, exist_ok=True)
    forget_broken_off(cache)
    for member in todo:
        target = network_path(member, frame, cache).parent
        arriving = Path(tempfile.mkdtemp(prefix=ARRIVING, dir=cache))
        try:
            _convert(member, frame, arriving / NETWORK)
            os.rename(arriving, target)
        except OSError:
            if not (target / NETWORK).exists():  # otherwise another process was first, with the same content
                raise
        finally:
            shutil.rmtree(arriving, ignore_errors=True)
    return todo


def warm_elsewhere(members: Sequence[Member], frame: Size, cache: Path) -> None:
    """As `warm`, in a process of its own: this one stays small and needs no TensorFlow. Raises ConversionFailed."""
    forget_broken_off(cache)
    todo = [replace(member, weights=member.weights.resolve()) for member in missing(members, frame, cache)]
    if not todo:
        return
    asked = pickle.dumps((todo, frame, cache.resolve()))
    command = [sys.executable, "-c", "from ml.runtime.convert import main; main()"]
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    root = Path(__file__).parents[2]
    finished = subprocess.run(command, input=asked, capture_output=True, check=False, cwd=root, env=environment)  # noqa: S603
    if finished.returncode != 0:
        names = ", ".join(member.name for member in todo)
        said = (finished.stdout or finished.stderr).decode(errors="replace").strip()
        raise ConversionFailed(f"Converting {names} failed: {said[-2000:]}")


def quantise(members: Sequence[Member], frame: Size, cache: Path, target: Path, frames: np.ndarray) -> None:
    """Makes `target` a cache of the same members in eight bits: post-training quantisation, with ranges taken from
    `frames`, uint8 (n, height, width, 3), which must be none of those that it is then measured on.

    Only to be measured: see docs/runtime.md. Needs nncf, which serving does not; raises ImportError without it.
    """
    import openvino

    nncf: Any = importlib.import_module("nncf")
    warm(members, frame, cache)
    ranges = nncf.Dataset([each[None] for each in frames])
    for member in members:
        network = openvino.Core().read_model(network_path(member, frame, cache))
        quantised = nncf.quantize(network, ranges, preset=nncf.QuantizationPreset.MIXED, subset_size=len(frames))
        path = network_path(member, frame, target)
        path.parent.mkdir(parents=True, exist_ok=True)
        openvino.save_model(quantised, path, compress_to_fp16=False)


def classes(weights: Path) -> int:
    """How many classes a member's weights answer with: the length of the last bias."""
    with np.load(weights) as stored:
        return len(stored[max(stored.files)])


def keras_model(member: Member, frame: Size) -> keras.Model:
    """The member with its weights, as it serves: from frames to logits, maps and features. Imports TensorFlow. Raises
    ConversionFailed for a network or a view that this version does not have.
    """
    from ml.networks import members, weights

    for kind, wanted, known in (
        ("network", {member.name}, members.ARCHITECTURES),
        ("view", {*member.views}, members.VIEWS),
    ):
        if unknown := sorted(wanted - known.keys()):
            raise ConversionFailed(f"This version has no {kind} {', '.join(unknown)}, only {', '.join(sorted(known))}.")
    model = members.build(member.name, member.size, classes(member.weights))
    weights.load(model, member.weights)
    return members.serving(model, frame, member.views)


def _convert(member: Member, frame: Size, target: Path) -> None:
    import openvino
    import tensorflow

    model = keras_model(member, frame)
    pixels = tensorflow.TensorSpec([None, frame[1], frame[0], 3], tensorflow.uint8, name="frame")
    traced = tensorflow.function(lambda frame: model(frame, training=False), input_signature=[pixels])
    network = openvino.convert_model(traced.get_concrete_function())
    openvino.save_model(network, target, compress_to_fp16=False)


def main() -> None:
    """What the process of `warm_elsewhere` does: converts what comes on standard input."""
    try:
        warm(*pickle.load(sys.stdin.buffer))  # noqa: S301  # from `warm_elsewhere`
    except ConversionFailed as failed:
        sys.stdout.write(str(failed))
        raise SystemExit(1) from None
