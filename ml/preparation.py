"""What some models want done to a frame before they look at it; `ml.prepare` does it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

SEGMENTERS: Final = Path(__file__).parent / "segmenters"
"""Where the code keeps those that a `Preparation` may name."""


@dataclass(frozen=True)
class Preparation:
    """`remove_hair` takes dark hairs out; `segmenter` names the one of `ml/segmenters` whose outline shows the lesion
    alone, and is empty where the skin stays.
    """

    remove_hair: bool = False
    segmenter: str = ""


NOTHING: Final = Preparation()
