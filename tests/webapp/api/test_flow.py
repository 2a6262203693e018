"""A clinic's batch from manifest to result, over HTTP."""

import csv
import io
import json
import uuid
from typing import Any

import pytest
from django.conf import settings
from urllib3.util import parse_url

from ml.classes import CLASSES
from ml.imaging.overlay import render_heatmap, unpack
from tests.factories import HEATMAP, PROBABILITIES, ReleaseFactory
from tests.webapp.api.clinic import Clinic, case, good, problem
from tests.webapp.elsewhere import at_once
from tests.webapp.inference.scenes import inspect_all
from tests.webapp.reports.scenes import jpeg
from webapp.audit.models import Event
from webapp.cases.intake import InspectionResult, claim_images, finish_intake
from webapp.cases.models import Batch, Image
from webapp.inference.claim import claim_jobs
from webapp.inference.services import Outcome, finish
from webapp.notify.models import Message
from webapp.registry.models import ModelRelease

pytestmark = pytest.mark.django_db


def answer_all(release: ModelRelease) -> None:
    """What an inference worker does."""
    token, jobs = claim_jobs(limit=1000)
    for job in jobs:
        outcome = Outcome(release, PROBABILITIES, 0.74, 0.05, "urgent_referral", "v1", "a" * 64, HEATMAP)
        assert finish(token=token, ends=[(job, outcome)])


@pytest.mark.django_db(transaction=True)
def test_a_batch_goes_in_and_results_come_out() -> None:
    clinic, release = Clinic(), ReleaseFactory(active=True)
    batch = clinic.create(
        case("c1", "a.jpg", "b.jpg", age=61, sex="female", anatom_site="back", patient_email="p@home.example"),
        case("c2", patient_date_of_birth="1960-02-03"),
        name="Monday",
    )
    assert [(i["case_id"], i["filename"]) for i in batch["images"]] == [
        ("c1", "a.jpg"),
        ("c1", "b.jpg"),
        ("c2", "c2.jpg"),
    ]
    url = f"/batches/{batch['id']}"
    assert problem(clinic.post(f"{url}/submit"), 409)["code"] == "uploads_incomplete"
    for image in batch["images"]:
        clinic.upload(image, b"bytes")
    inspect_all()
    detail = good(clinic.post(f"{url}/submit"))
    assert detail["state"] == "submitted"
    assert detail["progress"]["jobs"]["queued"] == detail["progress"]["remaining"] == 3
    answer_all(release)

    detail = good(clinic.get(url))
    assert detail["state"] == "completed"
    assert detail["progress"]["advice"] == {"urgent_referral": 2, "routine_referral": 0, "self_monitor": 0}
    assert (detail["progress"]["percent"], detail["progress"]["seconds_left"]) == (100, None)

    listed = good(clinic.get("/cases", batch=batch["id"], advice="urgent_referral", top_class="MEL"))["results"]
    assert {row["case_id"] for row in listed} == {"c1", "c2"}
    assert good(clinic.get("/cases", advice="self_monitor"))["results"] == []
    found = good(clinic.get("/cases", case_id="c1", released="false", patient_id="patient-1"))["results"]
    one = good(clinic.get(f"/cases/{found[0]['id']}"))
    assert one["result"]["images"] == len(one["images"]) == 2
    assert set(one["result"]["probabilities"]) == set(CLASSES)
    assert one["result"]["release"] == {"name": release.name, "bundle_sha256": release.bundle_sha256}
    assert one["thresholds"] == release.manifest["thresholds"]
    assert "not a diagnosis" in one["notice"]
    assert one["review"]["state"] == "waiting"
    picture = one["images"][0]
    assert picture["result"]["preprocessing"] == "v1"
    assert picture["result"]["input_sha256"] == "a" * 64
    for link, data in (("image_url", jpeg()), ("heatmap_url", render_heatmap(jpeg(), unpack(HEATMAP)))):
        response = clinic.http.get(picture[link], headers={"Accept": "image/*"})
        assert (response.status_code, response.headers["Content-Type"]) == (200, "image/jpeg")
        assert response.getvalue() == data

    released = good(clinic.post(f"/cases/{one['id']}/release", {"note": "Please call us."}))
    assert (released["review"]["state"], released["review"]["note"]) == ("released", "Please call us.")
    assert (released["notified"], released["problem"]) == (True, None)
    assert [c["case_id"] for c in good(clinic.get("/cases", released="true"))["results"]] == ["c1"]
    assert Message.objects.filter(kind=Message.Kind.RESULT_READY, recipient="p@home.example").count() == 1
    assert {"case.viewed", "image.viewed", "case.listed", "case.released", "batch.submitted"} <= set(
        Event.objects.filter(organisation=clinic.organisation, api_key=clinic.key).values_list("action", flat=True)
    )


