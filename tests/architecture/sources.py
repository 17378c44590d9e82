"""The files of the project, as the tests on its architecture read them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("charter", "shared", "federation", "node", "deploy")
# Made here and never part of the project; there may be no git to ask.
_MADE = {"__pycache__", "build", "dist", "var", "node_modules"}


def modules(*packages: str) -> Iterator[Path]:
    """Give the packages' modules; migrations are written by a tool and are left out."""
    for package in packages or PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "versions" not in path.parts:
                yield path


def files() -> Iterator[Path]:
    """Give every file of the project."""
    folders = [ROOT]
    while folders:
        for path in sorted(folders.pop().iterdir()):
            hidden = path.name.startswith(".") and path.name not in (".ci", ".gitignore")
            if hidden or path.name in _MADE or path.suffix in (".egg-info", ".mo"):
                continue
            if path.is_dir():
                folders.append(path)
            else:
                yield path


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path) -> Iterator[str]:
    """Give the dotted names that a module imports, wherever in it."""
    for found in ast.walk(tree(path)):
        if isinstance(found, ast.Import):
            yield from (alias.name for alias in found.names)
        elif isinstance(found, ast.ImportFrom):
            assert found.level == 0, f"{name(path)}: imports are absolute"
            yield found.module or ""


def called_methods(path: Path) -> Iterator[tuple[str, int]]:
    """Give (name, line) of every ``something.name(…)``."""
    for found in ast.walk(tree(path)):
        if isinstance(found, ast.Call) and isinstance(found.func, ast.Attribute):
            yield found.func.attr, found.lineno


def calls(path: Path) -> Iterator[tuple[str, int]]:
    """Give (name, line) of every ``name(…)`` and ``something.name(…)``."""
    for found in ast.walk(tree(path)):
        if isinstance(found, ast.Call) and isinstance(found.func, ast.Name):
            yield found.func.id, found.lineno
    yield from called_methods(path)


def calls_of_session(path: Path) -> Iterator[tuple[str, int]]:
    """Give (call, line) of what is called of a database's session itself."""
    for found in ast.walk(tree(path)):
        if isinstance(found, ast.Call) and isinstance(found.func, ast.Attribute):
            of = ast.unparse(found.func.value)
            if of in ("session", "db.session", "db.session()"):
                yield ast.unparse(found.func), found.lineno
