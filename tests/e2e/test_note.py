"""What a clinician writes to a patient outlives a sign-in, and waits for nobody else at the same computer."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from deploy.local.clinic import Clinic, Photo
from tests.e2e.conftest import Site

KEPT = "JSON.stringify({...sessionStorage})"
WRITTEN = "Please call us on Monday, about the spot on your back."


def sign_in(page: Page, email: str, password: str) -> None:
    page.fill("input[name=login]", email)
    page.fill("input[name=password]", password)
    page.click("form:has(input[name=password]) button[type=submit]")
    page.wait_for_url(lambda url: "/account/login" not in url)


def test_a_note_is_there_again_after_signing_in_and_gone_once_it_is_sent_or_somebody_else_signs_in(
    site: Site, clinic: Clinic, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    batch = clinic.submit(photos[12:14], name="Notes")
    assert [*clinic.progress(batch["id"])][-1]["state"] == "completed"
    page = open_page(site.email("provider"))
    page.goto(f"/batches/{batch['id']}/")
    first, second = (str(link.get_attribute("href")) for link in page.locator("tbody a[href*='/cases/']").all()[:2])
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(first)
    expect(page.locator("#note-kept")).to_be_hidden()
    page.locator("#note").press_sequentially(WRITTEN)
    page.context.clear_cookies(name="sessionid")
    page.click("text=Release to the patient")
    expect(page.locator("main")).to_contain_text("what you sent did not arrive")

    sign_in(page, site.email("provider"), site.accounts["password"])

    expect(page.locator("#note")).to_have_value(WRITTEN)
    expect(page.locator("#note-kept")).to_be_visible()
    page.goto(second)
    expect(page.locator("#note")).to_have_value("")
    page.goto(first)
    page.click("text=Release to the patient")
    expect(page.locator("#note-sent")).to_have_text(WRITTEN)
    assert WRITTEN not in page.evaluate(KEPT)

    page.goto(second)
    page.locator("#note").press_sequentially(WRITTEN)
    page.context.clear_cookies(name="sessionid")
    page.goto("/account/login/")
    assert WRITTEN in page.evaluate(KEPT)
    sign_in(page, site.email("annotator"), site.accounts["password"])
    assert WRITTEN not in page.evaluate(KEPT)


def test_a_note_is_given_back_where_a_colleague_has_released_the_case_meanwhile(
    site: Site, clinic: Clinic, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    batch = clinic.submit(photos[12:13], name="Released meanwhile")
    assert [*clinic.progress(batch["id"])][-1]["state"] == "completed"
    [case] = clinic.cases(batch["id"])
    page = open_page(site.email("provider"))
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(f"/cases/{case['id']}/")
    page.locator("#note").press_sequentially(WRITTEN)

    clinic.release(case["id"], "See you in March.")
    page.reload()

    expect(page.locator("#note-sent")).to_have_text("See you in March.")
    expect(page.locator("#note-unsent")).to_contain_text("Tell the patient yourself")
    expect(page.locator("#note-unsent blockquote")).to_have_text(WRITTEN)
