"""A page that comes back with errors says so first, in its title too, and leads to the fields."""

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
    page.click("#submit-batch")
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
