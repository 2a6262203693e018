"""Single keys act where they are meant to, never by a slip beside it, and lose nothing that was typed."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from deploy.local.clinic import Clinic
from deploy.local.samples import read_synthetic
from tests.e2e.conftest import Site, assert_accessible, hold


@pytest.fixture
def batch(clinic: Clinic, tmp_path: Path) -> str:
    """The id of an answered batch of three pictures that nobody has labelled."""
    made = clinic.submit(read_synthetic(tmp_path, 3, seed=7), name="keys")
    assert [*clinic.progress(made["id"])][-1]["state"] == "completed"
    return str(made["id"])


def test_a_note_is_not_lost_by_a_key_beside_its_field(site: Site, batch: str, open_page: Callable[..., Page]) -> None:
    page = open_page(site.email("provider"))
    page.goto(f"/batches/{batch}/")
    page.locator("a[id^=case-]").first.click()
    page.wait_for_url("**/cases/**")
    expect(page.locator("h1")).to_be_focused()
    first = page.url
    page.keyboard.press("n")
    page.keyboard.type("Please call us.")
    page.keyboard.press("Tab")
    with page.expect_event("dialog") as asked:
        page.once("dialog", lambda dialog: dialog.dismiss())
        page.keyboard.press("j")
    assert asked.value.type == "beforeunload"
    assert page.url == first
    expect(page.locator("#note")).to_have_value("Please call us.")
    for report in ("PDF", "FHIR"):  # the page stays, and goes on asking
        with page.expect_download():
            page.click(f"a:has-text('{report}')")
        with page.expect_event("dialog") as asked:
            page.once("dialog", lambda dialog: dialog.dismiss())
            page.keyboard.press("j")
        assert page.url == first
    page.on("dialog", lambda dialog: pytest.fail(dialog.type))
    page.keyboard.press("r")
    page.keyboard.press("Enter")  # and what is sent is not asked about
    expect(page.locator("#messages")).to_contain_text("released")
    page.keyboard.press("j")
    page.wait_for_url(lambda url: url != first)


@pytest.mark.parametrize("by", ["keys", "mouse"])
def test_nothing_is_released_on_a_case_that_one_is_leaving(
    site: Site, batch: str, open_page: Callable[..., Page], by: str
) -> None:
    page = open_page(site.email("provider"))
    page.goto(f"/batches/{batch}/")
    page.locator("a[id^=case-]").first.click()
    page.wait_for_url("**/cases/**")
    first, following = page.url, page.evaluate("document.querySelector('main a[rel=next]').href")
    page.set_viewport_size({"width": 1280, "height": 2000})  # with the form within reach of the mouse
    places = [page.locator(f"main [data-key={key}]").bounding_box() for key in "jr"]
    held = hold(page, re.compile(r"/cases/[^/]+/(release/)?(\?|$)"))
    if by == "keys":
        for key in ("j", "r", "Enter"):
            page.keyboard.press(key)
    for place in places if by == "mouse" else []:
        assert place
        page.mouse.click(place["x"] + 5, place["y"] + 5)
    page.wait_for_timeout(500)  # for what would be sent
    assert [(route.request.method, route.request.url) for route in held] == [("GET", following)]
    held[0].continue_()
    page.wait_for_url(following)
    page.unroute_all()
    page.go_back()
    page.wait_for_url(first)
    page.click("main [data-key=r]")  # it was not released, and can be
    expect(page.locator("#messages")).to_contain_text("The result was released")


def test_a_cases_keys_do_nothing_in_the_header(site: Site, batch: str, open_page: Callable[..., Page]) -> None:
    page = open_page(site.email("provider"))
    page.goto(f"/batches/{batch}/")
    page.locator("a[id^=case-]").first.click()
    page.wait_for_url("**/cases/**")
    page.focus("#theme-toggle")
    page.keyboard.press("h")
    expect(page.locator(".heatmap-toggle").first).not_to_be_checked()
    page.focus("main a[rel=next]")
    page.keyboard.press("h")
    expect(page.locator(".heatmap-toggle").first).to_be_checked()


def test_the_label_queues_keys_act_only_on_what_is_labelled(
    site: Site, batch: str, open_page: Callable[..., Page]
) -> None:
    page = open_page(site.email("annotator"))
    page.goto("/labels/")
    heading, second = page.locator("#answer-heading"), page.locator("[data-key='2']")
    expect(heading).to_be_focused()
    page.focus("#theme-toggle")
    page.keyboard.press("2")
    expect(second).not_to_be_checked()
    page.focus("[data-zoom=in]")
    page.keyboard.press("+")
    expect(page.locator("#scale")).to_have_text("Zoom 140%")
    page.keyboard.press("2")
    expect(second).to_be_checked()
    page.keyboard.press("n")
    page.keyboard.press("Escape")
    expect(heading).to_be_focused()
    title = page.title()
    page.keyboard.press("Enter")
    page.wait_for_function("before => document.title !== before", arg=title)  # how many are done and left
    expect(heading).to_be_focused()

    compare = page.locator("[data-key=c]")
    page.keyboard.press("c")
    expect(compare).to_be_focused()
    page.keyboard.press("u")
    expect(page.locator("[data-key=u]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#messages .alert")).to_be_focused()
    assert page.title() == title
    page.keyboard.press("2")
    expect(second).to_be_checked()


def test_a_case_is_found_opened_and_come_back_from_without_a_mouse(
    site: Site, batch: str, open_page: Callable[..., Page]
) -> None:
    page = open_page(site.email("provider"), {"width": 992, "height": 740})  # where the header has least room
    page.goto("/find/")
    assert_accessible(page)
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.type("synthetic_007")
    page.keyboard.press("Enter")
    expect(page.locator("#found")).to_be_focused()
    expect(page.locator("#found")).to_contain_text("found")
    assert_accessible(page)
    listed = page.url
    assert "synthetic" not in listed
    page.keyboard.press("Tab")
    expect(page.locator("a[id^=case-]").first).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/cases/**")
    page.go_back()
    expect(page.locator("a[id^=case-]").first).to_be_visible()
    assert page.url == listed
    page.fill("#q", "nobody")
    page.keyboard.press("Enter")
    expect(page.locator("#found")).to_contain_text("No case is called that")
    assert_accessible(page)
