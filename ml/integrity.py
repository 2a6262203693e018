"""Whether a bundle is whole: its files of arrays, as a copy that broke off is not, and its manifest's numbers."""

import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ml.advice import Advice


def damaged(files: Iterable[Path]) -> list[str]:
    """The names of those, `.npz` or `.npy`, that cannot be read or whose checksums are wrong. A `.npy` has none."""
    return [file.name for file in files if not (_is_sound_archive if file.suffix == ".npz" else _is_sound_array)(file)]


def wrong_numbers(manifest: Mapping[str, Any]) -> str | None:
    """The first thing that is wrong with a manifest's numbers, or None. Raises KeyError, TypeError or ValueError for
    entries of another form.
    """
    if problem := _wrong_shape(manifest):
        return problem
    stack, decision = manifest["stack"], manifest["decision"]
    numbers = (
        *(stack["coefficients"], stack["intercept"]),
        *(decision["bias"], decision["temperature"]),
        manifest["conformal"],
    )
    if not all(np.isfinite(np.array(each, dtype=np.float64)).all() for each in numbers):
        return "the stack, the decision or the conformal quantiles hold what is no finite number."
    limits = manifest["thresholds"]
    if not 0 <= limits.get(Advice.ROUTINE_REFERRAL, -1) <= limits.get(Advice.URGENT_REFERRAL, -1) <= 1:
        return f"the thresholds {limits} do not rise from routine_referral to urgent_referral within [0, 1]."
    parts = (manifest["preprocessing"], *manifest["members"])
    sides = [side for part in parts for side in (part["width"], part["height"])]
    return None if min(sides) > 0 else f"the sides of its frame and its members are {sides}, and not all above 0."


def _wrong_shape(manifest: Mapping[str, Any]) -> str | None:
    classes, members = len(manifest["classes"]), manifest["members"]
    stack, decision, conformal = manifest["stack"], manifest["decision"], manifest["conformal"]
    needed = (classes * len(members), classes)
    shape = np.array(stack["coefficients"]).shape
    if shape != needed:
        return f"the stack's coefficients have shape {shape}, and its members need {needed}."
    if len(stack["intercept"]) != classes:
        return f"the stack's intercept {stack['intercept']} does not fit {classes} classes."
    if len(decision["bias"]) != classes or decision["temperature"] <= 0:
        return f"the decision {decision} does not fit {classes} classes."
    if len(conformal) != classes:
        return f"the conformal quantiles {conformal} do not fit {classes} classes."
    return None


def _is_sound_archive(file: Path) -> bool:
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
        return False


def _is_sound_array(file: Path) -> bool:
    try:
        np.load(file, mmap_mode="r")
    except (ValueError, EOFError):
        return False
    return True
