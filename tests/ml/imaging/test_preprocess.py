import numpy as np
import pytest
from PIL import Image

from ml.imaging.preprocess import VERSION, fit, landscape, preprocess, turned_back


def picture(width: int, height: int) -> Image.Image:
    """A gradient with a bright square, made from integers alone."""
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x * 255 // width, y * 255 // height, (x + y) * 255 // (width + height)], axis=-1).astype(
        np.uint8
    )
    pixels[height // 4 : height // 2, width // 4 : width // 3] = (250, 20, 90)
    return Image.fromarray(pixels)


def test_golden_pixels() -> None:
    """What a version's pixels are. If these change, VERSION must, and every bundle with it."""
    pixels = preprocess(picture(600, 450))
    assert VERSION == "frame-4x3-v1"
    assert pixels.shape == (144, 192, 3)
    assert pixels.dtype == np.uint8
    golden = {(0, 0): (1, 1, 1), (40, 50): (250, 20, 90), (100, 100): (133, 177, 152), (143, 191): (254, 254, 253)}
    for (row, column), colour in golden.items():
        assert np.abs(pixels[row, column].astype(int) - colour).max() <= 1, (row, column, pixels[row, column])
    assert pixels.mean() == pytest.approx(127.0, abs=3)


def test_a_portrait_is_turned_and_its_grid_turned_back() -> None:
    upright = picture(300, 400)
    pixels = fit(upright, (192, 144))
    assert pixels.shape == (192, 144, 3)
    assert landscape(pixels).shape == (144, 192, 3)
    np.testing.assert_array_equal(preprocess(upright), landscape(pixels))
    np.testing.assert_array_equal(turned_back(landscape(pixels)), pixels)


@pytest.mark.parametrize("size", [(600, 450), (450, 450), (1920, 1080), (64, 48), (2048, 20)])
def test_every_frame_gives_the_model_size(size: tuple[int, int]) -> None:
    assert preprocess(picture(*size)).shape == (144, 192, 3)
    assert preprocess(picture(*size[::-1])).shape == (144, 192, 3)


def test_the_whole_frame_is_kept() -> None:
    """A mark in each corner survives, so nothing is cropped."""
    pixels = np.zeros((450, 600, 3), dtype=np.uint8)
    for row in (slice(0, 20), slice(430, 450)):
        for column in (slice(0, 20), slice(580, 600)):
            pixels[row, column] = 255
    small = preprocess(Image.fromarray(pixels))
    assert min(small[row, column].min() for row in (2, 141) for column in (2, 189)) > 200
