"""The segmenter: fitted to HAM10000's masks from an ImageNet encoder, measured, and written as one folder."""

import hashlib
import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from ml import bundle as bundles
from ml.data import ham10000
from ml.data.errors import DataError
from ml.files import complete
from ml.imaging.preprocess import VERSION, Size
from ml.networks import weights
from ml.progress import Progress
from ml.segmentation import card, fitting, masks, measure, network
from ml.segmentation.segmenter import CARD, MANIFEST, SEEN, WEIGHTS, Segmenter
from ml.training import work_folder
from ml.version import code_version

SIZE: Final[Size] = (128, 96)
FORMAT: Final = 1
ARCHITECTURE: Final = "MobileNetV2 encoder cut at stride 16, decoder of sums at strides 8, 4 and 2"
LICENCE: Final = (
    f"{ham10000.ATTRIBUTION} Masks: Tschandl et al., Human-computer collaboration for skin cancer recognition, "
    "Nature Medicine 2020, doi:10.1038/s41591-020-0942-0, published with HAM10000. Encoder: ImageNet weights by "
    "Google, Apache-2.0. The weights of this segmenter carry the attribution and the non-commercial condition."
)


@dataclass(frozen=True)
class Run:
    """What a training is given: `data` holds HAM10000's table, images and masks, `backbones` the ImageNet weights;
    `work` keeps what an interrupted run goes on from; the segmenter goes to `output`, which is made.
    """

    data: Path
    backbones: Path
    work: Path
    output: Path
    settings: fitting.Settings


def train(run: Run, progress: Progress) -> dict[str, Any]:
    """Fits, measures and writes a segmenter; gives its manifest. A finished fit in `work` is kept, with a warning where
    it was fitted with other settings.

    Raises DataError for data that cannot be used, or other than those that `work` was filled from, and for a fit that
    was begun there with other settings; before any image is read FileNotFoundError for missing ImageNet weights.
    """
    fitted, settings, checkpoint = (run.work / name for name in (WEIGHTS, "settings.json", "checkpoint"))
    if not fitted.exists():
        network.imagenet_file(run.backbones)
    progress.stage("reading")
    sides = masks.read(run.data, ("train", "validation", "test"), progress.warning)
    learnt_from = [[side.lesions.tolist(), side.fingerprints.tolist(), _digest(side.masks)] for side in sides.values()]
    work_folder.claim(run.work, VERSION, learnt_from)
    wanted = asdict(run.settings)
    goes_on = settings.exists() and (fitted.exists() or checkpoint.exists())
    began = json.loads(settings.read_text()) if goes_on else wanted
    others = any(began[name] != value for name, value in wanted.items())
    if fitted.exists():
        progress.stage(f"keeping the segmenter as it was trained: epochs {began['epochs_done']}, seed {began['seed']}")
        if others:
            progress.warning(f"This run asks for other settings; to train anew, delete {run.work}")
    elif others:
        raise DataError(
            "other_data",
            f"The segmenter in {run.work} was begun with another --epochs, --samples or --seed. Say these again, or "
            "delete this folder to train anew.",
        )
    else:
        progress.stage("training")
        _note(settings, wanted)
        model = network.build(SIZE, run.backbones)
        epochs = fitting.fit(model, sides["train"], sides["validation"], run.settings, progress, work=checkpoint)
        _note(settings, {**wanted, "epochs_done": epochs})
        weights.save(model, fitted)

    progress.stage("evaluating")
    run.output.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(fitted, run.output / WEIGHTS)
    np.save(run.output / SEEN, np.concatenate([sides[name].fingerprints for name in ("train", "validation")]))
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "name": run.output.name,
        "architecture": ARCHITECTURE,
        "input": {"width": SIZE[0], "height": SIZE[1], "preprocessing": VERSION},
        "weights": WEIGHTS,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "code_version": code_version(),
        "data_hash": bundles.sha256(ham10000.table_path(run.data)),
        "split_seed": masks.SPLIT_SEED,
        "settings": json.loads(settings.read_text()),
        "fitted_to": len(sides["train"].masks),
        "chosen_on": len(sides["validation"].masks),
        "refused": {**sides["train"].refused, **sides["validation"].refused},
        "licence": LICENCE,
    }
    path = run.output / MANIFEST
    path.write_text(json.dumps(manifest))
    manifest["test"] = measure.evaluate(Segmenter(run.output), sides["test"])
    path.write_text(json.dumps(manifest, indent=1) + "\n")
    (run.output / CARD).write_text(card.write(manifest))
    progress.done(segmenter=str(run.output), test=manifest["test"])
    return manifest


def _note(path: Path, settings: dict[str, Any]) -> None:
    with complete(path) as file:
        file.write(json.dumps(settings).encode())


def _digest(outlines: Iterable[np.ndarray]) -> str:
    """SHA-256, hex, over masks."""
    total = hashlib.sha256()
    for outline in outlines:
        total.update(np.packbits(outline).tobytes())
    return total.hexdigest()
