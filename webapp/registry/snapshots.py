"""Dataset snapshots: the labels that hold at one moment, frozen, and known by their SHA-256."""

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from django.db import connection, transaction
from django.db.models import Count
from django.utils.crypto import salted_hmac

from ml.classes import CLASSES
from webapp import storage
from webapp.accounts.models import Patient
from webapp.cases.models import Case, Image
from webapp.registry.models import DatasetSnapshot, PatientSplit, Split
from webapp.registry.selectors import usable_labels, withheld_labels
from webapp.registry.splits import Labelled, Told, divide, on_both_sides, select

logger = structlog.get_logger(__name__)
COLUMNS: Final = ("image_id", "lesion_id", "patient_id", "dx", "split", "sha256", "drawn")
LESION_SALT: Final = "lesionlens.snapshot.lesion"
PATIENT_SALT: Final = "lesionlens.snapshot.patient"
NUMBERING: Final = 10
"""A lesion id that more patients of an organisation have than this ("1", "left arm") names no lesion of its own."""


@dataclass(frozen=True)
class Content:
    """A snapshot that is not stored yet: its bytes, its images by split and class, those of which only the patient is
    known, or nobody; and how many labels were left out since their patients do not agree to it.
    """

    data: bytes
    counts: dict[str, dict[str, int]]
    by_patient: int
    of_nobody: int
    withheld: int

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    def images(self, split: str) -> int:
        return sum(self.counts[split].values())


def draw_up() -> Content:
    """The accepted labels of this moment, divided; new patients get their split for good.

    Only images that are still there, whose label is one of the seven classes and whose patient agrees are in it. It
    names no person: patients and lesions by a keyed hash, so that what is erased cannot be found again by the patient's
    row. A lesion that the clinic did not name has its patient's name, and where it did not name the patient either,
    that of its image.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:  # one at a time, so that a patient is not decided twice
            cursor.execute("LOCK TABLE registry_patientsplit IN SHARE ROW EXCLUSIVE MODE")
        rows, others = _labelled()
        withheld = withheld_labels().count() + others
        patients = {row.patient_id for row in rows}
        splits = {
            pk: split
            for pk, split in PatientSplit.objects.values_list("patient_id", "split").iterator()
            if pk in patients
        }
        new = divide(rows, splits)
        PatientSplit.objects.bulk_create(
            [PatientSplit(patient_id=patient, split=split) for patient, split in new.items()], batch_size=1000
        )
    splits |= new
    kept = select(rows, splits)
    lost = on_both_sides(rows, splits)
    left_out = len(rows) - len(kept)
    logger.info("snapshot_drawn_up", images=len(kept), left_out=left_out, lesion_on_both_sides=lost, withheld=withheld)
    counts = {split.value: dict.fromkeys(CLASSES, 0) for split in Split}
    for row, split in kept:
        counts[split][row.dx] += 1
    told = Counter(row.told for row, _ in kept)
    lines = [(*_names(row), row.dx, split, row.sha256, "yes" if row.drawn else "no") for row, split in kept]
    return Content(_csv(lines), counts, by_patient=told[Told.PATIENT], of_nobody=told[Told.NOBODY], withheld=withheld)


def store(content: Content) -> DatasetSnapshot:
    """Keep a snapshot for ever. The same content gives the snapshot that it is."""
    snapshot = DatasetSnapshot(sha256=content.sha256)
    storage.write(snapshot.key, content.data)
    snapshot, _ = DatasetSnapshot.objects.get_or_create(
        sha256=content.sha256,
        defaults={
            "counts": content.counts,
            "images": sum(content.images(split) for split in Split),
            "by_patient": content.by_patient,
            "of_nobody": content.of_nobody,
            "withheld": content.withheld,
        },
    )
    return snapshot


def read_snapshot(snapshot: DatasetSnapshot) -> bytes:
    """The snapshot's CSV. Raises ValueError if storage has something else under its name."""
    data = storage.read(snapshot.key)
    if hashlib.sha256(data).hexdigest() != snapshot.sha256:
        raise ValueError(f"{snapshot.key} was changed: its SHA-256 is not its name")
    return data


def _labelled() -> tuple[list[Labelled], int]:
    """What annotators agree on, oldest first; and how many they agree on besides whose picture its clinic has also sent
    as that of a patient who does not agree.
    """
    numbering = {
        (organisation, lesion)
        for organisation, lesion in Case.objects.exclude(lesion_id="")
        .values_list("organisation_id", "lesion_id")
        .annotate(patients=Count("patient", distinct=True))
        .filter(patients__gt=NUMBERING)
        .values_list("organisation_id", "lesion_id")
    }
    usable = usable_labels()
    pictures = Image.objects.filter(sha256__in=usable.values("image__sha256"), case__patient__training_consent=False)
    refused = set(pictures.values_list("organisation_id", "sha256"))
    rows = usable.order_by("created_at", "pk").values_list(
        "image_id", "image__case__organisation_id", "image__case__lesion_id", "image__case__patient_id",
        "image__case__patient__external_id", "dx", "image__sha256", "drawn",
    )  # fmt: skip
    labelled, others = [], 0
    for image, organisation, lesion, patient, patients_name, dx, sha256, drawn in rows.iterator():
        if (organisation, sha256) in refused:
            others += 1
            continue
        is_named = not patients_name.startswith(Patient.UNNAMED)
        name, told = f"patient {patient}", Told.PATIENT if is_named else Told.NOBODY
        if lesion and (organisation, lesion) not in numbering:
            name, told = f"organisation {organisation} lesion {lesion}", Told.LESION
        elif lesion:
            name, told = f"patient {patient} lesion {lesion}", Told.LESION if is_named else Told.NOBODY
        labelled.append(Labelled(image, name, patient, dx, sha256, drawn, told))
    return labelled, others


def _names(row: Labelled) -> tuple[str, str, str]:
    """Of the image, its lesion and its patient, as `ml.data.snapshot` wants them."""
    image, patient = str(row.image_id), _hashed(PATIENT_SALT, str(row.patient_id))
    if row.told == Told.NOBODY:
        return image, image, ""
    return image, patient if row.told == Told.PATIENT else _hashed(LESION_SALT, row.lesion), patient


def _hashed(salt: str, name: str) -> str:
    return salted_hmac(salt, name, algorithm="sha256").hexdigest()[:24]


def _csv(rows: Sequence[tuple[str, ...]]) -> bytes:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return buffer.getvalue().encode()
