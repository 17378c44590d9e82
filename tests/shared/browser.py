"""A reader with a browser, as far as forms and cookies go."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from typing import Any

import requests

from shared.web.application import limiter
from tests.network import PASSWORD, LocalService

TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')


def forget_attempts() -> None:
    """Forget how often tests before this one have tried to log in."""
    if limiter._storage is not None:  # there is none before the first application
        limiter.reset()


class Browser:
    """Keeps cookies, and sends back the token of the last form that it saw."""

    def __init__(self, service: LocalService, language: str = "en") -> None:
        self.url = service.url
        self.session = requests.Session()
        self.session.headers["Accept-Language"] = language
        self.token = ""

    def get(self, path: str) -> requests.Response:
        return self._seen(self.session.get(self.url + path, allow_redirects=False, timeout=20))

    def post(
        self, path: str, form: dict[str, Any] | None = None, **kwargs: Any
    ) -> requests.Response:
        """Send a form with its token; ``csrf_token=None`` leaves the token out."""
        data = {"csrf_token": self.token, **(form or {}), **kwargs}
        sent = {name: value for name, value in data.items() if value is not None}
        return self._seen(
            self.session.post(self.url + path, data=sent, allow_redirects=False, timeout=20)
        )

    def _seen(self, answer: requests.Response) -> requests.Response:
        found = TOKEN.search(answer.text)
        if found and "html" in answer.headers.get("Content-Type", ""):
            self.token = html.unescape(found[1])
        return answer

    def log_in(self, email: str, password: str = PASSWORD, after: str = "") -> requests.Response:
        self.get("/login")
        return self.post(f"/login{after}", email=email, password=password)

    def cookie(self) -> tuple[str, str]:
        """Return the name and value of the session's cookie."""
        ((name, value),) = self.session.cookies.items()
        return name, value or ""

    def with_cookie(self, name: str, value: str) -> Browser:
        """Let this browser use a cookie that was seen elsewhere."""
        self.session.cookies.clear()
        self.session.cookies.set(name, value)
        return self


class Page(HTMLParser):
    """A page taken apart: its elements, its text, and what its controls hold."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.values: dict[str, str] = {}
        self._words: list[str] = []
        self._control: tuple[str, str] | None = None
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.elements.append((tag, values))
        name = values.get("name")
        if tag == "option" and self._control:
            if "selected" in values or self._control[1] not in self.values:
                self.values[self._control[1]] = values.get("value") or ""
        elif not name:
            return
        elif tag in ("textarea", "select"):
            self._control = (tag, name)
        elif tag == "input" and (
            values.get("type") not in ("checkbox", "radio") or "checked" in values
        ):
            self.values[name] = values.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        if self._control and tag == self._control[0]:
            self._control = None

    def handle_data(self, data: str) -> None:
        self._words.append(data)
        if self._control and self._control[0] == "textarea":
            # The line that opens a text area is not of its text.
            self.values[self._control[1]] = data.removeprefix("\r").removeprefix("\n")

    @property
    def text(self) -> str:
        return " ".join("".join(self._words).split())

    @property
    def language(self) -> str | None:
        return next(attrs.get("lang") for tag, attrs in self.elements if tag == "html")

    def with_id(self, id_: str) -> dict[str, str | None] | None:
        """Return the attributes of the element with this id."""
        return next((attrs for _, attrs in self.elements if attrs.get("id") == id_), None)
