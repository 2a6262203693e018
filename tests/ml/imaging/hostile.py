"""Files that nobody should be able to hurt us with, built on the spot and the same on every run.

`hostile_files()` gives (file name, content): truncated, damaged, lying, disguised and doubled files of every format,
and harmless pictures under hostile names. Each must end in a clear refusal or in a picture without metadata.
"""

from __future__ import annotations

import gzip
import random
import zipfile
from collections.abc import Iterator
from io import BytesIO

from tests.ml.imaging.lies import File, lies, riff
from tests.ml.imaging.samples import dicom, encode, every_format, skin_photo

PHOTO = skin_photo(160, 120)
EXTENSIONS = {"jpeg": "jpg", "png": "png", "webp": "webp", "tiff": "tif", "heif": "heic", "dicom": "dcm"}
SCRIPT = b"<script>alert(document.cookie)</script>"

# Bodies that pretend to be a photo by their name alone.
DISGUISED: dict[str, bytes] = {
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'><rect width='99' height='99'/></svg>",
    "svg-after-a-declaration": b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>",
    "xml-entity-bomb": b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;'>]><x>&b;</x>",
    "xml-outside-entity": b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><x>&a;</x>",
    "html": b"<!DOCTYPE html><html>" + SCRIPT + b"</html>",
    "html-after-a-byte-order-mark": b"\xef\xbb\xbf\n<html>" + SCRIPT,
    "php": b"<?php system($_GET['c']); ?>",
    "shell": b"#!/bin/sh\nrm -rf /\n",
    "json": b'{"image": "none"}',
    "text": b"This is a photo of my arm, I promise.",
    "csv": b"=cmd|'/c calc'!A1,1,2\n",
    "pdf": b"%PDF-1.7\n1 0 obj <</Type /Catalog /OpenAction <</S /JavaScript /JS (app.alert(1))>> >> endobj\n%%EOF",
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n(%pipe%id) (w) file\n",
    "eps-binary": b"\xc5\xd0\xd3\xc6" + b"\0" * 100,
    "gif": b"GIF89a\xff\xff\xff\xff\x80\0\0" + b"\0" * 100,
    "bmp": b"BM" + b"\xff" * 100,
    "ico": b"\0\0\1\0\1\0" + b"\0" * 100,
    "psd": b"8BPS\0\1" + b"\0" * 100,
    "jpeg-2000": b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0" * 100,
    "jpeg-2000-stream": b"\xff\x4f\xff\x51" + b"\0" * 100,
    "jpeg-xl": b"\xff\x0a" + b"\0" * 100,
    "avif": b"\0\0\0\x20ftypavif\0\0\0\0avifmif1" + b"\0" * 100,
    "mp4": b"\0\0\0\x20ftypisom\0\0\2\0isomiso2" + b"\0" * 100,
    "matroska": b"\x1a\x45\xdf\xa3" + b"\0" * 100,
    "wave": b"RIFF\x24\0\0\0WAVEfmt " + b"\0" * 100,
    "gzip": gzip.compress(b"\0" * 100_000, mtime=0),
    "elf": b"\x7fELF" + b"\0" * 100,
    "windows-program": b"MZ" + b"\0" * 100,
    "pickle": b"cos\nsystem\n(S'id'\ntR.",
    "pixmap": b"P6\n100 100\n255\n" + b"\0" * 300,
    "big-tiff": b"II+\0\x08\0\0\0" + b"\0" * 100,
    "fits": b"SIMPLE  =                    T" + b" " * 200,
    "nothing": b"",
    "one-byte": b"\xff",
    "zeros": b"\0" * 1000,
    "ones": b"\xff" * 1000,
    "spaces": b" " * 1000,
}

# Names that climb, command, hide or break; what they name is an ordinary photo.
NAMES = (
    "../../../etc/passwd", "..\\..\\windows\\win.ini", "/etc/shadow", "C:\\boot.ini", "\\\\server\\share\\a.jpg",
    "....//....//a.jpg", "%2e%2e%2f%2e%2e%2fa.jpg", "a/../../b.jpg", ".", "..", "a\0.jpg", "a.jpg\0.exe",
    "a\r\nX-Evil: 1.jpg", "a\x1b[2Jb.jpg", "\u202egpj.exe", "a\u200b.jpg", "e\u0301te\u0301.jpg", "été.jpg",
    "\u2025/\uff0e\uff0e/a.jpg", "\ufffd.jpg", "😀" * 60 + ".jpg", "a" * 5000 + ".jpg", " ", ".jpg", ".htaccess",
    "CON.jpg", "nul", "a.jpg.exe", "a.jpg;.php", "<img src=x onerror=alert(1)>.jpg", "'; DROP TABLE images;--.jpg",
    "$(reboot).jpg", "`id`.jpg", "| sleep 9.jpg", "-rf.jpg", "{{7*7}}.jpg", "%s%s%n.jpg", "=1+1.jpg", '"quoted".jpg',
)  # fmt: skip


