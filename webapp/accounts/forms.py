"""Forms to sign in with, of a clinic's own settings, and of what is known of a patient."""

from datetime import date
from typing import Any

from allauth.account import fields
from allauth.account.adapter import get_adapter
from allauth.account.forms import AddEmailForm, LoginForm, RequestLoginCodeForm, ResetPasswordForm, SignupForm
from allauth.core import context
from allauth.core.internal import ratelimit
from django import forms
from django.core.exceptions import ValidationError

from webapp.accounts.date_of_birth import may_be_alive
from webapp.accounts.models import ApiKey, Organisation, Patient
from webapp.addresses import in_one_form
from webapp.pages.forms import ChangeForm


class AddressField(fields.EmailField):  # type: ignore[misc]
    """An e-mail address in the form in which accounts have theirs: letters go to that and to nothing that was typed."""

    default_error_messages = {"invalid": "Enter the whole e-mail address, like name@example.org."}

    def clean(self, value: Any) -> str:
        return in_one_form(super().clean(value))


class AddressForm(AddEmailForm):  # type: ignore[misc]
    """A further address of an account."""

    email = AddressField()


class CodeForm(RequestLoginCodeForm):  # type: ignore[misc]
    """Where a code to sign in with is sent."""

    email = AddressField()

    def clean_email(self) -> str:
        """Keeps to the limits of how often a code can be asked for: first of one network, which uses up a part."""
        key = f"{self.cleaned_data['email']}:{ratelimit.get_ip(context.request)}"
        asked = {"app": "allauth.account", "action": "request_login_code_in_network", "key": key}
        in_network = ratelimit.consume(context.request, **asked)
        if not in_network:
            raise get_adapter().validation_error("rate_limited")
        try:
            email: str = super().clean_email()
        except ValidationError as error:  # allauth speaks of a password, which may not be there
            in_network.rollback()  # no code is sent
            raise get_adapter().validation_error("rate_limited") from error
        return email


class ForgottenPasswordForm(ResetPasswordForm):  # type: ignore[misc]
    """Where a link to a new password is sent."""

    email = AddressField()


class NewAccountForm(SignupForm):  # type: ignore[misc]
    """The address of a new account."""

    email = AddressField()


class PasswordLoginForm(LoginForm):  # type: ignore[misc]
    """Asks for a password although signing up does not: staff set one later, patients use e-mailed codes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"] = AddressField()

    def _setup_password_field(self) -> None:
        """allauth would take the field away."""


class ApiKeyForm(forms.ModelForm):
    """Asks what a new key is for, whether it only reads, and how long it shall work."""

    days = forms.TypedChoiceField(
        label="It works for",
        choices=[("90", "90 days"), ("365", "A year"), ("", "No set time: until somebody revokes it")],
        coerce=int,
        empty_value=None,
        required=False,
        widget=forms.RadioSelect({"class": "form-check-input"}),
        help_text="When its time is over, software that uses it is refused. Two weeks before, the list below says so.",
    )

    class Meta:
        model = ApiKey
        fields = ["name", "reads_only"]
        labels = {"name": "What the key is for", "reads_only": "It only reads"}
        help_texts = {
            "name": "The name of the software or of the person who looks after it.",
            "reads_only": "For software that only collects results, such as a dashboard: it cannot send, release, "
            "delete or erase anything.",
        }

    def clean_name(self) -> str:
        """Refuses what a page that is reloaded sends again: a second key, which nobody has copied and which works."""
        name: str = self.cleaned_data["name"]
        if self.instance.organisation.api_keys.filter(name=name, revoked_at=None, last_used_at=None).exists():
            raise ValidationError(
                "A key of this name is in the list below and was never used. If nobody has copied it, revoke it and "
                "make another; or give this one another name.",
                "key_exists",
            )
        return name


class OrganisationForm(ChangeForm):
    """How a clinic releases results, how it is reached, and how long it keeps photos."""

    class Meta:
        model = Organisation
        fields = ["release_policy", "help_phone", "contact_email", "retention_days"]
        labels = {
            "release_policy": "Release of results",
            "help_phone": "Telephone for patients",
            "retention_days": "Days that photos are kept",
        }
        help_texts = {
            "release_policy": "Results that are released as they arrive reach patients before anybody at your clinic "
            "has read them. Only these wait for a clinician all the same: where dermatologists see more than the "
            "model, where somebody insisted on an answer, where a picture came for two cases, and where the batch was "
            "cancelled.",
            "contact_email": "Told when a patient's photo waits for your review or a case waits for a clinician again, "
            "each at most once an hour, and when a batch of the clinic's software is complete. Empty: all "
            "your providers are told instead, or of a case that waits again the one who sent it.",
            "retention_days": "Photos that were checked longer ago are deleted for good, whether or not their case was "
            "reviewed. Results stay, and so do photos that models are trained with. Empty: photos are kept until "
            "somebody deletes them.",
        }
        widgets = {"release_policy": forms.RadioSelect(attrs={"class": "form-check-input"})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["contact_email"].label = "E-mail address of the clinic"
        days = self.fields["retention_days"]
        days.widget.attrs["min"] = 1
        days.error_messages["min_value"] = "Give a number of days, 1 or more, or leave this empty."


class PatientForm(ChangeForm):
    """How a patient is reached, and what opens the links in their letters."""

    class Meta:
        model = Patient
        fields = ["email", "date_of_birth"]
        labels = {"email": "Patient's e-mail address", "date_of_birth": "Patient's date of birth"}
        help_texts = {
            "email": "The letter about a result goes here. Once you change it, the links in letters that went to the "
            "address before open nothing any more, and those letters go out again, to this one.",
            "date_of_birth": "It opens the link in the letter, so ask the patient for it. Once you change it, a link "
            "that wrong dates have locked can be tried again.",
        }
        widgets = {"date_of_birth": forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})}

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        return email and in_one_form(email)

    def clean_date_of_birth(self) -> date | None:
        born: date | None = self.cleaned_data["date_of_birth"]
        if born and not may_be_alive(born):
            raise ValidationError("The date of birth must be in the past. Check the year.")
        return born
