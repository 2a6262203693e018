"""Clinics and who works for them, keys of their software, and who patients are. What these agree to is in `consent`."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import date, timedelta
from typing import TypedDict, Unpack

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import IntegrityError, transaction
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.timezone import localtime

from webapp.accounts.models import ApiKey, Membership, Organisation, Patient, User
from webapp.addresses import in_one_form
from webapp.audit.services import Actor, forget_account, record
from webapp.cases.locks import all_locked
from webapp.cases.models import Batch
from webapp.errors import Problem
from webapp.notify.links import close_links
from webapp.notify.services import forget_sender, recall_letters, update_letters

KEY_PREFIX = "llk"
SAID_IN_THE_TRAIL = {"release_policy", "retention_days"}
LAST_USED_RESOLUTION = timedelta(minutes=1)  # one write a minute, not one a request


class Settings(TypedDict, total=False):
    """What an organisation's staff say of it. What is not said stays: a colleague may be changing it."""

    release_policy: str
    help_phone: str
    contact_email: str
    retention_days: int | None


class Known(TypedDict, total=False):
    """What is corrected of a patient. What is not said stays, as a patient chose the address, say."""

    email: str
    date_of_birth: date | None


@transaction.atomic
def create_api_key(
    *, actor: Actor, organisation: Organisation, name: str, days: int | None = None, reads_only: bool = False
) -> tuple[ApiKey, str]:
    """A new key that works for so many `days`, or until it is revoked, and its secret, which is never shown again.

    One that `reads_only` gets answers, and changes nothing.
    """
    prefix = secrets.token_hex(4)
    secret = f"{KEY_PREFIX}_{prefix}_{secrets.token_urlsafe(32)}"
    key = ApiKey.objects.create(
        organisation=organisation,
        name=name,
        prefix=prefix,
        secret_sha256=_digest(secret),
        reads_only=reads_only,
        created_by=actor.user,
        expires_at=None if days is None else timezone.now() + timedelta(days=days),
    )
    detail = "reads only" if reads_only else ""
    record(actor=actor, action="api_key.created", object_id=key.pk, organisation=organisation, detail=detail)
    return key, secret


@transaction.atomic
def revoke_api_key(*, actor: Actor, key: ApiKey) -> None:
    """End a key. Ending it twice changes nothing."""
    if ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()):
        record(actor=actor, action="api_key.revoked", object_id=key.pk, organisation=key.organisation)


def find_api_key(secret: str) -> ApiKey | None:
    """The live key of this secret, noting its use; None for a wrong or revoked one.

    Raises Problem `api_key_expired` for one whose time is over.
    """
    prefix = secret.removeprefix(f"{KEY_PREFIX}_").split("_", 1)[0]
    key = ApiKey.objects.filter(prefix=prefix, revoked_at=None).select_related("organisation").first()
    if key is None or not hmac.compare_digest(key.secret_sha256, _digest(secret)):
        return None
    if key.is_expired:
        told = f"This API key expired on {date_format(localtime(key.expires_at), 'j F Y')}. "
        raise Problem("api_key_expired", told + "Make a new one on the API keys page.", status=401)
    now = timezone.now()
    if key.last_used_at is None or now - key.last_used_at > LAST_USED_RESOLUTION:
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)
    return key


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


@transaction.atomic
def account_for(*, email: str) -> User:
    """The account of this address; a new one, without a password, where there is none.

    Making one lets nobody in: its owner signs in with a code sent to the account's address, and so proves it.
    """
    of_address = User.objects.alias(small=Lower("email")).filter(small=in_one_form(email))  # by the index of the two
    user: User | None = of_address.first()
    if user is None:
        try:
            with transaction.atomic():
                user = User.objects.create_user(email)
        except IntegrityError:  # another request made it in this moment
            user = of_address.get()
    EmailAddress.objects.get_or_create(user=user, email=user.email.lower(), defaults={"primary": True})
    return user


@transaction.atomic
def change_settings(*, actor: Actor, organisation: Organisation, **changes: Unpack[Settings]) -> None:
    """How an organisation releases results to its patients, how it is reached, and how long it keeps photos. The trail
    names what has changed, and says the policy and the period.
    """
    Organisation.objects.filter(pk=organisation.pk).update(**changes)
    said = [f"{name}={value}" if name in SAID_IN_THE_TRAIL else name for name, value in changes.items()]
    record(
        actor=actor,
        action="organisation.changed",
        object_id=organisation.pk,
        organisation=organisation,
        detail=", ".join(said),
    )


@transaction.atomic
def save_organisation(*, actor: Actor, organisation: Organisation, changed: Sequence[str]) -> None:
    """Write down an organisation that is new, or these fields of it, which have `changed`; its trail names them."""
    is_new = organisation.pk is None
    action = "organisation.added" if is_new else "organisation.changed"
    organisation.save(update_fields=None if is_new else changed)
    record(actor=actor, action=action, object_id=organisation.pk, organisation=organisation, detail=", ".join(changed))


@transaction.atomic
def save_member(*, actor: Actor, membership: Membership, changed: Sequence[str]) -> None:
    """Write down a membership that is new, or these fields of it, which have `changed`. Both trails say so where
    somebody goes from one organisation to another.
    """
    before = Membership.objects.select_for_update().filter(pk=membership.pk).first()
    membership.save(update_fields=None if before is None else changed)
    membership.refresh_from_db()  # a colleague may have changed what has not changed here
    if before is None:
        _note_member(actor, "membership.added", membership)
    elif (before.user_id, before.organisation_id) != (membership.user_id, membership.organisation_id):
        _note_member(actor, "membership.removed", before)
        _note_member(actor, "membership.added", membership)
    elif before.role != membership.role:
        _note_member(actor, "membership.changed", membership)


