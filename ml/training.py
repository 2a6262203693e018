"""Fitting one member to labelled pixels."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import keras
import numpy as np

from ml.augment import augment
from ml.data.examples import Examples
from ml.imaging.preprocess import Size
from ml.progress import Progress

BATCH: Final = 32
TRACE_STEPS: Final = 12
"""A run of fewer steps trains eagerly: tracing MobileNetV2 costs about ten seconds on two cores, a step about one."""


@dataclass(frozen=True)
class Settings:
    """How a member is fitted. `samples` is the number of images drawn in an epoch, None for as many as there are."""

    epochs: int
    samples: int | None = None
    learning_rate: float = 7e-4
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    ema: float = 0.99
    freeze_batch_norm: bool = False
    seed: int = 0


class BalancedBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """Augmented views of `size`, in which a class of n images is drawn in proportion to the square root of n, with
    one-hot labels of `classes` classes.
    """

    def __init__(self, examples: Examples, size: Size, classes: int, settings: Settings) -> None:
        super().__init__(workers=1, use_multiprocessing=False, max_queue_size=16)
        self._size, self._classes = size, classes
        counts = np.bincount(examples.labels, minlength=classes)
        weight = 1 / np.sqrt(counts[examples.labels])
        self._examples, self._seed, self._epoch = examples, settings.seed, 0
        self._chance = weight / weight.sum()
        self._samples = settings.samples or len(examples)
        self._draw()

    def __len__(self) -> int:
        return int(np.ceil(self._samples / BATCH))

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self._rows[index * BATCH : (index + 1) * BATCH]
        rng = np.random.default_rng((self._seed, self._epoch, index))
        views = np.stack([augment(self._examples.pixels[row], self._size, rng) for row in rows])
        return views, np.eye(self._classes, dtype=np.float32)[self._examples.labels[rows]]

    def on_epoch_end(self) -> None:
        self._epoch += 1
        self._draw()

    def start_at(self, epoch: int) -> None:
        """After a resumed run: the draws go on from this epoch."""
        self._epoch = epoch
        self._draw()

    def _draw(self) -> None:
        rng = np.random.default_rng((self._seed, self._epoch))
        self._rows = rng.choice(len(self._examples), self._samples, p=self._chance)


class _Report(keras.callbacks.Callback):  # type: ignore[misc]
    def __init__(self, progress: Progress, name: str, epochs: int) -> None:
        super().__init__()
        self._progress, self._name, self._epochs = progress, name, epochs

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        validation = logs.get("val_loss")
        self._progress.epoch(
            self._name,
            epoch + 1,
            self._epochs,
            round(float(logs["loss"]), 4),
            None if validation is None else round(float(validation), 4),
        )


def fit(
    model: keras.Model,
    train: Examples,
    validation: Examples | None,
    settings: Settings,
    progress: Progress,
    *,
    work: Path | None = None,
) -> None:
    """Fits a member of `ml.members` to frames in place: AdamW, cosine schedule with warm-up, label smoothing; its
    weights end as their moving average.

    With `work` given, the state is kept there after each epoch and an interrupted run goes on from it.
    """
    keras.utils.set_random_seed(settings.seed)
    height, width = model.input.shape[1:3]
    classes = model.output["logits"].shape[-1]
    batches = BalancedBatches(train, (width, height), classes, settings)
    steps = len(batches) * settings.epochs
    if settings.freeze_batch_norm:
        _freeze_batch_norm(model)
    trainee = keras.Model(model.input, model.output["logits"], name=model.name)
    warm = max(1, steps // 20)
    schedule = keras.optimizers.schedules.CosineDecay(
        settings.learning_rate / 20,
        max(1, steps - warm),
        alpha=0.01,
        warmup_target=settings.learning_rate,
        warmup_steps=warm,
    )
    ema = max(0.0, min(settings.ema, 1 - 10 / steps))  # a short run averages its last tenth, not its start
    optimizer = keras.optimizers.AdamW(
        schedule, weight_decay=settings.weight_decay, use_ema=True, ema_momentum=ema, global_clipnorm=1.0
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=settings.label_smoothing)
    trainee.compile(optimizer=optimizer, loss=loss, run_eagerly=steps < TRACE_STEPS)

    callbacks: list[Any] = [keras.callbacks.SwapEMAWeights()]
    if work is not None:
        callbacks.append(keras.callbacks.BackupAndRestore(str(work), delete_checkpoint=True))
        callbacks.append(_Resume(batches, trainee))
    callbacks.append(_Report(progress, model.name, settings.epochs))
    held_out = None
    if validation is not None and len(validation):
        whole = [cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR) for frame in validation.pixels]
        held_out = (np.stack(whole), np.eye(classes, dtype=np.float32)[validation.labels])
    trainee.fit(
        batches,
        epochs=settings.epochs,
        validation_data=held_out,
        validation_batch_size=64,
        callbacks=callbacks,
        verbose=0,
    )


class _Resume(keras.callbacks.Callback):  # type: ignore[misc]
    """The optimizer's step count, restored by then, says how many epochs were drawn before."""

    def __init__(self, batches: BalancedBatches, model: keras.Model) -> None:
        super().__init__()
        self._batches, self._optimizer = batches, model.optimizer

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._batches.start_at(int(self._optimizer.iterations) // len(self._batches))


def _freeze_batch_norm(model: keras.Model) -> None:
    """A few dozen images cannot re-estimate the statistics of a network; a frozen layer keeps those it has."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
        elif isinstance(layer, keras.Model):
            _freeze_batch_norm(layer)
