"""Asking for a date of birth in three plain fields, as people write it.

After the NHS digital service manual's date input: three text fields, no calendar, errors in words.
"""

import calendar
from datetime import date
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

OLDEST = 120  # years
PARTS = {"day": "Day", "month": "Month", "year": "Year"}
MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name}


class DateOfBirthForm(forms.Form):
    """Gives `cleaned_data["date_of_birth"]`. Show it with `accounts/_date_of_birth.html`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, label in PARTS.items():
            self.fields[name] = forms.CharField(label=label, max_length=20, required=False)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        parts = {name: str(cleaned.get(name, "")).strip() for name in PARTS}
        missing = [name for name, part in parts.items() if not part]
        if missing:
            if len(missing) == len(PARTS):
                raise ValidationError("Enter your date of birth.")
            are = "is" if len(missing) == 1 else "are"
            raise ValidationError(f"Enter your date of birth: the {' and the '.join(missing)} {are} missing.")
        cleaned["date_of_birth"] = _date_of(**parts)
        return cleaned


def _date_of(day: str, month: str, year: str) -> date:
    """The date that was written, in the last 120 years. Raises ValidationError with a sentence that says what to do."""
    month = str(MONTHS.get(month[:3].lower(), month))
    if not (day + month + year).isascii() or not all(part.isdigit() for part in (day, month, year)):
        raise ValidationError("Use numbers for your date of birth, like 27 3 1964.")
    if len(year) != 4:
        raise ValidationError("Write the year of your birth with four numbers, like 1964.")
    try:
        written = date(int(year), int(month), int(day))
    except ValueError:
        raise ValidationError("There is no such date. Check the day and the month.") from None
    if not may_be_alive(written):
        raise ValidationError("Your date of birth must be in the past. Check the year.")
    return written


def may_be_alive(born: date) -> bool:
    """Whether somebody who was born on this day can be among us: today or in the last 120 years."""
    today = timezone.localdate()
    return today.year - OLDEST <= born.year and born <= today