@transaction.atomic
def remove_member(*, actor: Actor, membership: Membership) -> None:
    """End a membership. Ending it twice changes nothing."""
    if Membership.objects.filter(pk=membership.pk).delete()[0]:
        _note_member(actor, "membership.removed", membership)


@transaction.atomic
def remove_second_factor(*, actor: Actor, factor: Authenticator) -> None:
    """Take away a factor of somebody who has lost it. Twice changes nothing. A member's is in the trail."""
    if Authenticator.objects.filter(pk=factor.pk).delete()[0]:
        note_second_factor(actor=actor, factor=factor, change="removed")


def note_second_factor(*, actor: Actor, factor: Authenticator, change: str) -> None:
    """Say in the trail that a factor of a member was `added`, `renewed` or `removed`."""
    if membership := Membership.objects.filter(user=factor.user_id).first():
        _note_member(actor, "membership.changed", membership, detail=f"second factor {change}: {factor.type}")


@transaction.atomic
def save_user(*, actor: Actor, user: User, changed: Sequence[str]) -> None:
    """Write down what has `changed` of a person: whether they may sign in, say. A member's is in the trail."""
    user.save(update_fields=changed)
    if (membership := Membership.objects.filter(user=user).first()) and changed:
        _note_member(actor, "membership.changed", membership, detail=", ".join(changed))


@transaction.atomic
def remove_user(*, actor: Actor, user: User) -> None:
    """Forget a person, who is no member of anything then; also as a patient, where no case is left of them. What the
    administrators' log says of the person names nobody any more.
    """
    if membership := Membership.objects.filter(user=user).first():
        remove_member(actor=actor, membership=membership)
    # They forget who sent them. Locked before patients, as whoever erases a case of one does it.
    all_locked(list(Batch.objects.filter(created_by=user).values_list("pk", flat=True)))
    forget_sender(user=user)
    for patient in Patient.objects.select_for_update().filter(user=user):
        if not patient.cases.exists():
            forget_patient(patient=patient)
    logged = LogEntry.objects.filter(content_type=ContentType.objects.get_for_model(User), object_id=str(user.pk))
    logged.update(object_repr=f"person {user.pk}")
    forget_account(user=user)
    user.delete()


def forget_patient(*, patient: Patient) -> None:
    """Leave a row of which nobody can be told who it was, in the caller's transaction."""
    Patient.objects.filter(pk=patient.pk).update(
        external_id=f"{Patient.UNNAMED}{secrets.token_hex(8)}",
        user=None,
        email="",
        clinics_email="",
        date_of_birth=None,
        consented_at=None,
        training_consent=False,
        training_said_at=None,
    )


def _note_member(actor: Actor, action: str, membership: Membership, *, detail: str = "") -> None:
    record(
        actor=actor,
        action=action,
        object_id=membership.user_id,
        organisation=membership.organisation,
        detail=detail or f"role={membership.role}",
    )


@transaction.atomic
def correct_patient(*, actor: Actor, patient: Patient, **now: Unpack[Known]) -> None:
    """Change what is known of a patient. The letters about their cases follow, as `update_letters` says.

    Another address says that the one before was somebody else's: what went there is taken back and sent anew. The
    trail names the fields that have changed.
    """
    before = Patient.objects.select_for_update(no_key=True).get(pk=patient.pk)
    Patient.objects.filter(pk=patient.pk).update(**now, wrong_dates=0)
    if now.get("email", before.email).lower() != before.email.lower():
        Patient.objects.filter(pk=patient.pk).update(clinics_email="")
        recall_letters(patients=[patient.pk])
    update_letters(patients=[patient.pk])
    if changed := [name for name, value in now.items() if value != getattr(before, name)]:
        _note_correction(actor, patient, ", ".join(changed))


@transaction.atomic
def correct_own_patient(*, actor: Actor, patient: Patient, **now: Unpack[Known]) -> None:
    """As `correct_patient`, by somebody of the patient's clinic. Raises Problem `patients_own_address` where they would
    have letters to a person who has an account go elsewhere: that address is proved, and changed, by the person alone.
    """
    before = Patient.objects.select_for_update(no_key=True).get(pk=patient.pk)
    if "email" in now and before.chooses_address:
        told = "Nothing was changed: this patient has an account by now, and chooses the e-mail address there."
        raise Problem("patients_own_address", told)
    correct_patient(actor=actor, patient=patient, **now)


@transaction.atomic
def follow_account(*, user: User, email: str) -> None:
    """Let clinics write to the address that a patient who signs in has chosen. Links that went to the one before open
    nothing any more; no letter is sent twice, since the account shows every result. A clinic's software may go on
    saying the address that it knows.
    """
    elsewhere = Patient.objects.alias(small=Lower("email")).exclude(small=email)
    for patient in elsewhere.filter(user=user).select_related("organisation"):
        known = patient.clinics_email or patient.email
        Patient.objects.filter(pk=patient.pk).update(email=email, clinics_email=known)
        close_links(patients=[patient.pk])
        update_letters(patients=[patient.pk])
        _note_correction(Actor(user=user), patient, "email")


def _note_correction(actor: Actor, patient: Patient, detail: str) -> None:
    record(
        actor=actor,
        action="patient.corrected",
        object_id=patient.pk,
        organisation=patient.organisation,
        detail=detail,
    )