def streamed(response: Any) -> str:
    assert response.status_code == 200
    return b"".join(response.streaming_content).decode()


@pytest.mark.django_db(transaction=True)
def test_results_are_exported_one_row_a_case() -> None:
    clinic, release = Clinic(), ReleaseFactory(active=True)
    batch = clinic.create(case("=1+1"), case("c2", "sharp.jpg", "blurred.jpg"), case("c3"))
    for image in batch["images"]:
        clinic.upload(image, b"bytes")
    token, images = claim_images(limit=2)
    for image in images:
        finish_intake(
            token=token, inspected=[(image, InspectionResult(sha256=uuid.uuid4().hex * 2, width=600, height=450))]
        )
    token, images = claim_images(limit=2)
    for image in images:
        finish_intake(token=token, inspected=[(image, InspectionResult(code="blurred", advice="Hold still."))])
    good(clinic.post(f"/batches/{batch['id']}/submit"))
    answer_all(release)
    assert good(clinic.get(f"/batches/{batch['id']}"))["state"] == "completed_with_failures"

    url = f"/batches/{batch['id']}"
    response = clinic.get(f"{url}/results.csv")
    assert response.headers["Content-Disposition"].startswith("attachment;")
    rows = list(csv.DictReader(io.StringIO(streamed(response))))
    assert [row["case_id"] for row in rows] == ["'=1+1", "c2", "c3"]
    assert [row["status"] for row in rows] == ["answered", "answered", "no_result"]
    assert [row["images_refused"] for row in rows] == ["", "blurred", "blurred"]
    assert (rows[0]["release"], rows[0]["threshold_urgent_referral"], rows[0]["p_mel"]) == (release.name, "0.5", "0.6")
    assert rows[2]["advice"] == rows[2]["p_mel"] == ""
    assert all("not a diagnosis" in row["notice"] for row in rows)

    document = json.loads(streamed(clinic.get(f"{url}/results.json")))
    assert document["state"] == "completed_with_failures"
    assert [row["case_id"] for row in document["results"]] == ["=1+1", "c2", "c3"]
    assert document["results"][0]["p_malignant"] == pytest.approx(0.74)


def test_how_the_pictures_of_a_batch_were_taken_is_said_once() -> None:
    batch = good(Clinic().post("/batches", {"capture": "phone", "cases": [case("c1")]}), 201)
    assert Batch.objects.get(pk=batch["id"]).cases.get().capture == "phone"


def test_the_same_key_and_body_give_the_same_batch() -> None:
    clinic, body = Clinic(), {"cases": [case()]}
    first = good(clinic.post("/batches", body, **{"Idempotency-Key": "monday"}), 201)
    second = good(clinic.post("/batches", body, **{"Idempotency-Key": "monday"}), 200)
    assert second["id"] == first["id"]
    assert [i["id"] for i in second["images"]] == [i["id"] for i in first["images"]]
    other = clinic.post("/batches", {"cases": [case("else")]}, **{"Idempotency-Key": "monday"})
    assert problem(other, 422)["code"] == "idempotency_key_reused"
    assert good(Clinic().post("/batches", body, **{"Idempotency-Key": "monday"}), 201)["id"] != first["id"]
    for wrong in ("", "x" * 201):
        response = clinic.post("/batches", body, **{"Idempotency-Key": wrong})
        assert problem(response, 400)["code"] == "idempotency_key_invalid"


@pytest.mark.django_db(transaction=True)
def test_the_same_key_at_the_same_moment_gives_one_batch() -> None:
    clinic, body = Clinic(), {"cases": [case(f"c{n}") for n in range(50)]}

    def create(_: int) -> tuple[int, str]:
        response = clinic.post("/batches", body, **{"Idempotency-Key": "once"})
        return response.status_code, response.json()["id"]

    answers = at_once(create, range(8))
    assert sorted(status for status, _ in answers) == [200] * 7 + [201]
    assert len({batch for _, batch in answers}) == Batch.objects.count() == 1
    assert Image.objects.count() == 50


def test_an_invalid_manifest_stores_nothing_and_names_every_row(clinic: Clinic) -> None:
    rows = [case("a", age=200), case("b"), case("b"), {"images": [], "colour": "red"}]
    answer = problem(clinic.post("/batches", {"cases": rows}), 422)
    assert answer["code"] == "manifest_invalid"
    assert {(e["row"], e["field"], e["code"]) for e in answer["errors"]} == {
        (1, "age", "age_invalid"),
        (3, "case_id", "case_id_repeated"),
        (4, "case_id", "required"),
        (4, "images", "images_missing"),
        (4, "colour", "unknown_field"),
    }
    assert answer["error_count"] == 5
    assert not Batch.objects.exists()


