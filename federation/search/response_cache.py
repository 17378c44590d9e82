"""Answers kept for a moment: what many ask at once is found, and written, once."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, NamedTuple

from flask import Flask, Response, current_app, request

from federation.context import hub
from federation.db import db
from federation.search import index_refresh
from shared.base.clock import Clock
from shared.ops import metrics
from shared.web.compression import gzipped, is_worth_it, takes_gzip
from shared.web.open_data import open_data

# By then hours have begun, and what nodes said has gone by: a check-in is seen within two seconds.
KEPT_SECONDS = 1
_KEPT = timedelta(seconds=KEPT_SECONDS)
MOST_KEPT, MOST_BYTES = 128, 1 << 19
# Of one request alone, or of the body.
_NOT_KEPT = {
    *("x-request-id", "server-timing"),
    *("content-type", "content-length", "content-encoding"),
    "ratelimit",  # what is kept costs next to nothing, and counts for nothing
}
Headers = list[tuple[str, str]]


class Made(NamedTuple):
    """An answer's bytes, and its tag: the same for what says the same."""

    body: bytes
    mimetype: str
    etag: str = ""


@dataclass(slots=True)
class Answer:
    """What was answered, at what state of the index. ``headers`` once the first was sent."""

    made: Made
    revision: int
    at: datetime
    endpoint: str
    headers: Headers | None = None


class Answers:
    """An application's last answers. Before it is asked at all, it is looked for among these.

    That leaves out what makes most of a request's time: finding out who asks and in what language,
    of which open data knows nothing. What every request leaves behind, its line in the log and in
    the measures, these do too.
    """

    def __init__(self, app: Flask, clock: Clock) -> None:
        self._next = app.wsgi_app
        self._clock = clock
        self._held: dict[tuple[str, str], Answer] = {}
        self._watch: index_refresh.Watch | None = None

    def find(self, environ: Any, watch: index_refresh.Watch) -> Answer | None:
        held, now = self._held.get(_key(environ)), self._clock.now()
        if held is None or held.revision != watch.revision or not held.at <= now < held.at + _KEPT:
            return None
        return held

    def keep(self, environ: Any, watch: index_refresh.Watch, answer: Answer) -> None:
        self._watch = watch
        if len(self._held) >= MOST_KEPT:
            self._held.clear()
        if len(answer.made.body) <= MOST_BYTES:
            self._held[_key(environ)] = answer

    def forget(self) -> None:
        """Know nothing any more, as a process that starts."""
        self._held.clear()

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        key, watch = _key(environ), self._watch
        if watch is None or environ["REQUEST_METHOD"] != "GET" or key not in self._held:
            return self._next(environ, start_response)
        started = time.perf_counter()
        held = self.find(environ, watch) if watch.fresh else None
        if held is not None and held.headers is not None:
            return _send(held, environ, start_response, started)

        def note(status: str, headers: Headers, *more: Any) -> Any:
            self._learn(key, headers)
            return start_response(status, headers, *more)

        return self._next(environ, note)

    def _learn(self, key: tuple[str, str], headers: Headers) -> None:
        """Learn from an answer that goes out what stands above it."""
        held, told = self._held.get(key), {name.lower(): value for name, value in headers}
        if (
            held is not None
            and told.get("etag") == f'W/"{held.made.etag}"'
            and "set-cookie" not in told
        ):
            held.headers = [each for each in headers if each[0].lower() not in _NOT_KEPT]


def _send(held: Answer, environ: Any, start_response: Any, started: float) -> Iterable[bytes]:
    unchanged = held.made.etag in environ.get("HTTP_IF_NONE_MATCH", "")
    told = metrics.note(
        "hub",
        held.endpoint,
        "GET",
        304 if unchanged else 200,
        time.perf_counter() - started,
        metrics.request_id(environ.get("HTTP_X_REQUEST_ID", "")),
    )
    headers = [*(held.headers or ()), *told.items()]
    if unchanged:
        start_response("304 NOT MODIFIED", headers)
        return []
    body, mimetype, _ = held.made
    charset = "; charset=utf-8" if mimetype.startswith("text/") else ""
    if is_worth_it(mimetype, len(body)) and takes_gzip(environ.get("HTTP_ACCEPT_ENCODING", "")):
        body = gzipped(body)
        headers.append(("Content-Encoding", "gzip"))
    headers += [("Content-Type", mimetype + charset), ("Content-Length", str(len(body)))]
    start_response("200 OK", headers)
    return [body]


def _key(environ: Any) -> tuple[str, str]:
    return environ["PATH_INFO"], environ.get("QUERY_STRING", "")


def install(app: Flask, clock: Clock) -> None:
    """Keep the answers of the views that are marked ``kept``."""
    answers = app.extensions["answers"] = Answers(app, clock)
    app.wsgi_app = answers  # type: ignore[method-assign]


def kept(view: Callable[..., Made]) -> Callable[..., Response]:
    """Answer open data from what was answered lately, as long as nothing has changed since."""

    @wraps(view)
    def answer(*args: Any, **kwargs: Any) -> Response:
        answers: Answers = current_app.extensions["answers"]
        watch = index_refresh.of(db.session())
        watch.look(db.session())
        held = answers.find(request.environ, watch)
        if held is None:
            now, revision = hub().clock.now(), watch.revision  # what is found may be newer still
            made = view(*args, **kwargs)
            etag = made.etag or hashlib.sha256(made.body).hexdigest()[:32]
            held = Answer(made._replace(etag=etag), revision, now, request.endpoint or "")
            answers.keep(request.environ, watch, held)
        body, mimetype, etag = held.made
        return open_data(body, mimetype, seconds=KEPT_SECONDS, etag=etag)

    return answer
