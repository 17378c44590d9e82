"""Whose request it is: the host name says, and nothing else does."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import TYPE_CHECKING

import orjson
from werkzeug.wsgi import ClosingIterator

from node.host.nodes import Nodes
from shared.ops import measures

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

# To whom it says nothing of who is here.
NOBODY = "Rien n’est servi à cette adresse.\nNothing is served at this address.\n"
NOT_NOW = "Ce nœud n’est pas disponible pour l’instant.\nThis node is not available now.\n"


def forwarded(environ: WSGIEnvironment, header: str, proxies: int) -> str | None:
    """Return what the first of the trusted proxies said; None if it said nothing."""
    said = [part.strip() for part in str(environ.get(header, "")).split(",")]
    return said[-proxies] if proxies and len(said) >= proxies and said[-proxies] else None


def host_name(environ: WSGIEnvironment, proxies: int) -> str:
    """Return the host that a request is for, in lower case, as its sender wrote it."""
    given = forwarded(environ, "HTTP_X_FORWARDED_HOST", proxies) or environ.get("HTTP_HOST", "")
    return str(given).lower()


class Dispatcher:
    """The service's WSGI application."""

    def __init__(self, nodes: Nodes, proxies: int, status_name: str = "") -> None:
        self._nodes = nodes
        self._proxies = proxies
        self._status_name = status_name.lower()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        name = host_name(environ, self._proxies)
        if name and name == self._status_name:
            return self._status(environ, start_response)
        place = self._nodes.find(name)
        # The measures are of the whole process, so they are told to no operator.
        if place is None or environ.get("PATH_INFO") == "/metrics":
            return _say(start_response, "404 Not Found", NOBODY)
        ready = self._nodes.enter(place)
        if ready is None:
            return _say(start_response, "503 Service Unavailable", NOT_NOW)
        try:
            answer = ready.app(environ, start_response)
        except BaseException:
            self._nodes.leave(ready)
            raise
        return ClosingIterator(answer, lambda: self._nodes.leave(ready))

    def _status(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO")
        if path == "/healthz":
            return _say_json(start_response, "200 OK", {"status": "ok"})
        if path not in ("/readyz", "/metrics") or not self._is_near(environ):
            return _say(start_response, "404 Not Found", NOBODY)
        if path == "/readyz":
            aside = [f"{one}: {'; '.join(said)}" for one, said in self._nodes.faults.items()]
            told = {"status": "not ready" if aside else "ok", "faults": aside}
            return _say_json(start_response, "503 Service Unavailable" if aside else "200 OK", told)
        body, content_type = self._measures()
        return _answer(start_response, "200 OK", body, content_type)

    def _measures(self) -> tuple[bytes, str]:
        """Return what all processes counted, and how each operator's node is."""
        found = [self._nodes.enter(place) for place in self._nodes.places()]
        ready = [each for each in found if each is not None]
        try:
            return measures.exposition(*(each.app for each in ready))
        finally:
            for each in ready:
                self._nodes.leave(each)

    def _is_near(self, environ: WSGIEnvironment) -> bool:
        """Tell whether this comes from a private address, and not by way of an unknown proxy."""
        if not self._proxies and "HTTP_X_FORWARDED_FOR" in environ:
            return False
        sender = forwarded(environ, "HTTP_X_FORWARDED_FOR", self._proxies)
        try:
            return not ipaddress.ip_address(sender or environ.get("REMOTE_ADDR", "")).is_global
        except ValueError:
            return False


def _say(start_response: StartResponse, status: str, words: str) -> Iterable[bytes]:
    return _answer(start_response, status, words.encode(), "text/plain; charset=utf-8")


def _say_json(start_response: StartResponse, status: str, told: object) -> Iterable[bytes]:
    return _answer(start_response, status, orjson.dumps(told) + b"\n", "application/json")


def _answer(
    start_response: StartResponse, status: str, body: bytes, content_type: str
) -> Iterable[bytes]:
    headers = [
        ("Content-Type", content_type),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
    ]
    start_response(status, headers)
    return [body]
