"""What a provider fills in about cases."""

import uuid
from typing import Any

from django import forms

from webapp.cases.manifest.reading import from_json
from webapp.cases.manifest.spec import CaseSpec
from webapp.cases.models import Case


class BatchForm(forms.Form):
    """How the chosen files become cases; the files themselves are read from the request."""

    EACH, ONE = "each", "one"

    key = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)  # by which the same page sent again is known
    name = forms.CharField(max_length=200, required=False, label="Name of the batch", help_text="So that you find it.")
    grouping = forms.ChoiceField(
        choices=[
            (EACH, "Each file is a case of its own (a CSV table or JSON manifest, if there is one, says more)"),
            (ONE, "All files show the same lesion of one patient"),
        ],
        initial=EACH,
        widget=forms.RadioSelect(attrs={"class": "form-check-input"}),
        label="Cases",
    )
    capture = forms.ChoiceField(choices=Case.Capture, initial=Case.Capture.UNKNOWN, label="Kind of picture")


class CaseForm(forms.Form):
    """One case. Its fields are read exactly as those of the API and of a table."""

    case_id = forms.CharField(label="Case id", help_text="How you recognise the case later. Not the patient's name.")
    patient_id = forms.CharField(label="Patient id", help_text="Your own identifier of the patient.")
    lesion_id = forms.CharField(label="Lesion id", required=False)
    age = forms.CharField(label="Age in years", required=False, widget=forms.TextInput(attrs={"inputmode": "numeric"}))
    sex = forms.ChoiceField(choices=Case.Sex, initial=Case.Sex.UNKNOWN, required=False)
    anatom_site = forms.CharField(label="Body site", required=False, help_text="Such as back or left forearm.")
    notes = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 2}))
    patient_email = forms.CharField(
        label="Patient's e-mail address", required=False, help_text="Told when you release the result."
    )
    patient_date_of_birth = forms.CharField(
        label="Patient's date of birth",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="Opens the result, together with the link in the e-mail.",
    )

    training_consent = forms.ChoiceField(
        choices=[("", "Nothing new is said"), ("yes", "The patient agrees"), ("no", "The patient does not agree")],
        label="May models learn from this patient’s photos?",
        required=False,
        help_text="Of a new patient of whom nothing is said, they may: your clinic answers for that.",
    )

    def spec(self, filenames: list[str], *, capture: str) -> CaseSpec | None:
        """The case with these files; None after its mistakes were added to the form."""
        if not self.is_valid():
            return None
        row: dict[str, Any] = {**self.cleaned_data, "capture": capture, "images": filenames}
        manifest = from_json([row])
        for error in manifest.errors:
            self.add_error(error.field if error.field in self.fields else None, error.message)
        return None if manifest.errors else manifest.cases[0]
