"""Who is told what. Writing a message is part of the transaction that gives rise to it; sending comes later."""

from django.utils import timezone

from webapp.accounts.models import Patient
from webapp.cases.models import Batch, Case
from webapp.errors import Problem
from webapp.notify.models import Message
from webapp.queue import Task, ring


def tell_provider(*, batch: Batch) -> None:
    """Tell who sent a batch that it is complete. A patient's own photo has no such message."""
    if batch.source == Batch.Source.PATIENT:
        return
    recipient = batch.created_by.email if batch.created_by else batch.organisation.contact_email
    _post(kind=Message.Kind.BATCH_COMPLETED, recipient=recipient, batch=batch)


def tell_patient(*, case: Case) -> None:
    """Tell the patient that a released result can be read."""
    _post(kind=Message.Kind.RESULT_READY, recipient=case.patient.email, batch=case.batch, case=case)


def why_not_told(*, case: Case) -> Problem | None:
    """Why the patient of a released case gets no letter, `no_email` or `no_date_of_birth`; None where one is sent."""
    if not Message.objects.filter(kind=Message.Kind.RESULT_READY, case=case).exists():
        return Problem(
            "no_email",
            "No e-mail address of the patient was known, so nobody was told. Tell the patient yourself, or ask your "
            "administrator to add the address: the letter goes out then.",
        )
    if case.patient.date_of_birth is None:
        return Problem(
            "no_date_of_birth",
            "The patient's date of birth is not known and opens the link in the letter, so none is sent. Ask your "
            "administrator to add it, then send the letter again under “Unsent messages”.",
        )
    return None


def readdress(*, patient: Patient, email: str) -> None:
    """Letters about a patient's cases that were not sent go to this address, and those that were not written for want
    of one are written. What was sent still says where to.
    """
    Message.objects.filter(case__patient=patient).exclude(state=Message.State.SENT).update(recipient=email)
    untold = Case.objects.filter(patient=patient, released_at__isnull=False).select_related("patient", "batch")
    for case in untold.exclude(messages__kind=Message.Kind.RESULT_READY):
        tell_patient(case=case)


def tell_patient_to_retake(*, case: Case) -> None:
    """Tell a patient who sent a photo that it cannot be used."""
    if case.batch.source == Batch.Source.PATIENT:
        _post(kind=Message.Kind.IMAGE_UNUSABLE, recipient=case.patient.email, batch=case.batch, case=case)


def _post(*, kind: str, recipient: str, batch: Batch, case: Case | None = None) -> None:
    if not recipient:
        return
    # The constraint `message_sent_once` makes a repeat of the same news a no-op.
    Message.objects.bulk_create(
        [Message(kind=kind, recipient=recipient, batch=batch, case=case, send_after=timezone.now())],
        ignore_conflicts=True,
    )
    ring(Task.DELIVER)
