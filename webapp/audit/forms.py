"""How events are narrowed down."""

from typing import Any

from django import forms

from webapp.accounts.models import Organisation
from webapp.audit.selectors import OTHERS, SOFTWARE, SUBJECTS, SYSTEM, members

SELECT = {"class": "form-select"}
INPUT = {"class": "form-control"}


class EventFilter(forms.Form):
    """Filters in the address. A person is named by number there, never by e-mail address."""

    subject = forms.ChoiceField(
        label="About", choices=[("", "Anything"), *SUBJECTS.items()], required=False, widget=forms.Select(SELECT)
    )
    who = forms.ChoiceField(required=False, widget=forms.Select(SELECT))
    object_id = forms.CharField(
        label="Its id, or your case id", max_length=100, required=False, widget=forms.TextInput(INPUT)
    )
    since = forms.DateField(label="From", required=False, widget=forms.DateInput({**INPUT, "type": "date"}))
    until = forms.DateField(label="Until", required=False, widget=forms.DateInput({**INPUT, "type": "date"}))

    def __init__(self, *args: Any, organisation: Organisation, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        people = [(str(member.user_id), member.user.email) for member in members(organisation)]
        others = [
            (SOFTWARE, "Software with an API key"),
            (SYSTEM, "The system itself"),
            (OTHERS, "Patients and others"),
        ]
        self.fields["who"].choices = [("", "Anybody"), *people, *others]  # type: ignore[attr-defined]
