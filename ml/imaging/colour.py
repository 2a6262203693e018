"""Any picture mode into the one that the rest of LesionLens knows: 8-bit sRGB without transparency."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

from ml.imaging.refusal import ImageRefused

MAX_PROFILE_BYTES = 4 * 1024 * 1024

_TO_EIGHT_BIT = {
    "1": "L", "L": "L", "RGB": "RGB", "RGBX": "RGB", "YCbCr": "RGB", "CMYK": "CMYK",
    "LA": "RGBA", "La": "RGBA", "PA": "RGBA", "RGBA": "RGBA", "RGBa": "RGBA", "P": "RGB",
}  # fmt: skip


def to_eight_bit(image: Image.Image) -> Image.Image:
    """`image` as L, RGB, RGBA or CMYK, 8 bits a channel. Raises `ImageRefused`: unsupported_encoding.

    16-bit grey keeps its upper byte. Modes whose scale is not stated in the file (32-bit, float, LAB) are refused.
    """
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    target = _TO_EIGHT_BIT.get(image.mode)
    if target is None:
        raise ImageRefused("unsupported_encoding", f"pixel mode {image.mode}")
    if "transparency" in image.info and target in ("L", "RGB"):
        target = "RGBA"
    return image if image.mode == target else image.convert(target)


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """`image` (L, RGB, RGBA or CMYK) as RGB: alpha laid on white, `profile` (ICC) turned into sRGB.

    A profile that cannot be used is ignored: the picture is then read as sRGB, as browsers do.
    """
    if image.mode == "RGBA":
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("RGB")
    if profile and len(profile) <= MAX_PROFILE_BYTES:
        try:
            converted = ImageCms.profileToProfile(
                image, ImageCms.ImageCmsProfile(BytesIO(profile)), ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
        except (ImageCms.PyCMSError, OSError, ValueError):
            converted = None
        if converted is not None:
            return converted
    return image.convert("RGB")
