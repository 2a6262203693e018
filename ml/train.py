"""The first bundle: members fitted to a published data set from ImageNet backbones."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from ml import members, training, weights
from ml.classes import INDEX
from ml.data import pixels
from ml.data.images import ImageStore
from ml.imaging.preprocess import Size
from ml.progress import Progress


def examples(rows: pd.DataFrame, images: ImageStore, size: Size) -> tuple[training.Examples, pixels.Loaded, pd.DataFrame]:
    """What to train on for the rows of a table: the examples, what was loaded, and the rows that could be read, all in one order."""
    loaded = pixels.load(images, rows["image_id"].tolist(), size)
    kept = rows.set_index("image_id", drop=False).loc[loaded.ids].reset_index(drop=True)
    labels = np.array([INDEX[code] for code in kept["dx"]], dtype=np.int64)
    return training.Examples(loaded.pixels, labels), loaded, kept


def fit_members(
    names: list[str],
    size: Size,
    train: training.Examples,
    validation: training.Examples,
    settings: training.Settings,
    backbones: Path,
    work: Path,
    progress: Progress,
) -> None:
    """Fits each member and leaves `<work>/<name>.npz`. A member that is there is kept, an interrupted one goes on from its last epoch."""
    for index, name in enumerate(names):
        finished = work / f"{name}.npz"
        if finished.exists():
            continue
        progress.stage(f"training {name}")
        keras.utils.set_random_seed(settings.seed + index)
        model = members.build(name, size)
        members.load_imagenet(model, backbones)
        own = replace(settings, seed=settings.seed + index)
        training.fit(model, train, validation, own, progress, work / f"{name}.checkpoint")
        weights.save(model, finished)
        keras.utils.clear_session()
