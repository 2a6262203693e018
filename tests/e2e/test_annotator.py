"""An annotator labels by keyboard alone, blind to the model's answer until theirs is given."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from deploy.local.clinic import Clinic
from deploy.local.samples import read_synthetic
from tests.e2e.conftest import DESKTOP, PHONE, Site, assert_accessible

INSIDE = """keys => keys.map(key =>
    key.getBoundingClientRect().right <= key.parentElement.getBoundingClientRect().right)"""


def test_two_annotators_label_by_keyboard(
    site: Site, clinic: Clinic, open_page: Callable[..., Page], tmp_path: Path
) -> None:
    photos = read_synthetic(tmp_path, 2, seed=1)  # which nobody has labelled
    batch = clinic.submit(photos, name="to label")
    assert [*clinic.progress(batch["id"])][-1]["state"] == "completed"

    for number in (0, 1):
        page = open_page(site.email("annotator", number))
        page.goto("/labels/")
        assert_accessible(page)
        expect(page.locator("#label-form")).to_be_visible()
        done = page.locator("p[role=status] strong").first
        before = int(done.inner_text())
        assert "P(malignant)" not in page.content(), "the annotator sees the model's answer"
        page.set_viewport_size(PHONE)  # type: ignore[arg-type]  # as where somebody with a keyboard has zoomed in
        assert page.locator(".confidences kbd").evaluate_all(INSIDE) == [True, True, True]
        page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
        page.keyboard.press("2")
        page.keyboard.press("h")
        page.keyboard.press("n")
        page.keyboard.type("regular border")
        page.keyboard.press("Enter")
        expect(done).to_have_text(str(before + 1))
        assert_accessible(page)
        page.goto("/labels/mine/")
        expect(page.locator("main")).to_contain_text("aevus")
        assert_accessible(page)


def test_the_queue_holds_up_on_a_phone(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(site.email("annotator", 2), PHONE)
    page.goto("/labels/")
    assert_accessible(page)
