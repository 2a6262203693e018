"""How often drawings that are near to skin, and show no lesion, are told as none: `python -m tests.bench.near_skin`.

Mouths, sunsets over land, nipples and navels, painted onto the bare skin that the assessment draws (`ml.assess.
not_lesions`), whose other drawings are told because they are nothing like skin.
"""

import argparse
import io
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from ml import bundle
from ml.advice import Advice
from ml.assess.degradations import rounded
from ml.assess.not_lesions import BARE_SKIN, draw
from ml.cli.options import DEFAULT_CACHE
from ml.imaging.decode import decode
from ml.imaging.quality import check
from ml.runtime import Runtime
from ml.synthetic import SIZE

PICTURES: Final = 25

Draw = Callable[[ImageDraw.ImageDraw], object]


def main() -> None:
    """Prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, help="bundle folder (default: the shipped one)")
    parser.add_argument("--pictures", type=int, default=PICTURES, help=f"of each kind (default {PICTURES})")
    options = parser.parse_args()
    runtime = Runtime(options.bundle or bundle.shipped(), DEFAULT_CACHE)
    print(f"{runtime.bundle.name}, {options.pictures} pictures of each kind")
    print(
        "| picture | told as no lesion | refused as a bad photo | answered | as benign | P(malignant) | uncertainty |"
    )
    print("|---|---|---|---|---|---|---|")
    for kind, drawn in KINDS.items():
        photos = [_encoded(drawn(np.random.default_rng(seed))) for seed in range(options.pictures)]
        refused = np.array([bool(check(decode(photo).pixels).codes) for photo in photos])
        told = runtime.predict([runtime.prepare(photo) for photo in photos])
        novel = np.array([not one.recognised for one in told])
        passed = [one for one, kept in zip(told, ~novel & ~refused, strict=True) if kept]
        benign = sum(one.advice == Advice.SELF_MONITOR for one in passed)
        malignant, unsure = [one.malignant for one in passed], [one.uncertainty or 0.0 for one in passed]
        cells = [kind, novel.sum(), refused.sum(), len(passed), benign, _range(malignant), _range(unsure)]
        print(f"| {' | '.join(map(str, cells))} |", flush=True)


def _range(values: list[float]) -> str:
    return f"{min(values):.3f} to {max(values):.3f}" if values else "–"


def _mouth(rng: np.random.Generator) -> Image.Image:
    """Two lips on skin, and the line between them."""
    (x, y), a = _middle(rng), SIZE[0] * rng.uniform(0.2, 0.32)
    b = a * rng.uniform(0.28, 0.4)

    def lips(pen: ImageDraw.ImageDraw) -> None:
        pen.chord((x - a, y - b * 0.9, x + a, y + b * 1.3), 0, 180, 255)
        for middle in (x - a * 0.42, x + a * 0.42):
            pen.chord((middle - a * 0.6, y - b, middle + a * 0.6, y + b), 180, 360, 255)

    def between(pen: ImageDraw.ImageDraw) -> None:
        pen.line((x - a * 0.95, y, x, y + b * 0.12, x + a * 0.95, y), 255, 6)

    return _painted(_painted(_skin(rng), lips, (0.85, 0.55, 0.58)), between, (0.45, 0.4, 0.4))


def _sunset(rng: np.random.Generator) -> Image.Image:
    """A low sun in a red sky over dark land, in the grain of a photo of skin."""
    (x, y), radius, across = _middle(rng), SIZE[1] * rng.uniform(0.06, 0.14), np.linspace(0, SIZE[0], 60)
    ridge = SIZE[1] * (rng.uniform(0.55, 0.75) + 0.05 * np.sin(across / SIZE[0] * rng.uniform(4, 12)))

    def sun(pen: ImageDraw.ImageDraw) -> None:
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), 255)

    def land(pen: ImageDraw.ImageDraw) -> None:
        pen.polygon([*zip(across.tolist(), ridge.tolist(), strict=True), SIZE, (0, SIZE[1])], 255)

    sky = _painted(_skin(rng), lambda pen: pen.rectangle((0, 0, *SIZE), 255), (1.05, 0.85, 0.75))
    return _painted(_painted(sky, sun, (1.2, 1.35, 1.3)), land, (0.5, 0.42, 0.45))


def _nipple(rng: np.random.Generator) -> Image.Image:
    """A dark disc with a smaller, darker one in its middle."""
    (x, y), a = _middle(rng), SIZE[1] * rng.uniform(0.2, 0.32)

    def disc(share: float) -> Draw:
        return lambda pen: pen.ellipse((x - a * share, y - a * share, x + a * share, y + a * share), 255)

    return _painted(_painted(_skin(rng), disc(1), (0.78, 0.62, 0.6)), disc(0.3), (0.8, 0.72, 0.72))


def _navel(rng: np.random.Generator) -> Image.Image:
    """A hollow that gets darker inwards, with a fold above it."""
    (x, y), a = _middle(rng), SIZE[1] * rng.uniform(0.1, 0.2)

    def hollow(share: float) -> Draw:
        return lambda pen: pen.ellipse((x - a * share, y - a * share * 0.8, x + a * share, y + a * share * 0.8), 255)

    picture = _painted(
        _skin(rng),
        lambda pen: pen.arc((x - a * 1.6, y - a * 1.2, x + a * 1.6, y + a * 1.4), 200, 340, 255, 8),
        (0.7, 0.6, 0.6),
    )
    for share in (1.2, 0.9, 0.55):
        picture = _painted(picture, hollow(share), (0.82, 0.76, 0.74))
    return picture


KINDS: Final[dict[str, Callable[[np.random.Generator], Image.Image]]] = {
    "mouth": _mouth,
    "sunset over land": _sunset,
    "nipple": _nipple,
    "navel": _navel,
}


def _skin(rng: np.random.Generator) -> Image.Image:
    return draw(BARE_SKIN, int(rng.integers(2**32)), SIZE)


def _middle(rng: np.random.Generator) -> np.ndarray:
    return np.array(SIZE) * rng.uniform(0.42, 0.58, 2)


def _painted(picture: Image.Image, shape: Draw, gains: tuple[float, float, float]) -> Image.Image:
    """Each channel multiplied by its gain where a shape lies, with a soft edge: the skin's grain stays."""
    cover = Image.new("L", picture.size)
    shape(ImageDraw.Draw(cover))
    soft = np.asarray(cover.filter(ImageFilter.GaussianBlur(4)), dtype=np.float32)[..., None] / 255
    return rounded(np.asarray(picture, dtype=np.float32) * (1 + soft * (np.array(gains, dtype=np.float32) - 1)))


def _encoded(picture: Image.Image) -> bytes:
    written = io.BytesIO()
    picture.save(written, "JPEG", quality=90)
    return written.getvalue()


if __name__ == "__main__":
    main()
