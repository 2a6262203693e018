"""A provider adds a webhook on the page, tests it, and is told through the running service what happens to a batch."""

import time
from collections.abc import Callable

from playwright.sync_api import Page

from deploy.local.clinic import Clinic, Photo
from tests.e2e.conftest import PHONE, Site, assert_accessible
from tests.webapp.webhooks.receiver import receiving


def test_a_provider_adds_a_webhook_and_is_told_of_a_batch(
    site: Site, clinic: Clinic, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    page = open_page(site.email("provider"), PHONE)
    with receiving() as receiver:
        page.goto("/webhooks/new/")
        page.fill("input[name=url]", receiver.url)
        assert_accessible(page)
        page.click("main form button[type=submit]")
        secret = page.input_value("#secret")
        assert_accessible(page)
        page.click("text=I have copied it")
        page.click("text=Send a test")
        assert page.locator("#messages").inner_text().startswith("The test was taken: 200")
        batch = clinic.submit(photos[:2], name="Webhooks")
        until = time.monotonic() + 120
        while not any(b"batch.completed" in request.body for request in receiver.received):
            assert time.monotonic() < until, "nobody was told that the batch is complete"
            time.sleep(0.1)
        test, *events = [request.verified(secret) for request in receiver.received]
        assert test["type"] == "webhook.test"
        [data] = [event["data"] for event in events if event["type"] == "batch.completed"]
        assert (data["batch_id"], data["images"]["total"]) == (batch["id"], 2)
        page.reload()
        page.click("text=What it carries >> nth=0")
        assert "batch.completed" in page.locator("tbody").inner_text()
        assert_accessible(page)
        page.once("dialog", lambda dialog: dialog.accept())
        page.click("text=Remove")
        page.wait_for_url("**/webhooks/")
        assert_accessible(page)
