"""What an administrator does by hand: makes organisations, puts people into them, and corrects patients.

Everything goes through the services, so that a clinic's own audit trail says it.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, cast

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django import forms
from django.contrib import admin, messages
from django.db.models import Q
from django.http import HttpRequest
from django.utils.formats import date_format
from django.utils.timezone import localtime

from webapp.accounts import services
from webapp.accounts.forms import PatientForm
from webapp.accounts.models import ApiKey, Membership, Organisation, Patient, User
from webapp.audit.services import Actor, record_view
from webapp.cases.models import Case
from webapp.labels.models import Consensus, Label
from webapp.pages.forms import ChangeForm

# It must be proved with a code that is sent there, or the site would write of patients to somebody else.
WHO_CHANGES_AN_ADDRESS = (
    "People change their own address, on the page of their account, and prove it with a code. Who cannot read the old "
    "one any more signs up with the new one: make that account a member, and this one inactive."
)
WHO_STAYS = (
    "Who has reviewed a case, or labelled a picture, cannot be deleted, because patients and reports say that a person "
    "has, and models learn from labels: make this one inactive."
)
admin.site.unregister(EmailAddress)  # its page would call an address proved that nobody has proved
admin.site.unregister(Authenticator)  # its page would show what codes are made of


def _actor(request: HttpRequest) -> Actor:
    return Actor(user=cast(User, request.user))


@contextmanager
def _warning_of_keys(request: HttpRequest, whose: Q) -> Iterator[None]:
    """Something is changed about a person: says which live keys of theirs nobody looks after then."""
    users = list(User.objects.filter(whose).values_list("pk", flat=True))
    made = list(ApiKey.objects.filter(created_by__in=users, revoked_at=None).values_list("pk", flat=True))
    yield
    for key in ApiKey.objects.filter(pk__in=made).select_related("organisation", "created_by__membership"):
        if not (key.is_looked_after or key.is_expired):
            told = f"The API key “{key}” of {key.organisation} still works, and who made it is no provider there. One "
            messages.warning(request, told + "who is can revoke it, on the page “API keys”.")


def _in_the_row_of(membership: Membership) -> Q:
    """Who is a member by this row until now: the page may put somebody else into it."""
    return Q(pk__in=Membership.objects.filter(pk=membership.pk).values("user"))


def _moment(at: datetime | None) -> str:
    return date_format(localtime(at), "j M Y, H:i") if at else "never"


class OneByOne(admin.ModelAdmin):
    """Rows that are deleted by a service, several at once too."""

    def delete_queryset(self, request: HttpRequest, queryset: Iterable[Any]) -> None:
        for row in queryset:
            self.delete_model(request, row)


class MembershipInline(admin.TabularInline):
    """The people of an organisation, in its page."""

    model = Membership
    form = ChangeForm
    autocomplete_fields = ["user"]
    extra = 1


@admin.register(Organisation)
class OrganisationAdmin(admin.ModelAdmin):
    """Clinics."""

    form = ChangeForm
    list_display = ["name", "slug", "release_policy", "weight", "images_a_day", "images_queued", "requests_a_minute"]
    search_fields = ["name", "slug"]
    prepopulated_fields = {"slug": ["name"]}
    inlines = [MembershipInline]

    def save_model(self, request: HttpRequest, obj: Organisation, form: forms.ModelForm, change: bool) -> None:
        if not change or form.changed_data:
            services.save_organisation(actor=_actor(request), organisation=obj, changed=form.changed_data)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """The members. Django gives what to save and what to delete once it was asked to save neither."""
        formset.save(commit=False)
        for membership, changed in [*formset.changed_objects, *((new, ()) for new in formset.new_objects)]:
            with _warning_of_keys(request, _in_the_row_of(membership)):
                services.save_member(actor=_actor(request), membership=membership, changed=changed)
        for membership in formset.deleted_objects:
            with _warning_of_keys(request, _in_the_row_of(membership)):
                services.remove_member(actor=_actor(request), membership=membership)


@admin.register(Membership)
class MembershipAdmin(OneByOne):
    """Who works where, as what."""

    form = ChangeForm
    list_display = ["user", "organisation", "role"]
    list_filter = ["role"]
    list_select_related = ["user", "organisation"]
    autocomplete_fields = ["user", "organisation"]

    def save_model(self, request: HttpRequest, obj: Membership, form: forms.ModelForm, change: bool) -> None:
        with _warning_of_keys(request, _in_the_row_of(obj)):
            services.save_member(actor=_actor(request), membership=obj, changed=form.changed_data)

    def delete_model(self, request: HttpRequest, obj: Membership) -> None:
        with _warning_of_keys(request, _in_the_row_of(obj)):
            services.remove_member(actor=_actor(request), membership=obj)


@admin.register(User)
class UserAdmin(OneByOne):
    """People. They sign up themselves, so that nobody else ever knows their password."""

    form = ChangeForm
    list_display = ["email", "is_active", "is_staff", "last_sign_in"]
    search_fields = ["email"]
    fieldsets = [
        (None, {"fields": ["email", "proven_addresses"], "description": WHO_CHANGES_AN_ADDRESS}),
        (
            None,
            {
                "fields": ["is_active", "is_staff", "is_superuser", "last_sign_in", "joined"],
                "description": WHO_STAYS,
            },
        ),
    ]
    readonly_fields = ["email", "proven_addresses", "last_sign_in", "joined"]

    @admin.display(ordering="last_login")
    def last_sign_in(self, user: User) -> str:
        """When the person was here last."""
        return _moment(user.last_login)

    @admin.display
    def joined(self, user: User) -> str:
        """When the person signed up."""
        return _moment(user.date_joined)

    @admin.display
    def proven_addresses(self, user: User) -> str:
        """Those that the person has confirmed with a code, the one that they sign in with first."""
        proven = EmailAddress.objects.filter(user=user, verified=True).order_by("-primary", "email")
        return ", ".join(proven.values_list("email", flat=True)) or "none yet"

    def has_add_permission(self, request: object) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        stays = obj is not None and (
            Case.objects.filter(reviewed_by=obj).exists()
            or Label.objects.filter(annotator=obj).exists()
            or Consensus.objects.filter(settled_by=obj).exists()
        )
        return super().has_delete_permission(request, obj) and not stays

    def save_model(self, request: HttpRequest, obj: User, form: forms.ModelForm, change: bool) -> None:
        with _warning_of_keys(request, Q(pk=obj.pk)):
            services.save_user(actor=_actor(request), user=obj, changed=form.changed_data)

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        with _warning_of_keys(request, Q(pk=obj.pk)):
            services.remove_user(actor=_actor(request), user=obj)


@admin.register(Authenticator)
class SecondFactorAdmin(OneByOne):
    """Who has a second factor. One that its owner has lost can be taken away here; only its owner adds another."""

    list_display = ["user", "type", "created_at", "last_used_at"]
    list_filter = ["type"]
    list_select_related = ["user"]
    fields = ["user", "type", "created_at", "last_used_at"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def delete_model(self, request: HttpRequest, obj: Authenticator) -> None:
        services.remove_second_factor(actor=_actor(request), factor=obj)


@admin.register(Patient)
class PatientAdmin(admin.ModelAdmin):
    """Whom clinics' cases are of. Their providers change what is known of somebody, too, on a case's page."""

    form = PatientForm
    list_display = ["external_id", "organisation", "known_since"]
    ordering = ["organisation_id", "external_id"]
    list_select_related = ["organisation"]
    list_filter = ["organisation"]
    search_fields = ["external_id", "email", "clinics_email"]
    fields = ["organisation", "external_id", "email", "date_of_birth"]
    readonly_fields = ["organisation", "external_id"]

    @admin.display(ordering="created_at")
    def known_since(self, patient: Patient) -> str:
        """When the clinic named the patient first."""
        return _moment(patient.created_at)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """The page of a patient, which says who it is: as a provider's look at it, in the clinic's trail."""
        patient: Patient = kwargs["obj"]
        actor, clinic = _actor(request), patient.organisation
        record_view(actor=actor, action="patient.viewed", object_id=patient.pk, organisation=clinic)
        return super().render_change_form(request, context, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Patient, form: PatientForm, change: bool) -> None:
        services.correct_patient(actor=_actor(request), patient=obj, **form.changes)
