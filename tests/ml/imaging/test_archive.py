"""A clinic's ZIP is read whole; a hostile one is refused early, and one bad entry never costs the others."""

from __future__ import annotations

import tracemalloc
import unicodedata
import zipfile
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.imaging.archive import Archive, Entry, Limits
from ml.imaging.refusal import SENTENCES, ArchiveRefused
from tests.ml.imaging.hostile_archives import PHOTO, hostile_archives, overlapping, pack

USUAL = Limits()
SMALL = Limits(entries=50_000, total_bytes=100 * 2**20)


def read(data: bytes, limits: Limits = USUAL) -> list[Entry]:
    with Archive(BytesIO(data), limits) as archive:
        return list(archive.entries())


def refusal_of(data: bytes, limits: Limits = USUAL) -> str:
    with pytest.raises(ArchiveRefused) as caught:
        read(data, limits)
    assert caught.value.message == SENTENCES[caught.value.code]
    return caught.value.code


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_ordinary_archive(method: int) -> None:
    data = pack(
        ("set/", b""), ("set/a.jpg", PHOTO), ("set/b.png", b"png"), ("set/cases.CSV", b"image\na\n"), method=method
    )
    with Archive(BytesIO(data)) as archive:
        assert len(archive.names()) == 2
        assert archive.manifest() == b"image\na\n"
        assert [(entry.name, entry.data, entry.refusal) for entry in archive.entries()] == [
            ("a.jpg", PHOTO, None),
            ("b.png", b"png", None),
        ]


def test_an_archive_without_a_table() -> None:
    with Archive(BytesIO(pack(("a.jpg", PHOTO)))) as archive:
        assert archive.manifest() is None


def test_what_macos_and_windows_leave_behind_is_passed_over() -> None:
    litter = [("__MACOSX/._a.jpg", b"x"), ("d/.DS_Store", b"x"), ("d/._a.jpg", b"x"), ("Thumbs.db", b"x"), ("d\\", b"")]
    assert [entry.name for entry in read(pack(("d/a.jpg", PHOTO), *litter))] == ["a.jpg"]


def test_names_are_composed_and_told_apart_by_their_folders() -> None:
    composed, split = "été.jpg", unicodedata.normalize("NFD", "été.jpg")
    names = [split, "b/" + composed, "c\\ÉTÉ.JPG", "d/d.jpg", "B/./" + split.upper()]
    entries = read(pack(*((name, PHOTO) for name in names)))
    assert [(entry.name, entry.refusal and entry.refusal.code) for entry in entries] == [
        (composed, None),
        ("b/" + composed, None),
        ("c/ÉTÉ.JPG", None),
        ("d.jpg", None),
        ("B/ÉTÉ.JPG", "duplicate_name"),
    ]


def test_of_long_paths_the_end_is_the_name() -> None:
    paths = ["x" * 250 + f"/{patient}/1.jpg" for patient in ("p1", "p2")]
    assert [entry.name for entry in read(pack(*((path, PHOTO) for path in paths)))] == [
        "…" + path[-254:] for path in paths
    ]


def test_utf8_names_without_their_flag_are_read() -> None:
    data = bytearray(pack(("été.jpg", PHOTO)))
    for header, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = data.index(header) + flags
        data[at : at + 2] = b"\0\0"
    assert [entry.name for entry in read(bytes(data))] == ["été.jpg"]


@pytest.mark.parametrize("case", list(hostile_archives()), ids=lambda case: case[0])
def test_hostile_archives(case: tuple[str, bytes, str]) -> None:
    _, data, code = case
    try:
        refusal = read(data, SMALL)[0].refusal
    except ArchiveRefused as refused:
        refusal = refused
    assert refusal is not None
    assert refusal.code == code
    assert refusal.message == SENTENCES[code]


