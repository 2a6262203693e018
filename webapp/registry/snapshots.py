"""Dataset snapshots: the labels that hold at one moment, frozen, and known by their SHA-256."""

import csv
import hashlib
import io
import uuid
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import structlog
from django.db import connection, transaction
from django.db.models import Count
from django.utils.crypto import salted_hmac

from ml.classes import CLASSES, is_malignant
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
    """A snapshot that is not stored yet: its images, each with its split, by image id; and how many labels were left
    out since their patients do not agree to it.
    """

    kept: Sequence[tuple[Labelled, str]]
    withheld: int

    @cached_property
    def data(self) -> bytes:
        """The CSV."""
        drawn = {True: "yes", False: "no"}
        return _csv([(*_names(row), row.dx, split, row.sha256, drawn[row.drawn]) for row, split in self.kept])

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def counts(self) -> dict[str, dict[str, int]]:
        """Images by split and class."""
        counts = {split.value: dict.fromkeys(CLASSES, 0) for split in Split}
        for row, split in self.kept:
            counts[split][row.dx] += 1
        return counts

    @cached_property
    def told(self) -> Counter[Told]:
        """Images by what their clinic says of their lesion."""
        return Counter(row.told for row, _ in self.kept)

    @cached_property
    def deciding(self) -> dict[str, int]:
        """The lesions by which the gate decides, malignant, benign and of each class, were none known to the model:
        those of the test split that chance chose to be labelled.
        """
        lesions = defaultdict[str, set[str]](set)
        for row, split in self.kept:
            if split == Split.TEST and row.drawn:
                for name in (row.dx, "malignant" if is_malignant(row.dx) else "benign"):
                    lesions[name].add(row.lesion)
        return {name: len(found) for name, found in lesions.items()}

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
        rows, withheld = _labelled()
        splits, new = _divided(rows)
        PatientSplit.objects.bulk_create(
            [PatientSplit(patient_id=patient, split=split) for patient, split in new.items()], batch_size=1000
        )
    content = Content(select(rows, splits), withheld)
    images = len(content.kept)
    lost = on_both_sides(rows, splits)
    left_out = len(rows) - images
    logger.info("snapshot_drawn_up", images=images, left_out=left_out, lesion_on_both_sides=lost, withheld=withheld)
    return content


def preview() -> Content:
    """What `draw_up` would give at this moment; it decides nothing."""
    rows, withheld = _labelled()
    splits, _ = _divided(rows)
    return Content(select(rows, splits), withheld)


def _divided(rows: Sequence[Labelled]) -> tuple[dict[uuid.UUID, str], dict[uuid.UUID, str]]:
    """The split of every patient of `rows`, and of those alone that had none before."""
    patients = {row.patient_id for row in rows}
    decided = dict(PatientSplit.objects.filter(patient__in=patients).values_list("patient_id", "split"))
    new = divide(rows, decided)
    return decided | new, new


def store(content: Content) -> DatasetSnapshot:
    """Keep a snapshot for ever. The same content gives the snapshot that it is."""
    snapshot = DatasetSnapshot(sha256=content.sha256)
    storage.write(snapshot.key, content.data)
    snapshot, _ = DatasetSnapshot.objects.get_or_create(
        sha256=content.sha256,
        defaults={
            "counts": content.counts,
            "images": len(content.kept),
            "by_patient": content.told[Told.PATIENT],
            "of_nobody": content.told[Told.NOBODY],
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
    """What annotators agree on, oldest first; and how many they agree on besides of patients who do not agree to it, or
    whose picture its clinic has also sent as that of such a patient.
    """
    usable = usable_labels()
    named = usable.exclude(image__case__lesion_id="").values("image__case__lesion_id")
    numbering = set(  # of the few lesions that are labelled, not of all that there are
        Case.objects.filter(lesion_id__in=named)
        .values("organisation_id", "lesion_id")
        .annotate(patients=Count("patient", distinct=True))
        .filter(patients__gt=NUMBERING)
        .values_list("organisation_id", "lesion_id")
    )
    pictures = Image.objects.filter(sha256__in=usable.values("image__sha256"), case__patient__training_consent=False)
    refused = set(pictures.values_list("organisation_id", "sha256"))
    rows = usable.order_by("created_at", "pk").values_list(
        "image_id", "image__case__organisation_id", "image__case__lesion_id", "image__case__patient_id",
        "image__case__patient__external_id", "dx", "image__sha256", "drawn",
    )  # fmt: skip
    labelled, withheld = [], withheld_labels().count()
    for image, organisation, lesion, patient, patients_name, dx, sha256, drawn in rows.iterator():
        if (organisation, sha256) in refused:
            withheld += 1
            continue
        is_named = not patients_name.startswith(Patient.UNNAMED)
        name, told = f"patient {patient}", Told.PATIENT if is_named else Told.NOBODY
        if lesion and (organisation, lesion) not in numbering:
            name, told = f"organisation {organisation} lesion {lesion}", Told.LESION
        elif lesion:
            name, told = f"patient {patient} lesion {lesion}", Told.LESION if is_named else Told.NOBODY
        labelled.append(Labelled(image, name, patient, dx, sha256, drawn, told))
    return labelled, withheld


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
