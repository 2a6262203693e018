"""The segmenter, from a folder in HAM10000's layout to a folder that outlines lesions."""

import argparse
import json
import shutil
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from ml import bundle
from ml.data import ham10000, splits
from ml.data.errors import DataError
from ml.export.errors import ExportError
from ml.imaging.preprocess import VERSION
from ml.segmentation import card, eight_bits, fitting, masks, measure, network, outline, train
from ml.segmentation.commands import add_commands
from ml.segmentation.fitting import Batches, Settings
from ml.segmentation.masks import Outlined
from ml.segmentation.segmenter import Segmenter, shipped
from ml.segmentation.views import view
from tests.ml.segmentation.conftest import LESIONS_OF_A_CLASS, lesion

SIZE = (32, 32)


def run(*arguments: str) -> None:
    parser = argparse.ArgumentParser()
    add_commands(parser.add_subparsers(required=True))
    options = parser.parse_args(arguments)
    options.run(options)


def test_one_command_makes_a_segmenter_and_another_measures_it(
    published: Path,
    backbones: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    output = tmp_path / "first"
    arguments = ["--data", str(published), "--backbones", str(backbones), "--work", str(tmp_path / "work")]
    run("segment-train", *arguments, "--epochs", "1", "--samples", "16", "--output", str(output))

    manifest = json.loads((output / "manifest.json").read_text())
    of_class = round(LESIONS_OF_A_CLASS * 0.15)
    assert manifest["name"] == "first"
    assert manifest["fitted_to"] == 2 * (LESIONS_OF_A_CLASS - 2 * of_class)
    assert manifest["test"]["images"] + manifest["test"]["dropped_seen"] == 2 * of_class
    assert manifest["data_hash"] == bundle.sha256(published / "small_metadata.csv")
    assert "non-commercial" in manifest["licence"]
    written = (output / "model_card.md").read_text()
    assert f"{manifest['test']['metrics']['mean_jaccard']['value']:.3f}" in written
    assert "1 epochs of 16 images" in written

    capsys.readouterr()
    run("segment-evaluate", "--segmenter", str(output), "--data", str(published))
    assert json.loads(capsys.readouterr().out) == manifest["test"]

    segmenter = Segmenter(output)
    frames = np.stack([lesion(100)[0], lesion(101)[0]])
    found = segmenter.masks(frames)
    assert found.shape == (2, 96, 128)
    assert found.dtype == bool
    mirrored = segmenter.logits(frames[:, :, ::-1])[:, :, ::-1]
    np.testing.assert_allclose(mirrored, segmenter.logits(frames), atol=1e-3)
    assert segmenter.masks(frames[:0]).shape == (0, 96, 128)

    again = tmp_path / "again"
    capsys.readouterr()
    run("segment-train", *arguments, "--epochs", "50", "--output", str(again), "--progress", "json")
    asks = f"This run asks for other settings; to train anew, delete {tmp_path / 'work'}"
    assert {"event": "warning", "message": asks} in [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (again / "segmenter.npz").read_bytes() == (output / "segmenter.npz").read_bytes()
    assert json.loads((again / "manifest.json").read_text())["settings"]["epochs_done"] == 1

    fewer = Path(shutil.copytree(published, tmp_path / "fewer"))
    (fewer / "S_0.png").unlink()
    run("segment-evaluate", "--segmenter", str(output), "--data", str(fewer))
    assert f"Warning: {fewer}: rows of the table left out: 1 missing_file\n" in capsys.readouterr().err
    table = (fewer / "small_metadata.csv").read_text().splitlines()
    (fewer / "small_metadata.csv").write_text("\n".join(table[:-2]))
    with pytest.raises(DataError, match="Say another --work"):
        run("segment-train", *arguments, "--data", str(fewer), "--output", str(again))

    corrected = Path(shutil.copytree(published, tmp_path / "corrected"))
    with zipfile.ZipFile(published / "small_masks.zip") as old:
        drawn = {name: old.read(name) for name in old.namelist()}
    drawn["masks/S_0_segmentation.png"] = drawn["masks/S_1_segmentation.png"]
    with zipfile.ZipFile(corrected / "small_masks.zip", "w") as archive:
        for name, mask in drawn.items():
            archive.writestr(name, mask)
    with pytest.raises(DataError, match="Say another --work"):
        run("segment-train", *arguments, "--data", str(corrected), "--output", str(again))

    monkeypatch.setattr(train, "VERSION", "another")
    with pytest.raises(DataError, match="Say another --work"):
        run("segment-train", *arguments, "--output", str(again))


def test_images_that_cannot_be_read_are_named(published: Path, tmp_path: Path) -> None:
    damaged = Path(shutil.copytree(published, tmp_path / "damaged"))
    sides = splits.assign(ham10000.read(damaged).table).set_index("image_id")["split"]
    test = sides.index[sides == "test"]
    (damaged / f"{test[0]}.png").write_bytes(b"")
    outlined = masks.read(damaged, ("test",))["test"]
    assert outlined.refused == outlined.unseen(np.zeros((0, 4), np.uint64)).refused == {test[0]: "empty"}
    segmenter = Segmenter(shipped())
    told = measure.evaluate(segmenter, outlined)
    assert told["refused"] == {test[0]: "empty"}
    values = measure.jaccards(segmenter.logits(outlined.pixels), outlined.masks)
    assert told["metrics"]["mean_jaccard"]["value"] == pytest.approx(values.mean(), abs=1e-6)
    for image_id in test:
        (damaged / f"{image_id}.png").write_bytes(b"")
    with pytest.raises(DataError, match="none could be read"):
        measure.evaluate(segmenter, masks.read(damaged, ("test",))["test"])


def test_what_ships_was_measured_on_the_frames_of_this_version() -> None:
    shipped_one = shipped()
    manifest = json.loads((shipped_one / "manifest.json").read_text())
    assert manifest["test"]["frames"] == VERSION, "Run `python -m ml segment-evaluate`, and keep what it prints."
    assert (shipped_one / "model_card.md").read_text() == card.write(manifest)


def test_a_segmenter_is_written_in_eight_bits_with_what_they_cost(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(shipped(), tmp_path / "small"))
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "eight_bits": None}))
    with pytest.raises(ExportError, match="python -m ml segment-quantise"):
        eight_bits.written(folder)
    run("segment-quantise", "--segmenter", str(folder), "--data", str(published))
    told = json.loads(capsys.readouterr().out)
    assert json.loads((folder / "manifest.json").read_text()) == {**manifest, "eight_bits": told}
    assert told["images"] == 2 * round(LESIONS_OF_A_CLASS * 0.15)
    assert told["sha256"] == bundle.sha256(eight_bits.written(folder))
    fits = [told[kind]["mean_jaccard"]["value"] for kind in ("int8", "float")]
    assert told["difference"]["value"] == pytest.approx(fits[0] - fits[1], abs=1e-5)
    assert f"| Mean Jaccard index | {fits[0]:.3f}" in (folder / "model_card.md").read_text()
    (folder / told["file"]).write_bytes(b"of other weights")
    with pytest.raises(ExportError, match="python -m ml segment-quantise"):
        eight_bits.written(folder)


