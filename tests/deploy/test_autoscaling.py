"""The autoscalers and the alerts watch figures that exist, and mean what they say."""

import re
from datetime import timedelta
from typing import Any

import promql_parser
import pytest
import yaml
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from tests.deploy.manifests import FOLDER, SCALED
from tests.factories import ArchiveFactory, ConsensusFactory, ImageFactory, JobFactory, ReleaseFactory, RunFactory
from webapp.cases.models import Archive, Image
from webapp.inference.models import Job
from workers.upkeep import SWEEPS

RULES = [rule for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"] for rule in group["rules"]]


def ask(name: str) -> float:
    """What the autoscaler of this process would be told now."""
    [query] = {m["spec"]["triggers"][0]["metadata"]["query"] for m in SCALED if m["metadata"]["name"].startswith(name)}
    with connection.cursor() as cursor:
        cursor.execute(query)
        [[value]] = cursor.fetchall()
    return float(value)


def published(client: Client, metric: str, kind: str, state: str) -> float:
    text = client.get("/metrics").content.decode()
    found = re.search(rf'^{metric}{{kind="{kind}",state="{state}"}} (\S+)$', text, re.MULTILINE)
    assert found is not None
    return float(found[1])


@pytest.mark.django_db
def test_autoscalers_ask_for_the_age_that_metrics_publish(client: Client) -> None:
    assert ask("worker-inference") == ask("worker-cpu") == ask("worker-training") == 0
    for minutes in (60, 10):
        ago = timezone.now() - timedelta(minutes=minutes)
        Job.objects.filter(pk=JobFactory().pk).update(created_at=ago)
        Image.objects.filter(pk=ImageFactory(stored=True).pk).update(stored_at=ago)
    RunFactory()
    oldest = published(client, "lesionlens_oldest_seconds", "job", "queued")
    assert oldest == pytest.approx(3600, abs=60)
    assert ask("worker-inference") == pytest.approx(oldest, abs=5)
    assert ask("worker-cpu") == pytest.approx(published(client, "lesionlens_oldest_seconds", "image", "stored"), abs=5)
    assert ask("worker-training") == published(client, "lesionlens_rows", "training_run", "queued") == 1


@pytest.mark.django_db
def test_a_zip_waits_from_when_it_is_there_not_from_when_it_was_announced(client: Client) -> None:
    """One of two gigabytes may take an hour to come, and no worker could have begun."""
    archive = ArchiveFactory(stored=True)
    now = timezone.now()
    Archive.objects.filter(pk=archive.pk).update(created_at=now - timedelta(hours=1))
    assert ask("worker-cpu") == pytest.approx(0, abs=30)
    Archive.objects.filter(pk=archive.pk).update(stored_at=now - timedelta(minutes=10))
    assert ask("worker-cpu") == pytest.approx(600, abs=30)
    assert published(client, "lesionlens_oldest_seconds", "archive", "stored") == pytest.approx(600, abs=30)


@pytest.mark.django_db
def test_a_zip_that_is_kept_until_a_quota_has_room_asks_for_no_worker(client: Client) -> None:
    archive = ArchiveFactory(stored=True)
    kept = [{"name": "", "code": "queue_quota", "message": "The ZIP is kept."}]
    Archive.objects.filter(pk=archive.pk).update(stored_at=timezone.now() - timedelta(hours=1), report=kept)
    assert ask("worker-cpu") == published(client, "lesionlens_oldest_seconds", "archive", "stored") == 0
    assert published(client, "lesionlens_rows", "archive", "stored") == 1


@pytest.mark.django_db
def test_enough_labels_ask_for_a_trainer_while_there_is_none(settings: Settings) -> None:
    """The autoscaler counts runs, so a run must come before the worker that trains it."""
    settings.RETRAIN_AFTER_LABELS = 2
    ReleaseFactory(active=True)
    ConsensusFactory.create_batch(2, dx="MEL")
    assert ask("worker-training") == 0
    assert SWEEPS["training_runs"]() == 1
    assert ask("worker-training") == 1
    assert SWEEPS["training_runs"]() == 0  # one is enough


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_prometheus_would_take_each_rule(rule: dict[str, Any]) -> None:
    promql_parser.parse(rule["expr"])
    if "record" in rule:
        assert rule.keys() == {"record", "expr"}
        return
    assert {"alert", "expr", "labels", "annotations"} <= rule.keys() <= {
        "alert", "expr", "for", "labels", "annotations"
    }  # fmt: skip
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert rule["annotations"].keys() == {"summary", "description"}


def test_no_alert_of_a_part_that_is_away_rings_for_a_restart() -> None:
    away = {rule["alert"]: rule.get("for", "0m") for rule in RULES if rule.get("alert", "").endswith("IsAway")}
    assert {"LesionLensRedisIsAway", "LesionLensStorageIsAway", "LesionLensMailServerIsAway"} < away.keys()
    assert min(int(minutes.removesuffix("m")) for minutes in away.values()) >= 2


@pytest.mark.django_db
def test_alerts_watch_what_metrics_publish(client: Client) -> None:
    client.get("/healthz")  # a first request to be counted
    JobFactory()
    ReleaseFactory(active=True)
    text = client.get("/metrics").content.decode()
    recorded = {rule["record"] for rule in RULES if "record" in rule}
    watched = {name for rule in RULES for name in re.findall(r"\blesionlens[:_][\w:]+", rule["expr"])}
    for name in watched - recorded:
        assert re.search(rf"^{name}[{{ ]", text, re.MULTILINE), name
    assert recorded <= watched
    # Probes always succeed, so that they would hide the errors of a site that few people use.
    [ratio] = [rule["expr"] for rule in RULES if "ratio_rate" in rule.get("record", "")]
    for labels in re.findall(r"request_seconds_count\{(.*?)\}", ratio):
        [left_out] = re.findall(r'route!~"(.+?)"', labels)
        assert re.fullmatch(left_out, re.findall(r'_count\{.*route="([\w:]*healthz)"', text)[0])
    assert ratio.count("request_seconds_count{") == ratio.count("request_seconds_count") == 2
    for label, value in re.findall(r'(kind|state)=~?"([\w|]+)"', " ".join(rule["expr"] for rule in RULES)):
        for one in value.split("|"):
            assert f'{label}="{one}"' in text, (label, one)
