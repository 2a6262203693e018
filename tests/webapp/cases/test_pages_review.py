"""What waits for review, across all batches: its list, its count, and the way through it from case to case."""

import re
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from ml.classes import CLASSES
from tests.factories import (
    BatchFactory,
    CaseFactory,
    CaseResultFactory,
    ImageFactory,
    MembershipFactory,
    ReleaseFactory,
)
from webapp.accounts.models import Organisation
from webapp.audit.models import Event
from webapp.cases import selectors
from webapp.cases.models import Batch, Case
from webapp.registry.models import ModelRelease

pytestmark = pytest.mark.django_db
LIST = reverse("cases:to_review")


def answered(
    clinic: Organisation, name: str, *, source: str = "api", case: dict[str, Any] | None = None, **result: Any
) -> Case:
    """A case in a batch of its own, with a result."""
    batch = BatchFactory(organisation=clinic, source=source, completed=True)
    made: Case = CaseFactory(batch=batch, external_id=name, **case or {})
    ImageFactory(case=made, ready=True)
    CaseResultFactory(case=made, **result)
    return made


def listed(client: Client, **query: str) -> list[str]:
    return [case.external_id for case in client.get(LIST, query).context["page"].rows]


def following(html: str, key: str) -> str | None:
    found = re.search(rf'data-key="{key}"[^>]* href="([^"]+)"', html)
    return found and found[1].replace("&amp;", "&")


def test_a_provider_lands_on_what_waits_the_most_urgent_first(client: Client, clinic: Organisation) -> None:
    answered(clinic, "watch", advice="self_monitor", malignant=0.01)
    answered(clinic, "soon", advice="routine_referral", malignant=0.2)
    answered(clinic, "photo", source=Batch.Source.PATIENT, malignant=0.7)
    answered(clinic, "worst", malignant=0.9)
    answered(clinic, "given", case={"released_at": timezone.now()})
    answered(MembershipFactory().organisation, "theirs")
    CaseFactory(batch__organisation=clinic, external_id="unanswered")
    assert client.get("/", follow=True).redirect_chain == [(LIST, 302)]
    assert listed(client) == ["worst", "photo", "soon", "watch"]
    assert listed(client, source="patient") == ["photo"]
    assert listed(client, advice="routine_referral") == ["soon"]
    assert listed(client, q="WAT", uncertainty="medium", dx="MEL", source="\0") == ["watch"]
    assert "No case is like that" in client.get(LIST, {"q": "none"}).content.decode()
    assert Event.objects.filter(action="case.listed", organisation=clinic).exists()


