"""Pages that open without their service: a worker in the browser keeps what they need."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from flask import Response, current_app, render_template, url_for

# What every page of ours is made of: an endpoint of files, and a name.
COMMON = (
    ("static", "passerelle.css"),
    ("static", "icons/favicon.svg"),
    ("static", "icons/icon-192.png"),
    ("static", "icons/yes.svg"),
    ("static", "icons/no.svg"),
    ("static", "icons/warn.svg"),
    ("static", "icons/unknown.svg"),
)


def worker(path: str, shell: str, page: str, files: Sequence[tuple[str, str]]) -> Response:
    """Return the worker of the page at ``path``, which opens ``shell`` when nobody answers.

    It changes with the shell's text and with any file that it keeps, so browsers take new ones.
    """
    kept = (*COMMON, *files)
    script = render_template(
        "worker.js",
        path=path,
        version=_version(page, kept),
        shell=shell,
        kept=[url_for(endpoint, filename=name) for endpoint, name in kept],
    )
    headers = {"Cache-Control": "no-cache", "Service-Worker-Allowed": path}
    return Response(script, mimetype="text/javascript", headers=headers)


def _version(page: str, files: Sequence[tuple[str, str]]) -> str:
    digest = hashlib.sha256(page.encode())
    for endpoint, name in files:
        owner = current_app.blueprints.get(endpoint.rpartition(".")[0], current_app)
        file = Path(str(owner.static_folder)) / name
        digest.update(f"{name} {file.stat().st_mtime_ns}".encode())
    return digest.hexdigest()[:16]
