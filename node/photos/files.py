"""Where pictures lie: two files each, in the data folder."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Container
from pathlib import Path

from node.photos.pictures import LARGE, SMALL, Picture

WIDTHS = (LARGE, SMALL)
_NAME = re.compile(rf"([0-9a-f]{{32}})-(?:{LARGE}|{SMALL})\.webp", re.ASCII)
_ORPHANED_SECONDS = 3600.0


def folder(data_dir: Path) -> Path:
    return data_dir / "photos"


def name(photo_id: str, width: int) -> str:
    return f"{photo_id}-{width}.webp"


def is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def write(data_dir: Path, photo_id: str, picture: Picture) -> None:
    """Write both files, whole or not at all. Raises OSError."""
    where = folder(data_dir)
    where.mkdir(exist_ok=True)
    try:
        for width, content in ((LARGE, picture.large), (SMALL, picture.small)):
            part = where / f".{name(photo_id, width)}"
            with part.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(where / name(photo_id, width))
    except OSError:
        remove(data_dir, photo_id)
        raise


def remove(data_dir: Path, photo_id: str) -> None:
    for width in WIDTHS:
        for each in (name(photo_id, width), f".{name(photo_id, width)}"):
            (folder(data_dir) / each).unlink(missing_ok=True)


def sweep(data_dir: Path, known: Container[str]) -> None:
    """Remove the files of no photo, if they are older than an upload takes."""
    if not folder(data_dir).is_dir():
        return
    for file in folder(data_dir).iterdir():
        found = _NAME.fullmatch(file.name.removeprefix("."))
        old = file.stat().st_mtime < time.time() - _ORPHANED_SECONDS
        if found and old and (found[1] not in known or file.name.startswith(".")):
            file.unlink(missing_ok=True)
