"""How fast a bundle answers, in each way that it could be run, and what each way costs in accuracy."""

import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ml import metrics
from ml.advice import advise
from ml.bench.ways import BEFORE, FRAMES, IMAGES, LOGITS, RANGES, TASK, WHOLE
from ml.bundle import Bundle
from ml.gate import compare
from ml.metrics import Scored
from ml.metrics.measured import plain
from ml.prepare import prepared
from ml.runtime import convert
from ml.stack import malignant

if TYPE_CHECKING:
    from ml.data.images import ImageStore

COUNT: Final = 256
BATCH: Final = 32
OF_EACH_CLASS: Final = 20
"""Train images that the ranges of eight bits are taken from."""

COSTS: Final = {
    name: metrics.METRICS[name] for name in ("balanced_accuracy", "malignant_auc", "sensitivity", "specificity")
}

Images = Sequence[bytes]


class BenchError(Exception):
    """Images that cannot be measured on, or are missing; the message says which."""


@dataclass(frozen=True)
class Row:
    """One way of answering: images a second, that as a multiple of Keras `predict`, and resident memory at its peak in
    MB; the largest and the median distance of a logit from Keras in float32; how far calibrated probabilities lie from
    its own: `malignant_median` and `malignant_largest` of P(malignant), `class_largest` of any class, and
    `advice_changed`, the share of images with another advice; on labelled images, for each of COSTS, the difference
    from Keras with its paired 95 % interval by lesion. What was not measured is None, and `note` says why.
    """

    way: str
    rate: float | None = None
    ratio: float | None = None
    memory: float | None = None
    largest: float | None = None
    median: float | None = None
    probabilities: dict[str, float] | None = None
    costs: dict[str, tuple[float | None, ...]] | None = None
    note: str = ""


@dataclass(frozen=True)
class Report:
    """The rows of one run, with the machine and the day. `overlap` is the rate from encoded images as a share of the
    rate of the model alone.
    """

    bundle: str
    machine: str
    cores: int
    date: str
    images: int
    batch: int
    rows: list[Row]
    overlap: float | None

    def as_dict(self) -> dict[str, Any]:
        """For a JSON file."""
        return asdict(self)


@dataclass(frozen=True)
class Truth:
    """What labelled images show: `labels` int (n,) and `lesions` (n,)."""

    labels: np.ndarray
    lesions: np.ndarray


def bench(
    bundle: Bundle,
    images: Images,
    cache: Path,
    *,
    batch: int = BATCH,
    truth: Truth | None = None,
    train: Images = (),
    ways: Sequence[str] = (*LOGITS, *WHOLE),
    advance: Callable[[], object] = lambda: None,
) -> Report:
    """Measures `ways` one after the other, each in a process of its own, on the same encoded images.

    All of `images` must be readable: raises ImageRefused for one that is not. `truth` says what they show, for what a
    way costs. Eight bits take their ranges from `train`, and are not measured without. `advance` is called once for
    each way.
    """
    convert.warm(bundle.members, bundle.frame, cache)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        _lay_out(bundle, images, train, folder)
        told = {"bundle": str(bundle.path.resolve()), "cache": str(cache.resolve()), "batch": batch}
        (folder / TASK).write_text(json.dumps(told))
        figures = {}
        for way in ways:
            figures[way] = _measured(way, folder)
            advance()
        logits = {way: np.load(folder / f"{way}.npy") for way in ways if (folder / f"{way}.npy").exists()}
    rates = {way: len(images) / told["seconds"] for way, told in figures.items() if "seconds" in told}
    rows = []
    for way in ways:
        largest = median = probabilities = costs = None
        if way in logits and "keras" in logits:
            distance = np.abs(logits[way] - logits["keras"])
            largest, median = float(distance.max()), float(np.median(distance))
            probabilities = _moved(bundle, logits["keras"], logits[way])
            costs = None if truth is None else _costs(bundle, logits["keras"], logits[way], truth)
        ratio, memory = _share(rates, way, "keras"), figures[way].get("memory")
        rows.append(
            Row(way, rates.get(way), ratio, memory, largest, median, probabilities, costs, figures[way]["note"])
        )
    return Report(
        bundle.name,
        _processor(),
        len(os.sched_getaffinity(0)),
        datetime.datetime.now(datetime.UTC).date().isoformat(),
        len(images),
        batch,
        rows,
        _share(rates, "runtime-decoding", "runtime"),
    )


def drawn(count: int) -> list[bytes]:
    """Synthetic lesions as JPEG files."""
    from ml.data.images import ImageStore
    from ml.synthetic import synthesize

    with tempfile.TemporaryDirectory() as folder:
        synthesize(count, Path(folder))
        return encoded(ImageStore(Path(folder)), count)


