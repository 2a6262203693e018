"""Pages that renew themselves leave what one is using as it is."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from deploy.local.clinic import Clinic, Photo
from tests.e2e.conftest import PHONE, Site

RENEW = "htmx.trigger(document.body, 'batch-changed')"
QUIET = ".htmx-request, .htmx-swapping, .htmx-settling"
FAIL_ONE = """
from webapp.cases.models import Batch
from webapp.inference.models import Job
job = Job.objects.filter(batch={batch!r}, state="succeeded").first()
Job.objects.filter(pk=job.pk).update(state="failed", reason="model_error")
Batch.objects.filter(pk={batch!r}).update(state="submitted", finished_at=None, remaining=1)
"""


@pytest.fixture
def batch(clinic: Clinic, photos: list[Photo]) -> dict[str, Any]:
    """An open batch with one picture that was refused."""
    made = clinic.post("batches", {"cases": [photo.manifest() for photo in photos[5:7]]})
    broken = made["images"][0]
    to = broken["upload"]
    httpx.put(to["url"], headers=to["headers"], content=photos[5].data[:500]).raise_for_status()
    clinic.complete(made["id"], [broken["id"]])
    return made


def test_a_batch_keeps_what_is_open_focused_or_pressed(
    site: Site, batch: dict[str, Any], photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    page = open_page(site.email("provider"))
    page.goto(f"/batches/{batch['id']}/")
    summary = page.locator("#unusable-summary")
    expect(summary).to_be_visible(timeout=30_000)
    expect(page.locator("#progress")).to_contain_text("0 of 2 images ready")
    summary.click()
    renew(page)
    expect(page.locator("#unusable")).not_to_have_attribute("open", "")
    expect(summary).to_be_focused()

    summary.click()
    another = {"name": "IMG_0042.jpg", "mimeType": "image/jpeg", "buffer": photos[5].data}
    page.set_input_files("#unusable input[type=file]", another)  # type: ignore[arg-type]
    renew(page)
    expect(page.locator("#unusable input[type=file]")).not_to_have_value("")
    page.locator("#unusable button").hover()
    page.mouse.down()
    with page.expect_response(lambda response: response.url.endswith(f"/{batch['id']}/")):
        page.evaluate(RENEW)
    page.mouse.up()
    expect(page.locator("#messages")).to_contain_text("Another file is here in the place of")
    expect(page.locator("#progress")).to_contain_text("1 of 2 images ready", timeout=30_000)


def test_the_focus_stays_in_the_page_where_its_button_vanishes(
    site: Site, clinic: Clinic, batch: dict[str, Any], open_page: Callable[..., Page]
) -> None:
    page = open_page(site.email("provider"))
    page.goto(f"/batches/{batch['id']}/")
    page.focus("#cancel-batch")
    clinic.post(f"batches/{batch['id']}/cancel", {})
    expect(page.locator("#cancel-batch")).to_have_count(0)
    expect(page.locator("main")).to_be_focused()


def test_the_focus_stays_on_a_button_whose_number_is_renewed(
    site: Site, clinic: Clinic, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    batch = clinic.submit(photos[:3], name="some fail")["id"]
    for _ in clinic.progress(batch):
        pass
    fail_one = ("shell", "--no-imports", "--command", FAIL_ONE.format(batch=batch))
    site.stack.manage(*fail_one)
    page = open_page(site.email("provider"))
    page.goto(f"/batches/{batch}/")
    rerun = page.locator("#rerun")
    expect(rerun).to_have_text("Re-run 1 failed")
    rerun.focus()
    site.stack.manage(*fail_one)
    expect(rerun).to_have_text("Re-run 2 failed", timeout=30_000)
    expect(page.locator(QUIET)).to_have_count(0)
    expect(rerun).to_be_focused()


def test_a_screen_reader_hears_of_a_batch_where_it_changes_and_not_at_each_look(
    site: Site, clinic: Clinic, batch: dict[str, Any], open_page: Callable[..., Page]
) -> None:
    page = open_page(site.email("provider"))
    page.goto(f"/batches/{batch['id']}/")
    expect(page.locator("#progress")).to_contain_text("0 of 2 images ready", timeout=30_000)
    said = "document.getElementById('said')"
    page.evaluate(f"heard = []; new MutationObserver(() => heard.push(1)).observe({said}, {{childList: true}})")
    for _ in range(2):
        with page.expect_response(lambda response: "seen=" in response.url) as looked:
            pass
        assert looked.value.status == 204
    clinic.post(f"batches/{batch['id']}/cancel", {})
    expect(page.locator("#said")).to_contain_text("Cancelled")
    assert len(page.evaluate("heard")) == 1


def test_what_waits_for_review_is_counted_while_one_looks(
    site: Site, clinic: Clinic, batch: dict[str, Any], photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    page = open_page(site.email("provider"))
    page.goto(f"/batches/{batch['id']}/")
    waiting = page.locator("#to-review")
    before = waiting.inner_text()
    fine = batch["images"][1]
    to = fine["upload"]
    httpx.put(to["url"], headers=to["headers"], content=photos[6].data).raise_for_status()
    clinic.complete(batch["id"], [fine["id"]])
    clinic.post(f"batches/{batch['id']}/submit", {"allow_missing": True})

    expect(page.locator("#progress")).to_contain_text("1 of 2 images done, 1 without a result", timeout=60_000)
    expect(waiting).not_to_have_text(before)
    now = waiting.inner_text()
    page.reload()
    expect(waiting).to_have_text(now)


def test_the_queues_keep_the_focus(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(site.email("operator"), PHONE)
    page.goto("/operations/")
    table = page.locator("#waiting-table")
    table.focus()
    with page.expect_response("**/operations/"):
        page.evaluate("htmx.trigger('main [hx-get]', 'renew')")
    expect(page.locator(QUIET)).to_have_count(0)
    expect(table).to_be_focused()


def test_a_screen_reader_hears_that_a_part_of_the_service_fails(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(site.email("operator"))
    page.goto("/operations/")
    said = page.locator("#said")
    page.evaluate("htmx.trigger('main [hx-get]', 'renew')")
    expect(page.locator(QUIET)).to_have_count(0)
    expect(said).to_be_empty()

    def fail(route: Route) -> None:
        route.fulfill(body=route.fetch().text().replace("Storage works", "Storage fails"))

    page.route("**/operations/", fail)
    page.evaluate("htmx.trigger('main [hx-get]', 'renew')")
    expect(said).to_contain_text("Database works. Broker works. Storage fails.")


@pytest.mark.parametrize(
    "lost", [lambda route: route.fulfill(status=503), lambda route: route.abort()], ids=["refused", "away"]
)
def test_a_page_says_that_it_could_not_be_renewed(
    site: Site, open_page: Callable[..., Page], lost: Callable[[Route], None]
) -> None:
    page = open_page(site.email("operator"))
    page.goto("/operations/")
    said = page.locator("#messages").get_by_text("could not be renewed")
    for _ in range(2):
        page.route("**/operations/", lost)
        for _ in range(2):
            page.evaluate("htmx.trigger('main [hx-get]', 'renew')")
            expect(said).to_have_count(1)
            expect(page.locator(QUIET)).to_have_count(0)
        page.unroute("**/operations/")
        page.evaluate("htmx.trigger('main [hx-get]', 'renew')")
        expect(said).to_have_count(0)


def test_what_could_not_be_renewed_when_it_changed_is_tried_again_until_all_of_it_is_new(
    site: Site, clinic: Clinic, batch: dict[str, Any], open_page: Callable[..., Page]
) -> None:
    page = open_page(site.email("provider"))
    page.goto(f"/batches/{batch['id']}/")
    expect(page.locator("#progress")).to_contain_text("0 of 2 images ready", timeout=30_000)
    expect(page.locator("#unusable button").first).to_be_visible(timeout=30_000)
    said = page.locator("#messages").get_by_text("could not be renewed")
    lost = {"actions", "changing"}

    def answer(route: Route) -> None:
        if route.request.headers.get("hx-target") in lost:
            route.fulfill(status=503)
        else:
            route.continue_()

    page.route(f"**/batches/{batch['id']}/", answer)
    clinic.post(f"batches/{batch['id']}/cancel", {})  # its end: no look at its progress comes after this
    expect(said).to_have_count(1, timeout=30_000)
    lost.remove("actions")
    expect(page.locator("#cancel-batch")).to_have_count(0, timeout=30_000)
    expect(said).to_have_count(1)
    lost.remove("changing")
    expect(said).to_have_count(0, timeout=30_000)
    expect(page.locator("#unusable button")).to_have_count(0)


def test_nobody_renews_a_page_in_the_background(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(site.email("operator"))
    page.goto("/operations/")
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate("htmx.ajax('GET', '/operations/', {source: 'main [hx-get]'})")  # as its clock does
    page.evaluate("Object.defineProperty(document, 'hidden', {value: false})")
    assert not asked
    with page.expect_response("**/operations/"):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def test_who_was_signed_out_is_told_and_comes_back_to_the_page(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(site.email("operator"))
    page.goto("/operations/")
    page.context.clear_cookies(name="sessionid")
    page.evaluate("htmx.trigger('main [hx-get]', 'renew')")
    expect(page.locator("#messages")).to_contain_text("You are signed out")
    expect(page.locator("#waiting-table")).to_be_visible()
    page.click("#messages a")
    page.fill("input[name=login]", site.email("operator"))
    page.fill("input[name=password]", site.accounts["password"])
    page.click("form:has(input[name=password]) button[type=submit]")
    page.wait_for_url("**/operations/")


def renew(page: Page) -> None:
    """As the end of a check does."""
    with page.expect_response(lambda response: response.url.endswith(page.url.removeprefix("http:"))):
        page.evaluate(RENEW)
    expect(page.locator(QUIET)).to_have_count(0)
