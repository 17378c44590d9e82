"""Canonical JSON (RFC 8785): one value, one text, whatever program writes it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

# Whole numbers beyond are not told apart by programs whose numbers are all doubles (RFC 7493).
MOST = 2**53 - 1
# The plain encoder, which is fast, and what it may write otherwise: fractions, exponents and long
# numbers (or what looks like them in a string), and names sorted by code point.
_PLAIN = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)
_NUMBER = re.compile(r"[:,[]-?[0-9](?:[0-9]{15}|[0-9]*[.e])")
_FIRST_SORTED_OTHERWISE = "\ue000"


def canonical(value: Any) -> bytes:
    """Return the canonical JSON of a value, in UTF-8.

    No blanks; names sorted by their UTF-16 code units; nothing escaped that JSON does not require;
    numbers as ECMAScript writes them. Raises ValueError for what RFC 8785 has no text for: a number
    that is not finite, a whole number beyond ``MOST``, half a surrogate pair. Names are strings.
    """
    text = _PLAIN.encode(value)
    ordered = text.isascii() or max(text) < _FIRST_SORTED_OTHERWISE
    if not ordered or isinstance(value, (int, float)) or _NUMBER.search(text):
        text = _write(value)
    return text.encode()


def _write(value: Any) -> str:
    """Do what the plain encoder does, slowly, for any number and any name."""
    if isinstance(value, Mapping):
        pairs = sorted(value.items(), key=lambda pair: pair[0].encode("utf-16-be"))
        return "{" + ",".join(f"{_write(name)}:{_write(each)}" for name, each in pairs) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(_write, value)) + "]"
    if isinstance(value, float):
        return _double(value)
    if isinstance(value, int) and abs(value) > MOST:
        raise ValueError("a whole number beyond 2^53 - 1 has no canonical form")
    return json.dumps(value, ensure_ascii=False)


def _double(value: float) -> str:
    """Write a double as ECMA-262 does (Number::toString): the shortest digits that give it back."""
    if not value:
        return "0"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    text, point = "".join(map(str, digits)), len(digits) + int(exponent)
    if len(text) <= point <= 21:
        written = text + "0" * (point - len(text))
    elif 0 < point <= 21:
        written = f"{text[:point]}.{text[point:]}"
    elif -6 < point <= 0:
        written = "0." + "0" * -point + text
    else:
        fraction = f".{text[1:]}" if len(text) > 1 else ""
        written = f"{text[0]}{fraction}e{point - 1:+d}"
    return "-" * sign + written
