"""Asking for a date of birth in three plain fields, as people write it.

After the NHS digital service manual's date input: three text fields, no calendar, errors in words.
"""

from datetime import date
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

OLDEST = 120  # years
PARTS = (("day", "Day", 2), ("month", "Month", 2), ("year", "Year", 4))


class DateOfBirthForm(forms.Form):
    """Gives `cleaned_data["date_of_birth"]`. Show it with `accounts/_date_of_birth.html`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, label, length in PARTS:
            self.fields[name] = forms.CharField(
                label=label,
                max_length=length + 2,
                required=False,
            )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        parts = [str(cleaned.get(name, "")).strip() for name, _, _ in PARTS]
        missing = [label.lower() for (_, label, _), part in zip(PARTS, parts, strict=True) if not part]
        if missing:
            raise ValidationError(f"Enter your date of birth: the {' and the '.join(missing)} is missing.")
        cleaned["date_of_birth"] = _date_of(*parts)
        return cleaned


def _date_of(day: str, month: str, year: str) -> date:
    """The date that was written, in the last 120 years. Raises ValidationError with a sentence that says what to do."""
    if not (day + month + year).isascii() or not all(part.isdigit() for part in (day, month, year)):
        raise ValidationError("Use numbers for your date of birth, like 27 3 1964.")
    if len(year) != 4:
        raise ValidationError("Write the year of your birth with four numbers, like 1964.")
    try:
        written = date(int(year), int(month), int(day))
    except ValueError:
        raise ValidationError("There is no such date. Check the day and the month.") from None
    today = timezone.localdate()
    if not today.year - OLDEST <= written.year or written > today:
        raise ValidationError("Your date of birth must be in the past. Check the year.")
    return written
