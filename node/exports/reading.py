"""Reading an export again: whole, unchanged, and nothing else than an export."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import orjson

from node.exports.service import FORMAT, INDEX

LONGEST = 1 << 28  # bytes of one file, unpacked


class ImportFault(Exception):
    """Why nothing is imported: ``faults`` are lines for the operator."""

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


@dataclass(frozen=True)
class Export:
    """An export's files, each checked against the index when it is read."""

    index: Mapping[str, Any]
    _read: Callable[[str], bytes]

    @property
    def made_at(self) -> str:
        return str(self.index.get("made_at", "?"))

    def names(self, folder: str) -> list[str]:
        """Return the names of files below a folder. Raises ImportFault for one that leads out."""
        found = [name for name in self.index["files"] if name.startswith(f"{folder}/")]
        for name in found:
            if ".." in PurePosixPath(name).parts or "\\" in name:
                raise ImportFault(f"{name}: this is no name of a file of an export")
        return sorted(found)

    def read(self, name: str) -> bytes:
        """Return a file's content. Raises ImportFault where it is not what the index says."""
        said = self.index["files"].get(name)
        if said is None:
            raise ImportFault(f"{name} is missing")
        content = self._read(name)
        if hashlib.sha256(content).hexdigest() != said.get("sha256"):
            raise ImportFault(f"{name} was changed since the export, or is damaged")
        return content

    def rows(self, name: str, key: str) -> list[dict[str, Any]]:
        """Return the list of objects of a JSON file. Raises ImportFault."""
        try:
            found = orjson.loads(self.read(name))[key]
        except (ValueError, KeyError, TypeError):
            raise ImportFault(f"{name} cannot be read") from None
        if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
            raise ImportFault(f"{name} cannot be read")
        return found


def read_export(path: Path) -> Export:
    """Open an export, a zip or a folder. Raises ImportFault."""
    fetch = _in_folder(path) if path.is_dir() else _in_zip(path)
    try:
        index = orjson.loads(fetch(INDEX))
        whole = index["format"] == FORMAT and isinstance(index["files"], dict)
    except (ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise ImportFault("this is no export of a node that this version reads")
    return Export(index, fetch)


def _in_folder(folder: Path) -> Callable[[str], bytes]:
    def read(name: str) -> bytes:
        try:
            path = folder / name
            if not path.resolve().is_relative_to(folder.resolve()):
                raise ImportFault(f"{name}: this is no name of a file of an export")
            return path.read_bytes()
        except OSError:
            raise ImportFault(f"{name} is missing") from None

    return read


def _in_zip(path: Path) -> Callable[[str], bytes]:
    def read(name: str) -> bytes:
        try:
            with zipfile.ZipFile(path) as archive:
                size = archive.getinfo(name).file_size
                content = archive.read(name) if size <= LONGEST else None
        except KeyError:
            raise ImportFault(f"{name} is missing") from None
        except (OSError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
            raise ImportFault(f"{path} cannot be read: {error}") from None
        if content is None:
            raise ImportFault(f"{name} is too large")
        return content

    return read
