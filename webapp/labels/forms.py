"""What an annotator fills in."""

from django import forms

from webapp.labels.models import LABEL_CHOICES, Label


class LabelForm(forms.Form):
    """One answer about one image."""

    dx = forms.ChoiceField(choices=LABEL_CHOICES, error_messages={"required": "Choose one of the nine answers."})
    confidence = forms.TypedChoiceField(choices=Label.Confidence.choices, coerce=int)
    note = forms.CharField(required=False, max_length=500)


class HistoryFilter(forms.Form):
    """Which of one's own answers to list."""

    dx = forms.ChoiceField(choices=[("", "Any answer"), *LABEL_CHOICES], required=False)
    state = forms.ChoiceField(choices=[("", "Any state"), *Label.State.choices], required=False)
    model = forms.ChoiceField(
        choices=[("", "Any"), ("agrees", "Model agrees"), ("differs", "Model differs")], required=False
    )
