"""Errors as RFC 9457 problem documents; people get the same words on a page.

Every kind is in ``KINDS``: its status, its name, and what to do about it. Its ``type`` is
the address of the page that says so.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import structlog
from flask import Flask, Response, current_app, g, has_request_context, render_template, request
from flask_babel import lazy_gettext
from flask_wtf.csrf import CSRFError
from marshmallow import ValidationError
from sqlalchemy.exc import DataError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from shared.wire.error_messages import translate

log = structlog.get_logger()

_ROOT = Path(__file__).parents[2]
_OURS = ("charter", "shared", "federation", "node", "deploy")

API_PREFIXES = ("/api/", "/oauth/", "/.well-known/", "/status-lists/", "/feeds/")


@dataclass(frozen=True, slots=True)
class Kind:
    status: int
    title: Any
    remedy: Any


KINDS: dict[str, Kind] = {
    "validation": Kind(
        422,
        lazy_gettext("Some of what was sent is missing or wrong"),
        lazy_gettext("Each faulty field is named in “errors”. Correct them and send again."),
    ),
    "malformed": Kind(
        400,
        lazy_gettext("The request cannot be read"),
        lazy_gettext("Send a well-formed request with the right content type."),
    ),
    "unauthenticated": Kind(
        401,
        lazy_gettext("Who is asking is not known"),
        lazy_gettext("Log in, or send a valid token in the Authorization header."),
    ),
    "forbidden": Kind(
        403,
        lazy_gettext("This is not open to your role"),
        lazy_gettext("Ask the person who runs the space for this right."),
    ),
    "not-found": Kind(
        404,
        lazy_gettext("There is nothing here"),
        lazy_gettext("Check the address, or start again from the home page."),
    ),
    "method-not-allowed": Kind(
        405,
        lazy_gettext("This address does not take that method"),
        lazy_gettext("The Allow header names the methods that it takes."),
    ),
    "conflict": Kind(
        409,
        lazy_gettext("This is in conflict with what is recorded"),
        lazy_gettext("Read what is recorded, then try again."),
    ),
    "idempotency-conflict": Kind(
        409,
        lazy_gettext("This idempotency key was used with another body"),
        lazy_gettext("Use a new key for a new request, and the same key only to repeat one."),
    ),
    "visit-refused": Kind(
        403,
        lazy_gettext("The visit was refused"),
        lazy_gettext("“decision” gives every reason, with the charter’s article."),
    ),
    "booking-refused": Kind(
        409,
        lazy_gettext("The booking was not taken"),
        lazy_gettext("“reasons” says why; choose another time, or another space."),
    ),
    "card-refused": Kind(
        403,
        lazy_gettext("This card opens nothing"),
        lazy_gettext("“reason” says why: another PIN, or a card that its home ended or suspended."),
    ),
    "code-refused": Kind(
        403,
        lazy_gettext("These digits open nothing"),
        lazy_gettext("They are good once, for ninety seconds, at the space they were made for."),
    ),
    "visit-closed": Kind(
        409,
        lazy_gettext("This visit can no longer be changed"),
        lazy_gettext("After the charter’s delay, contest it in the month’s statement."),
    ),
    "invitation-invalid": Kind(
        403,
        lazy_gettext("This invitation is unknown, used or expired"),
        lazy_gettext("Ask the network’s coordinator for a new invitation."),
    ),
    "url-taken": Kind(
        409,
        lazy_gettext("This address already belongs to another node"),
        lazy_gettext("Use the address of your own node, or ask the coordinator."),
    ),
    "url-unconfirmed": Kind(
        409,
        lazy_gettext("This new address is not confirmed yet"),
        lazy_gettext(
            "Let the node answer at its present address too, or wait: a coordinator was asked."
        ),
    ),
    "name-taken": Kind(
        409,
        lazy_gettext("Another operator goes by this name"),
        lazy_gettext("The desks show names: use one that nobody takes for another’s."),
    ),
    "space-taken": Kind(
        409,
        lazy_gettext("This space already belongs to another node"),
        lazy_gettext("Choose another identifier, or ask the coordinator."),
    ),
    "documents-missing": Kind(
        409,
        lazy_gettext("The hub lacks documents that this publication leaves out"),
        lazy_gettext("Send all documents; “missing” names those that the hub lacks."),
    ),
    "peer-refused": Kind(
        422,
        lazy_gettext("The node could not be called back"),
        lazy_gettext("Check that the node runs, and that its public address is reachable."),
    ),
    "proof-invalid": Kind(
        403,
        lazy_gettext("The signature does not prove what it should"),
        lazy_gettext("Sign with the node’s own current key, and check its clock."),
    ),
    "node-suspended": Kind(
        403,
        lazy_gettext("This node is suspended"),
        lazy_gettext("Ask the network’s coordinator."),
    ),
    "node-left": Kind(
        403,
        lazy_gettext("This node has left the network"),
        lazy_gettext("Its statements can still be read, verified and contested."),
    ),
    "charter-unsigned": Kind(
        403,
        lazy_gettext("This operator has not signed the charter in force"),
        lazy_gettext("Sign the charter: the account is read by the operators that have signed it."),
    ),
    "node-unknown": Kind(
        409,
        lazy_gettext("The hub does not take this node for one of the network"),
        lazy_gettext(
            "Nobody was checked in. Ask the coordination, or put the keys back from a backup."
        ),
    ),
    "hub-unreachable": Kind(
        503,
        lazy_gettext("The hub cannot be reached"),
        lazy_gettext("Try again in a moment: nothing was lost."),
    ),
    "too-large": Kind(
        413,
        lazy_gettext("What was sent is too large"),
        lazy_gettext("Send less at once."),
    ),
    "too-many-requests": Kind(
        429,
        lazy_gettext("Too many requests"),
        lazy_gettext(
            "Wait a minute, then try again. Programs find how long in the Retry-After header."
        ),
    ),
    "unsupported-media-type": Kind(
        415,
        lazy_gettext("This content type is not taken"),
        lazy_gettext("Send application/json."),
    ),
    "form-expired": Kind(
        400,
        lazy_gettext("This form has expired"),
        lazy_gettext("Go back, reload the page and send it again."),
    ),
    "unavailable": Kind(
        503,
        lazy_gettext("The service cannot answer right now"),
        lazy_gettext("Try again in a moment: nothing was half done."),
    ),
    "internal": Kind(
        500,
        lazy_gettext("Something went wrong on our side"),
        lazy_gettext("Try again; if it lasts, send the request’s number to whoever runs this."),
    ),
}

_BY_STATUS = {
    400: "malformed",
    401: "unauthenticated",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    409: "conflict",
    413: "too-large",
    415: "unsupported-media-type",
    422: "validation",
    429: "too-many-requests",
    503: "unavailable",
}


class Problem(Exception):
    """A request that cannot be granted: a key of KINDS, and what joins the document."""

    def __init__(self, slug: str, detail: Any = None, **extra: Any) -> None:
        super().__init__(f"{slug} {detail or ''}".strip())
        self.slug = slug
        self.detail = detail
        self.extra = extra


def problem_response(
    slug: str,
    detail: Any = None,
    headers: Mapping[str, str] | None = None,
    status: int | None = None,
    **extra: Any,
) -> Response:
    """Return a problem as JSON to programs, and as a page to people."""
    kind = KINDS[slug]
    status = status or kind.status
    detail = translate(detail) if detail else None
    if "errors" in extra:
        extra["errors"] = translate(extra["errors"])
    request_id = getattr(g, "request_id", None)
    if wants_json():
        document = {
            "type": f"{current_app.config['PUBLIC_URL']}/problems/{slug}",
            "title": str(kind.title),
            "status": status,
            **({"detail": detail} if detail else {}),
            "instance": f"urn:request:{request_id}",
            **extra,
        }
        response = Response(orjson.dumps(document), status, mimetype="application/problem+json")
    else:
        page = render_template(
            "problem.html",
            slug=slug,
            title=kind.title,
            detail=detail or kind.remedy,
            request_id=request_id,
            status=status,
        )
        response = Response(page, status)
    response.headers.update(headers or {})
    response.headers["Cache-Control"] = "no-store"
    if status == 401:
        response.headers.setdefault("WWW-Authenticate", "Bearer")
    return response


def wants_json() -> bool:
    if not has_request_context():
        return True
    return request.path.startswith(API_PREFIXES)


def _on_problem(problem: Problem) -> Response:
    return problem_response(problem.slug, problem.detail, **problem.extra)


def _on_validation(error: ValidationError) -> Response:
    return problem_response("validation", errors=error.normalized_messages())


def _on_http(error: HTTPException) -> Response | HTTPException:
    if error.code is None or error.code < 400:
        return error  # a redirect
    slug = _BY_STATUS.get(error.code, "malformed" if error.code < 500 else "internal")
    headers = {
        name: value
        for name, value in error.get_headers()
        if name.lower() in ("allow", "retry-after", "www-authenticate")
    }
    data = getattr(error, "data", None)  # where the request parser leaves its findings
    if isinstance(data, dict) and "messages" in data:
        return problem_response("validation", errors=_by_field(data["messages"]))
    return problem_response(slug, None, headers, error.code if error.code < 500 else None)


def _by_field(messages: Any) -> Any:
    """Drop the level that says whether a field came by body, query or header."""
    if not isinstance(messages, dict):
        return {"body": messages}
    fields: dict[str, Any] = {}
    for found in messages.values():
        fields.update(found if isinstance(found, dict) else {"body": found})
    return fields


def _on_csrf(_error: CSRFError) -> Response:
    return problem_response("form-expired")


def _on_depth(_error: RecursionError) -> Response:
    """What was sent is nested deeper than anything that is meant."""
    return problem_response("malformed")


def _on_database(error: SQLAlchemyError) -> Response:
    _log(error)
    slug = "unavailable" if isinstance(error, (OperationalError, PoolTimeout)) else "internal"
    if isinstance(error, DataError):  # it was given what it cannot hold: NUL, or too great a number
        slug = "malformed"
    return problem_response(slug, headers={"Retry-After": "2"} if slug == "unavailable" else None)


def _on_unexpected(error: Exception) -> Response:
    _log(error)
    return problem_response("internal")


def _log(error: Exception) -> None:
    log.error("unexpected", error=type(error).__name__, where=frames_of(error))
    log.debug("unexpected.trace", exc_info=error)


def frames_of(error: BaseException) -> list[str]:
    """Return where in our own code it broke, the innermost last, and whose line raised it.

    Files, lines and functions hold no values, which may be personal.
    """
    found = []
    for frame in traceback.extract_tb(error.__traceback__):
        path = Path(frame.filename)
        ours = path.is_relative_to(_ROOT) and path.relative_to(_ROOT).parts[0] in _OURS
        shown = path.relative_to(_ROOT).as_posix() if ours else f"…/{path.parent.name}/{path.name}"
        found.append((ours, f"{shown}:{frame.lineno}:{frame.name}"))
    return [place for number, (ours, place) in enumerate(found, 1) if ours or number == len(found)]


def register(app: Flask) -> None:
    """Handle every error of an application."""
    app.register_error_handler(Problem, _on_problem)
    app.register_error_handler(ValidationError, _on_validation)
    app.register_error_handler(CSRFError, _on_csrf)
    app.register_error_handler(RequestEntityTooLarge, _on_http)
    app.register_error_handler(HTTPException, _on_http)
    app.register_error_handler(SQLAlchemyError, _on_database)
    app.register_error_handler(RecursionError, _on_depth)
    app.register_error_handler(Exception, _on_unexpected)
