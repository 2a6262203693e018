"""Imports that break: a connection lost in the middle, a page reloaded, a worker killed while it unpacks."""

import csv
import json
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from playwright.sync_api import FilePayload, Page, Route, expect

from deploy.local.clinic import Photo
from tests.e2e.clinics import new_clinic
from tests.e2e.conftest import PHONE, Site, assert_accessible
from tests.e2e.provider import DONE_MS, as_file, upload
from tests.e2e.resuming import break_off, large_picture, send_again
from tests.ml.imaging.samples import zipped

MB = 1024**2


def test_a_large_zip_goes_on_where_the_connection_broke(
    site: Site, photos: list[Photo], open_page: Callable[..., Page], tmp_path: Path
) -> None:
    file = tmp_path / "all.zip"
    file.write_bytes(zipped({photos[0].filename: photos[0].data, **{f"{n}.jpg": bytes(9 * MB) for n in range(3)}}))
    page = open_page(site.email("provider"))
    page.on("dialog", lambda dialog: dialog.accept())  # that files are still being sent
    sent: list[str] = []

    def first_two(route: Route) -> None:
        sent.append(route.request.url)
        if len(sent) <= 2:
            route.continue_()
        else:
            route.abort("connectionreset")

    page.route("**/uploads/*", first_two)
    page.goto("/batches/new/")
    page.set_input_files("#files", file)
    page.click("main button:has-text('Upload')")
    expect(page.locator("#upload-progress")).to_contain_text("2 of 4 parts of the ZIP sent", timeout=DONE_MS)
    page.reload()
    page.unroute("**/uploads/*")

    expect(page.locator("main")).to_contain_text("Files that have not arrived")
    assert_accessible(page)
    resumed: list[str] = []
    page.on("request", lambda request: resumed.append(request.url) if "/uploads/" in request.url else None)
    page.set_input_files("#awaited input[type=file]", file)
    page.click("#awaited button")
    expect(page.locator("main")).to_contain_text(photos[0].filename.removesuffix(".jpg"), timeout=DONE_MS)
    assert len(resumed) == 2


def test_pictures_go_on_where_the_connection_broke(
    site: Site, photos: list[Photo], open_page: Callable[..., Page], tmp_path: Path
) -> None:
    page = open_page(site.email("provider"))
    files = break_off(page, tmp_path, photos, storage="**/uploads/*")
    assert len(send_again(page, files)) == 2  # the rest of the large one


def test_another_picture_of_the_same_name_and_size_is_not_mixed_with_what_arrived_before(
    site: Site, photos: list[Photo], open_page: Callable[..., Page], tmp_path: Path
) -> None:
    page = open_page(site.email("provider"))
    files = break_off(page, tmp_path, photos, storage="**/uploads/*")
    small, _, large = files
    small.write_bytes(photos[10].data)
    large.write_bytes(large_picture(2))
    assert len(send_again(page, files)) == 4  # all but the other small one


def test_pictures_that_did_not_arrive_are_taken_again(
    site: Site, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    page = open_page(site.email("provider"), PHONE)
    page.route("**/files/", lambda route: route.fulfill(status=422, json={"errors": ["no"]}))
    page.goto("/batches/new/")
    page.set_input_files("#files", [as_file(photo) for photo in photos[:6]])
    page.click("main button:has-text('Upload')")
    expect(page.locator("#upload-errors")).to_contain_text("not every file has arrived")
    page.click("#upload-errors a")
    expect(page.locator("main")).to_contain_text("Send 6 pictures, or submit the batch without them")
    page.unroute("**/files/")
    page.set_input_files("#awaited input[type=file]", [as_file(photo) for photo in photos[:6]])
    page.click("#awaited button")
    expect(page.locator("main")).to_contain_text("6 of 6 images ready", timeout=DONE_MS)
    expect(page.locator("#awaited")).to_have_count(0)
    assert_accessible(page)


def test_a_json_manifest_describes_the_pictures_beside_it(
    site: Site, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    manifest = json.dumps({"name": "From JSON", "cases": [{**photos[13].manifest(), "case_id": "J-1"}]})
    page = open_page(site.email("provider"))
    listed: FilePayload = {"name": "cases.json", "mimeType": "application/json", "buffer": manifest.encode()}
    upload(page, [as_file(photos[13]), listed])
    expect(page.get_by_role("heading", name="From JSON")).to_be_visible()
    expect(page.locator("main")).to_contain_text("J-1")
    expect(page.locator("#progress")).to_contain_text("1 of 1 image ready", timeout=DONE_MS)


def test_every_mistake_of_a_table_can_be_downloaded(
    site: Site, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    table = "images,age\n" + "".join(f"{n}.jpg,old\n" for n in range(300))
    page = open_page(site.email("provider"))
    page.goto("/batches/new/")
    listed: FilePayload = {"name": "cases.csv", "mimeType": "text/csv", "buffer": table.encode()}
    page.set_input_files("#files", [as_file(photos[0]), listed])
    page.click("main button:has-text('Upload')")
    with page.expect_download() as download:
        page.click("a:has-text('Download every mistake')")
    assert download.value.suggested_filename == "mistakes.csv"
    rows = list(csv.DictReader(download.value.path().read_text().splitlines()))
    assert [row["row"] for row in rows] == [str(n) for n in range(2, 302)]


def test_an_archive_whose_worker_is_killed_is_unpacked_once(site: Site, photos: list[Photo]) -> None:
    """Twice as many files as a chunk of the unpacking, and more, so that it dies with some of them stored."""
    count = 400
    files = {f"{n}.jpg": photos[n % len(photos)].data + bytes([n % 256, n // 256]) for n in range(count)}
    data = zipped(files)
    # Of a clinic of its own: its pictures would keep the annotators of the other journeys busy.
    key = {"Authorization": f"Bearer {new_clinic(site.stack, 'backlog')}"}
    with httpx.Client(base_url=f"{site.url}/api/v1/", headers=key, timeout=60) as http:
        batch = http.post("batches", json={"archive": True}).raise_for_status().json()
        address = f"batches/{batch['id']}"
        httpx.put(batch["archive_upload"]["url"], content=data, timeout=60).raise_for_status()
        http.post(f"{address}/archive/complete").raise_for_status()

        def arrived() -> int:
            progress = http.get(address).json()["progress"]
            return int(progress["total"] - progress["images"]["awaiting_upload"])

        deadline = time.monotonic() + 60
        while arrived() < 50 and time.monotonic() < deadline:
            time.sleep(0.01)
        site.stack.kill("worker-cpu")
        assert 0 < arrived() < count
        site.stack.start("worker-cpu")
        while http.get(address).json()["archive"]["state"] == "stored" and time.monotonic() < deadline:
            time.sleep(0.2)
        answer = http.get(address).json()
        assert (answer["archive"]["state"], answer["archive"]["report"]) == ("expanded", [])
        assert answer["progress"]["total"] == count
        assert answer["progress"]["images"]["awaiting_upload"] == 0
        http.post(f"{address}/cancel").raise_for_status()
