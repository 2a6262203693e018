"""A segmenter learns, and goes on as it began."""

from dataclasses import replace
from pathlib import Path

import pytest

from ml.data.errors import DataError
from ml.progress import JsonProgress
from ml.segmentation import fitting, network, train
from ml.segmentation.fitting import Settings
from ml.segmentation.masks import Outlined

SIZE = (32, 32)


class Recorder(JsonProgress):
    """Keeps epochs and their losses, and can interrupt after one."""

    def __init__(self, stop_after: int = 0) -> None:
        self.losses: dict[int, float] = {}
        self._stop_after = stop_after

    def epoch(self, member: str, epoch: int, of: int, loss: float, validation_loss: float | None) -> None:
        assert "validation Jaccard 0." in member
        assert validation_loss is not None
        self.losses[epoch] = loss
        if epoch == self._stop_after:
            raise KeyboardInterrupt


def test_it_learns_and_goes_on_after_an_interruption(outlined: Outlined, tmp_path: Path) -> None:
    settings = Settings(epochs=3, samples=32, learning_rate=3e-3)  # too few steps to be worth a trace
    first, second, model = Recorder(1), Recorder(), network.build(SIZE)
    with pytest.raises(KeyboardInterrupt):
        fitting.fit(network.build(SIZE), outlined, outlined, settings, first, work=tmp_path)
    assert fitting.fit(model, outlined, outlined, settings, second, work=tmp_path) == 3
    assert list(second.losses) == [2, 3]
    assert second.losses[3] < first.losses[1] - 0.1


def test_it_ends_when_it_is_good_enough(outlined: Outlined, tmp_path: Path) -> None:
    recorder = Recorder()
    settings = Settings(epochs=5, samples=16, enough=0)
    assert fitting.fit(network.build(SIZE), outlined, outlined, settings, recorder, work=tmp_path) == 1
    assert list(recorder.losses) == [1]


def test_an_interrupted_segmenter_goes_on_as_it_began(published: Path, backbones: Path, tmp_path: Path) -> None:
    """The epochs of one schedule and the learning rates of another would be neither."""
    made = train.Run(published, backbones, tmp_path / "work", tmp_path / "made", Settings(epochs=2, samples=16))
    with pytest.raises(KeyboardInterrupt):
        train.train(made, Recorder(1))
    for change in ({"epochs": 3}, {"samples": 32}, {"seed": 1}):
        other = replace(made, settings=replace(made.settings, **change))
        with pytest.raises(DataError, match="begun with another --epochs"):
            train.train(other, Recorder())
    goes_on = Recorder()
    assert train.train(made, goes_on)["settings"]["epochs_done"] == 2
    assert list(goes_on.losses) == [2]
