"""What a provider chooses for a new batch, by the file field or by dropping it, and what becomes of it."""

from collections.abc import Callable

from playwright.sync_api import FilePayload, Page, expect

from deploy.local.clinic import Photo
from tests.e2e.conftest import PHONE, Site, assert_accessible
from tests.e2e.provider import as_file

BESIDE = ["Thumbs.db", ".DS_Store", "letter.pdf", "desktop.ini"]


def file_named(name: str) -> FilePayload:
    return {"name": name, "mimeType": "", "buffer": bytes(200_000)}


def test_what_is_no_picture_by_its_name_is_left_out_and_said_before_and_after_sending(
    site: Site, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    page = open_page(site.email("provider"), PHONE)
    page.goto("/batches/new/")
    damaged: FilePayload = {"name": "damaged.jpg", "mimeType": "image/jpeg", "buffer": photos[0].data[:500]}
    page.set_input_files("#files", [as_file(photos[0]), damaged, *map(file_named, BESIDE)])
    expect(page.locator("#chosen")).to_contain_text(
        f"Left out, since by their names they are no pictures: {', '.join(BESIDE)}."
    )
    assert_accessible(page)
    page.evaluate("most => document.getElementById('upload').dataset.most = most", len(photos[0].data))
    page.click("main button:has-text('Upload')")
    expect(page.locator("#left-out")).to_contain_text("4 files left out")
    page.click("#left-out summary")
    for name in BESIDE:
        expect(page.locator("#left-out")).to_contain_text(name)
    expect(page.locator("#unusable")).to_contain_text("damaged.jpg", timeout=60_000)
    expect(page.locator("#progress")).to_contain_text("1 of 2 images ready")
    assert_accessible(page)
