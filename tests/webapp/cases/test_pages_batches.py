"""A provider's pages of batches, through HTTP."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.factories import (
    BatchFactory,
    CaseFactory,
    CaseResultFactory,
    ImageFactory,
)
from webapp.accounts.models import Organisation
from webapp.audit.models import Event
from webapp.audit.services import SYSTEM
from webapp.cases.models import Batch, Image
from webapp.cases.review import release_case

pytestmark = pytest.mark.django_db
NEW = reverse("cases:batch_new")


def page(client: Client, name: str, *args: object, **query: str) -> str:
    response = client.get(reverse(name, args=args), query)
    assert response.status_code == 200
    return response.content.decode()


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


def test_progress_is_a_part_of_a_page_that_stops_when_the_batch_ends(client: Client, clinic: Organisation) -> None:
    running = ImageFactory(case__batch=BatchFactory(organisation=clinic, submitted=True), ready=True).batch
    ended = BatchFactory(organisation=clinic, completed=True)

    first = client.get(reverse("cases:batch_progress", args=[running.pk]))
    stamp = first.context["stamp"]
    again = client.get(reverse("cases:batch_progress", args=[running.pk]), {"seen": stamp})
    ImageFactory(case__batch=running, ready=True)
    further = client.get(reverse("cases:batch_progress", args=[running.pk]), {"seen": stamp})

    assert first.status_code == 200
    assert "0 of 1 image done" in first.content.decode()
    assert first["HX-Trigger"] == "batch-changed, actions-changed"
    assert again.status_code == 204  # nothing of it has changed, so nothing is renewed
    assert "HX-Trigger" not in again
    assert further["HX-Trigger"] == "batch-changed"  # the buttons are the same, so they stay as they are
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
    assert "No image of this batch can be used" in html

    taken = client.post(reverse("cases:image_override", args=[image.pk]), follow=True).content.decode()
    assert "was taken all the same. The model may still find no lesion in it." in taken  # true when it has found none
    image.refresh_from_db()
    assert image.state == "ready"
    assert "1 of 2 images ready" in page(client, "cases:batch", batch.pk)


def test_of_many_refused_images_the_first_are_shown_and_all_counted(
    client: Client, clinic: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.cases.views.batches.REJECTED_SHOWN", 2)
    batch = BatchFactory(organisation=clinic)
    for _ in range(2):
        refused(batch)
    assert "Pictures that cannot be used (2)" in page(client, "cases:batch", batch.pk)

    refused(batch)
    html = page(client, "cases:batch", batch.pk)
    assert "Pictures that cannot be used (3, the first 2 shown)" in html
    assert html.count("The photo is blurred.") == 2


def test_many_refused_images_of_a_batch_that_has_ended_do_not_hide_its_cases(
    client: Client, clinic: Organisation
) -> None:
    batch = BatchFactory(organisation=clinic, completed=True)
    for shown in (True, True, True, False):
        refused(batch)
        html = page(client, "cases:batch", batch.pk)
        assert ('<details class="card mb-3" id="unusable" open>' in html) == shown


def test_what_is_counted_by_advice_leads_to_those_cases(client: Client, clinic: Organisation) -> None:
    batch = BatchFactory(organisation=clinic, completed=True)
    CaseResultFactory.create_batch(2, case__batch=batch, advice="self_monitor")
    html = page(client, "cases:batch", batch.pk)
    address = reverse("cases:batch", args=[batch.pk])
    assert f'href="{address}?advice=self_monitor#cases-heading"' in html
    assert "?advice=urgent_referral" not in html


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


def test_filters_stand_where_there_is_something_to_filter(
    client: Client, clinic: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = BatchFactory(organisation=clinic)
    first, _ = CaseFactory.create_batch(2, batch=batch)
    filters, search = 'name="advice"', 'role="search"'
    assert search not in page(client, "cases:batch", batch.pk)
    assert filters in page(client, "cases:batch", batch.pk, advice="urgent_referral")  # so that it can be cleared
    monkeypatch.setattr("webapp.cases.views.batches.PAGE", 1)
    many = page(client, "cases:batch", batch.pk)
    assert search in many
    assert filters not in many
    monkeypatch.setattr("webapp.cases.views.batches.PAGE", 50)
    CaseResultFactory(case=first)
    assert filters in page(client, "cases:batch", batch.pk)


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


def test_a_case_shows_what_another_release_answered_after_its_own(client: Client, clinic: Organisation) -> None:
    case = CaseResultFactory(case__batch__organisation=clinic, release__name="first").case
    release_case(actor=SYSTEM, case=case)
    CaseResultFactory(case=case, release__name="second", advice="self_monitor")

    html = page(client, "cases:case", case.pk)
    assert "second" in html
    assert "has not changed" in html


@pytest.mark.parametrize(
    ("state", "source", "said"), [("open", "web", 0), ("completed", "web", 1), ("completed", "patient", 0)]
)
def test_where_a_better_picture_goes_is_said_once_the_batch_takes_none(
    client: Client, clinic: Organisation, state: str, source: str, said: int
) -> None:
    batch = BatchFactory(organisation=clinic, source=source, completed=state == "completed")
    case = CaseFactory(batch=batch)
    ImageFactory(case=case, state=Image.State.REJECTED, reason="corrupt", ended_at=timezone.now())
    html = page(client, "cases:batch", batch.pk)
    told = html.partition('id="unusable"')[2].partition("</details>")[0]
    assert told.count(f'<a href="{NEW}">a new batch</a>') == said
    assert told.count("Send another file") == (state == "open")
