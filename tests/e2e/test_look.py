"""What is on or off, where a field begins and what a narrow window holds is seen by everybody."""

import io
from collections.abc import Callable

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from deploy.local.clinic import Clinic, Photo
from tests.e2e.conftest import PHONE, Site, assert_accessible

EDGE = """field => {
  const pixels = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const light = (colour) => {
    pixels.fillStyle = colour;
    pixels.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...pixels.getImageData(0, 0, 1, 1).data].map(
      (part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
  };
  const [low, high] = [light(getComputedStyle(field).borderColor),
    light(getComputedStyle(field.closest(".card")).backgroundColor)].sort((a, b) => a - b);
  return high / low;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_box_that_is_on_differs_from_one_that_is_off_in_high_contrast(
    site: Site, open_page: Callable[..., Page], scheme: str
) -> None:
    page = open_page(site.email("provider"))
    page.emulate_media(forced_colors="active", color_scheme=scheme)  # type: ignore[arg-type]
    page.goto("/webhooks/new/")
    box = page.locator("[name=event_types]").first
    looks = []
    for on in (True, False):
        box.evaluate("(box, on) => box.checked = on", on)
        looks.append(box.screenshot(animations="disabled"))
    assert looks[0] != looks[1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_edges_of_fields_and_boxes_have_three_to_one(
    site: Site, open_page: Callable[..., Page], scheme: str
) -> None:
    page = open_page(site.email("provider"))
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto("/webhooks/new/")
    box = page.locator("[name=event_types]").first
    box.uncheck()
    page.locator("h1").click()
    for field in (box, page.locator("[name=description]")):
        assert field.evaluate(EDGE) >= 3


def test_the_menu_is_seen_in_high_contrast(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(site.email("provider"), PHONE)
    page.emulate_media(forced_colors="active")
    page.goto("/webhooks/new/")
    look = Image.open(io.BytesIO(page.get_by_role("button", name="Menu").screenshot(animations="disabled")))
    assert len(look.convert("L").getcolors() or []) > 1


@pytest.mark.parametrize("width", [992, 1024, 1200])
def test_a_providers_ways_stand_in_one_line(site: Site, open_page: Callable[..., Page], width: int) -> None:
    page = open_page(site.email("provider"), {"width": width, "height": 800})
    page.goto("/organisation/keys/")
    page.eval_on_selector("#to-review", "where => where.innerHTML = '<span class=\"badge bg-blue-lt ms-1\">99+</span>'")
    words = page.locator("header nav .nav-link-title")
    expect(words.last).to_be_visible()
    lines = words.evaluate_all(
        "words => words.flatMap(word => [...word.getClientRects()].map(box => Math.round(box.y)))"
    )
    assert len(lines) == words.count()
    assert len(set(lines)) == 1
    assert_accessible(page)


def test_lists_fit_when_they_are_enlarged_four_times(
    site: Site, clinic: Clinic, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    batch = clinic.submit([photos[11]], name="Enlarged")
    assert [*clinic.progress(batch["id"])][-1]["state"] == "completed"
    page = open_page(site.email("provider"), {"width": 320, "height": 740})
    page.goto(f"/batches/{batch['id']}/")
    expect(page.locator("td .badge")).to_have_count(2)
    assert_accessible(page)
    page.goto("/batches/")
    page.eval_on_selector("td .badge", "badge => badge.lastChild.textContent = 'Completed with failures'")
    assert_accessible(page)


def test_the_buttons_that_delete_for_good_can_be_read(
    site: Site, clinic: Clinic, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    batch = clinic.submit([photos[13]], name="To be erased")
    assert [*clinic.progress(batch["id"])][-1]["state"] == "completed"
    page = open_page(site.email("provider"))
    page.goto(f"/batches/{batch['id']}/")
    page.locator("a[id^=case-]").first.click()
    page.locator("summary:has-text('Delete')").click()
    assert_accessible(page)
    page.click("a:has-text('Erase this case')")
    page.wait_for_url("**/erase/**")
    assert_accessible(page)


def test_a_case_on_paper_says_that_it_is_no_diagnosis_and_holds_nothing_to_fill_in(
    site: Site, clinic: Clinic, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    batch = clinic.submit(photos[9:10], name="On paper")
    assert [*clinic.progress(batch["id"])][-1]["state"] == "completed"
    page = open_page(site.email("provider"))
    page.goto(f"/batches/{batch['id']}/")
    page.click("tbody a[href*='/cases/']")
    expect(page.locator("#note")).to_be_visible()
    page.emulate_media(media="print")
    expect(page.get_by_text("Supports a professional's decision; not a diagnosis.")).to_be_visible()
    expect(page.get_by_text("Not released to the patient.")).to_be_visible()
    expect(page.locator("#note")).to_be_hidden()
