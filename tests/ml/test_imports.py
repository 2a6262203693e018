"""What must stay light: the web process imports some of these rooms, and a warm worker must not pay for TensorFlow."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def imported(code: str) -> set[str]:
    """The top-level modules that a fresh Python has after running `code`."""
    command = [sys.executable, "-c", f"import sys\n{code}\nprint(*{{name.split('.')[0] for name in sys.modules}})"]
    finished = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return set(finished.stdout.split())


@pytest.mark.parametrize("module", ["ml.classes", "ml.advice"])
def test_the_words_of_the_field_import_nothing_heavy(module: str) -> None:
    assert not imported(f"import {module}") & {"numpy", "cv2", "openvino", "tensorflow", "keras", "sklearn", "pandas"}


def test_imaging_imports_no_model_library() -> None:
    modules = imported("import ml.imaging.preprocess, ml.imaging.fingerprint, ml.imaging.overlay")
    assert not modules & {"openvino", "tensorflow", "keras", "sklearn", "pandas"}


def test_a_warm_runtime_never_imports_tensorflow(tiny_bundle: Path, cache: Path, runtime: object) -> None:
    paths = f"Path({str(tiny_bundle)!r}), Path({str(cache)!r})"
    code = f"from pathlib import Path\nfrom ml.runtime import Runtime\nRuntime({paths})"
    assert not imported(code) & {"tensorflow", "keras", "sklearn", "pandas"}
