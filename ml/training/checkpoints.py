"""What a training that was interrupted goes on from."""

import shutil
from pathlib import Path
from typing import Any

import keras


class Backup(keras.callbacks.BackupAndRestore):  # type: ignore[misc]
    """Begins anew where a run ended while it wrote its first checkpoint, as on a full disk."""

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        try:
            super().on_train_begin(logs)
        except OSError:
            if Path(self.backup_dir, "training_metadata.json").exists():  # which is written after the weights
                raise
            shutil.rmtree(self.backup_dir)


class Resume(keras.callbacks.Callback):  # type: ignore[misc]
    """Lets batches go on from the epoch where an interrupted run ended, by their `start_at`: the optimizer's step
    count, restored by then, says how many epochs were drawn before.
    """

    def __init__(self, batches: Any) -> None:
        super().__init__()
        self._batches = batches

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._batches.start_at(int(self.model.optimizer.iterations) // len(self._batches))