def test_a_filtered_list_says_how_many_it_has_found(
    client: Client, clinic: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = answered(clinic, "a")
    for name in ("b", "c"):
        CaseResultFactory(case=CaseFactory(batch=case.batch, external_id=name))
    lists = (LIST, reverse("cases:batch", args=[case.batch.pk]))

    def found(address: str, **query: str) -> list[str]:
        html = client.get(address, query).content.decode()
        return re.findall('id="found" tabindex="-1">([^<]+)</p>', html)

    for address in lists:
        assert found(address) == []
        assert found(address, q="b") == ["1 case found"]
        assert found(address, advice="urgent_referral") == ["3 cases found"]
    assert found(reverse("cases:batches"), state="completed") == ["1 batch found"]
    monkeypatch.setattr("webapp.cases.views.review.PAGE", 2)
    assert found(LIST, advice="urgent_referral") == ["2 cases on this page, and there are others"]


def test_cases_of_one_name_are_told_apart_by_the_names_of_their_batches(client: Client, clinic: Organisation) -> None:
    for name in ("ward 7", "ward 8"):
        case = answered(clinic, "IMG_0001", case={"released_at": timezone.now(), "raised_at": timezone.now()})
        CaseResultFactory(case=case, created_at=case.raised_at)
        Batch.objects.filter(pk__in=[case.batch.pk, answered(clinic, "IMG_0001").batch.pk]).update(name=name)
    html = client.get(LIST).content.decode()
    links = re.findall('>IMG_0001<span class="visually-hidden">, ([^<]+?)\\s*</span></a>', html)
    assert sorted(links) == ["ward 7", "ward 7", "ward 8", "ward 8"]  # of each, one that is more urgent since


def test_an_empty_list_says_what_will_come(client: Client, clinic: Organisation) -> None:
    html = client.get(LIST).content.decode()
    assert "Nothing waits for review" in html
    assert reverse("cases:batch_new") in html


def test_each_case_is_on_one_page(client: Client, clinic: Organisation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.cases.views.review.PAGE", 2)
    names = [answered(clinic, f"case {number}", malignant=0.9 - number / 10).external_id for number in range(5)]
    seen: list[str] = []
    after = ""
    while True:
        page = client.get(LIST, {"after": after}).context["page"]
        seen += [case.external_id for case in page.rows]
        after = page.next_cursor
        if not after:
            break
    assert seen == names


def test_j_and_k_go_through_the_list_across_batches(client: Client, clinic: Organisation) -> None:
    first = answered(clinic, "a", source="patient", malignant=0.9)
    second = answered(clinic, "b", source="patient", malignant=0.8)
    third = answered(clinic, "c", source="patient", malignant=0.7)
    answered(clinic, "of the clinic", malignant=0.85)
    html = client.get(LIST, {"source": "patient"}).content.decode()
    address = re.search(rf'id="case-{first.pk}" href="([^"]+)"', html)
    assert address is not None
    where, query = address[1].replace("&amp;", "&").split("?")
    assert where == f"/cases/{first.pk}/"
    html = client.get(f"{where}?{query}").content.decode()
    assert following(html, "k") is None
    assert following(html, "j") == f"/cases/{second.pk}/?{query}"
    released = client.post(f"/cases/{second.pk}/release/?{query}", follow=True).content.decode()
    assert following(released, "k") == f"/cases/{first.pk}/?{query}"
    assert following(released, "j") == f"/cases/{third.pk}/?{query}"
    assert f'href="{LIST}?source=patient"' in released
    assert following(client.get(f"/cases/{first.pk}/").content.decode(), "j") is None  # of its batch it is the only one


@pytest.mark.parametrize(("waiting", "said"), [(0, ""), (1, "1 case"), (2, "2 cases"), (3, "2+ cases")])
def test_the_navigation_counts_what_waits_up_to_a_limit(
    client: Client, clinic: Organisation, monkeypatch: pytest.MonkeyPatch, waiting: int, said: str
) -> None:
    monkeypatch.setattr(selectors, "REVIEW_COUNTED", 2)
    for number in range(waiting):
        answered(clinic, f"case {number}")
    html = client.get(reverse("cases:batches")).content.decode()
    found = re.search(r'nav-link-title">To review</span>(<span id="to-review">.*)', html)
    assert found is not None
    assert re.sub(r"<[^>]*>", "", found[1]) == said


def test_only_classes_that_a_release_answers_are_offered(client: Client, clinic: Organisation) -> None:
    def offered() -> set[str]:
        return set(dict(client.get(LIST).context["classes"]))

    ReleaseFactory(active=True)
    ReleaseFactory(manifest={"classes": ["BENIGN", "MALIGNANT"]})  # a candidate has answered nobody
    assert offered() == set(CLASSES)
    ModelRelease.objects.exclude(state="active").update(state="retired", decided_at=timezone.now())
    assert offered() == {*CLASSES, "BENIGN", "MALIGNANT"}


def test_many_cases_cost_no_more_queries_than_one(client: Client, clinic: Organisation) -> None:
    def queries() -> Sequence[str]:
        with CaptureQueriesContext(connection) as captured:
            assert client.get(LIST).status_code == 200
        return [query["sql"] for query in captured]

    answered(clinic, "first")
    client.get(LIST)
    one = queries()
    for number in range(20):
        answered(clinic, f"case {number}")
    many = queries()
    assert len(many) == len(one)
    assert len(many) <= 11


@pytest.mark.parametrize(
    ("index", "wanted"),
    [
        ("case_review_list", {}),
        ("case_review_list", {"advice": "self_monitor", "dx": "NV", "source": "api"}),
        ("case_review_sent_by", {"source": "patient", "uncertainty": "high"}),
    ],
)
def test_the_list_is_read_from_its_index(clinic: Organisation, index: str, wanted: dict[str, str]) -> None:
    """Where it has no rival: of a table that tests filled and emptied, any of them may be the cheapest."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'cases_case'::regclass AND NOT indisunique"
        )
        for (other,) in cursor.fetchall():
            if other != index:
                cursor.execute(f"DROP INDEX {other}")  # until the test's transaction is rolled back
        for way in ("seqscan", "bitmapscan", "sort"):
            cursor.execute(f"SET LOCAL enable_{way} = off")
    cases = selectors.filter_cases(selectors.to_review(clinic), wanted)
    for rows in (cases.order_by(*selectors.IN_REVIEW)[:51], cases.order_by()[:100]):
        plan = rows.explain()
        assert index in plan
        assert "Sort" not in plan
        # Nothing is left to look for in the table but the text of an advice, whose urgency the index has.
        assert all("advice" in line and " AND " not in line for line in plan.splitlines() if "Filter:" in line)


def test_the_database_says_of_whom_a_case_is_that_a_version_wrote_without_it(
    client: Client, clinic: Organisation
) -> None:
    answered(clinic, "photo", source="patient", case={"source": ""})
    answered(clinic, "manifest", case={"source": ""})
    assert listed(client, source="patient") == ["photo"]
    assert listed(client, source="api") == ["manifest"]


def test_cases_from_before_are_found_by_who_sent_them(client: Client, clinic: Organisation) -> None:
    for source in Batch.Source.values:
        answered(clinic, source, source=source)
    Case.objects.update(source="")
    import_module("webapp.cases.migrations.0035_sent_by_before").fill(None, connection.schema_editor())
    assert [listed(client, source=source) for source in Batch.Source.values] == [["api"], ["web"], ["patient"]]
