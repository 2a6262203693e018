"""How often the quality check is wrong about good images, and how often it notices spoilt ones.

    python -m tests.bench.quality_false_alarms --data <folder> [--images 1500]

`--data` holds `ham10000_images_224x224.zip`, `ham10000_images_200x150.zip` and `ham10000_masks_200x150.zip`: reduced
copies of HAM10000 and the published segmentations. The first are the squares in the middle of 299 x 224 pixels; what
lies beside them comes from the second.
"""

from __future__ import annotations

import argparse
import random
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from ml.assess.artefacts import vignette
from ml.data.details import sharpen
from ml.imaging.quality import check

CODES = ("too_small", "too_dark", "too_bright", "low_contrast", "not_skin", "too_far", "no_lesion", "blurred")
Pixels = NDArray[np.uint8]


def images(path: Path, count: int) -> Iterator[tuple[str, Image.Image]]:
    """`count` images of a zip in a fixed random order, as (id, RGB image)."""
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        for name in random.Random(0).sample(names, min(count, len(names))):
            yield Path(name).stem, Image.open(BytesIO(archive.read(name))).convert("RGB")


def widened(square: Image.Image, whole: Image.Image) -> Image.Image:
    """The 299 x 224 pixels that a square is the middle of, with the less sharp sides of the `whole` image."""
    return Image.fromarray(sharpen(np.asarray(whole.resize((299, 224), Image.Resampling.BICUBIC)), square))


def scaled(image: Image.Image, factor: float, offset: float = 0.0) -> Image.Image:
    return Image.fromarray((np.asarray(image, np.float32) * factor + offset).clip(0, 255).astype(np.uint8))


def moved(image: Image.Image, length: int) -> Image.Image:
    """`image` as if the camera had moved sideways by `length` pixels."""
    return Image.fromarray(cv2.blur(np.asarray(image), (length, 1)))


def noisy(image: Image.Image, deviation: float) -> Image.Image:
    noise = np.random.default_rng(0).normal(0, deviation, (image.height, image.width, 3))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


def bare_skin(image: Image.Image, lesion: Pixels) -> Image.Image | None:
    """The largest square away from the lesion, enlarged to 256 pixels; None where there is none of 80 pixels."""
    taken = cv2.dilate(cv2.resize(lesion, image.size), np.ones((15, 15), np.uint8)) > 127
    pixels = np.asarray(image)
    for side in (110, 80):
        for top in range(4, image.height - side, 8):
            for left in range(4, image.width - side, 8):
                patch = (slice(top, top + side), slice(left, left + side))
                if not taken[patch].any() and pixels[patch].min() > 40:
                    return Image.fromarray(pixels[patch]).resize((256, 256), Image.Resampling.BICUBIC)
    return None


def spoilt(name: str, image: Image.Image, masks: zipfile.ZipFile) -> Iterator[tuple[str, Image.Image]]:
    for radius in (1, 1.5, 2, 3):
        yield f"gaussian blur, radius {radius}", image.filter(ImageFilter.GaussianBlur(radius))
    yield "gaussian blur, radius 2, then noise 2", noisy(image.filter(ImageFilter.GaussianBlur(2)), 2)
    yield "moved by 9 pixels", moved(image, 9)
    yield "exposure x 0.2", scaled(image, 0.2)
    yield "exposure x 0.5 (must pass)", scaled(image, 0.5)
    yield "exposure x 2", scaled(image, 2)
    yield "exposure x 3", scaled(image, 3)
    yield "haze", scaled(image, 0.15, 190)
    mask = Image.open(BytesIO(masks.read(f"masks/{name}_segmentation.png"))).convert("L")
    skin = bare_skin(image, np.asarray(mask))
    if skin is not None:
        yield "skin without a lesion", skin


def never_skin(count: int) -> Iterator[tuple[str, Image.Image]]:
    chance = np.random.default_rng(0)
    for _ in range(count):
        yield "colour noise", Image.fromarray(chance.integers(0, 256, (224, 299, 3), np.uint8))
        page = Image.new("RGB", (1200, 900), tuple(int(value) for value in chance.integers(225, 256, 3)))
        draw = ImageDraw.Draw(page)
        for y in range(30, 870, 26):
            letters = "".join(chr(97 + value) if value < 26 else " " for value in chance.integers(0, 31, 110))
            draw.text((40, y), letters, fill=(20, 20, 20), font_size=20)
        yield "page of text", page
        yield "one flat colour", Image.new("RGB", (300, 225), tuple(int(value) for value in chance.integers(0, 256, 3)))


def table(found: dict[str, Counter[str]], totals: Counter[str]) -> Iterator[str]:
    """The share of each kind of image that got each flag, as lines of text."""
    yield f"{'':40}{'images':>7}{'any':>8}" + "".join(f"{code:>13}" for code in CODES)
    for kind, total in totals.items():
        shares = "".join(f"{found[kind][code] / total:13.2%}" for code in CODES)
        yield f"{kind:40}{total:7}{found[kind]['any'] / total:8.1%}{shares}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=int, default=1500, help="of each zip; every fifth is also spoilt")
    options = parser.parse_args()
    found: dict[str, Counter[str]] = {}
    totals: Counter[str] = Counter()

    def note(kind: str, image: Image.Image) -> None:
        codes = check(image).codes
        totals[kind] += 1
        found.setdefault(kind, Counter()).update([*codes, *(["any"] if codes else [])])

    with (
        zipfile.ZipFile(options.data / "ham10000_masks_200x150.zip") as masks,
        zipfile.ZipFile(options.data / "ham10000_images_200x150.zip") as wholes,
    ):
        squares = images(options.data / "ham10000_images_224x224.zip", options.images)
        for index, (name, square) in enumerate(squares):
            image = widened(square, Image.open(BytesIO(wholes.read(f"images/{name}.jpg"))))
            note("HAM10000, 299 x 224", image)
            note("the same, enlarged to 600 x 450", image.resize((600, 450), Image.Resampling.BICUBIC))
            note("the same in a round field", vignette(image, np.random.default_rng(index)))
            if index % 5 == 0:
                for kind, copy in spoilt(name, image, masks):
                    note(kind, copy)
    for _, image in images(options.data / "ham10000_images_200x150.zip", options.images):
        note("HAM10000, 200 x 150", image)
    for kind, image in never_skin(60):
        note(kind, image)
    sys.stdout.write("\n".join(table(found, totals)) + "\n")


if __name__ == "__main__":
    main()
