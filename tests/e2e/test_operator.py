"""An operator retrains from the annotators' labels, reads the gate, promotes, and rolls back."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from deploy.local.clinic import Clinic, Photo
from tests.e2e.conftest import PHONE, Site, assert_accessible

RETRAINING_MS = 120_000


def label_everything(page: Page) -> int:
    """Label by keyboard until nothing is left; the same image gets the same answer from everyone. Gives how many."""
    page.goto("/labels/")
    count = 0
    while (form := page.locator("#label-form")).count():
        image = str(form.get_attribute("action"))
        page.keyboard.press(str(int(image.rstrip("/")[-1], 16) % 7 + 1))
        page.keyboard.press("h")
        with page.expect_navigation():
            page.keyboard.press("Enter")
        count += 1
    return count


def answering_release(clinic: Clinic, photo: Photo) -> str:
    """The release that answers an image that is sent now."""
    batch = clinic.submit([photo], name="who answers?")
    assert [*clinic.progress(batch["id"])][-1]["state"] == "completed"
    [case] = clinic.cases(batch["id"])
    return str(case["result"]["release"]["name"])


def test_labels_become_a_release_that_serves_and_can_be_rolled_back(
    site: Site, clinic: Clinic, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    batch = clinic.submit(photos, name="to learn from")
    assert [*clinic.progress(batch["id"])][-1]["state"].startswith("completed")
    labelled = [label_everything(open_page(site.email("annotator", number))) for number in (0, 1)]
    assert min(labelled) >= len(photos) // 2
    first = answering_release(clinic, photos[0])

    page = open_page(site.email("operator"))
    page.goto("/models/")
    assert_accessible(page)
    page.goto("/models/runs/")
    assert_accessible(page)
    page.click("button:has-text('Start a run now')")
    page.wait_for_url("**/models/runs/*-*/")
    expect(page.locator("#gate")).to_be_visible(timeout=RETRAINING_MS)
    expect(page.locator("main")).to_contain_text("inconclusive", ignore_case=True)  # so few images decide nothing
    assert_accessible(page)

    page.click("a:has-text('Promote')")
    assert_accessible(page)
    page.fill("textarea[name=note]", "Trying the loop.")
    page.click("main form button[type=submit]")
    expect(page.locator("main")).to_contain_text("Answering now")
    candidate = page.locator("#active a").inner_text()
    assert candidate != first
    expect(page.locator("#loaded-by")).to_contain_text("heard of at", timeout=60_000)  # by itself
    assert answering_release(clinic, photos[0]) == candidate

    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    page.click("button:has-text('Roll back')")
    expect(page.locator("#active a")).to_have_text(first)
    assert answering_release(clinic, photos[0]) == first


def test_the_operators_pages_hold_up_on_a_phone(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(site.email("operator"), PHONE)
    for address in ("/models/", "/models/runs/", "/models/service/", "/models/trace/", "/operations/", "/audit/"):
        page.goto(address)
        assert_accessible(page)
