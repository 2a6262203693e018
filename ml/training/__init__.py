"""Fitting one member to labelled pixels."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np

from ml.data.examples import Examples
from ml.files import complete
from ml.imaging.preprocess import Size, whole
from ml.progress import Progress
from ml.training.augment import augment
from ml.training.checkpoints import Checkpoints, restored
from ml.training.devices import all_devices

TRACE_STEPS: Final = 12
"""A run of fewer steps trains eagerly: tracing MobileNetV2 costs about ten seconds on two cores, a step about one."""


LOSSES: Final[dict[str, Callable[..., keras.losses.Loss]]] = {
    "cross_entropy": keras.losses.CategoricalCrossentropy,
    "focal": keras.losses.CategoricalFocalCrossentropy,
}
"""On logits and one-hot or soft labels. Focal: Lin et al., Focal Loss for Dense Object Detection, ICCV 2017."""

SAMPLING: Final = {"none": 0.0, "sqrt": 0.5, "balanced": 1.0}
"""An image of a class with n images is drawn in proportion to n to minus this power: `balanced` draws every class
equally often, so it undersamples naevi and oversamples the others.
"""


@dataclass(frozen=True)
class Settings:
    """How a member is fitted. `samples` is the number of images drawn in an epoch, None for as many as there are;
    `loss` is one of LOSSES, `sampling` of SAMPLING, `augmentation` of `ml.training.augment.STRENGTHS`; the learning
    rate follows a cosine with warm-up, or stays; `ema` 0 keeps the last weights instead of their moving average. With
    `mixup`, images and labels are averaged in pairs by a share from the distribution Beta(mixup, mixup) (Zhang et al.,
    mixup: Beyond Empirical Risk Minimization, ICLR 2018); 0 leaves them alone.
    """

    epochs: int
    samples: int | None = None
    learning_rate: float = 7e-4
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    ema: float = 0.99
    freeze_batch_norm: bool = False
    seed: int = 0
    batch: int = 32
    cosine: bool = True
    loss: str = "cross_entropy"
    sampling: str = "sqrt"
    augmentation: str = "strong"
    freeze_backbone: bool = False
    mixup: float = 0.0


Seen = np.ndarray | dict[str, np.ndarray]
"""What a network is given: images, or a dict of `image` and `metadata`."""


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Augmented views of `size`, drawn as the settings say, with `targets`, float32 (n, classes); with `metadata`,
    float32 (n, width), as a dict of `image` and `metadata`. The length of each batch is a multiple of `devices`.
    """

    def __init__(
        self,
        examples: Examples,
        targets: np.ndarray,
        size: Size,
        settings: Settings,
        metadata: np.ndarray | None = None,
        *,
        devices: int = 1,
    ) -> None:
        super().__init__(workers=1, use_multiprocessing=False, max_queue_size=16)
        self._metadata = metadata
        self._examples, self._targets, self._size, self._settings = examples, targets, size, settings
        weight = np.bincount(examples.labels)[examples.labels] ** -SAMPLING[settings.sampling]
        self._chance = weight / weight.sum()
        self._samples = _shared(settings.samples or len(examples), devices)
        self._batch = _shared(settings.batch, devices)
        self.start_at(0)

    def __len__(self) -> int:
        return int(np.ceil(self._samples / self._batch))

    def __getitem__(self, index: int) -> tuple[Seen, np.ndarray]:
        rows = self._rows[index * self._batch : (index + 1) * self._batch]
        rng = np.random.default_rng((self._settings.seed, self._epoch, index))
        pixels, strength = self._examples.pixels, self._settings.augmentation
        views = np.stack([augment(pixels[row], self._size, rng, strength) for row in rows])
        metadata = None if self._metadata is None else self._metadata[rows]
        targets = self._targets[rows]
        if self._settings.mixup:
            share = rng.beta(self._settings.mixup, self._settings.mixup, len(rows)).astype(np.float32)
            other = rng.permutation(len(rows))
            views, targets = np.rint(_mixed(views, other, share)).astype(np.uint8), _mixed(targets, other, share)
            metadata = None if metadata is None else _mixed(metadata, other, share)
        return _beside(views, metadata), targets

    def on_epoch_end(self) -> None:
        self.start_at(self._epoch + 1)

    def start_at(self, epoch: int) -> None:
        """The draws go on from this epoch, also after an interruption."""
        self._epoch = epoch
        rng = np.random.default_rng((self._settings.seed, epoch))
        if self._settings.sampling == "none" and self._samples <= len(self._examples):
            self._rows = rng.permutation(len(self._examples))[: self._samples]
        else:
            self._rows = rng.choice(len(self._examples), self._samples, p=self._chance)


