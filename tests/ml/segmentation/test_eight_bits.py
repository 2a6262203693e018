"""The 8-bit file of the segmenter that ships."""

import json

from ml.imaging.preprocess import VERSION
from ml.segmentation import eight_bits
from ml.segmentation.segmenter import shipped


def test_what_ships_keeps_its_outlines_in_eight_bits() -> None:
    told = json.loads((shipped() / "manifest.json").read_text())["eight_bits"]
    assert eight_bits.written(shipped()).stat().st_size == told["bytes"] < 1_200_000
    assert told["frames"] == VERSION, "Run `python -m ml segment-quantise`."
    assert told["difference"]["low"] > -0.01
    assert told["agreement"]["low"] > 0.95
