from io import BytesIO

import numpy as np
from PIL import Image

from ml.imaging.fingerprint import MAX_DISTANCE, fingerprint, matches
from ml.synthetic import draw


def saved_again(image: Image.Image, size: tuple[int, int], quality: int) -> Image.Image:
    output = BytesIO()
    image.resize(size, Image.Resampling.BICUBIC).save(output, "JPEG", quality=quality)
    return Image.open(BytesIO(output.getvalue()))


def test_a_copy_is_known_whatever_its_size_and_a_stranger_is_not() -> None:
    originals = [draw("NV", seed) for seed in range(8)]
    seen = np.stack([fingerprint(image) for image in originals])
    assert seen.shape == (8, 4)
    assert seen.dtype == np.uint64
    copies = np.stack([fingerprint(saved_again(image, (224, 224), 75)) for image in originals])
    strangers = np.stack([fingerprint(draw("NV", seed)) for seed in range(100, 108)])
    assert matches(copies, seen).all()
    assert not matches(strangers, seen).any()


def test_the_distance_is_counted_in_bits() -> None:
    base = np.zeros((1, 4), dtype=np.uint64)
    near, far = base.copy(), base.copy()
    near[0, 3] = (1 << MAX_DISTANCE) - 1
    far[0, 3] = (1 << (MAX_DISTANCE + 1)) - 1
    assert matches(near, base).tolist() == [True]
    assert matches(far, base).tolist() == [False]
    assert matches(base, np.zeros((0, 4), dtype=np.uint64)).tolist() == [False]