def fit(
    model: keras.Model,
    train: Examples,
    validation: Examples | None,
    settings: Settings,
    progress: Progress,
    *,
    work: Path | None = None,
    soft_labels: np.ndarray | None = None,
    metadata: tuple[np.ndarray, np.ndarray] | None = None,
) -> None:
    """Fits a member of `ml.networks.members` to frames in place: Adam with decoupled weight decay.

    It learns the labels, or `soft_labels` of the train images, float (n, classes), that sum to one. With `work` given,
    the state is kept there after each epoch and an interrupted run goes on from it; `history(work)` gives the epochs.
    `metadata` are vectors of the train and of the validation images, float32 (n, width), for a network with inputs of
    the names `image` and `metadata`.
    """
    keras.utils.set_random_seed(settings.seed)
    with all_devices(model) as devices:
        height, width = model.inputs[0].shape[1:3]
        size = (width, height)
        train_metadata, validation_metadata = metadata or (None, None)
        one_hot = np.eye(model.output["logits"].shape[-1], dtype=np.float32)
        targets = one_hot[train.labels] if soft_labels is None else soft_labels.astype(np.float32)
        batches = Batches(train, targets, size, settings, train_metadata, devices=devices)
        if settings.freeze_batch_norm:
            _freeze_batch_norm(model)
        if settings.freeze_backbone:
            model.get_layer(index=2).trainable = False
        trainee = keras.Model(model.input, model.output["logits"], name=model.name)
        steps = len(batches) * settings.epochs
        trainee.compile(
            optimizer=optimizer_for(
                steps,
                learning_rate=settings.learning_rate,
                weight_decay=settings.weight_decay,
                ema=settings.ema,
                cosine=settings.cosine,
            ),
            loss=LOSSES[settings.loss](from_logits=True, label_smoothing=settings.label_smoothing),
            metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
            run_eagerly=steps < TRACE_STEPS,
        )
        held_out = _held_out(validation, one_hot, size, validation_metadata, devices)
        done = 0 if work is None else restored(trainee, work, progress)
        if work is not None and not done:
            _history_path(work).unlink(missing_ok=True)
        batches.start_at(done)
        with progress.steps(f"{model.name}, batches of {settings.epochs} epochs", steps) as advance:
            advance(done * len(batches))
            told = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: advance())
            trainee.fit(
                batches,
                epochs=settings.epochs,
                initial_epoch=done,
                validation_data=held_out,
                validation_batch_size=_shared(64, devices),
                callbacks=[*_callbacks(settings, progress, model.name, work), told],
                verbose=0,
            )


def history(work: Path) -> list[dict[str, float]]:
    """The epochs of a `fit` with this `work`, interruptions included: `epoch`, `loss`, `accuracy` and, with a
    validation split, `val_loss` and `val_accuracy`; empty where it never ran.
    """
    path = _history_path(work)
    if not path.exists():
        return []
    epochs = [json.loads(line) for line in path.read_text().splitlines()]
    return list({epoch["epoch"]: epoch for epoch in epochs}.values())


def _held_out(
    validation: Examples | None, one_hot: np.ndarray, size: Size, metadata: np.ndarray | None, devices: int
) -> tuple[Seen, np.ndarray] | None:
    """Whole images with their labels, as many as devices can share evenly."""
    if validation is None or len(validation) < devices:
        return None
    rows = slice(_shared(len(validation), devices))
    beside = None if metadata is None else metadata[rows]
    return _beside(whole(validation.pixels[rows], size), beside), one_hot[validation.labels[rows]]


def _callbacks(settings: Settings, progress: Progress, name: str, work: Path | None) -> list[Any]:
    callbacks: list[Any] = [keras.callbacks.SwapEMAWeights()] if settings.ema else []
    if work is not None:
        # First the note, then the state: an epoch that is repeated is noted again, one without a note stays so.
        noted = keras.callbacks.LambdaCallback(on_epoch_end=partial(_note, work))
        callbacks += [noted, Checkpoints(work)]
    return [*callbacks, _Report(progress, name, settings.epochs)]


def _shared(count: int, devices: int) -> int:
    """The largest number up to `count` that devices can share evenly."""
    return count - count % devices


def _mixed(values: np.ndarray, other: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Each of the values, float32, with its share, and another of them with the rest."""
    own = share.reshape(-1, *[1] * (values.ndim - 1))
    return np.asarray(own * values + (1 - own) * values[other], dtype=np.float32)


def _beside(images: np.ndarray, metadata: np.ndarray | None) -> Seen:
    return images if metadata is None else {"image": images, "metadata": metadata}


def _history_path(work: Path) -> Path:
    return work.parent / f"{work.name}.epochs.jsonl"


def _note(work: Path, epoch: int, logs: dict[str, Any]) -> None:
    epochs = [*history(work), {"epoch": epoch + 1, **_rounded(logs)}]
    with complete(_history_path(work)) as file:
        file.write("".join(json.dumps(told) + "\n" for told in epochs).encode())


def _rounded(logs: dict[str, Any]) -> dict[str, float]:
    return {name: round(float(value), 4) for name, value in logs.items()}


def optimizer_for(
    steps: int, *, learning_rate: float, weight_decay: float, ema: float, cosine: bool = True
) -> keras.optimizers.Optimizer:
    """Adam with decoupled weight decay for a run of so many steps; the learning rate follows a cosine with warm-up, or
    stays; `ema` is the momentum of the weights' moving average, 0 for none.
    """
    rate: Any = learning_rate
    if cosine:
        warm = max(1, steps // 20)
        rate = keras.optimizers.schedules.CosineDecay(
            learning_rate / 20, max(1, steps - warm), alpha=0.01, warmup_target=learning_rate, warmup_steps=warm
        )
    momentum = max(0.0, min(ema, 1 - 10 / steps))  # a short run averages its last tenth, not its start
    optimizer = keras.optimizers.AdamW(
        rate, weight_decay=weight_decay, use_ema=bool(ema), ema_momentum=momentum, global_clipnorm=1.0
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


class _Report(keras.callbacks.Callback):  # type: ignore[misc]
    def __init__(self, progress: Progress, name: str, epochs: int) -> None:
        super().__init__()
        self._progress, self._name, self._epochs = progress, name, epochs

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        known = _rounded(logs or {})
        self._progress.epoch(self._name, epoch + 1, self._epochs, known["loss"], known.get("val_loss"))


def _freeze_batch_norm(model: keras.Model) -> None:
    """A few dozen images cannot re-estimate the statistics of a network; a frozen layer keeps those it has."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
        elif isinstance(layer, keras.Model):
            _freeze_batch_norm(layer)
