"""A bundle: the directory that holds everything needed to answer, and to say where the answer came from."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np

from ml.assess.novelty import Novelty
from ml.calibration import Calibration
from ml.classes import SEVEN, TAXONOMIES, Taxonomy, taxonomy
from ml.decision import Decision
from ml.imaging import preprocess
from ml.imaging.fingerprint import WORDS
from ml.integrity import damaged, wrong_numbers
from ml.preparation import NOTHING, SEGMENTERS, Preparation
from ml.stack import Stack

FORMAT: Final = 2
MANIFEST: Final = "manifest.json"
SEEN: Final = "seen.npy"
TRAINED: Final = "trained.npy"
NOVELTY: Final = "novelty.npz"
CARD: Final = "model_card.md"
SHIPPED: Final = Path(__file__).parent / "bundles"
NEEDED: Final = frozenset(
    {
        "name",
        "classes",
        "members",
        "preprocessing",
        "preparation",
        "stack",
        "decision",
        "thresholds",
        "conformal",
        "data_hash",
        "code_version",
        "metrics",
    }
)


class BundleError(Exception):
    """A directory that is not a usable bundle; the message says what is wrong with it."""


@dataclass(frozen=True)
class Member:
    """One network of a bundle: the architecture's name, its weights file, the (width, height) of its input in pixels,
    and the views of a frame that it averages over; see `ml.networks.members`.
    """

    name: str
    weights: Path
    size: preprocess.Size
    views: tuple[str, ...]


@dataclass(frozen=True)
class Bundle:
    """A bundle that was checked on loading. `manifest` is `manifest.json` as read."""

    path: Path
    manifest: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The name of the release, for people."""
        return str(self.manifest["name"])

    @cached_property
    def taxonomy(self) -> Taxonomy:
        """The classes that it answers with."""
        return taxonomy(self.manifest["classes"])

    @cached_property
    def members(self) -> list[Member]:
        """The networks, in the order of the stack's features."""
        return [
            Member(
                entry["name"], self.path / entry["weights"], (entry["width"], entry["height"]), tuple(entry["views"])
            )
            for entry in self.manifest["members"]
        ]

    @property
    def frame(self) -> preprocess.Size:
        """(width, height) of the frames that it takes, in pixels."""
        return int(self.manifest["preprocessing"]["width"]), int(self.manifest["preprocessing"]["height"])

    @property
    def preparation(self) -> Preparation:
        """What is done to a frame before the members look at it."""
        return Preparation(**self.manifest["preparation"])

    @property
    def calibration(self) -> Calibration:
        """The stack, the decision and the advice thresholds, from the manifest's numbers."""
        stack, decision = self.manifest["stack"], self.manifest["decision"]
        return Calibration(
            Stack(np.array(stack["coefficients"], dtype=np.float64), np.array(stack["intercept"], dtype=np.float64)),
            Decision(np.array(decision["bias"], dtype=np.float64), float(decision["temperature"])),
            dict(self.manifest["thresholds"]),
            list(self.manifest["conformal"]),
            self.manifest.get("malignant_share"),
        )

    @cached_property
    def novelty(self) -> Novelty:
        """What tells a picture that is no lesion, from the features of the last member."""
        return Novelty.load(self.path / NOVELTY)

    @property
    def seen(self) -> np.ndarray:
        """Fingerprints of every image that a member, the stack or a threshold was fitted to: uint64 (n, 4)."""
        return np.asarray(np.load(self.path / SEEN))

    @property
    def trained(self) -> np.ndarray:
        """Fingerprints of the images that a member was fitted to, which calibrate nothing: uint64 (n, 4). All of `seen`
        where the bundle does not keep them apart.
        """
        return np.asarray(np.load(self.path / TRAINED)) if self.tells_trained else self.seen

    @property
    def tells_trained(self) -> bool:
        """Whether it keeps `trained` apart from what only the stack or a threshold was fitted to."""
        return (self.path / TRAINED).is_file()

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


