"""What a provider does at a browser again and again."""

from playwright.sync_api import FilePayload, Page, expect

from deploy.local.clinic import Photo

DONE_MS = 60_000


def as_file(photo: Photo) -> FilePayload:
    return {"name": photo.filename, "mimeType": "image/jpeg", "buffer": photo.data}


def upload(page: Page, files: list[FilePayload]) -> None:
    """Send files as a new batch, and wait for the batch's page."""
    page.goto("/batches/new/")
    page.set_input_files("#files", files)
    page.click("main button:has-text('Upload')")
    expect(page.locator("#progress")).to_be_visible()


def submit(page: Page) -> None:
    """Submit the batch on the screen, and wait until it has ended."""
    page.click("main button:has-text('Submit')")
    expect(page.locator("main")).to_contain_text("Completed", timeout=DONE_MS)
