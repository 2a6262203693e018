"""What an administrator does by hand: makes organisations, puts people into them, and corrects patients."""

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from webapp.accounts.models import Membership, Organisation, Patient, User
from webapp.accounts.services import correct_patient
from webapp.audit.services import Actor


class MembershipInline(admin.TabularInline):
    """The people of an organisation, in its page."""

    model = Membership
    autocomplete_fields = ["user"]
    extra = 1


@admin.register(Organisation)
class OrganisationAdmin(admin.ModelAdmin):
    """Clinics."""

    list_display = ["name", "slug", "release_policy", "weight", "images_a_day", "images_queued", "requests_a_minute"]
    search_fields = ["name", "slug"]
    prepopulated_fields = {"slug": ["name"]}
    inlines = [MembershipInline]


@admin.register(Membership)
class MembershipAdmin(admin.ModelAdmin):
    """Who works where, as what."""

    list_display = ["user", "organisation", "role"]
    list_filter = ["role"]
    list_select_related = ["user", "organisation"]
    autocomplete_fields = ["user", "organisation"]


@admin.register(User)
class UserAdmin(admin.ModelAdmin):
    """People. They sign up themselves, so that nobody else ever knows their password."""

    list_display = ["email", "is_active", "is_staff", "last_login"]
    search_fields = ["email"]
    fields = ["email", "is_active", "is_staff", "is_superuser", "last_login", "date_joined"]
    readonly_fields = ["last_login", "date_joined"]

    def has_add_permission(self, request: object) -> bool:
        return False


@admin.register(Patient)
class PatientAdmin(admin.ModelAdmin):
    """Whom clinics' cases are of. Their software cannot change what is known of somebody; this page can."""

    list_display = ["external_id", "organisation", "created_at"]
    list_select_related = ["organisation"]
    list_filter = ["organisation"]
    search_fields = ["external_id", "email"]
    fields = ["organisation", "external_id", "email", "date_of_birth"]
    readonly_fields = ["organisation", "external_id"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Patient, form: forms.ModelForm, change: bool) -> None:
        actor = Actor(user=request.user)  # type: ignore[arg-type]
        correct_patient(actor=actor, patient=obj, email=obj.email, date_of_birth=obj.date_of_birth)
