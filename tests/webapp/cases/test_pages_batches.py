"""A provider's pages of batches, through HTTP."""

import io
import json
import zipfile
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.factories import (
    BatchFactory,
    CaseFactory,
    CaseResultFactory,
    ImageFactory,
    JobFactory,
    MembershipFactory,
    ReleaseFactory,
    ResultFactory,
)
from webapp.accounts.models import Membership, Organisation
from webapp.audit.models import Event
from webapp.audit.services import SYSTEM
from webapp.cases.archives import claim_archive
from webapp.cases.models import Archive, Batch, Case, Image
from webapp.cases.review import release_case
from webapp.cases.unpacking import expand

pytestmark = pytest.mark.django_db
NEW = reverse("cases:batch_new")


@pytest.fixture
def clinic(client: Client) -> Organisation:
    member: Membership = MembershipFactory(role="provider")
    client.force_login(member.user)
    return member.organisation


def page(client: Client, name: str, *args: object, **query: str) -> str:
    response = client.get(reverse(name, args=args), query)
    assert response.status_code == 200
    return response.content.decode()


def upload(client: Client, *files: tuple[str, bytes], **fields: str) -> Any:
    uploaded = [SimpleUploadedFile(name, data) for name, data in files]
    return client.post(NEW, {"grouping": "each", "capture": "dermoscopic", "files": uploaded, **fields})


def test_an_empty_list_says_what_to_do(client: Client, clinic: Organisation) -> None:
    html = page(client, "cases:batches")

    assert "No batches yet" in html
    assert NEW in html


def test_the_list_is_filtered_by_its_address(client: Client, clinic: Organisation) -> None:
    BatchFactory(organisation=clinic, name="Open one")
    done = BatchFactory(organisation=clinic, name="Finished one", completed=True)
    CaseFactory(batch=done, external_id="lesion-7")
    BatchFactory(name="Of another clinic")

    assert "Of another clinic" not in page(client, "cases:batches")
    assert "Open one" not in page(client, "cases:batches", state="completed")
    assert "Finished one" in page(client, "cases:batches", q="LESION-7")
    assert "No batch is like that" in page(client, "cases:batches", source="patient")


def test_a_filter_that_is_none_narrows_nothing(client: Client, clinic: Organisation) -> None:
    batch = BatchFactory(organisation=clinic, name="Open one")
    CaseFactory(batch=batch, external_id="lesion-8")

    assert "Open one" in page(client, "cases:batches", state="\0", source="x", q="\0")
    assert "lesion-8" in page(client, "cases:batch", batch.pk, advice="\0", dx="\0", review="\0")


def test_each_batch_is_on_one_page_of_the_list(client: Client, clinic: Organisation) -> None:
    names = {f"batch {number:03}" for number in range(53)}
    for name in names:
        BatchFactory(organisation=clinic, name=name)

    first = client.get(reverse("cases:batches")).context["page"]
    second = client.get(reverse("cases:batches"), {"after": first.next_cursor}).context["page"]

    assert first.rows[0].name not in {batch.name for batch in second.rows}
    assert {batch.name for batch in [*first.rows, *second.rows]} == names
    assert not second.next_cursor


def test_each_file_becomes_a_case(client: Client, clinic: Organisation) -> None:
    response = upload(client, ("a.jpg", b"one"), ("b.jpg", b"two"), ("b.png", b"three"), name="Monday")

    batch = Batch.objects.get(organisation=clinic)
    assert response.url == reverse("cases:batch", args=[batch.pk])
    assert (batch.name, batch.source, batch.state) == ("Monday", "web", "open")
    assert set(batch.cases.values_list("external_id", flat=True)) == {"a", "b.jpg", "b.png"}
    assert set(batch.images.values_list("state", flat=True)) == {"stored"}


def test_files_of_the_same_name_are_cases_of_their_own(client: Client, clinic: Organisation) -> None:
    upload(client, ("a.jpg", b"one"), ("a.jpg", b"two"))

    assert set(Case.objects.values_list("external_id", flat=True)) == {"a.jpg", "a.jpg (2)"}
    assert Image.objects.filter(state="stored").count() == 2


