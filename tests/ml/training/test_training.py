from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from ml import training
from ml.data.examples import Examples
from ml.networks import members
from ml.progress import Advance, JsonProgress
from ml.training import Batches, Settings, work_folder
from ml.training.augment import augment
from tests.ml.full_disk import no_file_longer_than

SIZE = (64, 48)


class Recorder(JsonProgress):
    """Keeps epochs and the share of the steps done, and can interrupt after an epoch."""

    def __init__(self, stop_after: int = 0) -> None:
        self.epochs: list[tuple[int, float, float | None]] = []
        self.shares: list[float] = [0.0]
        self.warnings: list[str] = []
        self._stop_after = stop_after

    @contextmanager
    def steps(self, name: str, of: int) -> Iterator[Advance]:
        yield lambda by=1: self.shares.append(self.shares[-1] + by / of)

    def warning(self, message: str, **facts: object) -> None:
        self.warnings.append(message)

    def epoch(self, member: str, epoch: int, of: int, loss: float, validation_loss: float | None) -> None:
        assert member == "tiny"
        self.epochs.append((epoch, loss, validation_loss))
        if epoch == self._stop_after:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def coloured() -> Examples:
    """Images whose class is their redness: the first class seven times as frequent as the others."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(7), [140, 20, 20, 20, 20, 20, 20])
    pixels = rng.integers(0, 40, (len(labels), SIZE[1], SIZE[0], 3), dtype=np.uint8)
    pixels[..., 0] += (labels * 30).astype(np.uint8)[:, None, None]
    return Examples(pixels, labels, labels.astype(str), np.zeros((len(labels), 4), np.uint64))


def batches_of(examples: Examples, settings: Settings) -> Batches:
    return Batches(examples, np.eye(7, dtype=np.float32)[examples.labels], SIZE, settings)


@pytest.mark.parametrize(("sampling", "ratio"), [("none", 7), ("sqrt", np.sqrt(7)), ("balanced", 1)])
def test_classes_are_drawn_as_the_sampling_says(coloured: Examples, sampling: str, ratio: float) -> None:
    batches = batches_of(coloured, Settings(epochs=1, samples=20_000, sampling=sampling))
    drawn = np.bincount(coloured.labels[batches._rows], minlength=7)
    assert drawn[0] / drawn[1:].mean() == pytest.approx(ratio, rel=0.1)


def test_without_sampling_an_epoch_has_every_image_once(coloured: Examples) -> None:
    batches = batches_of(coloured, Settings(epochs=1, sampling="none"))
    assert sorted(batches._rows) == list(range(len(coloured)))


def test_a_batch_is_the_same_for_the_same_seed_and_another_in_the_next_epoch(coloured: Examples) -> None:
    first, same = (batches_of(coloured, Settings(epochs=1, samples=64, batch=16)) for _ in range(2))
    np.testing.assert_array_equal(first[0][0], same[0][0])
    same.on_epoch_end()
    assert not np.array_equal(np.asarray(first[0][0]), np.asarray(same[0][0]))
    first.start_at(1)
    np.testing.assert_array_equal(first[1][0], same[1][0])
    assert len(first) == 4


def test_a_slight_view_is_turned_little_and_keeps_its_colour() -> None:
    """The line through the middle of a frame stays within twenty degrees of where it was, on a square view too."""
    frame = np.full((192, 256, 3), 200, dtype=np.uint8)
    cv2.line(frame, (0, 96), (255, 96), (90, 50, 40), 9)
    for seed in range(50):
        view = augment(frame, (128, 128), np.random.default_rng(seed), "slight")
        assert set(np.unique(view[0])) == {200}
        rows, columns = np.nonzero(view[..., 0] < 120)
        slope = np.polyfit(columns, rows, 1)[0]
        assert abs(slope) <= np.tan(np.deg2rad(21)) * 4 / 3  # a square view squeezes a frame of 4:3


def test_a_view_has_the_size_asked_for_and_no_two_are_alike(rng: np.random.Generator) -> None:
    frame = rng.integers(0, 256, (64, 86, 3), dtype=np.uint8)
    views = [augment(frame, (64, 48), rng) for _ in range(200)]  # every fault of a photo is drawn among them
    assert {view.shape for view in views} == {(48, 64, 3)}
    assert {view.dtype for view in views} == {np.dtype(np.uint8)}
    assert len({view.tobytes() for view in views}) == 200


def test_a_view_shows_the_lesion(rng: np.random.Generator) -> None:
    """However it is turned and lit, what is dark in the middle of the frame stays dark and in the picture."""
    frame = np.full((192, 256, 3), 200, dtype=np.uint8)
    cv2.circle(frame, (128, 96), 40, (90, 50, 40), -1)
    for _ in range(50):
        view = augment(frame, (192, 144), rng)
        assert 0.02 < (view[..., 2] < 100).mean() < 0.7


def test_hair_crosses_some_strong_views_and_no_slight_one() -> None:
    """On a plain frame, what is darker or fairer than all the rest of a view and thin is a hair: closing or opening by
    a disc takes it away.
    """
    frame = np.full((192, 256, 3), 150, dtype=np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))

    def hairy(strength: str) -> float:
        views = [augment(frame, (192, 144), np.random.default_rng(seed), strength)[..., 0] for seed in range(200)]
        thin = [
            np.maximum(cv2.morphologyEx(view, cv2.MORPH_BLACKHAT, disc), cv2.morphologyEx(view, cv2.MORPH_TOPHAT, disc))
            for view in views
        ]
        return float(np.mean([(lines > 60).mean() > 0.001 for lines in thin]))

    assert 0.1 < hairy("strong") < 0.5
    assert hairy("slight") == 0


def test_mixed_images_have_mixed_labels(coloured: Examples) -> None:
    """The redness of a mixed view is that of its label: 30 for each class, with the grain's mean of 19.5."""
    settings = Settings(epochs=1, samples=640, batch=64, augmentation="geometric", sampling="balanced", mixup=0.5)
    mixed, plain = batches_of(coloured, settings), batches_of(coloured, replace(settings, mixup=0.0))
    views, targets = np.asarray(mixed[0][0]), mixed[0][1]
    assert views.dtype == np.uint8
    np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-6)
    assert ((targets > 0.1).sum(axis=1) == 2).mean() > 0.2
    assert ((plain[0][1] > 0.1).sum(axis=1) == 1).all()
    expected = targets @ np.arange(7) * 30 + 19.5
    assert np.abs(views[..., 0].mean(axis=(1, 2)) - expected).max() < 3


