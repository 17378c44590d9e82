"""Pages that open without their service: a worker in the browser keeps what they need."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from flask import Response, current_app, render_template, url_for

TRANSLATIONS = Path(__file__).parents[1] / "shared" / "translations"

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


def worker(path: str, shell: str, files: Sequence[tuple[str, str]]) -> Response:
    """Return the worker of the page at ``path``, which opens ``shell`` when nobody answers.

    It changes with any file that makes the shell or is kept, so browsers take new ones.
    """
    kept = (*COMMON, *files)
    script = render_template(
        "worker.js",
        path=path,
        version=_version(kept),
        shell=shell,
        kept=[url_for(endpoint, filename=name) for endpoint, name in kept],
    )
    headers = {"Cache-Control": "no-cache", "Service-Worker-Allowed": path}
    return Response(script, mimetype="text/javascript", headers=headers)


def _version(kept: Sequence[tuple[str, str]]) -> str:
    files = sorted(TRANSLATIONS.rglob("*.mo"))
    for endpoint, name in kept:
        owner = current_app.blueprints.get(endpoint.rpartition(".")[0], current_app)
        files.append(Path(str(owner.static_folder)) / name)
        files += sorted((Path(owner.root_path) / str(owner.template_folder)).rglob("*.html"))
    written = "".join(f"{file} {file.stat().st_mtime_ns}\n" for file in dict.fromkeys(files))
    return hashlib.sha256(written.encode()).hexdigest()[:16]
