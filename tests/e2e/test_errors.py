"""A page begins at what came of an action: of errors it says so in its title too, and leads to the fields."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from deploy.local.clinic import Clinic, Photo
from tests.e2e.conftest import PHONE, Site, assert_accessible


def test_a_form_of_patients_begins_at_its_errors_which_lead_to_their_fields(
    site: Site, open_page: Callable[..., Page]
) -> None:
    page = open_page(viewport=PHONE)
    page.goto(site.accounts["join_url"])
    expect(page).not_to_have_title(re.compile("^Error"))
    page.click("main button[type=submit]")
    expect(page).to_have_title(re.compile("^Error: "))
    expect(page.locator("#errors")).to_be_focused()
    assert_accessible(page)
    page.click("#errors a")
    field = page.locator("#id_email")
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.locator(f"#{field.get_attribute('aria-describedby').split()[0]}")).to_have_text(  # type: ignore[union-attr]
        page.locator("#errors li").inner_text()
    )


def test_a_form_of_staff_begins_at_the_first_field_that_is_wrong(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(site.email("provider"))
    page.goto("/organisation/keys/")
    page.eval_on_selector("main form:has(#id_name)", "form => form.noValidate = true")
    page.click("main form:has(#id_name) button[type=submit]")
    expect(page).to_have_title(re.compile("^Error: "))
    expect(page.locator("#id_name")).to_be_focused()


def test_a_refusal_is_said_first(
    site: Site, clinic: Clinic, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    made = clinic.post("batches", {"cases": [photos[8].manifest()]})
    page = open_page(site.email("provider"))
    page.route("**/progress/*", lambda route: route.abort())  # so that it goes on showing a batch that is open
    page.goto(f"/batches/{made['id']}/")
    clinic.post(f"batches/{made['id']}/cancel", {})
    page.once("dialog", lambda dialog: dialog.accept())  # its file has not arrived
    page.click("#submit-batch")
    expect(page).to_have_title(re.compile("^Error: "))
    expect(page.locator("#messages .alert-danger")).to_be_focused()


def test_a_new_key_and_what_was_done_are_said_first(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(site.email("provider"))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/organisation/keys/")
    page.fill("#id_name", "a key to revoke")
    page.click("main form:has(#id_name) button[type=submit]")
    expect(page).to_have_title(re.compile("^Your new key"))
    expect(page.get_by_role("region", name="Copy your new key now")).to_be_focused()
    assert_accessible(page)

    copy = page.get_by_role("button", name="Copy")
    copy.click()
    expect(page.get_by_role("status").get_by_text("Copied")).to_be_visible()
    expect(copy).to_be_focused()
    assert page.evaluate("navigator.clipboard.readText()") == page.input_value("#secret")

    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Revoke the key a key to revoke").click()
    expect(page).to_have_title(re.compile("^API keys"))
    expect(page.locator("#messages .alert-success")).to_be_focused()


def test_a_filtered_list_begins_at_what_was_found(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(site.email("provider"))
    page.goto("/batches/")
    page.fill("#q", "no batch has this name")
    page.click("main button:has-text('Filter')")
    expect(page.locator("#found")).to_be_focused()
    expect(page.locator("#found")).to_contain_text("No batch is like that")
    assert_accessible(page)
    page.goto("/review/")
    page.go_back()  # to the place that one has left
    expect(page.locator("#found")).to_be_visible()
    expect(page.locator("#found")).not_to_be_focused()


def test_an_answer_that_is_not_there_is_an_error(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(site.email("provider"))
    page.goto("/models/trace/?q=none")
    expect(page).to_have_title(re.compile("^Error: "))
    expect(page.locator("#messages .alert-danger")).to_be_focused()


def test_a_long_name_breaks_on_a_phone(
    site: Site, clinic: Clinic, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    name = "dermatology_outpatients_2026-11-22_ward_7B_second_upload_all"
    made = clinic.post("batches", {"name": name, "cases": [photos[9].manifest()]})
    page = open_page(site.email("provider"), PHONE)
    page.goto(f"/batches/{made['id']}/")
    expect(page.locator("h1")).to_have_text(name)
    assert_accessible(page)


def test_tabs_stay_in_one_line_on_a_phone(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(site.email("operator"), PHONE)
    page.goto("/models/")
    tops = page.evaluate("[...document.querySelectorAll('.nav-tabs .nav-link')].map(tab => tab.offsetTop)")
    assert len(set(tops)) == 1
