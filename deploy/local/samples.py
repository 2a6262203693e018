"""The cases that the demo submits: made by the project and called synthetic, or the user's own."""

import csv
import hashlib
import random
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from deploy.local.clinic import Photo
from ml.classes import CLASSES, HAM10000_DX
from ml.data.errors import DataError
from ml.data.images import ImageStore
from ml.synthetic import synthesize

SEED = 0


def read_own(images: Path, metadata: Path, limit: int) -> list[Photo]:
    """Up to `limit` of a user's cases, drawn at random but always the same: a folder or ZIP of images and a CSV.

    The CSV has HAM10000's published columns (`image_id`, `lesion_id`, `dx`, `age`, `sex`, `localization`). Raises
    RuntimeError, saying what to do, when nothing fits together.
    """
    try:
        store = ImageStore(images)
    except DataError as error:
        raise RuntimeError(f"{error} IMAGES is a folder of images, or a ZIP of them.") from error
    known = set(store.ids())
    try:
        with metadata.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.DictReader(file) if row.get("image_id") in known]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RuntimeError(f"{metadata} cannot be read ({error}). METADATA is a CSV file in UTF-8.") from error
    if not rows:
        raise RuntimeError(
            f"No image of {images} is named in the column image_id of {metadata}. "
            "Name the images <image_id>.jpg, as in HAM10000."
        )
    drawn = rows if len(rows) <= limit else random.Random(SEED).sample(rows, limit)  # noqa: S311 - no secret
    return list(_photos(drawn, store))


def read_synthetic(folder: Path, count: int, *, seed: int = 0) -> list[Photo]:
    """Synthetic cases, drawn into `folder`; another seed draws others."""
    shutil.rmtree(folder, ignore_errors=True)
    return read_own(folder, synthesize(count, folder, seed=seed), count)


def _photos(rows: Iterable[Mapping[str, Any]], store: ImageStore) -> Iterable[Photo]:
    for row in rows:
        dx = (row.get("dx") or "").lower()
        # HAM10000 does not say whose lesion it is, so each lesion is taken as a patient.
        patient = row.get("patient_id") or row.get("lesion_id") or row["image_id"]
        yield Photo(
            case_id=row["image_id"],
            patient_id=patient,
            filename=f"{row['image_id']}.jpg",
            data=store.read(row["image_id"]),
            dx=HAM10000_DX.get(dx, dx.upper() if dx.upper() in CLASSES else ""),
            lesion_id=row.get("lesion_id", ""),
            age=_age(row.get("age")),
            sex=row.get("sex") or "unknown",
            anatom_site=row.get("localization", ""),
            # The same in every run, since a patient's address is not taken over from a later batch.
            patient_email=f"patient-{hashlib.sha256(patient.encode()).hexdigest()[:8]}@demo.example",
            patient_date_of_birth="1980-01-01",
        )


def _age(text: str | None) -> int | None:
    """In whole years; None where the table tells none, in whatever words."""
    try:
        return int(float(text or ""))
    except (ValueError, OverflowError):
        return None