def test_the_loss_is_small_where_the_outline_fits_and_large_where_it_does_not(outlined: Outlined) -> None:
    truth = np.stack(outlined.masks)[..., None].astype(np.float32)
    logits = truth * 40 - 20
    assert np.max(fitting.loss(truth, logits)) < 0.01
    assert np.min(fitting.loss(truth, -logits)) > 1.9
    np.testing.assert_allclose(fitting.jaccard(truth, logits), 1)
    np.testing.assert_allclose(fitting.jaccard(truth, -logits), 0, atol=1e-6)


def test_a_view_moves_the_mask_with_the_frame(outlined: Outlined, rng: np.random.Generator) -> None:
    mask = cv2.resize(outlined.masks[0].astype(np.uint8) * 255, (128, 96))
    frame = np.repeat(mask[..., None] // 3 * 2 + 40, 3, axis=-1)
    places = []
    for _ in range(10):
        seen, moved = view(frame, mask, (64, 48), rng)
        assert seen.shape == (48, 64, 3)
        inside, outside = seen[moved > 250].mean(), seen[moved < 5].mean()
        assert inside > outside + 60
        places.append(np.argwhere(moved > 127).mean(axis=0))
    assert np.std(places, axis=0).min() > 1


def test_an_epoch_draws_each_image_once_and_the_next_in_another_order(outlined: Outlined) -> None:
    first, same = (Batches(outlined, SIZE, Settings(epochs=1)) for _ in range(2))
    assert sum(len(first[index][0]) for index in range(len(first))) == len(outlined)
    np.testing.assert_array_equal(first[0][0], same[0][0])
    same.on_epoch_end()
    assert not np.array_equal(first[0][0], same[0][0])
    first.start_at(1)
    np.testing.assert_array_equal(first[1][0], same[1][0])


def test_the_jaccard_index_is_taken_at_the_resolution_of_the_mask() -> None:
    truth = np.zeros((150, 200), dtype=bool)
    truth[50:100, 50:150] = True
    grid = np.full((75, 100), -4, dtype=np.float32)
    grid[25:50, 25:50] = 4
    np.testing.assert_array_equal(outline.outline(grid, (200, 150))[50:100, 50:100], True)
    nothing = np.full((75, 100), -4, dtype=np.float32)
    values = measure.jaccards(np.stack([grid, nothing, nothing]), [truth, truth, np.zeros_like(truth)])
    np.testing.assert_allclose(values, [0.5, 0, 1])


def test_measures_have_intervals_by_lesion() -> None:
    values = np.array([0.9, 0.8, 0.6, 0.7])
    measured = measure.measure(values, np.array(["a", "a", "b", "c"]), draws=400)
    assert measured["mean_jaccard"].value == pytest.approx(0.75)
    assert measured["failed_share"].value == pytest.approx(0.25)
    assert measured["threshold_jaccard"].value == pytest.approx(0.6)
    assert measured["mean_jaccard"].low == pytest.approx(0.6)  # the draw of lesion b alone
    one = measure.measure(values, np.array(["a"] * 4), draws=20)["mean_jaccard"]
    assert one.value == pytest.approx(0.75)
    assert np.isnan([one.low, one.high]).all()  # one lesion tells nothing of others


def test_masks_that_are_missing_are_named(published: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        masks.find(tmp_path)
    assert caught.value.code == "no_masks"
    with pytest.raises(DataError, match="X_1_segmentation") as caught:
        masks.load(pd.DataFrame({"image_id": ["S_0", "X_1"]}), masks.find(published))
    assert caught.value.code == "missing_masks"


def test_what_cannot_be_built_says_why(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="multiple of 16"):
        network.build((100, 75))
    with pytest.raises(FileNotFoundError, match=network.IMAGENET):
        network.build(SIZE, tmp_path)
