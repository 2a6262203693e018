"""Every hostile file ends in a clear refusal or a clean picture, soon, and without growing the process."""

from __future__ import annotations

import resource
import time
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from ml.imaging.decode import Decoded, decode
from ml.imaging.derivatives import clean, thumbnail
from ml.imaging.refusal import SENTENCES, ImageRefused
from ml.imaging.sniff import sniff
from tests.ml.imaging.hostile import DISGUISED, NAMES, PHOTO, SCRIPT, hostile_files, truncated
from tests.ml.imaging.samples import every_format, markers

LIMIT_SECONDS = 5.0
LIMIT_GROWTH_MB = 150.0
LIMIT_PEAK_MB = 1000.0
WHOLE = every_format(PHOTO)


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def outcome(data: bytes) -> Decoded | str:
    """The picture, or the code of the refusal; any other exception is a fault."""
    try:
        return decode(data)
    except ImageRefused as refusal:
        return refusal.code


def test_each_hostile_file_is_refused_or_cleaned() -> None:
    files = list(hostile_files())
    names = [name for name, _ in files]
    assert len(set(names)) == len(names) >= 200
    before, peak_before = resident_mb(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    outcomes: dict[str, str] = {}
    slow: dict[str, float] = {}
    for name, data in files:
        started = time.process_time()
        result = outcome(data)
        if isinstance(result, str):
            assert result in SENTENCES, name
            outcomes[name] = result
        else:
            made = clean(result)
            assert set(markers(made)) <= {0xE0, 0xDB, 0xC0, 0xC4, 0xDA}, name
            assert SCRIPT not in made + thumbnail(made), name
            outcomes[name] = "taken"
        if (spent := time.process_time() - started) > LIMIT_SECONDS:
            slow[name] = spent
    assert slow == {}
    assert resident_mb() - before < LIMIT_GROWTH_MB
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - peak_before < LIMIT_PEAK_MB
    assert {outcomes[f"{kind}.jpg"] for kind in DISGUISED} == {"unsupported_type", "unknown_type", "empty"}
    assert {outcomes[name] for name in NAMES} == {"taken"}  # decoding never sees a name
    assert outcomes["png-100k-by-100k.png"] == outcomes["heif-size-50k.heic"] == "too_many_pixels"
    assert outcomes["png-many-profiles.png"] == outcomes["jpeg-500-scans.jpg"] == "decompression_bomb"
    assert outcomes["heif-metadata-that-shares-its-bytes.heic"] in ("decompression_bomb", "corrupt")
    assert outcomes["jpeg-and-zip.jpg"] == outcomes["jpeg-bytes-named-png.png"] == "taken"


def test_a_cut_file_is_taken_only_if_no_pixel_is_missing() -> None:
    whole = {kind: decode(data).image for kind, data in WHOLE.items()}
    taken = 0
    for name, data in truncated():
        result = outcome(data)
        if not isinstance(result, str):
            assert result.image.tobytes() == whole[sniff(data)].tobytes(), name
            taken += 1
    assert taken <= 4  # a JPEG or PNG without its closing marker


PREFIXES = [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBPVP8 ", b"II*\0"]


@given(prefix=st.sampled_from([*PREFIXES, b"\0" * 128 + b"DICM"]), tail=st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_bytes_end_in_a_refusal(prefix: bytes, tail: bytes) -> None:
    assert outcome(prefix + tail) in SENTENCES


@given(
    kind=st.sampled_from(["jpeg", "png", "webp", "tiff", "dicom"]),  # HEIF starts a process each time
    edits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=20),
)
@settings(max_examples=300, deadline=None)
def test_any_damage_ends_in_a_refusal_or_a_picture(kind: str, edits: list[tuple[float, int]]) -> None:
    body = bytearray(WHOLE[kind])
    for place, value in edits:
        body[int(place**3 * len(body))] = value  # mostly near the start, where the headers are
    result = outcome(bytes(body))
    assert result in SENTENCES if isinstance(result, str) else result.image.mode == "RGB"
