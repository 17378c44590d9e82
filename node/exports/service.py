"""Everything the operator owns, as one zip or folder: files, their explanation, an index."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flask_babel import force_locale
from sqlalchemy.orm import Session

from node.context import Node
from node.exports.from_hub import Silent, remote_parts
from node.exports.parts import Part, document, local_parts
from node.hub import service as sync
from shared.store.db import release

FORMAT = "passerelle-export/1"
INDEX = "index.json"
README = Path(__file__).parent / "templates" / "exports" / "README.md"


def parts(session: Session, node: Node) -> Iterator[Part]:
    """Return every file of the export, the index with each one's SHA-256 last.

    What the hub keeps is asked for at the end; while it is silent the index says what is missing.
    The headings of tables are French, as the import reads them too.
    """
    files, missing = dict[str, dict[str, Any]](), list[str]()
    with force_locale("fr"):
        own = list(local_parts(session, node))
    enrolled = sync.enrolment(session)
    node_id = enrolled.node_id if enrolled else None
    release(session)
    yield from _counted(files, iter([Part("README.md", README.read_bytes()), *own]))
    try:
        yield from _counted(files, remote_parts(session, node))
    except Silent as silent:
        missing.append(f"visits/of-members.csv, statements/: the hub could not be asked ({silent})")
    index = {
        "format": FORMAT,
        "made_at": node.clock.now().isoformat(),
        "node": {"id": node_id, "name": node.settings.name, "url": node.url},
        "hub": node.hub.url,
        "files": files,
        "missing": missing,
    }
    yield Part(INDEX, document(index))


def _counted(files: dict[str, dict[str, Any]], found: Iterator[Part]) -> Iterator[Part]:
    for part in found:
        sha256 = hashlib.sha256(part.content).hexdigest()
        files[part.path] = {"bytes": len(part.content), "sha256": sha256}
        yield part


class _Chunks(io.RawIOBase):
    """Takes what a zip writes until it is fetched; cannot go back, so that nothing is kept."""

    def __init__(self) -> None:
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._held += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._held)
        self._held.clear()
        return taken


def zip_of(found: Iterator[Part], now: tuple[int, int, int, int, int, int]) -> Iterator[bytes]:
    """Return the bytes of a zip of these files while they are made, all dated ``now``."""
    chunks = _Chunks()
    with zipfile.ZipFile(chunks, "w", zipfile.ZIP_DEFLATED) as archive:
        for part in found:
            info = zipfile.ZipInfo(part.path, now)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, part.content)
            yield chunks.take()
    yield chunks.take()


def write(session: Session, node: Node, path: Path) -> int:
    """Write the export into a zip (``….zip``) or a folder, for its owner alone; count its files.

    Raises FileExistsError where something is there already.
    """
    count = 0

    def counted() -> Iterator[Part]:
        nonlocal count
        for part in parts(session, node):
            count += 1
            yield part

    if path.suffix.lower() == ".zip":
        with _new_file(path) as file:
            for chunk in zip_of(counted(), node.clock.now().timetuple()[:6]):
                file.write(chunk)
        return count
    path.mkdir(parents=True, mode=0o700)
    for part in counted():
        place = path / part.path
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _new_file(place) as file:
            file.write(part.content)
    return count


def _new_file(path: Path) -> io.BufferedWriter:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
