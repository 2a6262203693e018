"""A provider's pictures with a real S3 server: a browser sends them past the site, and is kept to what was signed."""

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL.ImageFilter import GaussianBlur
from playwright.sync_api import FilePayload, Page, Request, Route, expect

from deploy.local.clinic import Photo
from deploy.local.redis import LOOPBACK, free_port
from deploy.local.stack import running_stack
from ml.imaging.refusal import SENTENCES
from tests.ceph import S3Server
from tests.e2e.conftest import Site, assert_accessible, environment_of
from tests.e2e.provider import DONE_MS, upload
from tests.e2e.resuming import break_off, large_picture, send_again
from tests.migrated import copy_migrated
from tests.ml.imaging.samples import encode, skin_photo

TOLD = 20_000  # bytes: what pages send to the site beside files


@pytest.fixture(scope="module")
def site(state: Path, s3_server: S3Server) -> Iterator[Site]:
    """LesionLens with its files in a bucket that takes what its pages send."""
    folder, port, bucket = state / "s3", free_port(), f"test-{uuid.uuid4().hex}"
    folder.mkdir(mode=0o755)
    copy_migrated(folder / "postgres")
    [rule] = json.loads(Path("deploy/kubernetes/cors.json").read_text())["CORSRules"]
    client = s3_server.client()
    client.create_bucket(Bucket=bucket)
    rules: Any = {"CORSRules": [{**rule, "AllowedOrigins": [f"http://{LOOPBACK}:{port}"]}]}
    client.put_bucket_cors(Bucket=bucket, CORSConfiguration=rules)
    environment = environment_of(folder) | s3_server.environment(bucket)
    services = ("web", "worker-cpu")
    with running_stack(folder, port=port, isolated=True, environment=environment, services=services) as stack:
        yield Site(stack, json.loads(stack.manage("demo_accounts")))
        stack.check()


@pytest.fixture
def to_site(site: Site, open_page: Callable[..., Page]) -> Iterator[tuple[Page, list[Request]]]:
    """A provider's page, and what it asks of the site with a body."""
    page = open_page(site.email("provider"))
    asked: list[Request] = []
    page.on("requestfinished", lambda request: asked.append(request) if request.url.startswith(site.url) else None)
    yield page, asked
    assert {request.method for request in asked} <= {"GET", "POST", "DELETE"}


def test_pictures_go_past_the_site_and_on_where_the_connection_broke(
    s3_server: S3Server, photos: list[Photo], to_site: tuple[Page, list[Request]], tmp_path: Path
) -> None:
    page, asked = to_site
    files = break_off(page, tmp_path, photos, storage=f"{s3_server.endpoint}/**")
    put = send_again(page, files)
    assert len(put) == 2  # the rest of the large one
    assert all(address.startswith(s3_server.endpoint) for address in put)
    bodies = sum(request.sizes()["requestBodySize"] for request in asked if request.method == "POST")
    assert 0 < bodies < TOLD < min(file.stat().st_size for file in files)


def test_a_refused_picture_is_there_until_another_has_come(
    s3_server: S3Server, to_site: tuple[Page, list[Request]], tmp_path: Path
) -> None:
    page, _ = to_site
    blurred = encode(skin_photo().filter(GaussianBlur(5)), "JPEG")
    upload(page, [{"name": "blurred.jpg", "mimeType": "image/jpeg", "buffer": blurred}])
    refused = page.locator("#unusable li")
    picture, use = refused.locator("img"), refused.get_by_role("button", name="Use it all the same")
    expect(picture).to_be_visible(timeout=DONE_MS)
    another = tmp_path / "IMG_0042.tif"
    another.write_bytes(large_picture(1))
    storage, begun = f"{s3_server.endpoint}/**", list[Route]()

    def first_part(route: Route) -> None:
        begun.append(route)
        route.continue_() if len(begun) == 1 else route.abort("connectionreset")

    page.on("dialog", lambda dialog: dialog.accept())  # that files are still being sent
    page.route(storage, first_part)
    refused.locator("[type=file]").set_input_files(another)
    with page.expect_response(lambda response: response.request.method == "PUT"):
        refused.get_by_role("button", name="Send another file").click()
    page.reload()
    page.unroute(storage)
    expect(picture).not_to_have_js_property("naturalWidth", 0)
    expect(use).to_be_enabled()
    assert_accessible(page)

    put: list[str] = []
    page.on("request", lambda request: put.append(request.url) if request.method == "PUT" else None)
    refused.locator("[type=file]").set_input_files(another)
    refused.get_by_role("button", name="Send another file").click()
    expect(page.locator("#messages")).to_contain_text("is here in the place of blurred.jpg", timeout=DONE_MS)
    expect(page.locator("#progress")).to_contain_text("1 of 1 image ready", timeout=DONE_MS)
    assert len(put) == 2  # the rest of it


def test_what_is_wrong_with_a_file_is_told_of_it(photos: list[Photo], to_site: tuple[Page, list[Request]]) -> None:
    page, _ = to_site
    empty: FilePayload = {"name": "empty.jpg", "mimeType": "image/jpeg", "buffer": b""}
    text: FilePayload = {"name": "text.jpg", "mimeType": "image/jpeg", "buffer": b"no picture"}
    page.goto("/batches/new/")
    page.set_input_files("#files", [empty, text])
    page.click("main button:has-text('Upload')")
    expect(page.locator("#unusable")).to_contain_text(SENTENCES["empty"], timeout=DONE_MS)
    expect(page.locator("#unusable li", has_text="text.jpg")).to_have_count(1, timeout=DONE_MS)
