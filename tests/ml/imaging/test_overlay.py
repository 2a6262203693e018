from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from ml.imaging.overlay import render_heatmap
from tests.ml.conftest import jpeg


def test_the_photo_shows_through_where_the_map_is_zero_and_reddens_where_it_is_one() -> None:
    photo = np.full((600, 800, 3), (90, 120, 200), dtype=np.uint8)
    heatmap = np.zeros((9, 12), dtype=np.float32)
    heatmap[:, 8:] = 1.0
    overlay = np.asarray(Image.open(BytesIO(render_heatmap(jpeg(photo), heatmap))).convert("RGB")).astype(int)
    assert overlay.shape == (600, 800, 3)
    assert np.abs(overlay[300, 120] - photo[300, 120]).max() < 12
    assert overlay[300, 700, 0] > overlay[300, 120, 0] + 60
    assert overlay[300, 700, 2] < 130


@pytest.mark.parametrize("width", [200, 2000])
def test_every_photo_is_shown_800_pixels_wide(width: int) -> None:
    photo = np.zeros((width * 3 // 4, width, 3), np.uint8)
    overlay = Image.open(BytesIO(render_heatmap(jpeg(photo), np.zeros((9, 12), np.float32))))
    assert overlay.size == (800, 600)
