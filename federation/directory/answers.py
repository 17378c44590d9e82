"""Answers kept for a moment: what many ask at once is found, and written, once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from flask import Response, request

from federation.context import hub
from federation.db import db
from federation.directory import watching
from shared.web.open_data import open_data

# By then hours have begun, and what nodes said has gone by: a check-in is seen within two seconds.
KEPT_SECONDS = 1
_KEPT = timedelta(seconds=KEPT_SECONDS)
MOST_KEPT, MOST_BYTES = 128, 1 << 19


class Made(NamedTuple):
    """An answer's bytes, and its tag: the same for what says the same."""

    body: bytes
    mimetype: str
    etag: str = ""


class _Answer(NamedTuple):
    made: Made
    revision: int
    at: datetime


_answers: WeakKeyDictionary[watching.Watch, dict[tuple[str, bytes], _Answer]] = WeakKeyDictionary()


def kept(view: Callable[..., Made]) -> Callable[..., Response]:
    """Answer open data from what was answered lately, as long as nothing has changed since."""

    @wraps(view)
    def answer(*args: Any, **kwargs: Any) -> Response:
        watch, now = watching.of(db.session()), hub().clock.now()
        watch.look(db.session())
        answers = _answers.setdefault(watch, {})
        key = request.path, request.query_string
        held = answers.get(key)
        if held is None or held.revision != watch.revision or not held.at <= now < held.at + _KEPT:
            revision = watch.revision  # what is found now may be newer, never older
            made = view(*args, **kwargs)
            etag = made.etag or hashlib.sha256(made.body).hexdigest()[:32]
            held = _Answer(made._replace(etag=etag), revision, now)
            if len(answers) >= MOST_KEPT:
                answers.clear()
            if len(made.body) <= MOST_BYTES:
                answers[key] = held
        body, mimetype, etag = held.made
        return open_data(body, mimetype, seconds=KEPT_SECONDS, etag=etag)

    return answer
