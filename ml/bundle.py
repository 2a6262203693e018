"""A bundle: the directory that holds everything needed to answer, and to say where the answer came from."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np

from ml.advice import Advice
from ml.classes import CLASSES
from ml.imaging import preprocess
from ml.imaging.fingerprint import WORDS
from ml.stack import Stack

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
SEEN: Final = "seen.npy"
CARD: Final = "model_card.md"
SHIPPED: Final = Path(__file__).parent / "bundles"
NEEDED: Final = frozenset(
    {"name", "classes", "members", "preprocessing", "stack", "thresholds", "data_hash", "code_version", "metrics"}
)


class BundleError(Exception):
    """A directory that is not a usable bundle; the message says what is wrong with it."""


@dataclass(frozen=True)
class Bundle:
    """A bundle that was checked on loading. `manifest` is `manifest.json` as read."""

    path: Path
    manifest: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The name of the release, for people."""
        return str(self.manifest["name"])

    @property
    def weights(self) -> dict[str, Path]:
        """The weights file of each member, in the order of the stack's features."""
        return {member: self.path / file for member, file in _weights(self.manifest).items()}

    @property
    def members(self) -> list[str]:
        """The networks, in the order of the stack's features."""
        return list(self.weights)

    @property
    def size(self) -> preprocess.Size:
        """(width, height) of the input, in pixels."""
        return int(self.manifest["preprocessing"]["width"]), int(self.manifest["preprocessing"]["height"])

    @property
    def stack(self) -> Stack:
        """The stack from the manifest's numbers."""
        numbers = self.manifest["stack"]
        return Stack(
            np.array(numbers["coefficients"], dtype=np.float64), np.array(numbers["intercept"], dtype=np.float64)
        )

    @property
    def thresholds(self) -> dict[str, float]:
        """P(malignant) from which each advice holds; see `ml.advice`."""
        return dict(self.manifest["thresholds"])

    @property
    def seen(self) -> np.ndarray:
        """Fingerprints of every image that a member, the stack or a threshold was fitted to: uint64 (n, 4)."""
        return np.asarray(np.load(self.path / SEEN))

    @cached_property
    def hash(self) -> str:
        """SHA-256, hex, over the names and contents of the bundle's files; see `digest`."""
        return digest(self.path)


def shipped() -> Path:
    """The newest bundle that comes with the code; names sort by age. Raises BundleError when there is none."""
    found = sorted(path.parent for path in SHIPPED.glob(f"*/{MANIFEST}"))
    if not found:
        raise BundleError(f"No bundle ships in {SHIPPED}.")
    return found[-1]


def digest(path: Path) -> str:
    """SHA-256, hex, over each file's name, length and content, in the order of names. Hidden files do not count."""
    total = hashlib.sha256()
    for file in sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith(".")):
        content = file.read_bytes()
        total.update(f"{file.name}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()


def sha256(path: Path) -> str:
    """SHA-256, hex, of one file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load(path: Path) -> Bundle:
    """Reads and checks a bundle. Raises BundleError that says which file or entry is wrong."""
    try:
        manifest = json.loads((path / MANIFEST).read_text())
    except FileNotFoundError:
        raise BundleError(f"{path} holds no {MANIFEST}: it is not a bundle.") from None
    except ValueError as error:
        raise BundleError(f"{path / MANIFEST} is not JSON: {error}.") from None
    problem = _problem(path, manifest)
    if problem:
        raise BundleError(f"{path}: {problem}")
    return Bundle(path, manifest)


def _problem(path: Path, manifest: Any) -> str | None:
    """The first thing that is wrong with a manifest, or None."""
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        return f"the manifest's format is not {FORMAT}, which this version reads."
    if missing := sorted(NEEDED - manifest.keys()):
        return f"the manifest lacks {', '.join(missing)}."
    if not manifest["members"]:
        return "it has no members."
    if absent := [name for name in [SEEN, CARD, *_weights(manifest).values()] if not (path / name).is_file()]:
        return f"{', '.join(absent)} missing."
    return _foreign(manifest) or _wrong_numbers(path, manifest)


def _foreign(manifest: dict[str, Any]) -> str | None:
    """What was made for another version of this code."""
    if manifest["classes"] != list(CLASSES):
        return f"the classes are {manifest['classes']}, and this version answers {list(CLASSES)}."
    wanted = manifest["preprocessing"].get("version")
    if wanted != preprocess.VERSION:
        return f"it wants preprocessing {wanted}, and this version has {preprocess.VERSION}."
    return None


def _wrong_numbers(path: Path, manifest: dict[str, Any]) -> str | None:
    needed = (len(CLASSES) * len(manifest["members"]), len(CLASSES))
    shape = np.array(manifest["stack"]["coefficients"]).shape
    if shape != needed:
        return f"the stack's coefficients have shape {shape}, and its members need {needed}."
    limits = manifest["thresholds"]
    if not 0 <= limits.get(Advice.ROUTINE_REFERRAL, -1) <= limits.get(Advice.URGENT_REFERRAL, -1) <= 1:
        return f"the thresholds {limits} do not rise from routine_referral to urgent_referral within [0, 1]."
    seen = np.load(path / SEEN, mmap_mode="r")
    if seen.dtype != np.uint64 or seen.ndim != 2 or seen.shape[1] != WORDS:
        return f"{SEEN} is {seen.dtype} of shape {seen.shape}, not uint64 of shape (n, {WORDS})."
    return None


def _weights(manifest: Mapping[str, Any]) -> dict[str, str]:
    return {member["name"]: member["weights"] for member in manifest["members"]}


def save(
    path: Path,
    *,
    name: str,
    members: Sequence[str],
    size: preprocess.Size,
    stack: Stack,
    thresholds: Mapping[str, float],
    seen: np.ndarray,
    facts: Mapping[str, Any],
    metrics: Mapping[str, Any],
    card: str,
) -> Bundle:
    """Completes a bundle in `path`, where `<member>.npz` of each member already lies, and loads it.

    `facts` must hold `data_hash` and `code_version`, and may hold more about the origin. Raises BundleError as `load`
    does.
    """
    manifest = {
        "format": FORMAT,
        "name": name,
        "classes": list(CLASSES),
        "members": [{"name": member, "weights": f"{member}.npz"} for member in members],
        "preprocessing": {"version": preprocess.VERSION, "width": size[0], "height": size[1]},
        "stack": {"coefficients": stack.coefficients.tolist(), "intercept": stack.intercept.tolist()},
        "thresholds": dict(thresholds),
        **facts,
        "metrics": dict(metrics),
    }
    np.save(path / SEEN, np.unique(seen.reshape(-1, WORDS), axis=0))
    (path / CARD).write_text(card)
    (path / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
    return load(path)
