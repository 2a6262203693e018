"""A result as its patient reads it, whether they have signed in or came by the link in an e-mail."""

import uuid

from django.db.models import Exists, OuterRef, Q
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render

from webapp.accounts.permissions import actor_of
from webapp.audit.services import record
from webapp.cases.models import Case, Image
from webapp.cases.pictures import picture
from webapp.inference.models import Job, Result
from webapp.patients import words
from webapp.patients.photos import BODY_SITES
from webapp.patients.selectors import photos_to_delete


def result_page(request: HttpRequest, case: Case, *, image_route: str, detail: str = "") -> HttpResponse:
    """The result of a released case, which the caller has found that the reader may see. The view is audited.

    `image_route` names the view that serves the photos to this reader; `detail` says in the audit how they came.
    """
    record(
        actor=actor_of(request),
        action="result.viewed",
        object_id=case.pk,
        organisation=case.organisation,
        detail=detail,
    )
    result = case.answer
    assert result is not None  # noqa: S101 - it is released
    jobs = Job.objects.filter(image=OuterRef("pk"), state=Job.State.FAILED)
    answers = Result.objects.filter(image=OuterRef("pk"))
    failed = Q(Exists(jobs), ~Exists(answers), state=Image.State.READY)
    return render(
        request,
        "patients/result.html",
        {
            "case": case,
            "site": BODY_SITES.get(case.anatom_site, ""),
            "result": result,
            "explanation": words.explain(case, result),
            "words": words,
            "images": case.images.filter(~failed, state=Image.State.READY),
            "unused": case.images.filter(failed | Q(state=Image.State.REJECTED)),
            "deleted": case.images.filter(state=Image.State.PURGED),
            "to_delete": photos_to_delete(case) if request.user == case.patient.user else 0,
            "image_route": image_route,
        },
    )


def photo_of(
    request: HttpRequest, case: Case, image_id: uuid.UUID, kind: str = "clean", *, how: str = ""
) -> HttpResponseBase:
    """A photo of a case that the caller has found that the reader may see, `clean` or as a `thumbnail`. The view is
    audited; `how` says there how they came.
    """
    return picture(request, get_object_or_404(Image, pk=image_id, case=case, width__gt=0), kind, how=how)
