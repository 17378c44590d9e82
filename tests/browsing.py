"""What the tests of pages in a browser share."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page

_HURRY = """for (const name of ["setTimeout", "setInterval"]) {
  const usual = window[name];
  window[name] = (work, ms, ...more) =>
    usual(work, ms >= 4000 && ms <= 10000 ? ms / 10 : ms, ...more);
}"""


def wrong_with(page: Page) -> list[Any]:
    """Return what axe finds on a page, and whether the page is wider than its screen."""
    found = Axe().run(page).response["violations"]
    wrong: list[Any] = [(each["id"], [n["target"] for n in each["nodes"]][:3]) for each in found]
    if not page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
        wrong.append("wider than the screen")
    return wrong


def hurry(context: BrowserContext) -> None:
    """Let a page ask again, and look again, ten times as often as it would.

    How long it waits for one answer, and how long it shows one, stays as it is.
    """
    context.add_init_script(_HURRY)
