"""Settings files: ``NAME=value`` a line, as systemd and shells read them too.

A value stands bare, between single quotes, or between double ones, where ``\\"``, ``\\\\``, ``\\n``
and ``\\r`` are what they are elsewhere. A line that is none of these is a fault, not a comment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

_ENTRY = re.compile(
    r"""[ \t]*(?:\#[^\n]*|(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*(?:
        "(?P<double>(?:\\.|[^"\\])*)"[ \t]*(?:\#[^\n]*)?
      | '(?P<single>[^']*)'[ \t]*(?:\#[^\n]*)?
      | (?P<bare>(?!["']|(?<=[ \t])\#)[^\n]*?)(?:[ \t]+\#[^\n]*)?
    ))?[ \t]*(?:\n|\Z)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"n": "\n", "r": "\r", '"': '"', "\\": "\\"}
_WRITTEN = {sign: f"\\{letter}" for letter, sign in _ESCAPES.items()}


class EnvFileError(Exception):
    """``faults`` names each line that cannot be read, and never what it says: it may be secret."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def read_env(path: Path) -> dict[str, str]:
    """Return the settings of a file. Raises EnvFileError with every faulty line, and OSError."""
    try:
        text = path.read_text(encoding="utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError:
        raise EnvFileError([f"{path} is not written in UTF-8"]) from None
    values, faults, at = dict[str, str](), list[str](), 0
    while at < len(text):
        found = _ENTRY.match(text, at)
        if found is None:
            end = text.find("\n", at) + 1 or len(text)
            faults.append(f"{path}, line {text.count(chr(10), 0, at) + 1}: {_why(text[at:end])}")
            at = end
        else:
            if found["name"]:
                values[found["name"]] = _value(found)
            at = found.end()
    if faults:
        raise EnvFileError(faults)
    return values


def _value(found: re.Match[str]) -> str:
    if found["double"] is None:
        return found["single"] if found["single"] is not None else found["bare"]
    return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[0]), found["double"], flags=re.DOTALL)


def _why(line: str) -> str:
    if re.match(r"\s*(export\s+)?[A-Za-z_][A-Za-z0-9_]*\s*=", line):
        return "the quote that opens the value is not closed, or something follows the closing one"
    return "NAME=value is expected"


def write_env(path: Path, values: Mapping[str, str]) -> None:
    """Write a new file that only its owner can read, and that reads back as it was given."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
        for name, value in values.items():
            written = "".join(_WRITTEN.get(sign, sign) for sign in value)
            file.write(f'{name}="{written}"\n')
