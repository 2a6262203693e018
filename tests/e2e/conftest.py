"""The whole service, started once for the journeys, and what a person at a browser does again and again."""

import json
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from deploy.local.clinic import Clinic, Photo
from deploy.local.samples import read_synthetic
from deploy.local.stack import Stack, running_stack
from tests.migrated import copy_migrated
from tests.ml.tiny_bundle import make_tiny_bundle

PHONE = {"width": 360, "height": 740}
DESKTOP = {"width": 1280, "height": 900}
SERIOUS = {"serious", "critical"}
QUICK = {"LEASE_SECONDS": "5", "INFERENCE_BATCH": "4", "RETRAIN_EPOCHS": "1", "LOG_LEVEL": "INFO"}


@dataclass(frozen=True)
class Site:
    """A running service with its demo accounts."""

    stack: Stack
    accounts: dict[str, Any]

    @property
    def url(self) -> str:
        return self.stack.base_url

    @property
    def mailbox(self) -> Path:
        return Path(self.stack.environment["MAILBOX_FOLDER"])

    def email(self, role: str, number: int = 0) -> str:
        """The address of the nth demo account of a role."""
        return str([account["email"] for account in self.accounts["accounts"] if account["role"] == role][number])

    def mail_to(self, address: str) -> list[str]:
        """Every message to this address, oldest first."""
        texts = (path.read_text() for path in sorted(self.mailbox.glob("*"), key=lambda path: path.stat().st_mtime))
        parts = [part for text in texts for part in re.split(r"\n-{79}\n", text) if part.strip()]
        return [part for part in parts if f"To: {address}" in part]


def environment_of(folder: Path) -> dict[str, str]:
    """The settings of a service for journeys, with a tiny bundle, that keeps its files in `folder`."""
    return {
        **QUICK,
        "DJANGO_SETTINGS_MODULE": "tests.e2e.quick_settings",
        "BUNDLE": str(make_tiny_bundle(folder / "tiny")),
        "DEMO_PASSWORD": "a-password-for-tests",
    }


@pytest.fixture(scope="session")
def state() -> Iterator[Path]:
    """A folder that the embedded database's own user may enter."""
    with tempfile.TemporaryDirectory(prefix="lesionlens-e2e-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="session")
def site(state: Path) -> Iterator[Site]:
    """LesionLens with a tiny bundle, running as a newcomer would run it."""
    copy_migrated(state / "postgres")
    with running_stack(state, isolated=True, environment=environment_of(state)) as stack:
        yield Site(stack, json.loads(stack.manage("demo_accounts")))
        stack.check()  # no process died on the way


@pytest.fixture(scope="session")
def photos(state: Path) -> list[Photo]:
    """Synthetic cases."""
    return read_synthetic(state / "synthetic", 14)


@pytest.fixture
def clinic(site: Site) -> Iterator[Clinic]:
    """The demo clinic's software."""
    clinic = Clinic(site.url, site.accounts["api_key"])
    yield clinic
    clinic.close()


@pytest.fixture(scope="module")
def signed_in(site: Site) -> dict[str, Any]:
    """The session cookies of people who have signed in, by their addresses."""
    return {}


@pytest.fixture
def open_page(browser: Browser, site: Site, signed_in: dict[str, Any]) -> Iterator[Callable[..., Page]]:
    """`open_page(email=None, viewport=DESKTOP)`: a new browser window, signed in if an address is given."""
    contexts: list[BrowserContext] = []

    def sign_in(page: Page, email: str) -> None:
        page.goto("/account/login/")
        page.fill("input[name=login]", email)
        page.fill("input[name=password]", site.accounts["password"])
        page.click("form:has(input[name=password]) button[type=submit]")
        page.wait_for_url(lambda url: "/account/login" not in url)
        [signed_in[email]] = session_of(page)

    def session_of(page: Page) -> list[Any]:
        return [cookie for cookie in page.context.cookies() if cookie["name"] == "sessionid"]

    def open_page(email: str | None = None, viewport: dict[str, int] = DESKTOP) -> Page:
        touch = viewport is PHONE  # no mouse and no keyboard
        context = browser.new_context(viewport=viewport, base_url=site.url, is_mobile=touch, has_touch=touch)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        if email in signed_in:
            context.add_cookies([signed_in[email]])
            page.goto("/")
        if email and not session_of(page):  # the first time, or after a test that signed out
            sign_in(page, email)
        return page

    yield open_page
    for context in contexts:
        context.close()


def hold(page: Page, address: str | re.Pattern[str]) -> list[Route]:
    """What this page asks of the address from now on, and gets no answer to yet."""
    held: list[Route] = []

    def keep(route: Route) -> None:
        held.append(route)

    page.route(address, keep)
    return held


def assert_sent_once(page: Page, press: str, *, to: str, errors: str) -> None:
    """The focus stays on the button of a form that is sent, a second press sends nothing, and its failure is told."""
    held = hold(page, to)
    button = page.locator(press)
    for _ in range(2):
        button.press("Enter")
        expect(button).to_have_attribute("aria-disabled", "true")
        expect(button).to_be_focused()
    assert len(held) == 1
    held[0].fulfill(status=503, body="away")
    expect(page.locator(errors)).to_be_focused()
    expect(button).to_be_enabled()


def assert_accessible(page: Page) -> None:
    """axe finds no serious fault, and nothing sticks out of the window sideways."""
    found = Axe().run(page).response["violations"]
    serious = [
        f"{fault['id']}: {fault['help']} at {[node['target'] for node in fault['nodes'][:3]]}"
        for fault in found
        if fault["impact"] in SERIOUS
    ]
    assert serious == [], f"{page.url}: {serious}"
    wide, window = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert wide <= window, f"{page.url} is {wide} px wide in a window of {window} px"