def truncated() -> Iterator[File]:
    """Each format cut off at many places, from its first byte to its last."""
    for kind, data in every_format(PHOTO).items():
        shares = [len(data) * percent // 100 for percent in (5, 20, 35, 50, 65, 80, 95)]
        for length in [1, 4, 12, 33, 140, *shares, len(data) - 12, len(data) - 1]:
            yield f"{kind}-first-{length}-bytes.{EXTENSIONS[kind]}", data[:length]


def damaged() -> Iterator[File]:
    """Each format with bits flipped, near its start and anywhere, and with its middle replaced by noise."""
    for kind, data in every_format(PHOTO).items():
        for seed in range(8):
            chance = random.Random(f"{kind} {seed}")
            body = bytearray(data)
            reach = min(len(body), 400) if seed % 2 else len(body)
            for _ in range(2 ** (seed // 2 + 1)):
                body[chance.randrange(reach)] ^= 1 << chance.randrange(8)
            yield f"{kind}-flipped-{seed}.{EXTENSIONS[kind]}", bytes(body)
        noise = random.Random(kind).randbytes(len(data) // 3)
        yield f"{kind}-noise-inside.{EXTENSIONS[kind]}", data[: len(noise)] + noise + data[2 * len(noise) :]
        yield f"{kind}-noise-after-its-first-bytes.{EXTENSIONS[kind]}", data[:132] + noise


def doubled() -> Iterator[File]:
    """Files that are a picture to one reader and something else to another."""
    jpeg, png = encode(PHOTO, "JPEG"), encode(PHOTO, "PNG")
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("evil.class", b"\xca\xfe\xba\xbe" + b"\0" * 100)
    plain = dicom(PHOTO)
    yield "jpeg-and-zip.jpg", jpeg + archive.getvalue()
    yield "zip-and-jpeg.jpg", archive.getvalue() + jpeg
    yield "png-and-zip.png", png + archive.getvalue()
    yield "webp-and-zip.webp", encode(PHOTO, "WEBP") + archive.getvalue()
    yield "jpeg-and-html.jpg", jpeg + SCRIPT
    yield "html-and-jpeg.jpg", SCRIPT + jpeg
    yield "jpeg-and-jpeg.jpg", jpeg + encode(skin_photo(300, 200, seed=3), "JPEG")
    yield "jpeg-comment-script.jpg", encode(PHOTO, "JPEG", comment=b"*/=alert(1)/*" + SCRIPT)
    yield "gif-header-before-jpeg.gif", b"GIF89a/*" + jpeg + b"*/=1"
    yield "pdf-inside-jpeg.jpg", encode(PHOTO, "JPEG", comment=DISGUISED["pdf"])
    yield "php-inside-png.png", png[:-12] + DISGUISED["php"] + png[-12:]
    yield "php-after-png.png", png + DISGUISED["php"]
    yield "webp-with-a-script-chunk.webp", riff((b"VP8 ", encode(PHOTO, "WEBP")[20:]), (b"EVIL", SCRIPT))
    yield "jpeg-bytes-named-png.png", jpeg
    yield "png-bytes-named-heic.heic", png
    yield "picture-named-as-a-program.exe", png
    for name, preamble in (("program", b"MZ"), ("tiff", b"II*\0\x08\0\0\0"), ("html", SCRIPT), ("jpeg", jpeg[:20])):
        yield f"dicom-that-starts-as-{name}.dcm", preamble.ljust(128, b"\0")[:128] + plain[128:]


def hostile_files() -> Iterator[File]:
    """Every hostile file as (name, content). Names are distinct."""
    yield from truncated()
    yield from damaged()
    yield from lies()
    yield from doubled()
    for kind, body in DISGUISED.items():
        yield f"{kind}.jpg", body
    photo = encode(PHOTO, "JPEG")
    for name in NAMES:
        yield name, photo