def test_all_files_can_be_one_case_with_details(client: Client, clinic: Organisation) -> None:
    upload(
        client, ("a.jpg", b"one"), ("b.jpg", b"two"),
        grouping="one", case_id="L1", patient_id="P1", age="52", sex="female", patient_date_of_birth="1974-03-01",
    )  # fmt: skip

    case = Case.objects.get()
    assert (case.external_id, case.age, case.sex, case.images.count()) == ("L1", 52, "female", 2)
    assert str(case.patient.date_of_birth) == "1974-03-01"


def test_mistakes_in_the_details_are_shown_beside_their_fields(client: Client, clinic: Organisation) -> None:
    response = upload(client, ("a.jpg", b"one"), grouping="one", case_id="L1", patient_id="P1", age="old")

    assert response.status_code == 422
    assert response.context["case_form"].errors["age"]
    assert not Batch.objects.exists()


def test_a_table_groups_the_files(client: Client, clinic: Organisation) -> None:
    table = b"case_id,patient_id,age,images\nL1,P1,40,a.jpg\nL1,P1,40,b\nL2,P2,61,missing.jpg\n"

    response = upload(client, ("cases.csv", table), ("a.jpg", b"1"), ("b.jpg", b"2"), ("extra.jpg", b"3"))

    html = client.get(response.url).content.decode()
    assert Case.objects.get(external_id="L1").images.filter(state="stored").count() == 2
    assert "extra.jpg" in html
    assert "missing.jpg" in html
    assert "Submit without the missing files" in html


def test_every_mistake_in_a_table_is_shown_and_nothing_is_stored(client: Client, clinic: Organisation) -> None:
    table = b"case_id,age,images\nL1,old,a.jpg\nL2,200,b.jpg\n"

    response = upload(client, ("cases.csv", table), ("a.jpg", b"1"))

    assert response.status_code == 422
    assert [error.row for error in response.context["row_errors"]] == [2, 3]
    assert not Batch.objects.exists()


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ([], "Choose at least one picture."),
        ([("a.zip", b"1"), ("a.jpg", b"1")], "Choose one ZIP file or single pictures, not both."),
        ([("a.csv", b"1"), ("b.csv", b"1")], "Choose one CSV table at most."),
    ],
)
def test_a_choice_that_makes_no_batch_says_why(
    client: Client, clinic: Organisation, files: list[tuple[str, bytes]], sentence: str
) -> None:
    response = upload(client, *files)

    assert response.status_code == 422
    assert sentence in response.content.decode()


def test_a_zip_waits_to_be_unpacked(client: Client, clinic: Organisation) -> None:
    response = upload(client, ("all.zip", b"PK not really"), capture="phone")

    archive = Archive.objects.get(batch__organisation=clinic)
    assert (archive.state, archive.capture) == ("stored", "phone")
    assert "The ZIP is being unpacked" in client.get(response.url).content.decode()


