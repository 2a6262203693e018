"""Sharp copies of the middle of a frame: where they go, and that their use does not tell the class."""

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import ml.data
from ml.classes import CLASSES
from ml.data import details, examples
from ml.data.errors import DataError
from ml.data.images import ImageStore
from ml.imaging.preprocess import FRAME, preprocess
from tests.ml.conftest import jpeg

GREY, RED = (190, 190, 190), (200, 40, 40)
SHARES = dict(zip(CLASSES, (0.5, 0.9, 0.4, 0.3, 0.6, 1.0, 0.7), strict=True))


def plain(colour: tuple[int, int, int], width: int, height: int) -> bytes:
    return jpeg(np.full((height, width, 3), colour, dtype=np.uint8))


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Four grey frames and, of two of them, a red square."""
    rows = [
        {"image_id": f"I{n}", "lesion_id": f"L{n}", "dx": "nv", "dx_type": "histo", "age": 50 + n, "sex": "male"}
        for n in range(4)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "small_metadata.csv", index=False)
    for n in range(4):
        (tmp_path / f"I{n}.jpg").write_bytes(plain(GREY, 200, 150))
    with zipfile.ZipFile(tmp_path / "a_squares.zip", "w") as archive:
        for n in (1, 3):
            archive.writestr(f"images/I{n}.jpg", plain(RED, 224, 224))
    return tmp_path


def test_square_copies_are_details_and_no_images(published: Path) -> None:
    dataset = ml.data.read(published)
    assert dataset.details is not None
    assert dataset.details.ids() == ["I1", "I3"]
    assert dataset.images.ids() == ["I0", "I1", "I2", "I3"]
    whole = examples.load(dataset.table, dataset.images, FRAME)
    assert np.abs(whole.pixels.astype(int) - GREY[0]).max() <= 2


def test_a_first_image_that_is_empty_hides_no_squares(published: Path) -> None:
    with zipfile.ZipFile(published / "a_squares.zip", "a") as archive:
        archive.writestr("images/I0.jpg", b"")
    dataset = ml.data.read(published)
    assert dataset.details is not None
    assert dataset.details.ids() == ["I0", "I1", "I3"]


def test_squares_alone_are_told_as_such(published: Path) -> None:
    for frame in published.glob("*.jpg"):
        frame.unlink()
    with pytest.raises(DataError, match=r"a_squares\.zip has square images.* unpack") as refused:
        ml.data.read(published)
    assert refused.value.code == "no_images"
    with zipfile.ZipFile(published / "a_squares.zip") as archive:
        archive.extractall(published)
    (published / "a_squares.zip").unlink()
    assert ml.data.read(published).problems["missing_file"] == 2


def test_masks_as_they_are_published_are_no_frames(published: Path) -> None:
    """Beside squares alone, what lacks is said, and not that no row can be used."""
    for frame in published.glob("*.jpg"):
        frame.unlink()
    with zipfile.ZipFile(published / "HAM10000_segmentations_lesion_tschandl.zip", "w") as archive:
        archive.writestr("I0_segmentation.png", plain(GREY, 200, 150))
    with pytest.raises(DataError, match=r"holds no whole frames: a_squares\.zip has square images"):
        ml.data.read(published)


def test_a_copy_replaces_the_middle_square_of_the_frame(published: Path) -> None:
    dataset = ml.data.read(published)
    whole = examples.load(dataset.table, dataset.images, FRAME)
    sharp = examples.load(dataset.table, dataset.images, FRAME, details=dataset.details)
    assert sharp.pixels.shape == (4, 192, 256, 3)
    for row in (0, 2):
        np.testing.assert_array_equal(sharp.pixels[row], whole.pixels[row])
    for row in (1, 3):  # one class alone: every copy there is, is used
        np.testing.assert_allclose(sharp.pixels[row, :, 32:224], np.broadcast_to(RED, (192, 192, 3)), atol=3)
        np.testing.assert_array_equal(sharp.pixels[row, :, :32], whole.pixels[row, :, :32])
        np.testing.assert_array_equal(sharp.pixels[row, :, 224:], whole.pixels[row, :, 224:])
    np.testing.assert_array_equal(sharp.fingerprints, whole.fingerprints)


def test_a_frame_with_its_own_middle_stays_the_same_picture(tmp_path: Path, rng: np.random.Generator) -> None:
    """Resolution changes and nothing moves: a smooth scene, photographed as a frame and as its middle square."""
    scene = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)).resize(
        (800, 600), Image.Resampling.BICUBIC
    )
    for name in ("frames", "squares"):
        (tmp_path / name).mkdir()
    scene.resize((200, 150), Image.Resampling.BOX).save(tmp_path / "frames" / "I0.png")
    scene.crop((100, 0, 700, 600)).resize((224, 224), Image.Resampling.BOX).save(tmp_path / "squares" / "I0.png")
    table = pd.DataFrame({"image_id": ["I0"], "lesion_id": ["L0"], "dx": ["NV"]})
    sharp = examples.load(table, ImageStore(tmp_path / "frames"), FRAME, details=ImageStore(tmp_path / "squares"))
    difference = np.abs(sharp.pixels[0].astype(int) - preprocess(scene, FRAME).astype(int))
    assert difference.mean() < 1.5
    shifted = np.abs(np.roll(sharp.pixels[0], 3, axis=1).astype(int) - preprocess(scene, FRAME).astype(int))
    assert shifted.mean() > 4 * difference.mean()


def test_a_portrait_photo_keeps_its_copy_in_its_middle(tmp_path: Path) -> None:
    for name in ("frames", "squares"):
        (tmp_path / name).mkdir()
    (tmp_path / "frames" / "I0.jpg").write_bytes(plain(GREY, 150, 200))
    top_red = np.full((224, 224, 3), GREY, dtype=np.uint8)
    top_red[:112] = RED
    (tmp_path / "squares" / "I0.jpg").write_bytes(jpeg(top_red))
    table = pd.DataFrame({"image_id": ["I0"], "lesion_id": ["L0"], "dx": ["NV"]})
    images = ImageStore(tmp_path / "frames")
    sharp = examples.load(table, images, FRAME, details=ImageStore(tmp_path / "squares")).pixels[0]
    assert sharp.shape == (192, 256, 3)
    np.testing.assert_allclose(sharp[96, [10, 60, 200, 250]], [GREY, RED, GREY, GREY], atol=6)


def test_a_copy_brings_no_black_back_around_a_round_field(tmp_path: Path) -> None:
    """Both its photo and the square in its middle have the black corners of a field."""
    rows, columns = np.mgrid[:450, :600]
    scene = np.where(np.hypot(columns - 300, rows - 225)[..., None] < 225, GREY, (4, 4, 4)).astype(np.uint8)
    for name, pixels in (("frames", scene), ("squares", scene[:, 75:525])):
        (tmp_path / name).mkdir()
        (tmp_path / name / "I0.jpg").write_bytes(jpeg(pixels))
    table = pd.DataFrame({"image_id": ["I0"], "lesion_id": ["L0"], "dx": ["NV"]})
    images, copies = ImageStore(tmp_path / "frames"), ImageStore(tmp_path / "squares")
    sharp = examples.load(table, images, FRAME, details=copies).pixels[0]
    assert sharp[[0, 0, -1, -1], [0, 40, 215, -1]].min() > 60


def unequal(folder: Path, of_each: int) -> tuple[pd.DataFrame, ImageStore]:
    """As many images of each class, of which SHARES have a copy; the copies are files without pixels."""
    rows = [{"image_id": f"{dx}{n}", "dx": dx, "rank": n} for dx in CLASSES for n in range(of_each)]
    table = pd.DataFrame(rows)
    copies = table[table["rank"] < table["dx"].map(SHARES) * of_each]["image_id"]
    with zipfile.ZipFile(folder / "squares.zip", "w") as archive:
        for image_id in copies:
            archive.writestr(f"{image_id}.jpg", b"")
    return table, ImageStore(folder / "squares.zip")


def test_copies_are_used_at_one_rate_in_every_class(tmp_path: Path) -> None:
    table, store = unequal(tmp_path, 2000)
    used = details.draw(table, store, seed=3)
    rates = pd.Series(used).groupby(table["dx"]).mean()
    assert rates.to_dict() == pytest.approx(dict.fromkeys(CLASSES, 0.3), abs=0.04)  # four standard errors
    assert rates["AKIEC"] == 0.3  # the class with the fewest uses every one
    assert set(table["image_id"][used]) <= set(store.ids())


def test_the_draw_is_seeded_and_of_the_rows_given(tmp_path: Path) -> None:
    table, store = unequal(tmp_path, 200)
    np.testing.assert_array_equal(details.draw(table, store, seed=1), details.draw(table, store, seed=1))
    assert not np.array_equal(details.draw(table, store, seed=1), details.draw(table, store, seed=2))
    common = table[table["dx"] != "AKIEC"].reset_index(drop=True)
    rates = pd.Series(details.draw(common, store)).groupby(common["dx"]).mean()
    assert rates.min() == pytest.approx(0.4, abs=0.15)
    without = table[table["rank"] >= 60].reset_index(drop=True)  # AKIEC has no copy left
    assert not details.draw(without, store).any()


def test_a_broken_copy_is_named(published: Path) -> None:
    dataset = ml.data.read(published)
    with zipfile.ZipFile(published / "broken.zip", "w") as archive:
        archive.writestr("I1.jpg", plain(RED, 224, 224)[:300])
    loaded = examples.load(dataset.table, dataset.images, FRAME, details=ImageStore(published / "broken.zip"))
    assert list(loaded.refused) == ["I1"]
    assert len(loaded) == 3


def test_examples_carry_the_rows_that_were_kept(published: Path) -> None:
    (published / "I1.jpg").write_bytes(b"broken")
    dataset = ml.data.read(published)
    loaded = examples.load(dataset.table, dataset.images, FRAME)
    assert loaded.rows["image_id"].tolist() == ["I0", "I2", "I3"]
    assert loaded.rows["age"].tolist() == [50, 52, 53]
    np.testing.assert_array_equal(loaded.rows["lesion_id"], loaded.lesions)
    taken = loaded.take(np.array([False, True, True]))
    assert taken.rows["image_id"].tolist() == ["I2", "I3"]
    assert loaded.take(np.array([2, 0])).rows["image_id"].tolist() == ["I3", "I0"]
    assert taken.take(np.array([True, False])).rows["image_id"].tolist() == ["I2"]