def encoded(store: "ImageStore", count: int) -> list[bytes]:
    """The first `count` image files of a store. Raises NoImagesError where it has none, and BenchError for one that
    cannot be read.
    """
    from ml.predict.sources import image_ids

    return _readable(store, image_ids(store)[:count])


def of_data(folder: Path, bundle: Bundle) -> tuple[list[bytes], Truth, list[bytes]]:
    """The validation split of labelled images, on which choices are made, what it shows, and OF_EACH_CLASS images of
    the train split; the test split is never looked at. Raises BenchError for one that cannot be read, or where there is
    none, and DataError `other_classes` for labels that are none of the bundle's.
    """
    from ml import data
    from ml.data import splits
    from ml.evaluate import require_classes

    dataset = data.read(folder)
    require_classes(folder, dataset.taxonomy, bundle)
    table = splits.assign(dataset.table)
    table, train = (table[table["split"] == side] for side in ("validation", "train"))
    if table.empty:
        raise BenchError(f"{folder} holds too few lesions to have a validation split: give its images with --images.")
    train = train.sample(frac=1, random_state=0).groupby("dx").head(OF_EACH_CLASS)
    truth = Truth(table["dx"].map(dataset.taxonomy.index).to_numpy(), table["lesion_id"].to_numpy(dtype=str))
    images, few = (_readable(dataset.images, side["image_id"]) for side in (table, train))
    return images, truth, few


def _readable(store: "ImageStore", ids: Iterable[str]) -> list[bytes]:
    """Image files, each of which can be decoded: a way that is measured cannot leave one out."""
    from ml.imaging.decode import decode
    from ml.imaging.refusal import ImageRefused

    files = []
    for image_id in ids:
        try:
            files.append(store.read(image_id))
            decode(files[-1])
        except ImageRefused as error:
            raise BenchError(f"{image_id} cannot be read ({error.code}). Take it out and run this again.") from error
    return files


def _lay_out(bundle: Bundle, images: Images, train: Images, folder: Path) -> None:
    (folder / IMAGES).mkdir()
    for place, data in enumerate(images):
        (folder / IMAGES / f"{place:06d}").write_bytes(data)
    np.save(folder / FRAMES, _frames(bundle, images))
    if train:
        np.save(folder / RANGES, _frames(bundle, train))


def _frames(bundle: Bundle, images: Images) -> np.ndarray:
    from ml.imaging.decode import decode
    from ml.imaging.preprocess import preprocess

    return prepared(np.stack([preprocess(decode(data).image, bundle.frame) for data in images]), bundle.preparation)


def _measured(way: str, folder: Path) -> dict[str, Any]:
    """The figures of one way; `note` says why there are none."""
    for step in ([f"before-{way}"] if way in BEFORE else []) + [way]:
        command = [sys.executable, "-m", "ml.bench.ways", step, str(folder)]
        finished = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2]
        )
        if finished.returncode != 0:
            return {"note": f"ended with {finished.returncode}: {finished.stderr.strip()[-200:]}"}
        told = json.loads((folder / f"{step}.json").read_text())
        if "note" in told:
            return dict(told)
    return {"note": "", **told}


def _share(rates: dict[str, float], of: str, to: str) -> float | None:
    return rates[of] / rates[to] if of in rates and to in rates else None


def _moved(bundle: Bundle, exact: np.ndarray, other: np.ndarray) -> dict[str, float]:
    calibration = bundle.calibration
    before, after = (calibration.stack.probabilities(logits) for logits in (exact, other))
    sick, sick_after = (malignant(probabilities, bundle.taxonomy) for probabilities in (before, after))
    advice, advice_after = (
        [advise(float(p_malignant), calibration.thresholds) for p_malignant in values] for values in (sick, sick_after)
    )
    moved = np.abs(sick_after - sick)
    return {
        "malignant_median": float(np.median(moved)),
        "malignant_largest": float(moved.max()),
        "class_largest": float(np.abs(after - before).max()),
        "advice_changed": float(np.mean([one != other for one, other in zip(advice, advice_after, strict=True)])),
    }


def _costs(bundle: Bundle, exact: np.ndarray, other: np.ndarray, truth: Truth) -> dict[str, tuple[float | None, ...]]:
    calibration, point = bundle.calibration, bundle.calibration.thresholds["routine_referral"]

    def scored(logits: np.ndarray) -> Scored:
        probabilities = calibration.stack.probabilities(logits)
        named = calibration.decision.named(probabilities)
        return Scored(probabilities, truth.labels, truth.lesions, point, bundle.taxonomy, named)

    rows = compare(scored(exact), scored(other), metrics=COSTS).rows
    return {row.metric: tuple(plain(vars(row.difference)).values()) for row in rows}


def _processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
