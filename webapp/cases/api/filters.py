"""What lists can be narrowed to."""

from typing import Any
from unicodedata import normalize

import django_filters as filters
from django import forms
from django.db.models import QuerySet

from webapp.accounts.models import Patient
from webapp.accounts.permissions import organisation_of
from webapp.api.choices import OneOfFilter, TimeFilter
from webapp.cases.models import Batch, Case, Image
from webapp.inference.models import ADVICE_CHOICES, DX_CHOICES


class TrueOrFalse(forms.NullBooleanField):
    """`true`, `false`, `1` or `0`, in any case of letters: anything else would narrow nothing."""

    widget = forms.TextInput  # the value as it was sent

    def to_python(self, value: str | None) -> bool | None:  # type: ignore[override]  # as its parent does
        found = super().to_python(value and value.strip().lower())
        if value and found is None:
            raise forms.ValidationError("Use true or false.", code="invalid")
        return found


class BooleanFilter(filters.BooleanFilter):  # type: ignore[misc]  # django-filter has no types
    """Of what is so, or is not."""

    field_class = TrueOrFalse


class IdFilter(filters.CharFilter):  # type: ignore[misc]
    """By an id of the clinic's: in the form that ids are kept in, and as it was sent, for those that were before."""

    def filter(self, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        ids = {value, normalize("NFC", value)}
        return rows.filter(**{f"{self.field_name}__in": ids}) if value else rows


class PatientFilter(IdFilter):
    """By the clinic's id of a patient, who is looked up first: joined to them, all the clinic's cases would be read in
    their order until a page is full, which one of a few cases never fills.
    """

    def filter(self, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        of_clinic = Patient.objects.filter(organisation=organisation_of(self.parent.request))
        return rows.filter(patient__in=list(super().filter(of_clinic, value))) if value else rows


class BatchFilter(filters.FilterSet):  # type: ignore[misc]  # django-filter has no types
    """Of batches."""

    state = OneOfFilter(choices=Batch.State.choices)
    source = OneOfFilter(choices=Batch.Source.choices)
    created_after = TimeFilter(field_name="created_at", lookup_expr="gte")
    created_before = TimeFilter(field_name="created_at", lookup_expr="lt")

    class Meta:
        model = Batch
        fields: list[str] = []


class ImageFilter(filters.FilterSet):  # type: ignore[misc]  # django-filter has no types
    """Without a model, since it filters the images of one batch."""

    state = OneOfFilter(choices=Image.State.choices)


class CaseFilter(filters.FilterSet):  # type: ignore[misc]  # django-filter has no types
    """Of cases, also by their current answer."""

    batch = filters.UUIDFilter(field_name="batch_id")
    case_id = IdFilter(field_name="external_id", label="Your id of the case")
    patient_id = PatientFilter(field_name="external_id", label="Your id of the patient")
    released = BooleanFilter(field_name="released_at", lookup_expr="isnull", exclude=True)
    raised = BooleanFilter(
        field_name="raised_at", lookup_expr="isnull", exclude=True, label="A later answer or opinion is more urgent"
    )
    advice = OneOfFilter(choices=ADVICE_CHOICES, help_text="Of the answer")
    top_class = OneOfFilter(choices=DX_CHOICES)
    uncertainty_min = filters.NumberFilter(field_name="uncertainty", lookup_expr="gte")
    uncertainty_max = filters.NumberFilter(field_name="uncertainty", lookup_expr="lte")

    class Meta:
        model = Case
        fields: list[str] = []
