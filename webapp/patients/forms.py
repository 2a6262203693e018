"""What patients fill in."""

import uuid
from collections.abc import Sequence
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.utils import timezone
from django.utils.datastructures import MultiValueDict

from ml.imaging.refusal import SENTENCES
from webapp.accounts.date_of_birth import DateOfBirthForm
from webapp.accounts.forms import CodeForm
from webapp.accounts.models import Organisation, Patient, User
from webapp.accounts.services import account_for
from webapp.patients import words
from webapp.patients.photos import ADULT, BODY_SITES, MAX_PHOTOS, age_on


class JoinForm(CodeForm):
    """An e-mail address to send a code to; a new one gets an account."""

    _user: User | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].error_messages["required"] = "Enter your e-mail address."

    def clean_email(self) -> str:
        email = super().clean_email()
        if self._user is None or self._user.email == email:
            self._user = account_for(email=email)
            return self._user.email  # the code goes to nothing but an address of the account
        return email


class ConsentForm(DateOfBirthForm):
    """Date of birth, agreement to the intended use, asked once, and whether models may learn from the photos, which is
    no condition of anything.
    """

    agree = forms.BooleanField(
        label="I have read this and I agree.", error_messages={"required": "Tick the box if you agree."}
    )

    training = forms.BooleanField(label=words.ALLOW_TRAINING, required=False)

    def __init__(self, *args: Any, organisation: Organisation, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._organisation = organisation

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if age_on(cleaned["date_of_birth"], timezone.localdate()) < ADULT:
            phone = self._organisation.help_phone
            call = f"{self._organisation.name}: {phone}" if phone else f"{self._organisation.name} or your doctor"
            raise ValidationError(f"You must be {ADULT} or older to send photos here. Please call {call}.")
        return cleaned


class PhotoInput(forms.FileInput):
    """Gives every file of its name: the camera's field and the chooser's field send under one."""

    allow_multiple_selected = True

    def value_from_datadict(self, data: Any, files: MultiValueDict[str, UploadedFile], name: str) -> Any:
        return files.getlist(name)


class PhotosField(forms.FileField):
    """One to three photos. Gives a list of files."""

    widget = PhotoInput
    default_error_messages = {"required": "Take a photo or choose one."}

    def clean(self, data: Any, initial: Any = None) -> Any:
        photos: Sequence[UploadedFile] = data or []
        if not photos:
            raise ValidationError(self.error_messages["required"])
        if len(photos) > MAX_PHOTOS:
            raise ValidationError(f"Send at most {MAX_PHOTOS} photos, all of the same spot.")
        if any((photo.size or 0) > settings.UPLOAD_MAX_BYTES for photo in photos):
            raise ValidationError(SENTENCES["too_large_bytes"])
        if not all(photo.size for photo in photos):
            raise ValidationError(SENTENCES["empty"])
        return list(photos)


class ClinicField(forms.ModelChoiceField):
    """One of the clinics that know this person: the person as that clinic's patient."""

    def label_from_instance(self, obj: Any) -> str:
        return str(obj.organisation.name)


class PhotoForm(forms.Form):
    """Photos of one spot, where it is, and what the patient wants to say."""

    key = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)
    photos = PhotosField()
    clinic = ClinicField(
        queryset=Patient.objects.none(),
        label="Which clinic should see it?",
        empty_label="Choose a clinic",  # who does not look sends nothing to the wrong one
        error_messages={"required": "Choose the clinic that should see it."},
    )
    anatom_site = forms.ChoiceField(
        choices=[("", "I am not sure"), *BODY_SITES.items()], required=False, label="Where on your body is it?"
    )
    notes = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3}), max_length=1000, required=False, label="What should your clinic know?"
    )

    def __init__(self, *args: Any, patients: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        clinic = self.fields["clinic"]
        assert isinstance(clinic, ClinicField)  # noqa: S101 - declared above
        clinic.queryset = patients
        if len(patients) == 1:
            clinic.initial, clinic.widget = patients[0].pk, forms.HiddenInput()
