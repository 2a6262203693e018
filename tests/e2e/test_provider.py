"""A provider sends pictures as files and as a ZIP, watches the batch, reads a case and releases it."""

import io
import os
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import FilePayload, Page, expect

from deploy.local.clinic import Clinic, Photo
from tests.e2e.conftest import DESKTOP, PHONE, Site, assert_accessible
from tests.e2e.provider import DONE_MS, as_file, submit, upload
from tests.ml.imaging.samples import dicom, encode


def test_a_batch_from_upload_to_release(site: Site, photos: list[Photo], open_page: Callable[..., Page]) -> None:
    page = open_page(site.email("provider"))
    page.goto("/batches/")
    assert_accessible(page)
    page.goto("/batches/new/")
    assert_accessible(page)
    broken: FilePayload = {"name": "broken.jpg", "mimeType": "image/jpeg", "buffer": photos[0].data[:500]}
    upload(page, [*map(as_file, photos[:3]), broken])
    assert_accessible(page)
    submit(page)
    main = page.locator("main")
    expect(main).to_contain_text("with failures")
    expect(main).to_contain_text("broken.jpg")
    expect(main).to_contain_text("damaged or incomplete")
    page.reload()
    assert_accessible(page)
    with page.expect_download() as download:
        page.click("a:has-text('CSV')")
    table = download.value.path().read_text()
    assert table.count("\n") >= 4
    assert "malignant" in table

    page.locator("a[id^=case-]").first.click()
    page.wait_for_url("**/cases/**")
    page.keyboard.press("h")
    expect(page.locator(".heatmap-toggle").first).to_be_checked()
    assert_accessible(page)
    page.fill("#note", "Please call us.")
    page.click("button:has-text('Release to the patient')")
    expect(page.locator("main")).to_contain_text("Released")
    first = page.url
    page.keyboard.press("j")
    page.wait_for_url(lambda url: url != first)
    for viewport in (PHONE, DESKTOP):
        page.set_viewport_size(viewport)  # type: ignore[arg-type]
        assert_accessible(page)
        assert page.locator("header > div").evaluate("bar => bar.scrollWidth <= bar.clientWidth"), "the header is full"


def test_a_zip_with_a_table_becomes_cases(site: Site, photos: list[Photo], open_page: Callable[..., Page]) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for photo in photos[3:6]:
            archive.writestr(f"pictures/{photo.filename}", photo.data)
        archive.writestr("../climbing.jpg", photos[6].data)
        rows = "".join(f"pair,{photo.filename}\n" for photo in photos[3:5]) + f"single,{photos[5].filename}\n"
        archive.writestr("cases.csv", f"case_id,images\n{rows}")
    page = open_page(site.email("provider"), PHONE)
    upload(page, [{"name": "cases.zip", "mimeType": "application/zip", "buffer": packed.getvalue()}])
    expect(page.locator("main")).to_contain_text("climbing.jpg", timeout=DONE_MS)
    expect(page.locator("#actions")).to_contain_text("Submit without what was left out")
    assert_accessible(page)
    submit(page)
    expect(page.locator("a[id^=case-]")).to_have_count(2)
    assert_accessible(page)
    heights = page.evaluate("[...document.querySelectorAll('.case-table tbody tr')].map(row => row.offsetHeight)")
    assert max(heights) < 150, "fifty cases are too long a list for a phone"
    expect(page.locator("#advice")).to_be_hidden()
    page.tap("button:has-text('More')")
    page.select_option("#review", label="To review")
    page.tap("button:text-is('Filter')")
    page.wait_for_url("**review=to_review**")
    page.tap("a[id^=case-] >> nth=0")
    page.wait_for_url("**/cases/**")
    expect(page.locator("a[rel=next]")).to_be_visible()
    expect(page.locator("kbd:visible")).to_have_count(0)