def test_a_table_beside_a_zip_names_the_cases_that_the_zip_brings_the_files_of(
    client: Client, clinic: Organisation
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in ("deep/A.jpg", "b.png", "extra.jpg", "a.csv"):
            archive.writestr(name, b"x")
    table = b"case_id,images\nL1,a\nL1,b.png\nL2,missing.jpg\n"

    response = upload(client, ("all.zip", packed.getvalue()), ("cases.csv", table))
    leased = claim_archive()
    assert leased is not None
    assert expand(*leased)

    found = Image.objects.values_list("case__external_id", "filename", "state")
    assert set(found) == {
        ("L1", "A.jpg", "stored"),
        ("L1", "b.png", "stored"),
        ("L2", "missing.jpg", "awaiting_upload"),
    }
    assert {line["code"] for line in Archive.objects.get().report} == {"table_left_out", "not_in_table"}
    assert "missing.jpg" in client.get(response.url).content.decode()


def test_a_table_with_mistakes_beside_a_zip_stores_nothing(client: Client, clinic: Organisation) -> None:
    response = upload(client, ("all.zip", b"PK"), ("cases.csv", b"images,age\na.jpg,old\n"))

    assert response.status_code == 422
    assert [error.code for error in response.context["row_errors"]] == ["age_invalid"]
    assert not Batch.objects.exists()


def test_a_zip_that_is_too_large_makes_no_batch(client: Client, clinic: Organisation, settings: Any) -> None:
    settings.IMPORT_MAX_BYTES = 10

    assert upload(client, ("all.zip", b"x" * 11)).status_code == 422
    assert not Batch.objects.exists()


def test_a_script_sends_names_first_and_pictures_one_by_one(client: Client, clinic: Organisation) -> None:
    fields = {"grouping": "each", "capture": "phone", "names": json.dumps(["a.jpg", "b.jpg"])}
    made = client.post(NEW, fields, headers={"accept": "application/json"}).json()

    for name in ("a.jpg", "b.jpg"):
        answer = client.post(
            made["batch_files"], {"files": SimpleUploadedFile(name, b"x")}, headers={"accept": "application/json"}
        )
        assert answer.json() == {"stored": 1, "unknown": []}

    assert set(Image.objects.values_list("filename", "state")) == {("a.jpg", "stored"), ("b.jpg", "stored")}
    unknown = client.post(made["batch_files"], {"files": SimpleUploadedFile("c.jpg", b"x")}, follow=True)
    assert "c.jpg" in unknown.content.decode()


def test_progress_is_a_part_of_a_page_that_stops_when_the_batch_ends(client: Client, clinic: Organisation) -> None:
    running = ImageFactory(case__batch=BatchFactory(organisation=clinic, submitted=True), ready=True).batch
    ended = BatchFactory(organisation=clinic, completed=True)

    first = client.get(reverse("cases:batch_progress", args=[running.pk]))
    stamp = first.context["stamp"]
    again = client.get(reverse("cases:batch_progress", args=[running.pk]), {"seen": stamp})

    assert first.status_code == 200
    assert "0 of 1 image done" in first.content.decode()
    assert first["HX-Trigger"] == "batch-changed"
    assert "HX-Trigger" not in again
    assert client.get(reverse("cases:batch_progress", args=[ended.pk])).status_code == 286


def test_submit_and_cancel(client: Client, clinic: Organisation) -> None:
    batch = ImageFactory(case__batch=BatchFactory(organisation=clinic), ready=True).batch

    client.post(reverse("cases:batch_submit", args=[batch.pk]))
    batch.refresh_from_db()
    assert batch.state == "submitted"

    client.post(reverse("cases:batch_cancel", args=[batch.pk]))
    batch.refresh_from_db()
    assert batch.state == "cancelled"

    again = client.post(reverse("cases:batch_submit", args=[batch.pk]), follow=True)
    assert "This batch was cancelled" in again.content.decode()


def refused(batch: Batch, **changes: Any) -> Image:
    image: Image = ImageFactory(case__batch=batch, ready=True)
    values = {"state": "rejected", "reason": "blurred", "advice": "The photo is blurred.", **changes}
    Image.objects.filter(pk=image.pk).update(**values)
    return image


def test_a_refused_image_says_why_and_can_be_used_all_the_same(client: Client, clinic: Organisation) -> None:
    batch = BatchFactory(organisation=clinic)
    image = refused(batch, quality=[{"code": "blurred", "advice": "The photo is blurred."}])
    refused(batch, reason="corrupt", advice="The file is damaged.", width=0)

    html = page(client, "cases:batch", batch.pk)
    assert "The photo is blurred." in html
    assert "The file is damaged." in html
    assert html.count("Use it all the same") == 1

    client.post(reverse("cases:image_override", args=[image.pk]))
    image.refresh_from_db()
    assert image.state == "ready"


def test_cases_are_listed_most_urgent_first_and_filtered(client: Client, clinic: Organisation) -> None:
    batch = BatchFactory(organisation=clinic, completed=True)
    for name, advice, malignant, dx in [
        ("calm", "self_monitor", 0.02, "NV"), ("urgent", "urgent_referral", 0.6, "MEL"),
        ("most urgent", "urgent_referral", 0.9, "BCC"), ("routine", "routine_referral", 0.3, "BKL"),
    ]:  # fmt: skip
        case = CaseFactory(batch=batch, external_id=name)
        CaseResultFactory(case=case, advice=advice, malignant=malignant, top_class=dx)
    ImageFactory(case=CaseFactory(batch=batch, external_id="unanswered"))
    address = reverse("cases:batch", args=[batch.pk])

    def listed(**query: str) -> list[str]:
        return [case.external_id for case in client.get(address, query).context["page"].rows]

    assert listed() == ["most urgent", "urgent", "routine", "calm", "unanswered"]
    assert listed(advice="urgent_referral") == ["most urgent", "urgent"]
    assert listed(dx="NV") == ["calm"]
    assert listed(review="waiting") == ["unanswered"]
    assert listed(review="released") == []
    assert Event.objects.filter(action="batch.viewed", object_id=str(batch.pk)).exists()


def test_the_page_of_a_batch_costs_the_same_for_many_cases(
    client: Client, clinic: Organisation, django_assert_max_num_queries: Any
) -> None:
    batch = BatchFactory(organisation=clinic, completed=True)
    for _ in range(30):
        ImageFactory(case=CaseResultFactory(case__batch=batch).case, ready=True)

    with django_assert_max_num_queries(20):
        client.get(reverse("cases:batch", args=[batch.pk]))


@pytest.mark.parametrize(
    "name", ["batch", "batch_progress", "batch_files", "batch_submit", "batch_cancel", "batch_rerun", "batch_rescore"]
)
def test_another_clinics_batch_is_not_there(client: Client, clinic: Organisation, name: str) -> None:
    batch = BatchFactory()
    address = reverse(f"cases:{name}", args=[batch.pk])
    response = client.get(address) if name in ("batch", "batch_progress") else client.post(address)

    assert response.status_code == 404
    batch.refresh_from_db()
    assert batch.state == "open"


def test_cases_are_found_by_the_clinics_id_and_by_how_sure_the_model_is(client: Client, clinic: Organisation) -> None:
    batch = BatchFactory(organisation=clinic, completed=True)
    for name, uncertainty in [("close-1", 0.01), ("between-1", 0.1), ("apart-2", 0.3)]:
        CaseResultFactory(case=CaseFactory(batch=batch, external_id=name), uncertainty=uncertainty)
    CaseFactory(batch=batch, external_id="unanswered-1")
    address = reverse("cases:batch", args=[batch.pk])

    def listed(**query: str) -> set[str]:
        return {case.external_id for case in client.get(address, query).context["page"].rows}

    assert listed(uncertainty="low") == {"close-1"}
    assert listed(uncertainty="medium") == {"between-1"}
    assert listed(uncertainty="high") == {"apart-2"}
    assert listed(q="-1") == {"close-1", "between-1", "unanswered-1"}
    assert listed(q="CLOSE", uncertainty="low", review="to_review") == {"close-1"}


def test_a_provider_sends_what_failed_to_the_model_once_more(client: Client, clinic: Organisation) -> None:
    ReleaseFactory(active=True)
    batch = BatchFactory(organisation=clinic, completed=True)
    Batch.objects.filter(pk=batch.pk).update(state="completed_with_failures", failures=1)
    JobFactory(
        image=ImageFactory(case__batch=batch, ready=True),
        state="failed",
        reason="model_error",
        finished_at=timezone.now(),
    )
    assert "Re-run 1 failed" in page(client, "cases:batch", batch.pk)

    client.post(reverse("cases:batch_rerun", args=[batch.pk]))
    batch.refresh_from_db()
    assert (batch.state, batch.remaining, batch.failures) == ("submitted", 1, 0)

    again = client.post(reverse("cases:batch_rerun", args=[batch.pk]), follow=True)
    assert "No image of this batch failed" in again.content.decode()


def test_a_provider_asks_a_newer_release(client: Client, clinic: Organisation) -> None:
    batch = BatchFactory(organisation=clinic, completed=True)
    result = ResultFactory(job=JobFactory(image=ImageFactory(case__batch=batch, ready=True), succeeded=True))
    CaseResultFactory(case=result.case, release=result.release)
    assert "Re-score" not in page(client, "cases:batch", batch.pk)
    ReleaseFactory(active=True, name="newest")
    assert "Re-score with newest" in page(client, "cases:batch", batch.pk)

    client.post(reverse("cases:batch_rescore", args=[batch.pk]))
    batch.refresh_from_db()
    assert (batch.state, batch.remaining) == ("submitted", 1)
    assert "Re-score" not in page(client, "cases:batch", batch.pk)


def test_a_case_shows_what_another_release_answered_after_its_own(client: Client, clinic: Organisation) -> None:
    case = CaseResultFactory(case__batch__organisation=clinic, release__name="first").case
    release_case(actor=SYSTEM, case=case)
    CaseResultFactory(case=case, release__name="second", advice="self_monitor")

    html = page(client, "cases:case", case.pk)
    assert "second" in html
    assert "has not changed" in html
