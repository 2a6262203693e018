"""Which images are learned from and which are measured on: no patient, lesion or picture is on two sides.

A patient's split is decided once and kept for ever, so that the test split stays frozen while labels arrive: what a
release was measured on is never trained on later.
"""

import hashlib
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from ml.classes import CLASSES
from webapp.registry.models import Split

SHARES: Final[Mapping[str, float]] = {Split.TRAIN: 0.60, Split.VALIDATION: 0.15, Split.TEST: 0.25}
STRICTNESS: Final[Mapping[str, int]] = {Split.TRAIN: 0, Split.VALIDATION: 1, Split.TEST: 2}


class Told(Enum):
    """What a clinic says of which lesion an image shows. NOBODY: neither the lesion nor the patient, so that the next
    visit of the same lesion is another lesion of another patient here.
    """

    LESION = 1
    PATIENT = 2
    NOBODY = 3


@dataclass(frozen=True)
class Labelled:
    """One labelled image. `lesion` and `sha256` (of the file as received) may occur under several patients; `drawn`
    says whether chance chose it for its annotators.
    """

    image_id: uuid.UUID
    lesion: str
    patient_id: uuid.UUID
    dx: str
    sha256: str
    drawn: bool
    told: Told


def divide(rows: Sequence[Labelled], decided: Mapping[uuid.UUID, str]) -> dict[uuid.UUID, str]:
    """The split of every patient that `decided` does not have yet.

    Patients who share a lesion or a picture go together. A group that has a decided patient follows the strictest of
    them (test, then validation); one of which all images are NOBODY's goes to train, since it could not measure what
    has learnt from another visit; any other goes where its rarest class is furthest below its share.
    """
    groups = _groups(rows)
    codes = defaultdict(set)
    for row in rows:
        codes[groups[row.patient_id]].add(row.dx)
    rarity = Counter(row.dx for row in rows)
    rarest = {group: min(found, key=lambda code: (rarity[code], CLASSES.index(code))) for group, found in codes.items()}
    somebodys = {groups[row.patient_id] for row in rows if row.told != Told.NOBODY}
    side: dict[uuid.UUID, str] = dict.fromkeys(codes.keys() - somebodys, Split.TRAIN)
    for patient, group in groups.items():
        if patient in decided:
            side[group] = _strictest([decided[patient], side.get(group, Split.TRAIN)])
    filled = Counter((rarest[group], split) for group, split in side.items())
    for group in sorted(rarest.keys() - side.keys(), key=_shuffled):
        code = rarest[group]
        total = sum(filled[code, split] for split in SHARES) + 1
        side[group] = max(SHARES, key=lambda split: SHARES[split] * total - filled[code, split])
        filled[code, side[group]] += 1
    return {patient: side[group] for patient, group in groups.items() if patient not in decided}


def select(rows: Sequence[Labelled], splits: Mapping[uuid.UUID, str]) -> list[tuple[Labelled, str]]:
    """The rows to use, each with its split, by image id.

    What is NOBODY's is used to train alone, whatever split its patient got before that was so.

    A lesion that turns up under patients of different splits is used on neither side: a release may have learnt from
    one photo of it, which its fingerprint does not tell of another. A picture that does stays on the strictest side
    only, since the fingerprint tells it; and it is used once, under its newest label, which is the last in `rows`.
    """
    sides = _sides(rows, splits)
    pictures = {
        row.sha256: (row, splits[row.patient_id])
        for row in rows
        if len(sides[_lesion(row)]) == 1
        and splits[row.patient_id] == _strictest(sides[_picture(row)])
        and (row.told != Told.NOBODY or splits[row.patient_id] == Split.TRAIN)
    }
    return sorted(pictures.values(), key=lambda kept: str(kept[0].image_id))


def on_both_sides(rows: Sequence[Labelled], splits: Mapping[uuid.UUID, str]) -> int:
    """How many rows `select` leaves out since their lesion turns up under patients of different splits."""
    sides = _sides(rows, splits)
    return sum(len(sides[_lesion(row)]) > 1 for row in rows)


def _sides(rows: Sequence[Labelled], splits: Mapping[uuid.UUID, str]) -> dict[str, set[str]]:
    """The splits in which each lesion and each picture turns up."""
    sides = defaultdict[str, set[str]](set)
    for row in rows:
        for key in (_lesion(row), _picture(row)):
            sides[key].add(splits[row.patient_id])
    return sides


def _groups(rows: Sequence[Labelled]) -> dict[uuid.UUID, uuid.UUID]:
    """For each patient, one patient that stands for all who share a lesion or a picture with them, however far."""
    parent = {row.patient_id: row.patient_id for row in rows}

    def root(patient: uuid.UUID) -> uuid.UUID:
        while parent[patient] != patient:
            parent[patient] = parent[parent[patient]]
            patient = parent[patient]
        return patient

    first: dict[str, uuid.UUID] = {}
    for row in rows:
        for key in (_lesion(row), _picture(row)):
            a, b = sorted((root(row.patient_id), root(first.setdefault(key, row.patient_id))))
            parent[b] = a
    return {patient: root(patient) for patient in parent}


def _strictest(splits: Iterable[str]) -> str:
    return max(splits, key=STRICTNESS.__getitem__)


def _shuffled(group: uuid.UUID) -> str:
    # An order that has nothing to do with when the patient came, and is the same on every machine.
    return hashlib.sha256(group.bytes).hexdigest()


def _lesion(row: Labelled) -> str:
    return f"lesion {row.lesion}"


def _picture(row: Labelled) -> str:
    return f"picture {row.sha256}"
