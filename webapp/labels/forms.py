"""What an annotator fills in."""

from django import forms

from webapp.labels.models import LABEL_CHOICES, Label

SELECT = forms.Select(attrs={"class": "form-select"})
STATES = [("", "Any"), ("submitted", "Not settled"), ("accepted", "Accepted"), ("superseded", "Outvoted")]


class LabelForm(forms.Form):
    """One answer about one image."""

    dx = forms.ChoiceField(choices=LABEL_CHOICES, error_messages={"required": "Choose one of the nine answers."})
    confidence = forms.TypedChoiceField(choices=Label.Confidence.choices, coerce=int)
    note = forms.CharField(required=False, max_length=500)


class SettleForm(forms.Form):
    """What holds for an image after a disagreement."""

    dx = forms.ChoiceField(choices=[("", "Choose …"), *LABEL_CHOICES], widget=SELECT)


class HistoryFilter(forms.Form):
    """Which of one's own answers to list."""

    dx = forms.ChoiceField(label="Answer", choices=[("", "Any"), *LABEL_CHOICES], required=False, widget=SELECT)
    state = forms.ChoiceField(choices=STATES, required=False, widget=SELECT)
    model = forms.ChoiceField(
        choices=[("", "Any"), ("agrees", "Agrees"), ("differs", "Differs")], required=False, widget=SELECT
    )
