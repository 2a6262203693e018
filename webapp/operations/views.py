"""What machines ask (health, readiness, metrics), and the same for operators."""

import ipaddress
import secrets
from datetime import timedelta

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from webapp.accounts.permissions import Role, for_everyone, for_roles
from webapp.inference.selectors import workers_alive
from webapp.operations import selectors
from webapp.operations.charts import bars
from webapp.operations.metrics import exposition
from webapp.operations.readiness import readiness
from webapp.registry.selectors import active_release

SILENT_AFTER = timedelta(minutes=1)  # three times that an inference worker should have said that it lives


@for_everyone
@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers. It asks nobody else: a database that is away is no reason to restart this process."""
    return JsonResponse({"status": "ok"})


@for_everyone
@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Whether the service can do its work: 200, or 503 with what is wrong."""
    checks = readiness()
    ready = all(check.ok for check in checks)
    parts = {check.name: {"ok": check.ok, "why": check.why} for check in checks}
    return JsonResponse({"status": "ready" if ready else "not ready", "checks": parts}, status=200 if ready else 503)


@for_everyone
@never_cache
@require_GET
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus's text format, for this machine itself and for who sends METRICS_TOKEN."""
    if not (_from_this_machine(request) or _has_token(request)):
        return HttpResponseForbidden("Send METRICS_TOKEN as a bearer token.\n", content_type="text/plain")
    return HttpResponse(exposition(), content_type=CONTENT_TYPE_LATEST)


def _from_this_machine(request: HttpRequest) -> bool:
    """A request over loopback that no proxy has passed on for somebody else."""
    if {"HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA"} & request.META.keys():
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


def _has_token(request: HttpRequest) -> bool:
    sent = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return bool(settings.METRICS_TOKEN) and secrets.compare_digest(sent.encode(), settings.METRICS_TOKEN.encode())


@for_roles(Role.OPERATOR, "administrator")
@never_cache
@require_GET
def queues(request: HttpRequest) -> HttpResponse:
    """What waits and for how long, who is at work, what failed. Counts only: no clinic's data."""
    day = timezone.now() - timedelta(days=1)
    minutes = selectors.answered_by_minute()
    context = {
        "waiting": selectors.waiting(),
        "since_sweep": selectors.since_sweep(),
        "latency": selectors.latency(),
        "workers": workers_alive(),
        "expected": timezone.now() - SILENT_AFTER,
        "release": active_release(),
        "failed_jobs": selectors.failed_jobs(since=day),
        "failed_messages": selectors.failed_messages(since=day),
        "failing_webhooks": selectors.failing_webhooks(),
        "chart": bars(minutes),
        "answered": sum(minutes),
        "checks": readiness(),
        "now": timezone.now(),
    }
    part = request.headers.get("HX-Request") == "true"
    return render(request, "operations/_figures.html" if part else "operations/queues.html", context)
