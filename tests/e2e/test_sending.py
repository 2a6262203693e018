"""What a provider's browser does when a file, the session or the connection is lost on the way."""

import re
from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import FilePayload, Page, Route, expect

from deploy.local.clinic import Clinic, Photo
from tests.e2e.conftest import PHONE, Site, assert_accessible, assert_sent_once
from tests.e2e.provider import as_file

UPLOADS = "**/uploads/*"


def choose(page: Page, files: list[FilePayload]) -> None:
    page.goto("/batches/new/")
    page.set_input_files("#files", files)


def test_a_screen_reader_hears_of_an_upload_at_its_quarters(
    site: Site, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    page = open_page(site.email("provider"))
    choose(page, [as_file(photo) for photo in photos[:8]])
    page.evaluate(
        """sessionStorage.heard = "";
        new MutationObserver(([{ target }]) => (sessionStorage.heard += `${target.textContent}|`))
            .observe(document.querySelector("#upload-progress [role=status]"), { childList: true })"""
    )
    page.click("main button:has-text('Upload')")
    expect(page.locator("#progress")).to_be_visible()
    heard = page.evaluate("sessionStorage.heard").split("|")
    assert heard == ["Sending …", *(f"{some} of 8 pictures have arrived." for some in (2, 4, 6, 8)), ""]


def sign_in_again(page: Page, site: Site, email: str) -> None:
    """In another tab of the same browser."""
    other = page.context.new_page()
    other.goto("/account/login/")
    other.fill("input[name=login]", email)
    other.fill("input[name=password]", site.accounts["password"])
    other.click("form:has(input[name=password]) button[type=submit]")
    other.wait_for_url(lambda url: "/account/login" not in url)
    other.close()


def test_who_was_signed_out_keeps_the_files_and_sends_them_after_signing_in_again(
    site: Site, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    page = open_page(site.email("provider"))
    choose(page, [as_file(photo) for photo in photos[:2]])
    page.context.clear_cookies(name="sessionid")
    page.click("main button:has-text('Upload')")
    expect(page.locator("#upload-errors")).to_contain_text("Sign in in another tab")
    assert_leads_to_sign_in(page, "#upload-errors")
    sign_in_again(page, site, site.email("provider"))
    page.click("main button:has-text('Upload')")
    expect(page.locator("#progress")).to_contain_text("2 of 2 images ready")


def assert_leads_to_sign_in(page: Page, place: str) -> None:
    with page.expect_popup() as opened:
        page.click(f"{place} a:has-text('Sign in (opens in a new tab)')")
    expect(opened.value.locator("input[name=password]")).to_be_visible()
    opened.value.close()


def test_who_was_signed_out_sends_what_a_batch_awaits_after_signing_in_again(
    site: Site, clinic: Clinic, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    batch = clinic.post("batches", {"cases": [photos[11].manifest()]})
    page = open_page(site.email("provider"))
    page.goto(f"/batches/{batch['id']}/")
    page.set_input_files("#awaited input[type=file]", [as_file(photos[11])])
    page.context.clear_cookies(name="sessionid")
    page.click("#awaited button")
    expect(page.locator("#awaited-error")).to_contain_text("Press Send again")
    assert_leads_to_sign_in(page, "#awaited-error")
    sign_in_again(page, site, site.email("provider"))
    page.click("#awaited button")
    expect(page.locator("#progress")).to_contain_text("1 of 1 image ready", timeout=60_000)


def test_the_focus_stays_on_the_button_while_files_are_sent_and_no_second_press_sends_them_again(
    site: Site, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    page = open_page(site.email("provider"))
    choose(page, [as_file(photos[12])])
    assert_sent_once(page, "main button:has-text('Upload')", to="**/batches/new/", errors="#upload-errors .alert")


def test_what_a_broken_connection_lost_is_sent_again_into_the_same_batch(
    site: Site, clinic: Clinic, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    page = open_page(site.email("provider"))
    before = len([*clinic.pages("batches")])
    narrow: FilePayload = {**as_file(photos[2]), "name": "Screenshot 9.41\u202fAM &amp; more.jpg"}
    choose(page, [as_file(photos[0]), narrow])

    addresses: list[str] = []

    def break_one(route: Route) -> None:
        addresses.append(route.request.url)
        broken = addresses[0] == route.request.url
        route.fulfill(status=503, headers={"Retry-After": "0.2"}) if broken else route.continue_()

    page.route(UPLOADS, break_one)
    with page.expect_response(re.compile("/complete$")) as told:  # of the other, which need not come again
        page.click("main button:has-text('Upload')")
        expect(page.locator("#upload-errors")).to_contain_text("The batch was made, but not every file has arrived")
    assert [image["problem"] for image in told.value.json()["images"]] == [None]
    page.unroute(UPLOADS)
    page.click("main button:has-text('Upload')")
    expect(page.locator("#progress")).to_contain_text("2 of 2 images ready", timeout=60_000)
    assert len([*clinic.pages("batches")]) == before + 1


def test_another_file_whose_connection_broke_is_sent_again_also_after_a_reload(
    site: Site, clinic: Clinic, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    batch = clinic.post("batches", {"cases": [photo.manifest() for photo in photos[6:8]]})
    [refused, _] = batch["images"]
    httpx.put(refused["upload"]["url"], content=photos[6].data[:500]).raise_for_status()
    clinic.complete(batch["id"], [refused["id"]])
    page = open_page(site.email("provider"))
    page.goto(f"/batches/{batch['id']}/")
    form = page.locator(f"#another-{refused['id']}")
    another: FilePayload = {**as_file(photos[6]), "name": "IMG_0042.jpg"}
    form.locator("[type=file]").set_input_files(another)
    page.route(UPLOADS, lambda route: route.fulfill(status=503, headers={"Retry-After": "0.01"}))
    form.locator("button").click()
    expect(page.locator("#awaited-error")).to_contain_text("Press Send another file again")
    page.unroute(UPLOADS)
    page.reload()
    expect(page.locator("#unusable").locator(form)).to_have_count(1)
    assert_accessible(page)
    form.locator("[type=file]").set_input_files(another)
    form.locator("button").click()
    expect(page.locator("#messages")).to_contain_text("Another file is here in the place of")
    expect(page.locator("#progress")).to_contain_text("1 of 2 images ready", timeout=60_000)


def test_one_form_of_a_page_sends_at_a_time(
    site: Site, clinic: Clinic, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    batch = clinic.post("batches", {"cases": [photo.manifest() for photo in photos[10:12]]})
    [refused, _] = batch["images"]
    httpx.put(refused["upload"]["url"], content=photos[10].data[:500]).raise_for_status()
    clinic.complete(batch["id"], [refused["id"]])
    page = open_page(site.email("provider"))
    page.goto(f"/batches/{batch['id']}/")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route(UPLOADS, hold)
    form = page.locator(f"#another-{refused['id']}")
    form.locator("[type=file]").set_input_files([as_file(photos[10])])
    with page.expect_request(UPLOADS):
        form.locator("button").click()
    page.set_input_files("#awaited input[type=file]", [as_file(photos[11])])
    page.click("#awaited button")
    expect(page.locator("#awaited-error")).to_contain_text("Wait until the other files are sent.")
    expect(page.locator("#awaited-progress")).to_be_visible()
    [route] = held
    route.continue_()
    expect(page.locator("#messages")).to_contain_text("Another file is here in the place of")


def test_files_of_an_earlier_sending_are_not_counted_with_those_of_a_later_one(
    site: Site, clinic: Clinic, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    batch = clinic.post("batches", {"cases": [photo.manifest() for photo in photos[2:4]]})
    page = open_page(site.email("provider"))
    page.goto(f"/batches/{batch['id']}/")
    other: FilePayload = {**as_file(photos[4]), "name": "other.jpg"}
    for chosen in ([as_file(photos[2]), other], [as_file(photos[3]), other]):
        page.set_input_files("#awaited input[type=file]", chosen)
        page.click("#awaited button")
        expect(page.locator("#awaited-error")).to_contain_text("No picture of this batch has this name: other.jpg.")
        expect(page.locator("#awaited-progress [role=status]")).to_have_text("1 of 2 pictures have arrived.")


def test_an_answer_of_another_version_of_the_site_is_not_taken_for_all_is_there(
    site: Site, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    page = open_page(site.email("provider"))
    choose(page, [as_file(photos[0])])
    page.route("**/files/", lambda route: route.fulfill(json={"stored": 0, "before": [], "unknown": []}))
    page.click("main button:has-text('Upload')")
    expect(page.locator("#upload-errors")).to_contain_text("The server did not take the files.")


def test_a_file_that_is_too_large_is_refused_before_anything_is_sent(
    site: Site, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    page = open_page(site.email("provider"))
    choose(page, [as_file(photos[0])])
    page.evaluate("document.getElementById('upload').dataset.most = 10")
    page.click("main button:has-text('Upload')")
    expect(page.locator("#upload-errors")).to_contain_text(f"{photos[0].filename}: larger than")
    assert page.url.endswith("/batches/new/")


def test_a_new_batch_begins_at_its_errors_which_lead_to_their_fields(
    site: Site, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    page = open_page(site.email("provider"))
    page.goto("/batches/new/")
    button, errors, files = page.locator("main button:has-text('Upload')"), page.locator("#upload-errors"), "#files"
    button.click()
    expect(page).to_have_title(re.compile("^Error: "))
    expect(errors.locator(".alert")).to_be_focused()
    expect(errors.get_by_role("heading")).to_contain_text("Nothing was stored yet.")
    errors.get_by_role("link", name="Choose at least one picture.").click()
    expect(page.locator(files)).to_be_focused()
    expect(page.locator(files)).to_have_attribute("aria-invalid", "true")
    expect(page.locator(files)).to_have_accessible_description(re.compile("^Choose at least one picture"))
    assert_accessible(page)

    page.set_input_files(files, [as_file(photos[0])])
    page.check("[name=grouping][value=one]")
    button.click()
    errors.get_by_role("link", name="Case id: This field is required.").click()
    expect(page.locator("#id_case_id")).to_be_focused()
    expect(page.locator("#id_case_id")).to_have_attribute("aria-invalid", "true")
    expect(page.locator(files)).not_to_have_attribute("aria-invalid", "true")
    assert_accessible(page)


@pytest.mark.parametrize("cancelled", [False, True])
def test_awaited_files_that_are_not_taken_are_named_and_the_page_stays(
    site: Site, clinic: Clinic, photos: list[Photo], open_page: Callable[..., Page], cancelled: bool
) -> None:
    batch = clinic.post("batches", {"cases": [photos[3].manifest()]})
    page = open_page(site.email("provider"))
    page.goto(f"/batches/{batch['id']}/")
    other: FilePayload = {**as_file(photos[4]), "name": "other.jpg"}
    page.set_input_files("#awaited input[type=file]", [as_file(photos[3]), other])
    if cancelled:
        page.route("**/progress/**", lambda route: route.abort())  # this page does not hear of it
        clinic.post(f"batches/{batch['id']}/cancel", {})
    page.click("#awaited button")
    told = "This batch was cancelled" if cancelled else "No picture of this batch has this name: other.jpg."
    expect(page.locator("#awaited-error")).to_contain_text(told)


def test_a_patient_who_was_signed_out_sends_the_same_photo_after_signing_in_again(
    site: Site, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    email = site.email("patient")
    page = open_page(email, PHONE)
    page.goto("/my/photo/")
    photo = as_file(photos[5])
    large: FilePayload = {
        **photo,
        "buffer": photo["buffer"] + bytes(100_000),
    }  # a phone's are large
    page.set_input_files("input[type=file][capture]", [large])
    page.fill("#id_notes", "It itches.")
    page.context.clear_cookies(name="sessionid")
    page.click("button:has-text('Send to be checked')")
    expect(page.locator("#errors")).to_contain_text("Sign in in another tab")
    sign_in_again(page, site, email)
    page.click("button:has-text('Send to be checked')")
    page.wait_for_url("**/my/cases/**")