def test_a_bad_entry_does_not_cost_the_others() -> None:
    data = pack(
        ("a.jpg", PHOTO), ("../b.jpg", PHOTO), ("c.jpg", pack(("x", b"y"))), ("d.jpg", b"\0" * 2**21), ("e.jpg", PHOTO)
    )
    assert [(entry.name, entry.refusal.code if entry.refusal else None) for entry in read(data)] == [
        ("a.jpg", None),
        ("b.jpg", "unsafe_name"),
        ("c.jpg", "nested_archive"),
        ("d.jpg", "decompression_bomb"),
        ("e.jpg", None),
    ]


def test_refused_names_can_be_shown() -> None:
    (entry,) = read(pack(("x\x1b[31m" + "y" * 300 + ".jpg", PHOTO)))
    assert entry.name.isprintable() or "\ufffd" in entry.name
    assert "\x1b" not in entry.name
    assert len(entry.name) == 255


def test_too_many_entries() -> None:
    assert refusal_of(pack(*((f"{i}.jpg", b"x") for i in range(11))), Limits(entries=10)) == "too_many_entries"


def test_a_huge_directory_is_not_read() -> None:
    data = overlapping(200_000, 10)
    tracemalloc.start()
    code, peak = refusal_of(data), tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert code == "too_many_entries"
    assert peak < 20 * 2**20


def test_the_total_is_counted_while_reading() -> None:
    limits = Limits(total_bytes=5 * 2**20, ratio=10**9)
    assert refusal_of(pack(*((f"{i}.jpg", b"\0" * 2**20) for i in range(6))), limits) == "archive_too_large"


def test_a_bomb_is_left_at_the_size_of_a_photo() -> None:
    data = pack(("photo.jpg", b"\0" * 100 * 2**20))
    tracemalloc.start()
    (entry,) = read(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30 * 2**20
    assert entry.refusal is not None
    assert entry.refusal.code in ("decompression_bomb", "too_large_bytes")


def test_entries_are_not_kept_in_memory() -> None:
    data = pack(*((f"{i}.jpg", bytes([i]) * 2**20) for i in range(60)), method=zipfile.ZIP_STORED)
    tracemalloc.start()
    with Archive(BytesIO(data)) as archive:
        total = sum(len(entry.data or b"") for entry in archive.entries())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 60 * 2**20
    assert peak < 12 * 2**20


def test_ten_thousand_images_in_the_format_for_large_archives(monkeypatch: pytest.MonkeyPatch) -> None:
    """ZIP64 (APPNOTE 4.3.14), which a writer uses above 65,535 entries or 4 GB, and some use always."""
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 100)
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        for number in range(10_000):
            with packed.open(f"photos/{number:05}.jpg", "w", force_zip64=True) as member:
                member.write(PHOTO)
    assert b"PK\6\6" in file.getvalue()[-200:]  # the end record of ZIP64
    tracemalloc.start()
    with Archive(file) as archive:
        assert len(archive.names()) == 10_000
        same = sum(entry.data == PHOTO for entry in archive.entries())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert same == 10_000
    assert peak < 30 * 2**20


@pytest.mark.parametrize("size", [1001, 3 * 2**20], ids=["by a byte", "by megabytes"])
def test_a_table_too_large(size: int) -> None:
    data = pack(("t.csv", b"\0" * size), ("a.jpg", PHOTO))
    with Archive(BytesIO(data), Limits(manifest_bytes=1000)) as archive, pytest.raises(ArchiveRefused) as caught:
        archive.manifest()
    assert caught.value.code == "manifest_too_large"


BASE = pack(("a.jpg", PHOTO[:200]), ("été.png", b"png" * 50), ("t.csv", b"a,b\n"))


@given(edits=st.lists(st.tuples(st.integers(0, len(BASE) - 1), st.integers(0, 255)), min_size=1, max_size=10))
@settings(max_examples=300, deadline=None)
def test_any_damage_ends_in_a_refusal_or_an_entry(edits: list[tuple[int, int]]) -> None:
    body = bytearray(BASE)
    for at, value in edits:
        body[at] = value
    try:
        entries = read(bytes(body), SMALL)
    except ArchiveRefused:
        return
    assert all((entry.data is None) != (entry.refusal is None) for entry in entries)
