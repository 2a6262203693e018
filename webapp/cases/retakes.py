"""Patients' photos that could not be used, as long as their patients may be expected to send better ones."""

from datetime import timedelta

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from webapp.cases.models import Batch, Image
from webapp.cases.upload_limits import TRANSIENT_REASONS
from webapp.notify.models import Message

RETAKE_WINDOW = timedelta(days=3)  # for a patient to read the letter, and to take another photo


def awaits_better_photo() -> Q:
    """Of cases that ended without a result: those of whose photos none could be used, by no fault of the service, and
    whose patient was asked for another in the last days. A letter that could not be sent has asked nobody.
    """
    of_case = Image.objects.filter(case=OuterRef("pk"))
    unfit = Q(state=Image.State.REJECTED) & ~Q(reason__in=TRANSIENT_REASONS)
    letters = Message.objects.filter(case=OuterRef("pk"), kind=Message.Kind.IMAGE_UNUSABLE)
    asked = Exists(letters.exclude(state=Message.State.FAILED)) & ~Exists(of_case.exclude(unfit))
    return Q(source=Batch.Source.PATIENT, batch__finished_at__gt=timezone.now() - RETAKE_WINDOW) & asked
