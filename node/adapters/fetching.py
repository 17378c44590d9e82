"""Getting what a source has, through the one way to addresses from outside."""

from __future__ import annotations

import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from node.adapters.interface import Unchanged, Unreadable
from shared.net.http import Answer, PeerError, PeerSession, check_url

SECONDS = 8.0
SECONDS_IN_ALL = 20.0
MOST_CALLS = 10
LONGEST_URL = 500

_FAULTS = {
    "url-not-https": "The address must start with https://.",
    "url-malformed": "This is not an address of the web.",
    "address-not-public": "The address is inside a private network: it is not asked.",
    "encoding-refused": "The answer is compressed, although that was not asked for.",
    "answer-too-large": "The answer is larger than 4 MB.",
}
_AWAY = "The address does not answer."


def clean_url(text: str, *, allow_private: bool) -> str:
    """Return an address as it is asked for; webcal: is https:. Raises Unreadable."""
    text = text.strip()
    scheme, colon, rest = text.partition("://")
    if colon and scheme.lower() in ("webcal", "webcals"):
        text = f"https://{rest}"
    if len(text) > LONGEST_URL or not text.isascii() or not text.isprintable() or " " in text:
        raise Unreadable(_FAULTS["url-malformed"])
    head, mark, query = text.partition("#")[0].partition("?")
    try:
        check_url(head, allow_private=allow_private)
    except PeerError as error:
        raise Unreadable(_FAULTS[error.reason]) from None
    return f"{head}{mark}{query}"


class Fetcher:
    """A ``Fetch``. After the source's own address was asked, ``etag`` and ``modified`` are its."""

    def __init__(
        self,
        peers: PeerSession,
        url: str,
        *,
        etag: str = "",
        modified: str = "",
        allow_private: bool,
    ) -> None:
        self._peers, self._url, self._allow_private = peers, url, allow_private
        self.etag, self.modified = etag, modified
        self._calls = 0
        self._deadline = time.monotonic() + SECONDS_IN_ALL

    def __call__(self, url: str, *, always: bool = False) -> bytes:
        self._calls += 1
        left = self._deadline - time.monotonic()
        if self._calls > MOST_CALLS or left <= 0:
            raise Unreadable("Too many addresses, or too slow ones, are asked.")
        own = url == self._url
        wanted = self._conditions() if own and not always else {}
        asked = clean_url(url, allow_private=self._allow_private)
        try:
            answer = self._peers.request(
                "GET", asked, timeout=min(SECONDS, left), headers={"Accept": "*/*", **wanted}
            )
        except PeerError as error:
            raise Unreadable(_FAULTS.get(error.reason, _AWAY)) from None
        except UnicodeError:  # a name that cannot be one
            raise Unreadable(_AWAY) from None
        if answer.status == 304 and wanted:
            raise Unchanged
        if answer.status != 200:
            raise Unreadable(_refusal(answer))
        if own:
            self.etag = _header(answer.headers, "ETag", 300)
            self.modified = _header(answer.headers, "Last-Modified", 60)
        return answer.body

    def _conditions(self) -> Mapping[str, str]:
        found = {"If-None-Match": self.etag, "If-Modified-Since": self.modified}
        return {name: value for name, value in found.items() if value}


def _header(headers: Mapping[str, str], name: str, longest: int) -> str:
    """Return a header to be sent back later, or nothing if it is not fit for that."""
    value = headers.get(name, "")
    return value if len(value) <= longest and value.isascii() and value.isprintable() else ""


def _refusal(answer: Answer) -> str:
    where = answer.headers.get("Location", "")
    if 300 <= answer.status < 400 and where:
        if urlsplit(where).netloc and where.isprintable():
            return f"The address sends on to another; give that one: {where[:200]}"
        return "The address sends on to another page."
    if answer.status in (401, 403):
        return (
            "The address is not open to everybody: share the calendar by a public or secret link."
        )
    if answer.status in (404, 410):
        return "There is nothing at this address any more."
    return f"The address answers with an error (status {answer.status})."
