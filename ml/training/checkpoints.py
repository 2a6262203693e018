"""What a training that was interrupted goes on from."""

import shutil
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np

from ml.files import complete
from ml.progress import Progress

STATE: Final = "state.npz"
EARLIER: Final = "latest.weights.h5"
"""What Keras kept for versions before this one."""


class Checkpoints(keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps the state of a training in a folder after each epoch, and forgets it at the end.

    Not Keras's own: it writes HDF5, which on a full disk leaves half a file and ends the whole process.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        values = [keras.ops.convert_to_numpy(variable) for variable in _variables(self.model)]
        with complete(self._folder / STATE) as file:
            np.savez(file, *values, epochs=epoch + 1)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        shutil.rmtree(self._folder)


def restored(model: keras.Model, folder: Path, progress: Progress) -> int:
    """Brings a compiled model and its optimizer to where an interrupted training left them, and gives the epochs that
    were done: 0 where there is nothing to go on from, with a warning where an earlier version left something.
    """
    if not (folder / STATE).exists():
        if (folder / EARLIER).exists():
            progress.warning(f"An earlier version's training in {folder} cannot be gone on from: it begins anew")
        return 0
    model.optimizer.build(model.trainable_variables)
    with np.load(folder / STATE) as state:
        for place, variable in enumerate(_variables(model)):
            variable.assign(state[f"arr_{place}"])
        return int(state["epochs"])


def _variables(model: keras.Model) -> list[Any]:
    return [*model.variables, *model.optimizer.variables]
