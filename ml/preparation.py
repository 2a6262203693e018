"""What some models want done to a frame before they look at it, in training and in serving alike."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from ml.imaging.hair import remove_hair


@dataclass(frozen=True)
class Preparation:
    """`remove_hair` takes dark hairs out; `segmenter` names the one of `ml/segmenters` whose outline shows the lesion
    alone, and is empty where the skin stays.
    """

    remove_hair: bool = False
    segmenter: str = ""

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """The frames, uint8 RGB (n, rows, columns, 3), as the model wants them: the same shape.

        Raises FileNotFoundError for a segmenter that is not there.
        """
        if self.remove_hair and len(frames):
            frames = np.stack([remove_hair(frame) for frame in frames])
        if self.segmenter and len(frames):
            frames = self._alone(frames)
        return frames

    def _alone(self, frames: np.ndarray) -> np.ndarray:
        from ml.segmentation.focus import masked
        from ml.segmentation.segmenter import SHIPPED, Segmenter

        masks = Segmenter(SHIPPED / self.segmenter).masks(frames)
        return np.stack([masked(frame, mask) for frame, mask in zip(frames, masks, strict=True)])


NOTHING: Final = Preparation()
