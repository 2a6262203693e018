"""A patient sends a photo from a phone and reads the result, by sign-in and by the link in the e-mail."""

import re
import time
from collections.abc import Callable
from io import BytesIO

from PIL import Image
from playwright.sync_api import Page, expect

from deploy.local.clinic import Photo
from ml.classes import CLASSES, DISPLAY_NAMES
from tests.e2e.conftest import PHONE, Site, assert_accessible

NEWCOMER = "newcomer@home.example"


def code_in(mail: str) -> str:
    """The sign-in code of an e-mail."""
    [code] = re.findall(r"^\s*([A-Z0-9-]{6,10})\s*$", mail, re.M)[:1]
    return code


def test_a_newcomer_uploads_a_photo_and_reads_the_result(
    site: Site, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    page = open_page(viewport=PHONE)
    _joins(page, site, NEWCOMER)
    assert_accessible(page)
    photo = {"name": "IMG_1.jpg", "mimeType": "image/jpeg", "buffer": photos[0].data}
    page.set_input_files("input[type=file][capture]", photo)  # type: ignore[arg-type]
    page.click("button:has-text('Send to be checked')")
    page.wait_for_url("**/my/cases/**")
    assert_accessible(page)
    expect(page.locator("main")).to_contain_text("Waiting for your clinic", timeout=60_000)

    _is_reviewed(page.url.rstrip("/").rpartition("/")[2], open_page(site.email("provider")))
    page.reload()
    main = page.locator("main")
    expect(main).to_contain_text("not a diagnosis")
    expect(main).to_contain_text("Come and see us on Monday.")
    expect(main).to_contain_text("What to do next")
    assert_accessible(page)

    mail = _result_mail(site)
    link = re.search(r"http://\S+/results/\S+/", mail)
    assert link is not None
    _reads_by_link(link.group(), open_page)


def test_what_is_open_and_focused_stays_so_while_the_photo_gets_on(
    site: Site, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    """Somebody thinks about deleting it, and hears how far it is; the result is shown when it is asked for."""
    page = open_page(site.email("patient"), PHONE)
    page.goto("/my/photo/")
    photo = {"name": "IMG_4.jpg", "mimeType": "image/jpeg", "buffer": photos[6].data}
    page.set_input_files("input[type=file][multiple]", photo)  # type: ignore[arg-type]
    looks = re.compile(r"\?seen=")
    page.route(looks, lambda route: route.fulfill(status=204))  # so that nothing changes before it is opened
    page.click("button:has-text('Send to be checked')")
    page.wait_for_url("**/my/cases/**")
    page.click("summary")
    button = page.locator("button:has-text('Delete for good')")
    button.focus()
    page.unroute(looks)

    def stays(heading: str, meaning: str) -> None:
        expect(page.locator("h1")).to_have_text(heading, timeout=60_000)
        expect(page).to_have_title(re.compile(f"^{heading}"))
        expect(button).to_be_visible()
        expect(button).to_be_focused()
        expect(page.locator("details")).to_contain_text(meaning)
        assert_accessible(page)

    stays("Waiting for your clinic", "keeps the result, but can no longer look at your photo")
    _is_reviewed(page.url.rstrip("/").rpartition("/")[2], open_page(site.email("provider")))
    page.evaluate("htmx.trigger('#case', 'renew')")  # by the clock it is a minute
    stays("You can read your result", "Your result stays here")
    expect(page.locator("#said")).to_have_text("You can read your result")
    page.click("a:has-text('Read your result')")
    expect(page.locator("main")).to_contain_text("not a diagnosis")


def _joins(page: Page, site: Site, email: str) -> None:
    """Somebody comes in at the clinic's door for its patients, and agrees."""
    page.goto(site.accounts["join_url"])
    assert_accessible(page)
    page.fill("input[name=email]", email)
    page.click("button:has-text('Send me a code')")
    page.wait_for_url("**/code/confirm/**")
    assert_accessible(page)
    page.fill("input[name=code]", code_in(site.mail_to(email)[-1]))
    page.click("form:has(input[name=code]) button[type=submit] >> nth=0")

    page.wait_for_url("**/join/demo/**")
    assert_accessible(page)
    for name, value in (("day", "3"), ("month", "4"), ("year", "1970")):
        page.fill(f"input[name$={name}]", value)
    page.check("input[name=agree]")
    page.click("main button[type=submit]")
    page.wait_for_url("**/my/photo/**")


def _is_reviewed(case: str, page: Page) -> None:
    """The clinic finds the photo where it starts, and releases the result by keys alone."""
    page.goto("/")
    page.wait_for_url("**/review/")
    page.select_option("#source", label="Patient")
    page.click("button:text-is('Filter')")
    assert_accessible(page)
    page.click(f"#case-{case}")
    page.wait_for_url("**/cases/**list=to_review**")
    assert_accessible(page)
    page.keyboard.press("r")
    expect(page.locator("button:has-text('Release to the patient')")).to_be_focused()
    page.keyboard.press("n")
    page.keyboard.type("Come and see us on Monday.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("The result was released.")


def _result_mail(site: Site) -> str:
    deadline = time.monotonic() + 30
    while not (found := [mail for mail in site.mail_to(NEWCOMER) if "/results/" in mail]):
        assert time.monotonic() < deadline, "no e-mail about the result"
        time.sleep(0.2)
    [mail] = found
    for finding in (*CLASSES, *DISPLAY_NAMES.values(), "cancer", "urgent", "refer", "Monday"):
        assert not re.search(rf"\b{re.escape(finding)}\b", mail, re.I), f"the e-mail says {finding}"
    return mail


def _reads_by_link(link: str, open_page: Callable[..., Page]) -> None:
    """Another phone: the date of birth opens it, a wrong one does not."""
    page = open_page(viewport=PHONE)
    page.goto(link)
    assert "/results/open/" in page.url, "the token stays in the address"
    assert_accessible(page)
    for year, opens in (("1971", False), ("1970", True)):
        for name, value in (("day", "3"), ("month", "4"), ("year", year)):
            page.fill(f"input[name$={name}]", value)
        page.click("main button[type=submit]")
        expect(page.locator("main")).to_contain_text("What to do next" if opens else "not the date of birth")
    assert_accessible(page)


def test_a_blank_photo_is_turned_away_with_advice(site: Site, open_page: Callable[..., Page]) -> None:
    blank = BytesIO()
    Image.new("RGB", (900, 700), (205, 160, 140)).save(blank, "JPEG")
    page = open_page(site.email("patient"), PHONE)
    page.goto("/my/photo/")
    photo = {"name": "blank.jpg", "mimeType": "image/jpeg", "buffer": blank.getvalue()}
    page.set_input_files("input[type=file][multiple]", photo)  # type: ignore[arg-type]
    page.click("button:has-text('Send to be checked')")
    page.wait_for_url("**/my/cases/**")
    expect(page.locator("main")).to_contain_text("Take the photo again", timeout=30_000)
    assert_accessible(page)
    page.set_viewport_size({"width": PHONE["width"] // 2, "height": PHONE["height"] // 2})  # zoomed to 200 %
    assert_accessible(page)
    page.click("a:has-text('My photos and results')")
    expect(page.locator("main li").first).to_contain_text("New photo needed")
    assert_accessible(page)


def test_what_did_not_arrive_is_kept_and_sent_again(
    site: Site, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    """The server is away for a moment; the second press sends what was chosen before the first."""
    page = open_page(site.email("patient"), PHONE)
    page.goto("/my/photo/")
    photo = {"name": "IMG_2.jpg", "mimeType": "image/jpeg", "buffer": photos[1].data}
    page.set_input_files("input[type=file][multiple]", photo)  # type: ignore[arg-type]
    page.fill("textarea", "It itches.")
    page.route("**/my/photo/", lambda route: route.abort(), times=1)
    page.route("**/my/photo/", lambda route: route.fulfill(status=503, body="away"), times=1)
    for _ in range(2):
        page.click("button:has-text('Send to be checked')")
        expect(page.locator("#errors")).to_contain_text("Wait a minute and press “Send to be checked” again.")
        page.locator("#errors").evaluate("errors => errors.querySelector('ul').replaceChildren()")
        expect(page.locator("#photo-count")).to_have_text("1 of 3 photos chosen: IMG_2.jpg")
    page.click("button:has-text('Send to be checked')")
    page.wait_for_url("**/my/cases/**")
    expect(page.locator("main")).to_contain_text("checking your photo")


def test_what_was_written_is_there_after_signing_in_again_and_goes_at_sign_out(
    site: Site, open_page: Callable[..., Page]
) -> None:
    """Once it was sent it is gone as well, and nobody else who signs in here reads it."""
    page = open_page(site.email("patient"), PHONE)
    page.goto("/my/photo/")
    note, kept = page.locator("textarea"), page.locator("#kept")
    kept_here = "JSON.stringify({...sessionStorage})"
    note.fill("It itches at night.")
    page.select_option("#id_anatom_site", "palms/soles")
    _signs_in_again(page, site)
    expect(note).to_have_value("It itches at night.")
    expect(page.locator("#id_anatom_site")).to_have_value("palms/soles")
    expect(kept).to_be_visible()
    assert_accessible(page)

    page.context.clear_cookies()
    _joins(page, site, "another@home.example")
    expect(note).to_have_value("")
    _signs_in_again(page, site)
    expect(note).to_have_value("")
    expect(kept).to_be_hidden()

    note.fill("It bleeds.")
    page.set_input_files(
        "input[type=file][multiple]", {"name": "IMG_3.jpg", "mimeType": "image/jpeg", "buffer": b"no picture"}
    )
    page.click("button:has-text('Send to be checked')")
    page.wait_for_url("**/my/cases/**")
    page.goto("/my/photo/")
    expect(note).to_have_value("")

    note.fill("It hurts.")
    assert "It hurts." in page.evaluate(kept_here)
    page.get_by_role("button", name="Your account").click()
    page.click("button:has-text('Sign out')")
    page.wait_for_url(lambda url: "/my/photo/" not in url)
    assert "It hurts." not in page.evaluate(kept_here)


def _signs_in_again(page: Page, site: Site) -> None:
    """The session has run out, and the patient signs in in the same tab."""
    page.context.clear_cookies()
    page.goto("/account/login/?next=/my/photo/")
    page.fill("input[name=login]", site.email("patient"))
    page.fill("input[name=password]", site.accounts["password"])
    page.click("form:has(input[name=password]) button[type=submit]")
    page.wait_for_url("**/my/photo/")