def test_a_phones_heic_and_an_archives_dicom_are_answered(
    site: Site, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    heic, scan = (Image.open(io.BytesIO(photo.data)).convert("RGB") for photo in photos[8:10])
    page = open_page(site.email("provider"))
    files: list[FilePayload] = [
        {"name": "IMG_0001.HEIC", "mimeType": "image/heic", "buffer": encode(heic, "HEIF")},
        {"name": "IM000001", "mimeType": "", "buffer": dicom(scan)},  # as they lie on a disc: without an ending
    ]
    upload(page, files)
    submit(page)
    cases = page.locator("a[id^=case-]")
    assert sorted(cases.all_inner_texts()) == ["IM000001", "IMG_0001"]
    cases.first.click()
    page.wait_for_url("**/cases/**")
    expect(page.locator(".probability")).to_be_visible()
    picture = page.locator(".case-picture img").first
    expect(picture).to_have_js_property("complete", True)
    assert picture.evaluate("picture => picture.naturalWidth") == heic.width


def test_what_is_being_used_stays_while_the_page_is_renewed(
    site: Site, clinic: Clinic, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    batch = clinic.post("batches", {"cases": [photos[7].manifest()]})
    page = open_page(site.email("provider"))
    page.goto(f"/batches/{batch['id']}/")
    page.set_input_files("#awaited input[type=file]", [as_file(photos[7])])
    page.hover("main button:has-text('Submit')")
    page.mouse.down()
    with page.expect_response(lambda response: response.url.endswith(f"/{batch['id']}/")):
        page.evaluate("htmx.trigger(document.body, 'batch-changed')")  # as a finished check does
    expect(page.locator("#changing.htmx-request, #changing.htmx-swapping, #changing.htmx-settling")).to_have_count(0)
    assert page.evaluate("document.querySelector('#awaited input[type=file]').files.length") == 1
    page.once("dialog", lambda dialog: dialog.accept())  # whether to go on without the file
    page.mouse.up()
    expect(page.locator("main")).to_contain_text("Completed", timeout=DONE_MS)


def test_a_table_with_mistakes_stores_nothing(site: Site, photos: list[Photo], open_page: Callable[..., Page]) -> None:
    page = open_page(site.email("provider"))
    page.goto("/batches/new/")
    rows = f"case_id,images,age\nA,{photos[0].filename},old\n".encode()
    table: FilePayload = {"name": "cases.csv", "mimeType": "text/csv", "buffer": rows}
    page.set_input_files("#files", [as_file(photos[0]), table])
    page.click("main button:has-text('Upload')")
    expect(page.locator("#upload-errors")).to_contain_text("Nothing was stored")
    expect(page.locator("#upload-errors")).to_contain_text("age")
    assert_accessible(page)


def test_a_table_that_was_corrected_is_asked_for_again_and_takes_the_place_of_the_other(
    site: Site, photos: list[Photo], open_page: Callable[..., Page], tmp_path: Path
) -> None:
    """No browser sends a file that was saved anew since it was chosen."""
    picture, table = tmp_path / photos[12].filename, tmp_path / "cases.csv"
    picture.write_bytes(photos[12].data)
    table.write_text(f"case_id,images,age\nA,{picture.name},old\n")
    page = open_page(site.email("provider"))
    page.goto("/batches/new/")
    page.set_input_files("#files", [picture, table])
    page.click("main button:has-text('Upload')")
    errors = page.locator("#upload-errors")
    expect(errors).to_contain_text("age")
    table.write_text(f"case_id,images,age\nA,{picture.name},61\n")
    os.utime(table, (0, time.time() + 5))  # browsers compare whole seconds
    page.click("main button:has-text('Upload')")
    expect(errors).to_contain_text("cases.csv: changed or moved since you chose it. Choose it again.")
    expect(errors).to_contain_text("Nothing was stored yet.")
    assert_accessible(page)
    page.set_input_files("#files", [table])
    expect(page.locator("#chosen")).to_contain_text("2 files chosen")
    page.click("main button:has-text('Upload')")
    expect(page.locator("#progress")).to_contain_text("1 of 1 image ready")


def test_keys_and_settings_hold_up(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(site.email("provider"), PHONE)
    for address in ("/organisation/", "/organisation/keys/", "/audit/", "/results/messages/", "/account/2fa/"):
        page.goto(address)
        assert_accessible(page)
    page.goto("/organisation/")
    page.fill("#id_retention_days", "3")
    with page.expect_event("dialog") as asked:
        page.once("dialog", lambda dialog: dialog.dismiss())
        page.click("main button[type=submit]")
    assert "for good" in asked.value.message
    page.reload()
    expect(page.locator("#id_retention_days")).to_have_value("")
    page.click("main button[type=submit]")  # the period is as it was, so nobody is asked
    expect(page.locator("#messages")).to_contain_text("saved")
    page.set_viewport_size({"width": 1024, "height": 740})  # where the menu, all of it, has the least room
    assert_accessible(page)
