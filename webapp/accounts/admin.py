"""What an administrator does by hand: makes organisations and puts people into them."""

from django.contrib import admin

from webapp.accounts.models import Membership, Organisation, User


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
