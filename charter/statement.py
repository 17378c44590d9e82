"""The month's statement as a document: the same lines give the same bytes, whoever makes them.

The document is canonical JSON (RFC 8785). What a line has is told in README.md. Lines are written
one at a time, so that a million of them need not be held to be signed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from charter.canonical import canonical
from charter.halfdays import AFTERNOON, MORNING
from charter.rules import Balance
from charter.settlement import Line, balances, compensation, transfers

VISITS, CORRECTIONS = "visits", "corrections"
# What a line counts has its sign: a visit adds half-days, a correction takes them back.
_SIGN = {VISITS: 1, CORRECTIONS: -1}
_HALVES = ([MORNING], [AFTERNOON], [MORNING, AFTERNOON])


class StatementError(ValueError):
    """The document is not a statement, or a line of it is none."""


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


def in_order(lines: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return lines as a statement has them: by day and id, then by what else differs."""
    return sorted(
        lines,
        key=lambda line: (
            *(line["day"], line["id"], line["halves"]),
            *(line.get("recorded_on", ""), line.get("reason", "")),
        ),
    )


def render(
    head: Mapping[str, Any],
    visits: Iterable[Mapping[str, Any]],
    corrections: Iterable[Mapping[str, Any]],
) -> bytes:
    """Return the document: ``head`` has everything but the lines, which come ``in_order``."""
    return b"".join(_pieces(head, {VISITS: visits, CORRECTIONS: corrections}))


def _pieces(
    head: Mapping[str, Any], lists: Mapping[str, Iterable[Mapping[str, Any]]]
) -> Iterator[bytes]:
    before = b"{"
    for name in sorted({*head, *lists}):
        yield before + canonical(name) + b":"
        before = b","
        if name not in lists:
            yield canonical(head[name])
            continue
        yield b"["
        for n, line in enumerate(lists[name]):
            yield b"," * (n > 0) + canonical(line)
        yield b"]"
    yield b"}"


def read(document: bytes) -> dict[str, Any]:
    """Return a statement, its lines in the lists ``visits`` and ``corrections``.

    Raises StatementError unless it is an object that has both, and each line is an object.
    """
    try:
        found = json.loads(document)
    except (ValueError, RecursionError) as error:
        raise StatementError("not JSON") from error
    if not isinstance(found, dict):
        raise StatementError("not an object")
    for name in _SIGN:
        lines = found.get(name)
        if not isinstance(lines, list) or not all(isinstance(line, dict) for line in lines):
            raise StatementError(f"{name}: a list of lines is expected")
    return found


def recompute(document: bytes, rule: Balance) -> bytes:
    """Return the same statement, made anew from its own lines. Raises StatementError.

    It holds if, and only if, the bytes are the same. What was brought forward is what the document
    carries less its own balances.
    """
    head = read(document)
    lists = {name: head.pop(name) for name in _SIGN}
    totals = Counter[tuple[str, str]]()
    try:
        for name, sign in _SIGN.items():
            for line in lists[name]:
                totals[line["home"], line["host"]] += _half_days(line, sign)
        before = {n: v - head["balances"].get(n, 0) for n, v in head["carried"].items()}
        found = [Line(home, host, count) for (home, host), count in totals.items()]
        made = {**head, **figures(found, head["balances"], rule, before)}
        return render(made, *(in_order(lists[name]) for name in _SIGN))
    except (KeyError, TypeError, AttributeError) as error:
        raise StatementError("a line or a figure is missing") from error
    except ValueError as error:
        raise StatementError(str(error)) from error


def _half_days(line: Mapping[str, Any], sign: int) -> int:
    """Return what a line counts. Raises KeyError or ValueError."""
    if line["halves"] not in _HALVES or line["half_days"] != sign * len(line["halves"]):
        raise ValueError("a line's half-days are not its halves")
    return sign * len(line["halves"])
