"""Fitting the segmentation network to frames and masks."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import keras
import numpy as np
from keras import ops

from ml.imaging.preprocess import Size
from ml.progress import Progress
from ml.segmentation.masks import Outlined
from ml.segmentation.outline import shrunk
from ml.segmentation.views import view
from ml.training import TRACE_STEPS, optimizer_for
from ml.training.checkpoints import Checkpoints, restored

BATCH: Final = 16


@dataclass(frozen=True)
class Settings:
    """How the network is fitted. `samples` is the number of images in an epoch, None for all; once the mean Jaccard
    index on the validation split reaches `enough`, no epoch follows.
    """

    epochs: int
    samples: int | None = None
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    ema: float = 0.99
    enough: float = 0.88
    seed: int = 0


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Random views, every image once before any comes again."""

    def __init__(self, outlined: Outlined, size: Size, settings: Settings) -> None:
        super().__init__(workers=1, use_multiprocessing=False, max_queue_size=8)
        self._outlined, self._size, self._seed = outlined, size, settings.seed
        self._masks = [_stretched(mask, outlined.pixels.shape[1:3]) for mask in outlined.masks]
        self._samples = min(settings.samples or len(outlined), len(outlined))
        self.start_at(0)

    def __len__(self) -> int:
        return int(np.ceil(self._samples / BATCH))

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self._rows[index * BATCH : (index + 1) * BATCH]
        rng = np.random.default_rng((self._seed, self._epoch, index))
        views = [view(self._outlined.pixels[row], self._masks[row], self._size, rng) for row in rows]
        return np.stack([pixels for pixels, _ in views]), _target([mask for _, mask in views])

    def on_epoch_end(self) -> None:
        self.start_at(self._epoch + 1)

    def start_at(self, epoch: int) -> None:
        """The draws go on from this epoch, also after an interruption."""
        self._epoch = epoch
        self._rows = np.random.default_rng((self._seed, epoch)).permutation(len(self._outlined))[: self._samples]


def loss(truth: Any, logits: Any) -> Any:
    """Binary cross-entropy plus one minus the soft Dice coefficient of each image, (n,).

    Source: Milletari et al., V-Net, 3DV 2016, with the sum in place of the squares in the denominator.
    """
    probability = ops.sigmoid(logits)
    axes = (1, 2, 3)
    overlap = ops.sum(truth * probability, axis=axes)
    total = ops.sum(truth, axis=axes) + ops.sum(probability, axis=axes)
    crossentropy = ops.mean(ops.binary_crossentropy(truth, logits, from_logits=True), axis=axes)
    return crossentropy + 1 - (2 * overlap + 1) / (total + 1)


def jaccard(truth: Any, logits: Any) -> Any:
    """The Jaccard index of each image at even odds, (n,)."""
    lesion, found = truth > 0.5, logits > 0
    axes = (1, 2, 3)
    overlap = ops.sum(ops.cast(ops.logical_and(lesion, found), "float32"), axis=axes)
    union = ops.sum(ops.cast(ops.logical_or(lesion, found), "float32"), axis=axes)
    return (overlap + 1e-6) / (union + 1e-6)


def fit(
    model: keras.Model,
    train: Outlined,
    validation: Outlined,
    settings: Settings,
    progress: Progress,
    *,
    work: Path,
) -> int:
    """Fits a model of `ml.segmentation.network` in place: AdamW, cosine schedule with warm-up; its weights end as
    their moving average. Gives the number of epochs, those before an interruption included.

    The state is kept in `work` after each epoch, and an interrupted run goes on from it.
    """
    height, width = model.input.shape[1:3]
    size = (width, height)
    keras.utils.set_random_seed(settings.seed)
    batches = Batches(train, size, settings)
    steps = len(batches) * settings.epochs
    optimizer = optimizer_for(
        steps, learning_rate=settings.learning_rate, weight_decay=settings.weight_decay, ema=settings.ema
    )
    model.compile(optimizer=optimizer, loss=loss, metrics=[jaccard], run_eagerly=steps < TRACE_STEPS)
    held_out = (
        np.stack([shrunk(frame, size) for frame in validation.pixels]),
        _target([_stretched(mask, (height, width)) for mask in validation.masks]),
    )
    done = restored(model, work, progress)
    batches.start_at(done)
    model.fit(
        batches,
        epochs=settings.epochs,
        initial_epoch=done,
        validation_data=held_out,
        validation_batch_size=64,
        callbacks=[
            keras.callbacks.SwapEMAWeights(),
            Checkpoints(work),
            _Report(progress, settings),
        ],
        verbose=0,
    )
    return int(optimizer.iterations) // len(batches)


def _stretched(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A bool mask at (rows, columns) of `shape`, uint8 in 0 to 255."""
    return cv2.resize(mask.astype(np.uint8) * 255, shape[::-1], interpolation=cv2.INTER_LINEAR)


def _target(masks: list[np.ndarray]) -> np.ndarray:
    return (np.stack(masks).astype(np.float32) / 255)[..., None]


class _Report(keras.callbacks.Callback):  # type: ignore[misc]
    """Tells each epoch, and ends after one that was good enough."""

    def __init__(self, progress: Progress, settings: Settings) -> None:
        super().__init__()
        self._progress, self._settings = progress, settings

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        fitted, held_out = round(float(logs["loss"]), 4), round(float(logs["val_loss"]), 4)
        reached = float(logs["val_jaccard"])
        name = f"{self.model.name} (validation Jaccard {reached:.3f})"
        self._progress.epoch(name, epoch + 1, self._settings.epochs, fitted, held_out)
        if reached >= self._settings.enough:
            self.model.stop_training = True
