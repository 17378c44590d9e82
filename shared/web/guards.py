"""Who may call a route. A route without a guard answers nobody.

``@allow("desk", "admin")`` names the roles; ``@allow("public")`` is said, never implied.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

from flask import Flask, Response, g, redirect, request, session
from flask_wtf.csrf import CSRFProtect

from shared.wire.problems import Problem, wants_json

PUBLIC = "public"
_GUARD = "passerelle_guard"
_MOST_BYTES = "passerelle_most_bytes"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking: an account (``id`` its key), a node (its id) or the hub.

    ``by`` is ``login`` for a browser, whose state changes need a CSRF token, or ``token``.
    """

    kind: str
    id: Any
    roles: frozenset[str]
    by: str
    name: str = ""
    email: str = ""


FindPrincipal = Callable[[str | None], Principal | None]
"""Given a bearer token, or None to look at the browser's log-in, returns who is asking."""


def allow(*roles: str) -> Callable[[View], View]:
    """Guard a view: any one of these roles opens it."""

    def mark(view: View) -> View:
        setattr(view, _GUARD, frozenset(roles))
        return view

    return mark


def max_body(most_bytes: int) -> Callable[[View], View]:
    """Let a view take more than others do, from those alone to whom its guard opens it."""

    def mark(view: View) -> View:
        setattr(view, _MOST_BYTES, most_bytes)
        return view

    return mark


def guard_of(app: Flask, endpoint: str) -> frozenset[str] | None:
    """Return the roles that open an endpoint, or None if it was given no guard."""
    if endpoint == "static" or endpoint.endswith(".static"):
        return frozenset((PUBLIC,))
    return getattr(app.view_functions[endpoint], _GUARD, None)


def current() -> Principal:
    """Return who is asking, on a route that is not public. Raises Problem."""
    principal: Principal | None = g.get("principal")
    if principal is None:
        raise Problem("unauthenticated")
    return principal


def install(app: Flask, find_principal: FindPrincipal, csrf: CSRFProtect) -> None:
    """Check every request before its view."""

    @app.before_request
    def _guard() -> Response | None:
        if request.endpoint is None:
            return None  # the 404 or 405 that follows
        roles = guard_of(app, request.endpoint)
        if roles is None:
            raise Problem("forbidden")
        if any("\x00" in str(value) for value in (request.view_args or {}).values()):
            raise Problem("not-found")
        if request.is_json and request.method not in SAFE_METHODS and not wants_json():
            raise Problem("unsupported-media-type")  # pages take forms
        bearer = given_bearer()
        most_bytes = getattr(app.view_functions[request.endpoint], _MOST_BYTES, None)
        if most_bytes is not None:  # before anything of the body is read
            principal = find_principal(bearer)
            if principal is not None and roles & principal.roles:
                request.max_content_length = most_bytes
        if bearer is None and request.method not in SAFE_METHODS and _by_browser():
            csrf.protect()
        if roles == {PUBLIC} and (bearer is not None or wants_json()):
            return None
        g.principal = find_principal(bearer)
        return None if PUBLIC in roles else _check(g.principal, roles)


def _check(principal: Principal | None, roles: frozenset[str]) -> Response | None:
    if principal is None:
        if wants_json() or request.method not in SAFE_METHODS:
            raise Problem("unauthenticated")
        return _to_login()
    if not roles & principal.roles:
        raise Problem("forbidden")
    return None


def given_bearer() -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _by_browser() -> bool:
    """A cookie proves nothing about who made the request: such state changes need the token."""
    return not wants_json() or bool(session)


def _to_login() -> Response:
    return redirect("/login?" + urlencode({"next": request.full_path.rstrip("?")}))  # type: ignore[return-value]
