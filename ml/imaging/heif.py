"""HEIC pictures, decoded in a process of their own with little memory and little time.

HEIF is a graph of items (ISO/IEC 23008-12): a megabyte can describe a thousand metadata blocks that share their bytes,
or an overlay of a thousand pictures, and libheif follows it in C, where no budget of ours is asked. So the limits are
the operating system's. It costs about 0.15 s for each picture.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from io import BytesIO
from pathlib import Path

from PIL import Image

from ml.imaging.refusal import SENTENCES, ImageRefused

MEMORY_BYTES = 1536 * 1024 * 1024  # of address space
CPU_SECONDS = 10
WALL_SECONDS = 60  # for a busy machine

_ROOT = Path(__file__).parents[2]


def read_heif(data: bytes) -> Image.Image:
    """The primary picture of `data`, upright. Raises `ImageRefused`: too_many_pixels, too_small, corrupt."""
    command = [sys.executable, "-m", "ml.imaging.heif"]
    environment = {"PYTHONPATH": str(_ROOT)}  # and none of the parent's secrets
    try:
        done = subprocess.run(  # noqa: S603 the command is ours; the stranger's bytes are its input
            command, input=data, capture_output=True, timeout=WALL_SECONDS, env=environment, check=True
        )
    except subprocess.TimeoutExpired as error:
        raise ImageRefused("decompression_bomb", "HEIF decoding took too long") from error
    except subprocess.CalledProcessError as error:
        raise ImageRefused("corrupt", f"HEIF decoder ended with {error.returncode}") from error
    head, _, body = done.stdout.partition(b"\n")
    answer = json.loads(head)
    if "refused" in answer:
        raise ImageRefused(answer["refused"] if answer["refused"] in SENTENCES else "corrupt", "HEIF")
    profile = answer["profile_bytes"]
    image = Image.frombytes(answer["mode"], tuple(answer["size"]), body[profile:])
    image.info["icc_profile"] = body[:profile] or None
    return image


def main() -> None:
    """The child: HEIF on standard input; one line of JSON, the colour profile and the pixels on standard output."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    data = sys.stdin.buffer.read()
    try:
        head, body = _decoded(data)
    except ImageRefused as refusal:
        head, body = {"refused": refusal.code}, []
    except Image.DecompressionBombError:
        head, body = {"refused": "too_many_pixels"}, []
    except MemoryError:
        head, body = {"refused": "decompression_bomb"}, []
    except Exception:  # libheif and Pillow answer a damaged file with almost any exception
        head, body = {"refused": "corrupt"}, []
    sys.stdout.buffer.write(json.dumps(head).encode() + b"\n")
    sys.stdout.buffer.writelines(body)


def _decoded(data: bytes) -> tuple[dict[str, object], list[bytes]]:
    import pillow_heif  # only in the child, so that no other process can reach libheif through Pillow

    from ml.imaging.still import check_size

    pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
    image = Image.open(BytesIO(data), formats=["HEIF"])
    declared = image.size
    check_size(*declared)
    image.load()
    if image.size != declared:
        raise ImageRefused("corrupt", "the picture is not of the size that its header gives")
    profile = image.info.get("icc_profile") or b""
    head = {"mode": image.mode, "size": image.size, "profile_bytes": len(profile)}
    return head, [profile, image.tobytes()]


if __name__ == "__main__":
    main()
