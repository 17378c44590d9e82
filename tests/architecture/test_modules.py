"""Size and names of modules, what no file may say, and what is pinned."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.architecture.sources import ROOT, files, modules, name, tree

MODULE_LINES = 480
FUNCTION_LINES = 60
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "misc", "common", "tools", "stuff"}
# Brackets, so that this line does not find itself.
REGISTRIES = re.compile(r"pypi[.]org|pythonhosted[.]org|npmjs[.](?:org|com)|deb[.]debian[.]org")


def _text(path: Path) -> str | None:
    content = path.read_bytes()
    return None if b"\0" in content else content.decode("utf-8")


def _functions(module: ast.Module) -> dict[ast.AST, int]:
    """Return each function's length in lines, without the functions inside it."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = [node for node in ast.walk(module) if isinstance(node, kinds)]
    lines = {node: set(range(node.lineno, (node.end_lineno or 0) + 1)) for node in found}
    return {
        node: len(
            own.difference(*(lines[n] for n in ast.walk(node) if n in lines and n is not node))
        )
        for node, own in lines.items()
    }


def test_no_module_is_too_long_to_read() -> None:
    lines = {name(path): len(path.read_text("utf-8").splitlines()) for path in modules()}
    assert not {path: count for path, count in lines.items() if count > MODULE_LINES}


def test_no_function_is_too_long_to_read() -> None:
    long = {
        f"{name(path)}:{function.lineno} {function.name}": count  # type: ignore[attr-defined]
        for path in modules()
        for function, count in _functions(tree(path)).items()
        if count > FUNCTION_LINES
    }
    assert not long


def test_modules_are_named_for_what_they_hold() -> None:
    assert not [name(path) for path in modules() if VAGUE_NAMES & {path.stem, path.parent.name}]


def test_no_file_names_a_registry_or_a_folder_of_one_machine() -> None:
    folders = [str(folder) for folder in (ROOT, Path.home()) if len(folder.parts) > 1]
    wrong = []
    for path in files():
        text = _text(path) or ""
        found = [*REGISTRIES.findall(text), *(folder for folder in folders if f"{folder}/" in text)]
        wrong += [f"{name(path)}: {what}" for what in sorted(set(found))]
    assert not wrong


def test_a_demonstration_and_the_tests_run_on_the_same_versions() -> None:
    def pins(which: str) -> dict[str, str]:
        text = (ROOT / "deploy" / "requirements" / f"{which}.txt").read_text("utf-8")
        return dict(re.findall(r"^([a-z0-9-]+)(?:\[[a-z]+\])?==(\S+)", text, re.MULTILINE))

    run, dev = pins("run"), pins("dev")
    assert run
    assert {package: dev.get(package) for package in run} == run


def test_every_pinned_version_has_its_hashes() -> None:
    for which in ("run", "dev"):
        text = (ROOT / "deploy" / "requirements" / f"{which}.txt").read_text("utf-8")
        for block in re.split(r"\n(?=\S)", re.sub(r"^ *#.*\n?", "", text, flags=re.MULTILINE)):
            assert "--hash=sha256:" in block, block.partition("\n")[0]
