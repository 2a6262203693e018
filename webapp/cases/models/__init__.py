"""A Batch holds Cases; a Case is one lesion of one patient, with one or more Images."""

from webapp.cases.models.batch import Batch, Priority
from webapp.cases.models.case import AGAIN, SAID, TO_REVIEW, UNANSWERED, UNSAID, UNSEEN, URGENCY, Case
from webapp.cases.models.image import NOT_A_LESION, Image
from webapp.cases.models.uploads import Archive, MoreLeftOut, PartedUpload

__all__ = [
    "AGAIN",
    "NOT_A_LESION",
    "SAID",
    "TO_REVIEW",
    "UNANSWERED",
    "UNSAID",
    "UNSEEN",
    "URGENCY",
    "Archive",
    "Batch",
    "Case",
    "Image",
    "MoreLeftOut",
    "PartedUpload",
    "Priority",
]
