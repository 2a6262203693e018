"""Values of which there are a few, and times: who sends another is told which there are, or how one is written."""

from collections.abc import Sequence
from typing import Any

import django_filters as filters
from rest_framework import serializers

Choices = Sequence[tuple[str, Any]]


class OneOf(serializers.ChoiceField):
    """A field of a body that has one of several values."""

    def __init__(self, choices: Choices, **options: Any) -> None:
        super().__init__(choices, error_messages=_told(choices), **options)


class OneOfFilter(filters.ChoiceFilter):  # type: ignore[misc]  # django-filter has no types
    """Of a column that has one of several values."""

    def __init__(self, *, choices: Choices, **options: Any) -> None:
        super().__init__(choices=choices, error_messages=_told(choices), **options)


class TimeFilter(filters.IsoDateTimeFilter):  # type: ignore[misc]
    """Of a time."""

    def __init__(self, **options: Any) -> None:
        told = "Send a time as 2026-11-22T08:30:00Z. In an address a + is written %%2B."
        super().__init__(error_messages={"invalid": told}, **options)


def _told(choices: Choices) -> dict[str, Any]:
    return {"invalid_choice": f"Send one of: {', '.join(value for value, _ in choices)}."}