def test_metadata_are_mixed_as_their_images_are(coloured: Examples) -> None:
    one_hot = np.eye(7, dtype=np.float32)[coloured.labels]
    batches = Batches(coloured, one_hot, SIZE, Settings(epochs=1, samples=64, mixup=0.5), one_hot)
    seen, targets = batches[0]
    np.testing.assert_allclose(seen["metadata"], targets, rtol=1e-6)


def test_it_learns_and_goes_on_after_an_interruption(coloured: Examples, tmp_path: Path) -> None:
    settings, work = Settings(epochs=4, samples=640, learning_rate=5e-3), tmp_path / "work"
    assert training.history(work) == []
    with pytest.raises(KeyboardInterrupt):
        training.fit(members.build("tiny", SIZE), coloured, coloured, settings, Recorder(2), work=work)
    model, recorder = members.build("tiny", SIZE), Recorder()
    training.fit(model, coloured, coloured, settings, recorder, work=work)
    assert [epoch for epoch, _, _ in recorder.epochs] == [3, 4]
    assert recorder.shares[1] == pytest.approx(0.5)  # what was done before
    assert recorder.shares[-1] == pytest.approx(1)
    assert len(recorder.shares) == 2 + 2 * 20
    last = recorder.epochs[-1][2]
    assert last is not None
    assert last < np.log(7) - 0.2
    told = training.history(work)
    assert [epoch["epoch"] for epoch in told] == [1, 2, 3, 4]
    assert told[-1]["val_loss"] == last
    assert told[-1]["val_accuracy"] > 0.3


@pytest.mark.parametrize(("done", "goes_on_with"), [(0, [1, 2, 3]), (1, [2, 3])])
def test_it_goes_on_where_a_full_disk_had_no_room_for_a_checkpoint(
    coloured: Examples, tmp_path: Path, done: int, goes_on_with: list[int]
) -> None:
    settings, work = Settings(epochs=3, samples=32), tmp_path / "work"
    if done:
        with pytest.raises(KeyboardInterrupt):
            training.fit(members.build("tiny", SIZE), coloured, None, settings, Recorder(done), work=work)
    with pytest.raises(OSError, match="too large") as full, no_file_longer_than(2000):
        training.fit(members.build("tiny", SIZE), coloured, None, settings, Recorder(), work=work)
    assert Path(full.value.filename).parent == work
    assert len(list(work.iterdir())) == done
    recorder = Recorder()
    training.fit(members.build("tiny", SIZE), coloured, None, settings, recorder, work=work)
    assert [epoch for epoch, _, _ in recorder.epochs] == goes_on_with
    assert [epoch["epoch"] for epoch in training.history(work)] == [1, 2, 3]


