"""What a clinic says of an endpoint, and since when failed deliveries are replayed."""

from datetime import timedelta
from typing import Any

from django import forms
from django.utils import timezone

from webapp.pages.forms import ChangeForm
from webapp.webhooks.addresses import MAX_URL, TargetRefusedError, parse
from webapp.webhooks.models import Endpoint, EventType


class EndpointForm(ChangeForm):
    """Where to, and what."""

    url = forms.CharField(
        label="Address", max_length=MAX_URL, help_text="Of your software, such as https://clinic.example/lesionlens",
        widget=forms.URLInput(attrs={"autocomplete": "off"}),
    )  # fmt: skip
    description = forms.CharField(max_length=200, required=False, help_text="What listens there, for your colleagues.")
    event_types = forms.MultipleChoiceField(
        label="Events",
        error_messages={"required": "Choose at least one event."},
        choices=[(code, f"{words} ({code})") for code, words in EventType.choices],
        widget=forms.CheckboxSelectMultiple(attrs={"class": "form-check-input"}),
    )

    class Meta:
        model = Endpoint
        fields = ["url", "description", "event_types"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance._state.adding:
            self.initial.setdefault("event_types", EventType.values)

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"]
        try:
            parse(url)
        except TargetRefusedError as refused:
            raise forms.ValidationError(str(refused), "url_refused") from refused
        return url


class ReplayForm(forms.Form):
    """Since when; a day ago unless somebody says otherwise."""

    since = forms.DateTimeField(
        label="Failed events since",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial.setdefault("since", timezone.localtime() - timedelta(days=1))
