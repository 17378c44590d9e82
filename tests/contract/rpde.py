"""What the public RPDE validator (@openactive/rpde-validator 3.0) fails a feed for, in Python.

Its rules, one by one, so that they hold where Node.js is not installed; the real one is run by
hand (``deploy/README.md``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

Get = Callable[[str], requests.Response]
BEYOND = 2**53 - 1  # JavaScript's largest safe integer: nothing was ever changed after it


def after_number(url: str) -> str | None:
    return parse_qs(urlsplit(url).query).get("afterChangeNumber", [None])[0]


def walk(get: Get, url: str) -> tuple[list[dict[str, Any]], str, list[str]]:
    """Follow a feed to its end as the validator does: items, the last page's URL, the faults."""
    items: list[dict[str, Any]] = []
    faults: list[str] = []
    place = 0
    for _ in range(1000):
        answer = get(url)
        page = answer.json()
        last = page["next"] == url and not page["items"]
        found = [*_http_faults(answer, last), *_page_faults(url, page), *_order(page, last, place)]
        faults += [f"{url}: {fault}" for fault in found]
        items += page["items"]
        if page["next"] == url:
            break
        url, place = page["next"], int(after_number(page["next"]) or 0)
    faults += _last_page_faults(get, url)
    ids = [item["id"] for item in items]
    faults += [f"twice: {each}" for each in {each for each in ids if ids.count(each) > 1}]
    if not any(item["state"] == "deleted" for item in items):
        faults.append("nothing is deleted")
    return items, url, faults


def _http_faults(answer: requests.Response, last: bool) -> Iterator[str]:
    if answer.status_code != 200:
        yield f"status {answer.status_code}"
    if not answer.headers["Content-Type"].startswith("application/vnd.openactive.rpde+json"):
        yield "content type"
    kept = re.fullmatch(r"public, max-age=(\d+)", answer.headers["Cache-Control"])
    if kept is None or (int(kept[1]) > 8 if last else int(kept[1]) < 3600):
        yield f"cache {answer.headers['Cache-Control']}"


def _page_faults(url: str, page: dict[str, Any]) -> Iterator[str]:
    if not isinstance(page.get("license"), str):
        yield "license"
    if page["next"].partition("?")[0] != url.partition("?")[0]:
        yield "next leads to another feed"
    if page["items"] and page["next"] == url:
        yield "next leads to the same page"
    for item in page["items"]:
        yield from _item_faults(item)


def _order(page: dict[str, Any], last: bool, place: int) -> Iterator[str]:
    number = after_number(page["next"])
    if number is None or not re.fullmatch("[1-9][0-9]*", number):
        yield "afterChangeNumber is not a number from 1"
    elif not last:
        if int(number) <= place:
            yield "afterChangeNumber does not increase"
        if not page["items"] or page["items"][-1]["modified"] != int(number):
            yield "next is not made of the last item"
    changes = [item["modified"] for item in page["items"]]
    if changes != sorted(set(changes)) or not all(isinstance(each, int) for each in changes):
        yield "modified does not increase"


def _item_faults(item: dict[str, Any]) -> Iterator[str]:
    if not all(isinstance(item.get(name), str) and item[name] for name in ("kind", "id")):
        yield f"kind or id: {item}"
    if item.get("state") not in ("updated", "deleted"):
        yield f"state: {item}"
    if item["state"] == "updated" and not isinstance(item.get("data"), dict):
        yield f"no data: {item}"
    if item["state"] == "deleted" and "data" in item:
        yield f"deleted, with data: {item}"


def _last_page_faults(get: Get, url: str) -> Iterator[str]:
    """The page after anything that could be: empty, and its own next."""
    beyond = f"{url.partition('?')[0]}?afterChangeNumber={BEYOND}"
    page = get(beyond).json()
    if page["items"]:
        yield "items on the last page"
    if json.dumps(get(page["next"]).json()) != json.dumps(page):
        yield "the last page is not its own next"
