from io import BytesIO

import numpy as np
from PIL import Image

from ml.imaging.overlay import render_heatmap
from tests.ml.conftest import jpeg


def test_the_photo_shows_through_where_the_map_is_zero_and_reddens_where_it_is_one() -> None:
    photo = np.full((300, 400, 3), (90, 120, 200), dtype=np.uint8)
    heatmap = np.zeros((9, 12), dtype=np.float32)
    heatmap[:, 8:] = 1.0
    overlay = np.asarray(Image.open(BytesIO(render_heatmap(jpeg(photo), heatmap))).convert("RGB")).astype(int)
    assert overlay.shape == (300, 400, 3)
    assert np.abs(overlay[150, 60] - photo[150, 60]).max() < 12
    assert overlay[150, 350, 0] > overlay[150, 60, 0] + 60
    assert overlay[150, 350, 2] < 130


def test_a_large_photo_is_shown_at_most_800_pixels_wide() -> None:
    overlay = Image.open(
        BytesIO(render_heatmap(jpeg(np.zeros((1500, 2000, 3), np.uint8)), np.zeros((9, 12), np.float32)))
    )
    assert overlay.size == (800, 600)
