"""NUL in whatever a page may be sent: never a 500, and beside the field where there is one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask_wtf import FlaskForm
from werkzeug.datastructures import MultiDict
from wtforms import StringField

from shared.web.forms import Form
from tests.architecture.applications import APPLICATIONS
from tests.architecture.sources import modules, tree
from tests.databases import Databases
from tests.network import LocalService, Network
from tests.shared.browser import Browser, forget_attempts


def _kinds(kind: type[FlaskForm]) -> Iterator[type[FlaskForm]]:
    for each in kind.__subclasses__():
        yield each
        yield from _kinds(each)


def test_every_form_is_one_whose_text_can_be_stored(
    sqlite_databases: Databases, tmp_path: Path
) -> None:
    """The applications' modules are imported by now, so that all forms are there."""
    app, checked = APPLICATIONS["node"](tmp_path, sqlite_databases.new()), 0
    ours = [kind for kind in _kinds(FlaskForm) if kind is not Form]
    assert len(ours) > 30
    assert all(issubclass(kind, Form) for kind in ours)
    with app.test_request_context(method="POST"):
        for kind in ours:
            try:
                names = list(kind(formdata=None, meta={"csrf": False})._fields)
            except TypeError:  # asks for more than a form does
                continue
            sent = MultiDict(dict.fromkeys(names, "a\x00b"))
            form = kind(formdata=sent, meta={"csrf": False})
            for field in form:
                if isinstance(field, StringField) and isinstance(field.data, str):
                    assert not field.validate(form), (kind, field.name)
                    checked += 1
    assert checked > 60


def _names_read() -> list[str]:
    """Return the names that pages read from their address by themselves."""
    calls = (
        node for path in modules() for node in ast.walk(tree(path)) if isinstance(node, ast.Call)
    )
    return sorted(
        {
            str(call.args[0].value)
            for call in calls
            if isinstance(call.func, ast.Attribute)
            and ast.unparse(call.func) in ("request.args.get", "request.args.getlist")
            and isinstance(call.args[0], ast.Constant)
        }
        - {"lang"}
    )


def _paths(service: LocalService) -> list[str]:
    rules = [
        rule.rule for rule in service.app.url_map.iter_rules() if "GET" in (rule.methods or ())
    ]
    written = [re.sub(r"<int:[^>]+>", "1", rule) for rule in rules if not rule.startswith("/api/")]
    return [re.sub(r"<[^>]+>", part, path) for path in written for part in ("a%00b", "troquet")]


@pytest.mark.parametrize("who", ["coord@hub.example", "admin@troquet.example"])
def test_no_page_breaks_by_its_address(lasting_network: Network, who: str) -> None:
    forget_attempts()
    hub, troquet = lasting_network.hub, lasting_network.nodes["troquet"]
    browser = Browser(hub if "hub" in who else troquet)
    assert browser.log_in(who).status_code == 302
    query = "&".join(f"{name}=a%00b" for name in _names_read())
    broken = []
    for path in dict.fromkeys(_paths(hub if "hub" in who else troquet)):
        forget_attempts()
        for address in (f"{path}?{query}", path):
            if browser.get(address).status_code >= 500:
                broken.append(address)
    assert not broken