def test_it_goes_on_where_a_full_disk_had_no_room_for_a_note(coloured: Examples, tmp_path: Path) -> None:
    """The note of the second epoch ends in its middle, and neither it nor that of the first is lost for it."""
    settings, work = Settings(epochs=3, samples=32), tmp_path / "work"
    with pytest.raises(KeyboardInterrupt):
        training.fit(members.build("tiny", SIZE), coloured, None, settings, Recorder(1), work=work)
    (noted,) = tmp_path.glob("*.jsonl")
    with pytest.raises(OSError, match="too large") as full, no_file_longer_than(noted.stat().st_size + 9):
        training.fit(members.build("tiny", SIZE), coloured, None, settings, Recorder(), work=work)
    assert Path(full.value.filename) == noted
    training.fit(members.build("tiny", SIZE), coloured, None, settings, Recorder(), work=work)
    assert [epoch["epoch"] for epoch in training.history(work)] == [1, 2, 3]


def test_a_full_disk_leaves_what_says_that_a_run_may_go_on(tmp_path: Path) -> None:
    work_folder.claim(tmp_path, "one data set")
    (tmp_path / "tiny.npz").touch()
    with pytest.raises(OSError, match="too large"), no_file_longer_than(9):
        work_folder.claim(tmp_path, "one data set")
    work_folder.claim(tmp_path, "one data set")


def test_what_an_earlier_version_was_interrupted_in_is_told_to_begin_anew(coloured: Examples, tmp_path: Path) -> None:
    work, recorder = tmp_path / "work", Recorder()
    work.mkdir()
    (work / "latest.weights.h5").touch()
    settings = Settings(epochs=1, samples=32)
    training.fit(members.build("tiny", SIZE), coloured, None, settings, recorder, work=work)
    assert recorder.warnings == [f"An earlier version's training in {work} cannot be gone on from: it begins anew"]


def test_a_training_that_begins_anew_forgets_the_epochs_of_an_earlier_one(coloured: Examples, tmp_path: Path) -> None:
    work = tmp_path / "work"
    for epochs in (3, 1):
        settings = Settings(epochs=epochs, samples=32)
        training.fit(members.build("tiny", SIZE), coloured, None, settings, Recorder(), work=work)
    assert [epoch["epoch"] for epoch in training.history(work)] == [1]


def test_plain_adam_with_focal_loss_learns_too(coloured: Examples) -> None:
    settings = Settings(
        epochs=3, samples=640, learning_rate=5e-3, weight_decay=0, label_smoothing=0, ema=0, cosine=False,
        loss="focal", sampling="balanced", augmentation="slight",
    )  # fmt: skip
    model, recorder = members.build("tiny", SIZE), Recorder()
    training.fit(model, coloured, None, settings, recorder)
    assert recorder.epochs[-1][1] < 0.7 * recorder.epochs[0][1]


def test_soft_labels_take_the_place_of_the_labels(coloured: Examples) -> None:
    """Taught that every image is of the fourth class, it says so."""
    model = members.build("tiny", SIZE)
    taught = np.tile(np.eye(7)[3], (len(coloured), 1))
    settings = Settings(epochs=2, samples=640, learning_rate=1e-2, label_smoothing=0, ema=0)
    training.fit(model, coloured, None, settings, Recorder(), soft_labels=taught)
    answers = np.asarray(model(coloured.pixels, training=False)["logits"]).argmax(axis=1)
    assert (answers == 3).all()


def test_a_frozen_backbone_keeps_all_that_it_knows(coloured: Examples) -> None:
    model = members.build("tiny", SIZE)
    backbone = model.get_layer(index=2)
    before = [value.copy() for value in backbone.get_weights()], model.get_layer("maps").kernel.numpy().copy()
    training.fit(model, coloured, None, Settings(epochs=1, samples=64, freeze_backbone=True), Recorder())
    for old, new in zip(before[0], backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert not np.array_equal(before[1], model.get_layer("maps").kernel.numpy())


def test_a_short_run_moves_weights_and_leaves_batch_norm(coloured: Examples) -> None:
    model, recorder = members.build("tiny", SIZE), Recorder()
    before = [value.copy() for value in model.get_weights()]
    settings = Settings(epochs=1, samples=40, learning_rate=1e-3, freeze_batch_norm=True)
    training.fit(model, coloured, None, settings, recorder)
    moved = {
        variable.path: not np.array_equal(old, new)
        for variable, old, new in zip(model.weights, before, model.get_weights(), strict=True)
    }
    assert recorder.epochs[0][2] is None
    assert all(value == ("batch_normalization" not in path) for path, value in moved.items()), moved
