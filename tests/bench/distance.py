"""A lesion photographed from further away: small in a frame that is completed by its own skin."""

from typing import Final

import cv2
import numpy as np

CLEAR: Final = 0.05
"""How far from the lesion's outline its skin begins. Lengths are shares of the picture's longer side."""
SHADE: Final = 0.04
"""The standard deviation of the Gaussian that parts the skin's tone from its texture."""
FADE: Final = 0.15
"""How far outside the picture its tone ends in the mean one, so that a dark side or corner is not carried on."""
OFFSET: Final = 0.1
"""How far the picture may lie from the frame's middle, as a share of the frame."""
PLAIN: Final = 2.5
"""Skin differs from its tone by less than this times the median: hair and a ruler's marks differ by more."""
PIECES: Final = 60
"""How often texture is copied from another place until it covers what is no plain skin."""


def further_away(pixels: np.ndarray, lesion: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """The picture as it is, somewhere in the middle of a larger frame of which its lesion fills `share`: uint8 RGB.

    `pixels` is uint8 RGB (rows, columns, 3), `lesion` bool (rows, columns). Around the picture lies its own skin: the
    tone at its border, fading to the mean one, and its texture, mirrored and without the lesion, hair or marks. A
    lesion that fills less than `share` already stays as large as it is. Raises ValueError for a lesion that the
    picture cuts off, which no other distance shows and for an empty mask.
    """
    if not lesion.any() or lesion[[0, -1]].any() or lesion[:, [0, -1]].any():
        raise ValueError("The lesion has to lie inside the picture.")
    size = np.array(lesion.shape)
    grown = np.round(size * max(1.0, np.sqrt(lesion.mean() / share))).astype(int)
    room = grown - size
    top, left = np.clip(np.round(room / 2 + rng.uniform(-OFFSET, OFFSET, 2) * grown), 0, room).astype(int).tolist()
    margins = top, int(room[0]) - top, left, int(room[1]) - left
    tone, texture = _skin(pixels, lesion, rng)
    outside = cv2.copyMakeBorder(np.zeros(lesion.shape, np.uint8), *margins, cv2.BORDER_CONSTANT, value=1)
    away = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[..., None]
    near = np.clip(1 - away / (FADE * size.max()), 0, 1)
    around = cv2.copyMakeBorder(tone, *margins, cv2.BORDER_REPLICATE) * near + tone.mean(axis=(0, 1)) * (1 - near)
    frame = around + cv2.copyMakeBorder(texture, *margins, cv2.BORDER_REFLECT)
    frame[outside == 0] = pixels.reshape(-1, 3)
    return np.asarray(np.clip(np.round(frame), 0, 255), np.uint8)


def _skin(pixels: np.ndarray, lesion: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The tone and the texture of the picture's skin, float32 (rows, columns, 3) each, also where it shows none."""
    away = cv2.distanceTransform((~lesion).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    clear = away > min(CLEAR * max(lesion.shape), away.max() / 2)
    differs = np.abs(pixels - _tone(pixels, clear)).max(axis=2)
    plain = clear & (differs < PLAIN * max(1.0, float(np.median(differs[clear]))))
    tone = _tone(pixels, plain)
    texture = np.where(plain[..., None], pixels - tone, 0).astype(np.float32)
    known, missing = texture.copy(), ~plain
    for _ in range(PIECES):
        way = tuple(rng.integers(0, lesion.shape).tolist())
        piece = missing & np.roll(plain, way, (0, 1))
        texture[piece] = np.roll(known, way, (0, 1))[piece]
        missing &= ~piece
    return tone, texture


def _tone(pixels: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """The smoothed colour of what is skin, bool (rows, columns), and far from any its mean: float32."""
    shown, deviation = skin[..., None].astype(np.float32), SHADE * max(skin.shape)
    weight, least = cv2.GaussianBlur(shown, (0, 0), deviation)[..., None], 1e-3
    smooth = cv2.GaussianBlur(pixels * shown, (0, 0), deviation) + least * pixels[skin].mean(axis=0)
    return np.asarray(smooth / (weight + least), np.float32)
