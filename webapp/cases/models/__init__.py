"""A Batch holds Cases; a Case is one lesion of one patient, with one or more Images."""

from webapp.cases.models.batch import Batch, Priority
from webapp.cases.models.case import (
    EMPTY_METADATA,
    METADATA_FIELDS,
    NEEDS_REVIEW_AGAIN,
    NO_ANSWER,
    NO_RESULT_UNACKNOWLEDGED,
    TO_REVIEW,
    URGENCY,
    Case,
)
from webapp.cases.models.image import IN_TWO_CASES, NOT_A_LESION, Image
from webapp.cases.models.uploads import Archive, MoreLeftOut, PartedUpload

__all__ = [
    "EMPTY_METADATA",
    "IN_TWO_CASES",
    "METADATA_FIELDS",
    "NEEDS_REVIEW_AGAIN",
    "NOT_A_LESION",
    "NO_ANSWER",
    "NO_RESULT_UNACKNOWLEDGED",
    "TO_REVIEW",
    "URGENCY",
    "Archive",
    "Batch",
    "Case",
    "Image",
    "MoreLeftOut",
    "PartedUpload",
    "Priority",
]
