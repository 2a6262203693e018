"""Pictures whose connection breaks in the middle: what has arrived, and what is sent once they are chosen again."""

from pathlib import Path

from PIL.Image import Resampling
from playwright.sync_api import Page, Request, Response, Route, expect

from deploy.local.clinic import Photo
from tests.e2e.conftest import assert_accessible
from tests.e2e.provider import DONE_MS
from tests.ml.imaging.samples import encode, skin_photo


def large_picture(seed: int) -> bytes:
    """A sharp picture of three parts, the same number of bytes whatever it shows."""
    return encode(skin_photo(600, 440, seed=seed).resize((3000, 2200), Resampling.NEAREST), "TIFF")


def break_off(page: Page, folder: Path, photos: list[Photo], *, storage: str) -> list[Path]:
    """Send two small pictures and a large one, and lose the connection to `storage` once the small ones and the first
    part of the large one have arrived. Gives the files; the page is then that of their batch, loaded anew.
    """
    files = [folder / "a.jpg", folder / "b.jpg", folder / "large.tif"]
    for file, data in zip(files, [photos[8].data, photos[9].data, large_picture(1)], strict=True):
        file.write_bytes(data)
    arrived: list[Response] = []
    page.on("response", lambda response: arrived.append(response) if response.request.method == "PUT" else None)
    page.on("dialog", lambda dialog: dialog.accept())  # that files are still being sent
    begun: list[Request] = []

    def first_three(route: Route) -> None:
        begun.append(route.request)
        route.continue_() if len(begun) <= len(files) else route.abort("connectionreset")

    page.route(storage, first_three)
    page.goto("/batches/new/")
    page.set_input_files("#files", files)
    page.click("main button:has-text('Upload')")
    expect(page.locator("#upload-progress")).to_contain_text("2 of 3 pictures have arrived.", timeout=DONE_MS)
    while len(arrived) < len(files):
        page.wait_for_timeout(50)
    page.reload()
    page.unroute(storage)
    expect(page.locator("main")).to_contain_text("Send 3 pictures, or submit the batch without them")
    assert_accessible(page)
    return files


def send_again(page: Page, files: list[Path]) -> list[str]:
    """Choose the files once more, and wait until the batch has all of them; gives where it put something."""
    put: list[str] = []
    page.on("request", lambda request: put.append(request.url) if request.method == "PUT" else None)
    page.set_input_files("#awaited input[type=file]", files)
    page.click("#awaited button")
    expect(page.locator("#awaited")).to_have_count(0, timeout=DONE_MS)
    expect(page.locator("#progress")).to_contain_text("3 of 3 images ready", timeout=DONE_MS)
    return put
