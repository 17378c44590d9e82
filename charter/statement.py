"""The month's statement as a document: the same visits give the same bytes, whoever makes them.

The document is canonical JSON: keys sorted, no spaces, UTF-8, nothing escaped that JSON does not
require. Lines are taken and written one at a time, so that a million of them need not be held.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from charter.rules import Balance
from charter.settlement import Line, balances, compensation, transfers

VISITS, CORRECTIONS = "visits", "corrections"
_BLANKS = " \t\n\r"


def canonical(value: Any) -> bytes:
    """Return canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def figures(
    totals: Iterable[Line], nodes: Iterable[str], rule: Balance, carried: Mapping[str, int]
) -> dict[str, Any]:
    """Return what follows from the lines: balances in half-days, cents, the fewest transfers.

    ``nodes`` are listed also when they have no line. ``carried`` is what barter brought forward
    from the month before, in half-days; with compensation nothing is carried.
    """
    half_days = balances(totals, nodes)
    cents = compensation(half_days, rule)
    if rule.mode == "barter":
        carried = {node: carried.get(node, 0) + count for node, count in half_days.items()}
    return {
        "balances": half_days,
        "carried": dict(carried) if rule.mode == "barter" else {},
        "compensation": cents,
        "currency": rule.currency,
        "transfers": [
            {"from": t.payer, "to": t.payee, "cents": t.amount} for t in transfers(cents)
        ],
    }


def render(
    head: Mapping[str, Any],
    visits: Iterable[Mapping[str, Any]],
    corrections: Iterable[Mapping[str, Any]],
) -> bytes:
    """Return the document: ``head`` has everything but the lines."""
    lists = {VISITS: visits, CORRECTIONS: corrections}
    parts: list[bytes] = []
    for name in sorted({**head, **lists}):
        parts.append(b"," if parts else b"{")
        parts.append(canonical(name) + b":")
        if name not in lists:
            parts.append(canonical(head[name]))
            continue
        parts.append(b"[")
        first = len(parts)
        for line in lists[name]:
            if len(parts) > first:
                parts.append(b",")
            parts.append(canonical(line))
        parts.append(b"]")
    parts.append(b"}")
    return b"".join(parts)


class StatementError(ValueError):
    """The document is not a statement, or its figures do not follow from its lines."""


def read(document: bytes) -> tuple[dict[str, Any], str, dict[str, int]]:
    """Return a statement without its lines, its text, and where in it each list begins.

    Raises StatementError unless it is an object whose lists of lines are lists.
    """
    try:
        text = document.decode()
    except UnicodeDecodeError as error:
        raise StatementError("not UTF-8") from error
    decoder, head, lists = json.JSONDecoder(), dict[str, Any](), dict[str, int]()
    place = 1
    try:
        if text[:1] != "{":
            raise StatementError("not an object")
        while text[place - 1] != "}":
            name, place = decoder.raw_decode(text, place)
            if text[place] != ":":
                raise StatementError("not canonical")
            if name in (VISITS, CORRECTIONS):
                lists[name] = place + 1
                place = _end(decoder, text, place + 1)
            else:
                head[name], place = decoder.raw_decode(text, place + 1)
            place += 1
    except (ValueError, IndexError, RecursionError) as error:
        raise StatementError("not canonical JSON") from error
    if set(lists) != {VISITS, CORRECTIONS}:
        raise StatementError("the lines are missing")
    return head, text, lists


def _walk(decoder: json.JSONDecoder, text: str, start: int) -> Iterator[tuple[Any, int]]:
    """Yield each element of a list and where it ends; at last, None and where the list ends."""
    if text[start] != "[":
        raise StatementError("not a list")
    place = start + 1
    while text[place] != "]":
        line, place = decoder.raw_decode(text, place)
        yield line, place
        place += text[place] == ","
    yield None, place + 1


def _end(decoder: json.JSONDecoder, text: str, start: int) -> int:
    place = start
    for _, end in _walk(decoder, text, start):
        place = end
    return place


def lines_of(text: str, start: int) -> Iterator[dict[str, Any]]:
    """Yield the lines of a list that ``read`` found."""
    for line, _ in _walk(json.JSONDecoder(), text, start):
        if line is not None:
            yield line


def recompute(document: bytes, rule: Balance) -> bytes:
    """Return the same statement, made anew from its own lines. Raises StatementError.

    What was brought forward is what the document carries less its own balances.
    """
    head, text, lists = read(document)
    totals: dict[tuple[str, str], int] = {}
    try:
        for name in lists:
            for line in lines_of(text, lists[name]):
                pair = line["home"], line["host"]
                totals[pair] = totals.get(pair, 0) + line["half_days"]
        before = {n: v - head["balances"].get(n, 0) for n, v in head["carried"].items()}
        found = [Line(home, host, count) for (home, host), count in totals.items()]
        made = {**head, **figures(found, head["balances"], rule, before)}
    except (KeyError, TypeError, AttributeError) as error:
        raise StatementError("a line or a figure is missing") from error
    return render(made, lines_of(text, lists[VISITS]), lines_of(text, lists[CORRECTIONS]))
