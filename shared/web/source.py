"""The source of what is running, offered to whoever uses it over the network (AGPL, section 13).

By default the service itself gives it, as it runs here: a copy that was changed offers what was
changed. Who publishes the source elsewhere says where in ``*_SOURCE_URL``.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from flask import Flask, Response, request
from werkzeug.wrappers import Response as Answer

from shared.base.config import Settings
from shared.base.version import VERSION
from shared.web.guards import allow

PATH: Final = "/source.tar.gz"
_ROOT = Path(__file__).parents[2]
_PACKAGES = ("charter", "shared", "federation", "node", "deploy")
_TOP = "deploy/top"  # where a wheel has what belongs beside the packages: see setup.py
# Of the top folder these alone: an operator may keep settings, keys or a database beside them.
_NAMES = {"LICENSE", "Makefile", "README.md", "CONTRIBUTING.md", "SECURITY.md", "pyproject.toml"}
_MADE = (".pyc", ".mo", ".env", ".zip", ".lock", ".log", ".eml", ".pem", ".key")
_SECRET = ("-keys.json", ".sqlite", ".sqlite-wal", ".sqlite-shm")


def url_of(settings: Settings) -> str:
    """Return where the source of this service is: what the operator said, or our own address."""
    return settings.source_url or PATH


def install(app: Flask) -> None:
    @app.get(PATH)
    @allow("public")
    def source() -> Answer:
        response = Response(archive(), mimetype="application/gzip")
        name = f"passerelle-{VERSION}.tar.gz"
        response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        response.add_etag()
        return response.make_conditional(request)


@cache
def archive() -> bytes:
    """Return the source that this process runs; made once, as it does not change meanwhile."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz", compresslevel=1) as archive:
        for name, path in sorted(_files()):
            about = tarfile.TarInfo(f"passerelle-{VERSION}/{name}")
            content = path.read_bytes()
            about.size, about.mode = len(content), 0o644
            about.mtime = int(path.stat().st_mtime)
            archive.addfile(about, io.BytesIO(content))
    return made.getvalue()


def _files() -> Iterator[tuple[str, Path]]:
    """Give the name in the archive, and the file, of all that the packages hold, and the top."""
    top = _ROOT / _TOP
    beside = top if top.is_dir() else _ROOT
    for path in beside.iterdir():
        if path.is_file() and path.name in {*_NAMES, "setup.py"}:
            yield path.name, path
    for package in _PACKAGES:
        for path in (_ROOT / package).rglob("*"):
            name = path.relative_to(_ROOT)
            made = any(part.startswith((".", "__pycache__")) for part in name.parts)
            made = made or path.suffix in _MADE or top in path.parents
            made = made or path.name.endswith(_SECRET)
            if path.is_file() and not made:
                yield name.as_posix(), path
