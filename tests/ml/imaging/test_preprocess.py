import numpy as np
import pytest
from PIL import Image

from ml.imaging.preprocess import fit, framed, preprocess, unframed


def picture(width: int, height: int) -> Image.Image:
    """A gradient with a bright square, made from integers alone."""
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x * 255 // width, y * 255 // height, (x + y) * 255 // (width + height)], axis=-1).astype(
        np.uint8
    )
    pixels[height // 4 : height // 2, width // 4 : width // 3] = (250, 20, 90)
    return Image.fromarray(pixels)


def test_a_portrait_is_turned_and_its_grid_turned_back() -> None:
    upright = picture(300, 400)
    pixels = fit(upright)
    assert pixels.shape == (256, 192, 3)
    frame = framed(pixels)
    assert frame.shape == (192, 256, 3)
    np.testing.assert_array_equal(preprocess(upright), frame)
    np.testing.assert_array_equal(np.rot90(frame, k=-1), pixels)
    grid = np.arange(108, dtype=np.float32).reshape(9, 12)
    np.testing.assert_array_equal(np.rot90(unframed(grid, pixels.shape)), grid)


@pytest.mark.parametrize("size", [(600, 450), (450, 450), (1920, 1080), (64, 48), (2048, 20), (3, 900)])
def test_every_photo_gives_a_whole_frame(size: tuple[int, int]) -> None:
    assert preprocess(picture(*size)).shape == (192, 256, 3)
    assert preprocess(picture(*size[::-1])).shape == (192, 256, 3)


def test_a_square_photo_keeps_its_shape_and_is_completed_by_its_mirror_image() -> None:
    square = picture(450, 450)
    pixels = fit(square)
    assert pixels.shape == (192, 192, 3)
    frame = framed(pixels)
    np.testing.assert_array_equal(frame[:, 32:224], pixels)
    np.testing.assert_array_equal(frame[:, 31::-1], pixels[:, 1:33])


@pytest.mark.parametrize("size", [(450, 450), (1600, 900), (900, 1600), (600, 450), (450, 600)])
def test_a_grid_comes_back_to_where_the_photo_shows_it(size: tuple[int, int]) -> None:
    """What is hot in the frame lies at the same place of the photo, whatever its shape."""
    width, height = size
    blue = np.zeros((height, width, 3), dtype=np.uint8)
    blue[height * 6 // 10 : height * 8 // 10, width * 2 // 10 : width * 5 // 10, 2] = 255
    pixels = fit(Image.fromarray(blue))
    grid = np.asarray(Image.fromarray(framed(pixels)[..., 2]).resize((48, 36), Image.Resampling.BOX), np.float32)
    back = unframed(grid, pixels.shape)
    whole = np.asarray(Image.fromarray(back).resize(size, Image.Resampling.BILINEAR))
    hot = whole > 127
    truth = blue[..., 2] > 0
    assert (hot & truth).sum() / (hot | truth).sum() > 0.75


def test_nothing_of_the_photo_is_lost() -> None:
    """A mark in each corner survives, so nothing is cropped."""
    pixels = np.zeros((450, 600, 3), dtype=np.uint8)
    for row in (slice(0, 20), slice(430, 450)):
        for column in (slice(0, 20), slice(580, 600)):
            pixels[row, column] = 255
    small = preprocess(Image.fromarray(pixels))
    assert min(small[row, column].min() for row in (2, 189) for column in (2, 253)) > 200
