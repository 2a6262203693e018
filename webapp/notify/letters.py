"""The words of every e-mail. A letter says that there is something to read and where; never what it says."""

from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse

from webapp.accounts.models import Patient
from webapp.cases.models import Case
from webapp.notify.links import lock_patient, make_result_link
from webapp.notify.models import Message

SUBJECTS = {
    Message.Kind.RESULT_READY: "Your LesionLens result can be read",
    Message.Kind.IMAGE_UNUSABLE: "LesionLens needs a new photo from you",
    Message.Kind.CHECK_STOPPED: "There is something new about your photo in LesionLens",
    Message.Kind.BATCH_COMPLETED: "A LesionLens batch is complete",
    Message.Kind.REVIEW_WAITING: "A result waits for your review in LesionLens",
    Message.Kind.CASE_RAISED: "A case waits for a clinician again in LesionLens",
}


NO_EMAIL = "The patient's e-mail address is missing. Add it on the case's page."
NO_DATE_OF_BIRTH = "The patient's date of birth is missing, so the link could not be opened. Add it on the case's page."
SAID_BEFORE = "Ask your administrator to add it."  # how both ended until 22 November 2026: letters that failed say it
MISSING_DETAILS = (  # errors of messages that are sent once the detail is known
    *(NO_EMAIL, NO_DATE_OF_BIRTH),
    *(said.replace("Add it on the case's page.", SAID_BEFORE) for said in (NO_EMAIL, NO_DATE_OF_BIRTH)),
)


class UndeliverableError(Exception):
    """A message that would be of no use to its reader. Says why, in a sentence."""


def compose(message: Message) -> EmailMultiAlternatives:
    """The e-mail of this message, with a new result link where it has one. Raises UndeliverableError."""
    kind, path = Message.Kind(message.kind), _path(message)
    if not message.recipient:
        raise UndeliverableError(NO_EMAIL)
    context = {
        "subject": SUBJECTS[kind],
        "link": settings.SITE_URL + path,
        "clinic": message.batch.organisation.name,
        "phone": message.batch.organisation.help_phone,
        "days": settings.RESULT_LINK_DAYS,
    }
    email = EmailMultiAlternatives(
        subject=SUBJECTS[kind],
        body=render_to_string(f"notify/letters/{kind}.txt", context),
        to=[message.recipient],
        headers={"Message-ID": message_id(message), "Auto-Submitted": "auto-generated"},
    )
    email.attach_alternative(render_to_string(f"notify/letters/{kind}.html", context), "text/html")
    return email


def message_id(message: Message) -> str:
    """The same for every attempt, so that a mailbox that has the letter already can drop a second copy of it."""
    return f"<{message.pk}.{message.renewals}.{message.kind}@{urlsplit(settings.SITE_URL).hostname}>"


@transaction.atomic
def _path(message: Message) -> str:
    match message.kind:
        case Message.Kind.RESULT_READY if message.case is not None:
            if _addressed(message, message.case).date_of_birth is None:
                raise UndeliverableError(NO_DATE_OF_BIRTH)
            return reverse("patient:link", args=[make_result_link(case=message.case)])
        case Message.Kind.IMAGE_UNUSABLE | Message.Kind.CHECK_STOPPED if message.case is not None:
            _addressed(message, message.case)
            return reverse("patient:case", args=[message.case_id])
        case Message.Kind.REVIEW_WAITING | Message.Kind.CASE_RAISED:
            return reverse("cases:to_review")
        case _:
            return reverse("cases:batch", args=[message.batch_id])


def _addressed(message: Message, case: Case) -> Patient:
    """The patient of a case, to whose address as it is known now this letter goes: it may have been corrected while the
    letter was being written down, and what is corrected from now on says nothing of this letter any more. Raises
    UndeliverableError, also where the letter was taken back since it was leased.
    """
    # The patient first, as who corrects one does: either the letter follows the correction, or that takes it back.
    patient = lock_patient(case)
    if not patient.email:
        raise UndeliverableError(NO_EMAIL)
    held = Message.objects.filter(pk=message.pk, lease_token=message.lease_token)
    if not held.update(recipient=patient.email):
        raise UndeliverableError("The patient's address was corrected while this letter was being written.")
    message.recipient = patient.email
    return patient
