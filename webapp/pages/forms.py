"""What forms that change something have in common."""

from typing import Any

from django import forms
from django.utils.safestring import SafeString, mark_safe


class ChangeForm(forms.ModelForm):
    """A field has changed if it differs from what the page said of it: a colleague may have changed another since."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.show_hidden_initial = True

    def as_the_page_said(self) -> SafeString:
        """Each field as it was when the page was made, hidden."""
        return mark_safe("".join(field.as_hidden(only_initial=True) for field in self))  # noqa: S308 - of widgets

    @property
    def changes(self) -> dict[str, Any]:
        """The fields that have changed, of a form that is valid."""
        return {name: self.cleaned_data[name] for name in self.changed_data}
