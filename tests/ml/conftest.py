"""Made once for a test session: a tiny bundle, and a cache that has its network."""

import os
import shutil
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ml import bundle
from ml.runtime import Runtime, convert, ensemble
from tests.ml.tiny_bundle import make_tiny_bundle

RUNTIME_CACHE = Path(os.environ["RUNTIME_CACHE"])
"""What all tests share."""

SMALL = (120, 90)
"""Of a picture that is only to be read: one of the usual size takes a tenth of a second to be drawn."""

F32_TOLERANCE, BF16_TOLERANCE = 1e-4, 0.05
"""Of probabilities, against Keras in float32: docs/runtime.md states them."""


@pytest.fixture(autouse=True)
def converted_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks are converted in the tests' own process: another one would import TensorFlow for six seconds."""
    monkeypatch.setattr(ensemble, "warm_elsewhere", convert.warm)


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="session")
def strict(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle, but one that turns every picture away as no lesion."""
    folder = Path(shutil.copytree(tiny_bundle, tmp_path_factory.mktemp("bundles") / "strict"))
    replace(bundle.load(folder).novelty, threshold=0.0).save(folder / bundle.NOVELTY)
    return folder


@pytest.fixture(scope="session")
def cache(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the tiny network in it, which is converted once for all workers of a run."""
    loaded, own = bundle.load(tiny_bundle), tmp_path_factory.mktemp("networks")
    (shared,) = (convert.network_path(each, loaded.frame, RUNTIME_CACHE) for each in loaded.members)
    convert.warm(loaded.members, loaded.frame, RUNTIME_CACHE)
    shutil.copytree(shared.parent, own / shared.parent.name)
    return own


@pytest.fixture(scope="session")
def runtime(tiny_bundle: Path, cache: Path) -> Runtime:
    return Runtime(tiny_bundle, cache)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def jpeg(pixels: np.ndarray) -> bytes:
    """Pixels uint8 (rows, columns, 3) as a JPEG file."""
    output = BytesIO()
    Image.fromarray(pixels).save(output, "JPEG", quality=95)
    return output.getvalue()
