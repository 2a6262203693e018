"""The form that a patient sends photos by: what it says of them, where the focus is, and a script that comes late."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Dialog, FilePayload, Page, Request, Route, expect

from deploy.local.clinic import Photo
from tests.e2e.conftest import PHONE, Site, assert_accessible, assert_sent_once, hold

CHOOSER = "input[type=file][multiple]"
LONG = "PXL_20261122_073012343_portrait_of_the_left_arm.jpg"  # longer than a phone is wide
SEND = "button:has-text('Send to be checked')"


def named(photo: Photo, name: str) -> FilePayload:
    return {"name": name, "mimeType": "image/jpeg", "buffer": photo.data}


def sent(page: Page) -> list[Request]:
    """What this page posts from now on."""
    posts: list[Request] = []
    page.on("request", lambda request: posts.append(request) if request.method == "POST" else None)
    return posts


def test_a_photo_that_was_chosen_before_the_script_ran_is_sent(
    site: Site, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    page = open_page(site.email("patient"), PHONE)
    held = hold(page, re.compile(r"/patients/photo[.\w]*\.js"))
    page.goto("/my/photo/", wait_until="commit")
    page.set_input_files(CHOOSER, [named(photos[0], "early.jpg")])
    held[0].continue_()
    expect(page.locator("#photo-count")).to_have_text("1 of 3 photos chosen: early.jpg")
    page.click(SEND)
    page.wait_for_url("**/my/cases/**")


def test_what_is_missing_is_said_before_anything_is_sent_and_leads_to_its_field(
    site: Site, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    page = open_page(site.email("patient"), PHONE)
    page.goto("/my/photo/")
    posts = sent(page)
    page.click(SEND)
    expect(page.locator("#errors")).to_be_focused()
    expect(page).to_have_title(re.compile("^Error: "))
    expect(page.locator("#upload")).to_be_hidden()
    assert posts == []
    chooser = page.locator(CHOOSER)
    expect(chooser).to_have_attribute("aria-invalid", "true")
    expect(chooser).to_have_accessible_description("Take a photo or choose one.")
    assert_accessible(page)
    page.click("#errors a")
    expect(chooser).to_be_focused()

    chooser.set_input_files([named(photos[0], "spot.jpg")])
    expect(page).not_to_have_title(re.compile("^Error"))
    expect(chooser).not_to_have_attribute("aria-invalid", "true")
    expect(chooser).to_have_accessible_description("")


def test_what_the_server_refuses_leads_to_its_field(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(site.email("patient"), PHONE)
    page.goto("/my/photo/")
    empty: FilePayload = {"name": "empty.jpg", "mimeType": "image/jpeg", "buffer": b""}
    page.set_input_files(CHOOSER, [empty])
    page.fill("#id_notes", "It itches.")
    page.click(SEND)
    expect(page.locator("#errors a")).to_have_attribute("href", "#id_photos")
    expect(page.locator(CHOOSER)).to_have_accessible_description(re.compile("The file is empty"))
    expect(page.locator("#id_notes")).to_have_accessible_description(re.compile("You can leave this empty"))
    expect(page.locator("#id_notes")).not_to_have_attribute("aria-invalid", "true")


def test_photos_are_known_by_their_names_and_the_fields_hold_them(
    site: Site, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    page = open_page(site.email("patient"), PHONE)
    page.goto("/my/photo/")
    count = page.locator("#photo-count")
    page.set_input_files("input[type=file][capture]", [named(photos[0], LONG)])
    page.set_input_files(CHOOSER, [named(photos[number], f"{number}.jpg") for number in (1, 2, 3)])
    expect(count).to_have_text(f"3 of 3 photos chosen: {LONG}, 1.jpg, 2.jpg")
    expect(page.locator("#errors")).to_contain_text("Left out: 3.jpg")
    expect(page.get_by_role("img", name=f"Photo 1: {LONG}")).to_be_visible()
    held = "inputs => inputs.map(input => [...input.files].map(file => file.name))"
    assert page.eval_on_selector_all("input[type=file]", held) == [["2.jpg"], [LONG, "1.jpg", "2.jpg"]]
    assert_accessible(page)
    for name in (f"1: {LONG}", "1: 1.jpg", "1: 2.jpg"):
        page.get_by_role("button", name=f"Remove photo {name}").click()
    expect(count).to_have_text("No photo is chosen now")
    assert page.eval_on_selector_all("input[type=file]", held) == [[], []]


def test_the_focus_stays_where_it_is_while_a_photo_is_sent_and_no_second_press_sends_it_again(
    site: Site, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    page = open_page(site.email("patient"), PHONE)
    page.goto("/my/photo/")
    page.set_input_files(CHOOSER, [named(photos[0], "spot.jpg")])
    assert_sent_once(page, SEND, to="**/my/photo/", errors="#errors")


def test_who_comes_back_to_the_form_finds_it_empty(
    site: Site, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    """A browser that fills the fields after the script has run would name photos that are not sent."""
    page = open_page(site.email("patient"), PHONE)
    page.goto("/my/photo/")
    page.set_input_files(CHOOSER, [named(photos[0], "one.jpg"), named(photos[1], "two.jpg")])
    expect(page.locator("#photo-count")).to_contain_text("2 of 3")
    page.goto("/my/")
    page.go_back()
    expect(page.locator("#photo-count")).to_be_empty()
    assert page.eval_on_selector_all("input[type=file]", "fields => fields.map(field => field.files.length)") == [0, 0]


def test_a_spot_that_was_sent_is_not_said_of_the_next_one(
    site: Site, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    """Who goes back to the form after sending finds nothing of it; who had not sent it is told that it is theirs."""
    page = open_page(site.email("patient"), PHONE)
    page.goto("/my/photo/")
    page.fill("#id_notes", "It itches since May.")
    page.select_option("#id_anatom_site", "posterior torso")
    page.goto("/my/")
    page.go_back()
    expect(page.locator("#id_notes")).to_have_value("It itches since May.")
    expect(page.locator("#kept")).to_be_visible()

    page.set_input_files(CHOOSER, [named(photos[7], "back.jpg")])
    page.click(SEND)
    page.wait_for_url("**/my/cases/**")
    page.go_back()
    expect(page.locator("#id_notes")).to_have_value("")
    expect(page.locator("#id_anatom_site")).to_have_value("")


def test_a_photo_is_only_said_to_be_there_by_the_page_that_follows(
    site: Site, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    page = open_page(site.email("patient"), PHONE)
    page.goto("/my/photo/")
    page.set_input_files(CHOOSER, [named(photos[8], "spot.jpg")])
    page.evaluate(
        """sessionStorage.heard = "";
        new MutationObserver(([{ target }]) => (sessionStorage.heard += `${target.textContent}|`))
            .observe(document.getElementById("upload-words"), { childList: true })"""
    )
    page.click(SEND)
    page.wait_for_url("**/my/cases/**")
    heard = page.evaluate("sessionStorage.heard").strip("|").split("|")
    assert heard == ["Sending your photo. Keep this page open.", "Almost there. Keep this page open."]


def test_a_connection_that_stalls_is_told_and_the_photo_can_be_sent_again(
    site: Site, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    page = open_page(site.email("patient"), PHONE)
    page.clock.install()
    page.goto("/my/photo/")
    page.set_input_files(CHOOSER, [named(photos[9], "spot.jpg")])
    held = hold(page, "**/my/photo/")
    page.click(SEND)
    expect(page.locator("#upload-words")).to_contain_text("Keep this page open")
    page.click(SEND, force=True)
    page.clock.fast_forward(31_000)
    expect(page.locator("#upload-words")).to_contain_text("did not get on for 30 seconds")
    assert len(held) == 1
    assert_accessible(page)
    page.click(SEND)
    expect(page.locator("#upload-words")).to_contain_text("Keep this page open")
    held[1].continue_()
    page.wait_for_url("**/my/cases/**")


@pytest.mark.parametrize(
    "lost",
    [lambda route: route.abort("internetdisconnected"), lambda route: route.fulfill(status=503, body="away")],
    ids=["offline", "refused"],
)
def test_a_photo_that_has_arrived_is_said_to_be_there_while_the_page_that_follows_cannot_come(
    site: Site, photos: list[Photo], open_page: Callable[..., Page], lost: Callable[[Route], None]
) -> None:
    """The phone goes offline in between: its patient stays on the page, and goes on by themselves later."""
    page = open_page(site.email("patient"), PHONE)
    page.goto("/my/photo/")
    page.set_input_files(CHOOSER, [named(photos[12], "spot.jpg")])
    posts = sent(page)
    page.route("**/my/cases/**", lost)
    page.click(SEND)
    expect(page.get_by_role("status").get_by_text("Your photo has arrived.")).to_be_visible()
    assert page.url.endswith("/my/photo/")
    assert_accessible(page)
    page.click(SEND, force=True)
    assert len(posts) == 1
    page.unroute("**/my/cases/**")
    page.wait_for_url("**/my/cases/**")
    expect(page.locator("h1")).to_be_visible()


def test_who_leaves_while_a_photo_is_sent_is_asked_first(
    site: Site, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    page = open_page(site.email("patient"), PHONE)
    page.goto("/my/photo/")
    page.set_input_files(CHOOSER, [named(photos[10], "spot.jpg")])
    held = hold(page, "**/my/photo/")
    page.click(SEND)
    expect(page.locator("#upload")).to_be_visible()
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    page.click("a:has-text('My photos and results')")
    expect(page.locator("#upload")).to_be_visible()
    assert asked == ["beforeunload"]
    held[0].continue_()
    page.wait_for_url("**/my/cases/**")
    assert asked == ["beforeunload"]
