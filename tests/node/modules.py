"""A browser's page with our modules and nothing else: no service is asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.architecture.sources import ROOT

FOLDERS = {
    "/static/desk/": ROOT / "node/desk/static",
    "/static/pass/": ROOT / "node/passes/static",
    "/static/": ROOT / "shared/web/static",
}
# A name that browsers trust with their cryptography; nobody listens there, nobody is asked.
PLACE = "http://localhost:9"


def _answer(route: Any) -> None:
    path = route.request.url.removeprefix(PLACE)
    for prefix, folder in FOLDERS.items():
        if path.startswith(prefix):
            route.fulfill(path=folder / path.removeprefix(prefix))
            return
    route.fulfill(
        body="<!doctype html><html lang=en><title>Nothing</title>", content_type="text/html"
    )


@contextmanager
def modules(browser: Any, **options: Any) -> Iterator[Any]:
    """Give a page that can import what ``FOLDERS`` names."""
    context = browser.new_context(**options)
    context.route("**/*", _answer)
    page = context.new_page()
    page.goto(PLACE)
    yield page
    context.close()
