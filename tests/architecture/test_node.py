"""The node writes in units of work alone, which only its services begin; they alone ask tables."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from pathlib import Path

from tests.architecture.sources import modules, name, tree

_SESSION_GET = re.compile(r"session(\(\))?\.get\(")
EDGES = ("api", "pages", "forms", "models", "schemas")
# A unit of work commits, and undoes, by itself.
BY_HAND = {"begin_write", ".commit", ".rollback"}
WRITES = {"write", ".flush", *BY_HAND}
ASKS = {"select", ".execute", ".scalar", ".scalars", ".get_one"}


def _calls(paths: Iterable[Path], names: set[str]) -> list[str]:
    """Return where a function (``name``) or a method (``.name``) of these is called."""
    return [
        f"{name(path)}:{found.lineno}"
        for path in paths
        for found in ast.walk(tree(path))
        if isinstance(found, ast.Call) and _called(found.func) in names
    ]


def _called(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return f".{function.attr}"
    return function.id if isinstance(function, ast.Name) else ""


def _is_edge(path: Path) -> bool:
    return path.stem.rpartition("_")[2] in EDGES


def test_no_transaction_is_begun_or_ended_by_hand() -> None:
    assert not _calls(modules("node"), BY_HAND)


def test_what_meets_a_request_writes_nothing_itself() -> None:
    assert not _calls((path for path in modules("node") if _is_edge(path)), WRITES)


def test_pages_and_apis_ask_rooms_and_not_tables() -> None:
    asking = [path for path in modules("node") if path.stem.rpartition("_")[2] in ("api", "pages")]
    assert not _calls(asking, ASKS)
    # ``get`` is also a dictionary's.
    assert not [name(path) for path in asking if _SESSION_GET.search(path.read_text("utf-8"))]
