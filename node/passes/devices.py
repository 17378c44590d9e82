"""The devices that hold passes: what members tell them apart by, and which one is asking.

Browsers throw away what a page keeps, the pass's key among it, when the page was not opened for a
week; what the server has set is not thrown away. So a cookie says which pass was made here.
"""

from __future__ import annotations

from flask import Response, after_this_request, current_app, request

COOKIE = "pass_here"
_DAYS = 400  # browsers keep none for longer
# Each family is looked for after those that also carry its name.
_BROWSERS = (
    ("Firefox", ("Firefox/", "FxiOS/")),
    ("Edge", ("Edg/", "EdgA/", "EdgiOS/")),
    ("Samsung Internet", ("SamsungBrowser/",)),
    ("Opera", ("OPR/",)),
    ("Chrome", ("Chrome/", "CriOS/", "Chromium/")),
    ("Safari", ("Safari/",)),
)
_SYSTEMS = ("iPhone", "iPad", "Android", "Windows", "Macintosh", "CrOS", "Linux")
_SHOWN = {"Macintosh": "Mac", "CrOS": "Chromebook"}


def named(user_agent: str) -> str:
    """Return a browser and a system, like "Safari, iPhone": no version, nothing rarer than that."""
    families = (name for name, marks in _BROWSERS if any(mark in user_agent for mark in marks))
    systems = (_SHOWN.get(mark, mark) for mark in _SYSTEMS if mark in user_agent)
    return ", ".join(filter(None, (next(families, ""), next(systems, ""))))


def remember(pass_id: str) -> None:
    """Let the browser that asks say later which pass was made in it."""

    @after_this_request
    def _set(response: Response) -> Response:
        response.set_cookie(
            COOKIE,
            pass_id,
            max_age=_DAYS * 86_400,
            secure=current_app.config["SESSION_COOKIE_SECURE"],
            httponly=True,
            samesite="Lax",
        )
        return response


def made_here() -> str:
    """Return which pass was last made in the browser that asks, or ""."""
    return request.cookies.get(COOKIE, "")[:64]
