"""Pages in a browser that runs no scripts, or that did not get the one which asks."""

from collections.abc import Callable

from playwright.sync_api import Page

from deploy.local.clinic import Clinic, Photo
from tests.e2e.conftest import Site

BEFORE = "form => getComputedStyle(form, '::before').content"


def test_what_cannot_be_undone_says_so_where_nothing_can_ask(
    site: Site, clinic: Clinic, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    address = f"/batches/{clinic.post('batches', {'cases': [photos[10].manifest()]})['id']}/"
    page = open_page(site.email("provider"))
    page.goto(address)
    form = "form[action$='/cancel/']"
    assert page.eval_on_selector(form, BEFORE) == "none"  # it is asked at the press
    browser = page.context.browser
    assert browser is not None
    plain = browser.new_context(
        java_script_enabled=False, storage_state=page.context.storage_state(), base_url=site.url
    ).new_page()
    plain.goto(address)
    told = plain.eval_on_selector(form, BEFORE)
    plain.context.close()
    assert "Cancel what this batch waits for?" in told
    assert "at once" in told


def test_what_cannot_be_undone_says_so_where_the_script_that_asks_did_not_come(
    site: Site, open_page: Callable[..., Page]
) -> None:
    page = open_page(site.email("provider"))
    page.route("**/forms*.js", lambda route: route.abort())
    page.goto("/organisation/keys/")
    told = page.eval_on_selector("form[action$='/revoke/']", BEFORE)
    assert "Revoke the key" in told
    assert "at once" in told
