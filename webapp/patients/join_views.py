"""The clinic's door for its patients: sign in with an e-mailed code, then agree to the intended use, once."""

from typing import Any
from urllib.parse import urlencode

from allauth.account.views import RequestLoginCodeView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache

from webapp.accounts.consent import join_as_patient
from webapp.accounts.models import Organisation, User
from webapp.accounts.permissions import for_everyone
from webapp.patients import words
from webapp.patients.forms import ConsentForm, JoinForm


class JoinByEmail(RequestLoginCodeView):  # type: ignore[misc]
    """Asks for an e-mail address and sends a code to it, to people who are new and to people who are not."""

    form_class = JoinForm
    template_name = "patients/join.html"

    def get_form_class(self) -> type[JoinForm]:
        return self.form_class

    def get_success_url(self) -> str:
        back = reverse("patient:join", args=[self.kwargs["slug"]])
        return f"{reverse('account_confirm_login_code')}?{urlencode({'next': back})}"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        organisation = Organisation.objects.get(slug=self.kwargs["slug"])
        return {**super().get_context_data(**kwargs), "organisation": organisation, "words": words}


@for_everyone
@never_cache
def join(request: HttpRequest, slug: str) -> HttpResponse:
    """The address that a clinic gives its patients."""
    organisation = get_object_or_404(Organisation, slug=slug)
    if not isinstance(request.user, User):
        response: HttpResponse = JoinByEmail.as_view()(request, slug=slug)
        return response
    if request.user.role != "patient":
        return render(request, "patients/join_staff.html", {"organisation": organisation})
    if request.user.patients.filter(organisation=organisation).exists():
        return redirect("patient:home")
    form = ConsentForm(request.POST or None, organisation=organisation)
    if request.method == "POST" and form.is_valid():
        join_as_patient(
            user=request.user,
            organisation=organisation,
            date_of_birth=form.cleaned_data["date_of_birth"],
            training_consent=form.cleaned_data["training"],
        )
        return redirect(f"{reverse('patient:photo')}?{urlencode({'clinic': slug})}")
    return render(request, "patients/consent.html", {"organisation": organisation, "form": form, "words": words})