def test_further_cases_join_an_open_batch_only(clinic: Clinic) -> None:
    batch = clinic.create(case("a"))
    url = f"/batches/{batch['id']}"
    added = good(clinic.post(f"{url}/cases", {"cases": [case("b")]}), 201)
    assert [(i["case_id"], bool(i["upload"])) for i in added] == [("b", True)]
    assert [i["id"] for i in good(clinic.post(f"{url}/cases", {"cases": [case("b")]}))] == [added[0]["id"]]
    assert problem(clinic.post(f"{url}/cases", {"cases": [case("b", age=40)]}), 422)["case_ids"] == ["b"]
    good(clinic.post(f"{url}/submit", {"allow_missing": True}))
    assert problem(clinic.post(f"{url}/cases", {"cases": [case("c")]}), 409)["code"] == "batch_not_open"
    assert problem(clinic.post(f"{url}/cancel"), 409)["code"] == "batch_finished"


def test_images_are_listed_in_order_by_page_and_state(clinic: Clinic) -> None:
    batch = clinic.create(*(case(f"c{n}") for n in range(5)))
    clinic.upload(batch["images"][3], b"x")
    url = f"/batches/{batch['id']}/images"
    first = good(clinic.get(url, page_size=3))
    rest = good(clinic.http.get(first["next"]))
    assert [i["case_id"] for i in first["results"] + rest["results"]] == [f"c{n}" for n in range(5)]
    stored = good(clinic.get(url, state="stored"))["results"]
    assert [(i["case_id"], i["upload"]) for i in stored] == [("c3", None)]
    assert problem(clinic.get(url, state="lost"), 400)["errors"][0]["field"] == "state"


def test_a_fresh_upload_url_may_insist_on_a_size(clinic: Clinic) -> None:
    image = clinic.create(case())["images"][0]
    sized = {"id": image["id"], "upload": good(clinic.post(f"/images/{image['id']}/upload-url", {"size": 5}))}
    assert sized["upload"]["headers"] == {"Content-Length": "5"}
    clinic.upload(sized, b"12345")
    assert problem(clinic.post(f"/images/{image['id']}/upload-url"), 409)["code"] == "not_awaited"
    large = {"size": settings.UPLOAD_MAX_BYTES + 1}
    assert problem(clinic.post(f"/images/{image['id']}/upload-url", large), 413)["code"] == "too_large_bytes"


def test_the_url_of_an_archive_may_insist_on_a_size(clinic: Clinic) -> None:
    batch = good(clinic.post("/batches", {"archive": True, "archive_size": 5}), 201)
    target = batch["archive_upload"]
    assert target["headers"] == {"Content-Length": "5"}
    path = parse_url(target["url"]).request_uri
    told = problem(clinic.http.put(path, b"123456", "application/zip"), 403)
    assert (told["code"], "archive/parts" in told["detail"]) == ("wrong_size", True)
    assert clinic.http.put(path, b"12345", "application/zip").status_code == 204
    table = clinic.http.post("/api/v1/batches?archive=true&archive_size=7", "images\n1.jpg\n", "text/csv")
    assert good(table, 201)["archive_upload"]["headers"] == {"Content-Length": "7"}
    large = {"archive": True, "archive_size": settings.IMPORT_MAX_BYTES + 1}
    assert problem(clinic.post("/batches", large), 413)["code"] == "too_large_bytes"
    alone = problem(clinic.post("/batches", {"archive_size": 5, "cases": [case()]}), 400)
    assert alone["errors"][0]["message"] == "Say `archive`: true with it."
    assert Batch.objects.count() == 2


def test_completing_before_uploading_is_a_problem(clinic: Clinic) -> None:
    image = clinic.create(case())["images"][0]
    assert problem(clinic.post(f"/images/{image['id']}/complete"), 409)["code"] == "upload_missing"
    for path in ("clean", "heatmap"):
        assert problem(clinic.get(f"/images/{image['id']}/{path}"), 404)["code"] == "not_found"


def test_batches_are_listed_newest_first_and_filtered(clinic: Clinic) -> None:
    old, new = clinic.create(case()), clinic.create(case())
    good(clinic.post(f"/batches/{old['id']}/cancel"))
    assert [b["id"] for b in good(clinic.get("/batches"))["results"]] == [new["id"], old["id"]]
    assert [b["id"] for b in good(clinic.get("/batches", state="cancelled"))["results"]] == [old["id"]]
    assert [b["id"] for b in good(clinic.get("/batches", created_after=new["created_at"]))["results"]] == [new["id"]]
    assert [b["id"] for b in good(clinic.get("/batches", created_before=new["created_at"]))["results"]] == [old["id"]]
    assert good(clinic.get("/batches", source="web"))["results"] == []
    assert problem(clinic.get("/batches", created_after="yesterday"), 400)["code"] == "invalid"