def load(path: Path, *, to_start_from: bool = False) -> Bundle:
    """Reads and checks a bundle. One `to_start_from` may want the frames of another version, since only its members
    are taken. Raises BundleError that says which file or entry is wrong.
    """
    try:
        manifest = json.loads((path / MANIFEST).read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise BundleError(f"{path} holds no {MANIFEST}: it is not a bundle.") from None
    except ValueError as error:
        raise BundleError(f"{path / MANIFEST} is not JSON: {error}.") from None
    try:
        problem = _problem(path, manifest, to_start_from)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        problem = f"{MANIFEST}: an entry is not as this version writes it ({type(error).__name__}: {error})."
    if problem:
        raise BundleError(f"{path}: {problem}")
    return Bundle(path, manifest)


def unusable(manifest: Any) -> str | None:
    """Why this version cannot answer with a bundle of this manifest, whatever its files hold; None where it can."""
    return _unread(manifest) or _foreign(manifest, to_start_from=False)


def _problem(path: Path, manifest: Any, to_start_from: bool) -> str | None:
    """The first thing that is wrong with a manifest, or None."""
    if problem := _unread(manifest):
        return problem
    needed = [SEEN, NOVELTY, CARD, *(member["weights"] for member in manifest["members"])]
    if absent := [name for name in needed if not (path / name).is_file()]:
        return f"{', '.join(absent)} missing."
    arrays = [path / name for name in (*needed, TRAINED) if name != CARD and (path / name).is_file()]
    if broken := damaged(arrays):
        return f"{', '.join(broken)} damaged: copy the bundle again from where it came from."
    return _foreign(manifest, to_start_from) or wrong_numbers(manifest) or _wrong_prints(path)


def _unread(manifest: Any) -> str | None:
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        return f"the manifest's format is not {FORMAT}, which this version reads."
    if missing := sorted(NEEDED - manifest.keys()):
        return f"the manifest lacks {', '.join(missing)}."
    return None if manifest["members"] else "it has no members."


def _foreign(manifest: dict[str, Any], to_start_from: bool) -> str | None:
    """What was made for another version of this code."""
    known = [list(one.codes) for one in TAXONOMIES]
    if manifest["classes"] not in known:
        return f"the classes are {manifest['classes']}, and this version knows {known}."
    wanted = manifest["preprocessing"].get("version")
    if wanted != preprocess.VERSION and not to_start_from:
        return (
            f"it wants preprocessing {wanted}, and this version has {preprocess.VERSION}. "
            "Run it with the version that made it, or train it anew: python -m ml train --help."
        )
    segmenter = Preparation(**manifest["preparation"]).segmenter
    if segmenter and not (SEGMENTERS / segmenter).is_dir() and not to_start_from:
        return f"it wants the segmenter {segmenter}, and {SEGMENTERS} has none of that name."
    return None


def _wrong_prints(path: Path) -> str | None:
    seen = np.load(path / SEEN, mmap_mode="r")
    if seen.dtype != np.uint64 or seen.ndim != 2 or seen.shape[1] != WORDS:
        return f"{SEEN} is {seen.dtype} of shape {seen.shape}, not uint64 of shape (n, {WORDS})."
    return None


def save(
    path: Path,
    *,
    name: str,
    members: Sequence[Member],
    calibration: Calibration,
    novelty: Novelty,
    seen: np.ndarray,
    facts: Mapping[str, Any],
    metrics: Mapping[str, Any],
    card: str,
    taxonomy: Taxonomy = SEVEN,
    frame: preprocess.Size = preprocess.FRAME,
    preparation: Preparation = NOTHING,
    trained: np.ndarray | None = None,
) -> Bundle:
    """Completes a bundle in `path`, where the members' weights already lie, and loads it.

    `trained` are the fingerprints among `seen` that members were fitted to, where they are known apart. `facts` must
    hold `data_hash` and `code_version`, and may hold more about the origin. Raises BundleError as `load` does.
    """
    manifest = {
        "format": FORMAT,
        "name": name,
        "classes": list(taxonomy.codes),
        "members": [
            {
                "name": member.name,
                "weights": member.weights.name,
                "width": member.size[0],
                "height": member.size[1],
                "views": list(member.views),
            }
            for member in members
        ],
        "preprocessing": {"version": preprocess.VERSION, "width": frame[0], "height": frame[1]},
        "preparation": asdict(preparation),
        "stack": {
            "coefficients": calibration.stack.coefficients.tolist(),
            "intercept": calibration.stack.intercept.tolist(),
        },
        "decision": {
            "bias": calibration.decision.bias.tolist(),
            "temperature": calibration.decision.temperature,
        },
        "thresholds": dict(calibration.thresholds),
        "conformal": calibration.conformal,
        "malignant_share": calibration.malignant_share,
        **facts,
        "metrics": dict(metrics),
    }
    novelty.save(path / NOVELTY)
    np.save(path / SEEN, np.unique(seen.reshape(-1, WORDS), axis=0))
    if trained is not None:
        np.save(path / TRAINED, np.unique(trained, axis=0))
    (path / CARD).write_text(card)
    (path / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
    return load(path)
