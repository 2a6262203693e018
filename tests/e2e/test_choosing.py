"""What a provider chooses for a new batch, by the file field or by dropping it, and what becomes of it."""

from collections.abc import Callable

from playwright.sync_api import FilePayload, Page, expect

from deploy.local.clinic import Photo
from tests.e2e.conftest import PHONE, Site, assert_accessible
from tests.e2e.provider import as_file

DROP = """named => {
    const dataTransfer = new DataTransfer();
    for (const [name, content] of named) dataTransfer.items.add(new File([content], name));
    document.getElementById("drop-zone").dispatchEvent(new DragEvent("drop", { dataTransfer }));
}"""
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


def drop(page: Page, *named: tuple[str, str]) -> None:
    page.evaluate(DROP, [*named])


def names(page: Page) -> list[str]:
    return page.eval_on_selector("#files", "input => [...input.files].map(file => file.name)")


def test_the_same_picture_is_kept_once_and_another_of_its_name_beside_it(
    site: Site, open_page: Callable[..., Page]
) -> None:
    page = open_page(site.email("provider"))
    page.goto("/batches/new/")
    drop(page, ("1.jpg", "one"), ("2.jpg", "two"), ("cases.csv", "images"))
    expect(page.locator("#chosen")).to_have_text("3 files chosen, 1 kB.")
    drop(page, ("1.jpg", "one"), ("2.jpg", "owt"), ("3.jpg", "new"), ("cases.csv", "images\n1.jpg"))
    expect(page.locator("#chosen")).to_have_text("5 files chosen, 1 kB. Chosen before, and kept once: 1.jpg.")
    assert names(page) == ["1.jpg", "2.jpg", "2.jpg", "3.jpg", "cases.csv"]


def test_files_that_are_chosen_later_join_the_others_and_each_can_be_removed(
    site: Site, photos: list[Photo], open_page: Callable[..., Page]
) -> None:
    page = open_page(site.email("provider"), PHONE)
    page.goto("/batches/new/")
    page.set_input_files("#files", [as_file(photo) for photo in photos[:2]])
    expect(page.locator("#chosen")).to_contain_text("2 files chosen")
    page.set_input_files("#files", [as_file(photo) for photo in photos[1:4]])
    expect(page.locator("#chosen")).to_contain_text(f"Chosen before, and kept once: {photos[1].filename}.")
    expect(page.locator("#chosen")).to_contain_text("4 files chosen")
    assert names(page) == [photo.filename for photo in photos[:4]]

    page.focus("#chosen-files summary")
    page.keyboard.press("Enter")
    assert_accessible(page)
    remove = page.get_by_role("button", name=f"Remove {photos[3].filename}")
    remove.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#chosen")).to_contain_text("3 files chosen")
    expect(page.get_by_role("button", name=f"Remove {photos[2].filename}")).to_be_focused()
    page.get_by_role("button", name=f"Remove {photos[0].filename}").click()
    expect(page.get_by_role("button", name=f"Remove {photos[1].filename}")).to_be_focused()
    page.click("main button:has-text('Upload')")
    expect(page.locator("#progress")).to_contain_text("2 of 2 images ready", timeout=60_000)

    page.goto("/batches/new/")
    page.set_input_files("#files", [as_file(photos[0])])
    page.click("#chosen-files summary")
    page.get_by_role("button", name="Remove all").click()
    expect(page.locator("#files")).to_be_focused()
    expect(page.locator("#chosen-files")).to_be_hidden()
    page.click("main button:has-text('Upload')")
    expect(page.locator("#upload-errors")).to_contain_text("Choose at least one picture.")


def test_a_corrected_table_of_another_name_takes_the_place_of_the_one_before(
    site: Site, open_page: Callable[..., Page]
) -> None:
    page = open_page(site.email("provider"))
    page.goto("/batches/new/")
    drop(page, *((f"{number}.jpg", str(number)) for number in range(201)), ("cases.csv", "images"))
    expect(page.locator("#chosen")).to_contain_text("202 files chosen")
    drop(page, ("cases corrected.csv", "images\n1.jpg"))
    told = "202 files chosen, 1 kB. Taken out, since the table that you chose later takes its place: cases.csv."
    expect(page.locator("#chosen")).to_have_text(told)
    assert [name for name in names(page) if name.endswith(".csv")] == ["cases corrected.csv"]
    drop(page, ("a.csv", "images"), ("b.json", "{}"))  # both at once: which one holds is for the person to say
    expect(page.locator("#chosen")).to_contain_text("203 files chosen")
    page.click("#chosen-files summary")
    page.get_by_role("button", name="Remove a.csv").click()
    expect(page.locator("#chosen")).to_contain_text("202 files chosen")
    assert "b.json" in names(page)
