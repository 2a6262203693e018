"""The browser that the end-to-end tests drive."""

from playwright.sync_api import Browser


def test_the_browser_renders_a_page(browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 640})
    page.set_content("<h1>LesionLens</h1><input type=file multiple>")
    assert page.get_by_role("heading").inner_text() == "LesionLens"
    assert page.screenshot().startswith(b"\x89PNG")
    page.close()
