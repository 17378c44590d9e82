"""French is complete, and pages and errors come in the language that is asked for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po
from flask import Flask
from flask_babel import force_locale
from marshmallow import ValidationError, fields

from node.spaces.sections import SECTIONS
from shared.accounts.forms import LoginForm
from shared.base.schemas import WireSchema
from shared.wire.error_messages import OURS, translate
from shared.wire.problems import KINDS
from tests.architecture.applications import APPLICATIONS
from tests.architecture.sources import ROOT, modules, name, tree
from tests.databases import Databases, create_tables

TRANSLATIONS = ROOT / "shared" / "translations"
PACKAGES = ("shared", "federation", "node")
KEYWORDS = {**DEFAULT_KEYWORDS, "lazy_gettext": None}
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|\{\w*\}")
# What a faulty document may hold, for each kind of check to refuse.
WRONG: tuple[Any, ...] = ("", "§ §", "x" * 200_000, -(10**9), 10**9, [], ["§"] * 100_000)


@pytest.fixture(scope="module")
def wanted() -> set[tuple[str, ...]]:
    """Every sentence that the code marks for translation: (singular,) or (singular, plural)."""
    with (TRANSLATIONS / "babel.cfg").open() as mapping:
        methods, options = parse_mapping_cfg(mapping)
    found: set[tuple[str, ...]] = set()
    for package in PACKAGES:
        for _file, _line, message, _comments, _context in extract_from_dir(
            ROOT / package, methods, options, KEYWORDS
        ):
            found.add(message if isinstance(message, tuple) else (message,))
    return found


@pytest.fixture(scope="module")
def catalogue() -> Catalog:
    with (TRANSLATIONS / "fr" / "LC_MESSAGES" / "messages.po").open("rb") as po:
        return read_po(po, locale="fr")


@pytest.fixture(params=APPLICATIONS)
def app(request: pytest.FixtureRequest, tmp_path: Path, sqlite_databases: Databases) -> Flask:
    found = APPLICATIONS[request.param](tmp_path, sqlite_databases.new())
    create_tables(found)
    return found


@pytest.fixture
def node_app(tmp_path: Path, sqlite_databases: Databases) -> Flask:
    return APPLICATIONS["node"](tmp_path, sqlite_databases.new())


def entries(catalogue: Catalog) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    for message in catalogue:
        if message.id:
            ids = message.id if isinstance(message.id, tuple) else (message.id,)
            texts = message.string if isinstance(message.string, tuple) else (message.string,)
            yield ids, texts


# -- The catalogue -----------------------------------------------------------------------


def test_the_catalogue_has_every_sentence_and_no_other(
    wanted: set[tuple[str, ...]], catalogue: Catalog
) -> None:
    held = {ids for ids, _ in entries(catalogue)}
    assert not wanted - held, "not in messages.po; babel.cfg says how to bring it up to date"
    assert not held - wanted, "in messages.po and no longer said"
    assert not catalogue.obsolete


def test_every_sentence_is_translated(catalogue: Catalog) -> None:
    assert not [ids for ids, texts in entries(catalogue) if not all(texts)]
    assert not [message.id for message in catalogue if message.id and message.fuzzy]
    plural = {len(texts) for ids, texts in entries(catalogue) if len(ids) == 2}
    assert plural == {catalogue.num_plurals} == {2}


def test_translations_keep_the_placeholders(catalogue: Catalog) -> None:
    for ids, texts in entries(catalogue):
        for text in texts:
            found, expected = PLACEHOLDER.findall(text), PLACEHOLDER.findall(ids[-1])
            assert sorted(found) == sorted(expected), text


def test_french_is_typeset_as_french(catalogue: Catalog) -> None:
    for _, texts in entries(catalogue):
        for text in texts:
            assert not re.search(r"[ \u00a0][;:!?»]|«[^\u202f]|[^\u202f]»|\w'\w|\.\.\.", text), text


# -- Sentences that no gettext call holds ------------------------------------------------


def sentences_raised() -> Iterator[tuple[str, str]]:
    """Give (where, sentence) of what is raised in plain English, with X for what varies."""
    for path in modules("charter", *PACKAGES):
        for call in ast.walk(tree(path)):
            kind = call.func.id if _calls(call) else ""  # type: ignore[attr-defined]
            if kind in ("ValidationError", "HoursError", "Problem"):
                for part in _plain(call):
                    text = "".join(
                        str(piece.value) if isinstance(piece, ast.Constant) else "X"
                        for piece in (part.values if isinstance(part, ast.JoinedStr) else [part])
                    )
                    if kind == "HoursError":  # "where: what"
                        text = text.partition(": ")[2]
                    if " " in text:
                        yield f"{name(path)}:{part.lineno}", text


def _calls(found: ast.AST) -> bool:
    return isinstance(found, ast.Call) and isinstance(found.func, ast.Name)


def _plain(call: ast.AST) -> Iterator[ast.Constant | ast.JoinedStr]:
    """Give the strings in a call that are not given to another call there."""
    for child in ast.iter_child_nodes(call):
        if isinstance(child, ast.JoinedStr) or (
            isinstance(child, ast.Constant) and isinstance(child.value, str)
        ):
            yield child
        elif not isinstance(child, ast.Call):
            yield from _plain(child)


def test_what_is_raised_is_translated(node_app: Flask) -> None:
    raised = list(sentences_raised())
    assert len(raised) > 20
    with node_app.test_request_context(), force_locale("fr"):
        assert not [(where, text) for where, text in raised if translate(text) == text]


def test_sentences_that_are_listed_are_still_said() -> None:
    sources = [path.read_text("utf-8") for path in modules("charter", *PACKAGES)]
    sources = [source for source in sources if "OURS = (" not in source]
    for sentence in OURS:
        parts = PLACEHOLDER.split(sentence)
        assert any(all(part in source for part in parts) for source in sources), sentence


def _fields(found: fields.Field[Any]) -> Iterator[fields.Field[Any]]:
    yield found
    if isinstance(found, fields.List):
        yield from _fields(found.inner)


def _subclasses(kind: type) -> Iterator[type]:
    for found in kind.__subclasses__():
        yield found
        yield from _subclasses(found)


def _texts(messages: Any) -> Iterator[str]:
    if isinstance(messages, dict):
        messages = messages.values()
    elif isinstance(messages, str):
        yield messages
        return
    for message in messages:
        yield from _texts(message)


def _complaints(field: fields.Field[Any]) -> Iterator[str]:
    kind = getattr(field, "OBJ_TYPE", "")
    for key, template in field.error_messages.items():
        if key == "format":  # of what is sent: it would be a fault of ours
            continue
        if key != "invalid_awareness" or isinstance(field, fields.AwareDateTime):
            yield str(template).format(choices="x", obj_type=kind, awareness="aware")
    for validator in field.validators:
        for value in WRONG:
            try:
                validator(value)
            except ValidationError as error:
                yield from _texts(error.messages)
            except TypeError:
                pass


def test_what_the_schemas_complain_about_is_translated(node_app: Flask) -> None:
    declared = [
        found
        for schema in _subclasses(WireSchema)
        for field in schema._declared_fields.values()  # type: ignore[attr-defined]
        for found in _fields(field)
    ]
    assert len(declared) > 80
    complaints = {text for field in declared for text in _complaints(field)}
    with node_app.test_request_context(), force_locale("fr"):
        assert not sorted(text for text in complaints if translate(text) == text)


def test_translation_reaches_every_depth_and_leaves_the_rest(node_app: Flask) -> None:
    found: dict[str, Any] = {
        "spaces": {0: ["Longer than maximum length 64.", "100 % ours"]},
        "status": 422,
    }
    with node_app.test_request_context(), force_locale("fr"):
        assert translate(found) == {
            "spaces": {"0": ["Trop long\u202f: 64 au plus.", "100 % ours"]},
            "status": "422",
        }
    with node_app.test_request_context(), force_locale("en"):
        assert translate(found)["spaces"]["0"] == found["spaces"][0]


# -- Pages -------------------------------------------------------------------------------


def page(app: Flask, path: str, accepted: str | None) -> str:
    headers = {} if accepted is None else {"Accept-Language": accepted}
    return app.test_client().get(path, headers=headers).get_data(as_text=True)


@pytest.mark.parametrize(
    ("path", "french", "english"),
    [
        ("/login", "Mot de passe", "Password"),
        ("/none-such", "Il n’y a rien à cette adresse", "There is nothing here"),
        ("/problems/conflict", "Que faire", "What to do"),
    ],
)
def test_pages_are_in_the_language_asked_for(
    app: Flask, path: str, french: str, english: str
) -> None:
    for accepted in ("fr", "fr-FR,fr;q=0.9,en;q=0.8"):
        found = page(app, path, accepted)
        assert french in found
        assert english not in found
        assert '<html lang="fr">' in found
    for accepted in ("en", "en-GB,en;q=0.9,fr;q=0.1"):
        found = page(app, path, accepted)
        assert english in found
        assert french not in found
        assert '<html lang="en">' in found


@pytest.mark.parametrize("accepted", [None, "", "*", "de", "nonsense;;q=x"])
def test_french_is_the_language_without_another_preference(
    app: Flask, accepted: str | None
) -> None:
    assert '<html lang="fr">' in page(app, "/login", accepted)


def test_a_choice_of_language_is_kept(app: Flask) -> None:
    client = app.test_client()
    client.get("/login?lang=en", headers={"Accept-Language": "fr"})
    answer = client.get("/none-such", headers={"Accept-Language": "fr"})
    assert "There is nothing here" in answer.get_data(as_text=True)


def test_problem_documents_are_in_the_language_asked_for(app: Flask) -> None:
    for language, title in (
        ("fr", "Il n’y a rien à cette adresse"),
        ("en", "There is nothing here"),
    ):
        client = app.test_client()
        answer = client.get("/api/v1/none-such", headers={"Accept-Language": language})
        assert answer.json is not None
        assert answer.json["title"] == title


def test_every_kind_of_problem_has_its_page_in_french(app: Flask) -> None:
    for slug, kind in KINDS.items():
        found = page(app, f"/problems/{slug}", "fr")
        with app.test_request_context(), force_locale("en"):
            english = str(kind.title)
        assert english not in found


def test_forms_complain_in_french(node_app: Flask) -> None:
    faulty = {
        "name": "",
        "town": "x" * 200,
        "email": "x" * 300,
        "capacity": "many",
        "area_m2": "-1",
        "mo": "morning",
        "rooms-0-name": "Kitchen",
        "rooms-0-kind": "none-such",
        "rooms-0-seats": "many",
        "prices-0-amount": "dear",
    }
    with node_app.test_request_context("/?lang=fr", method="POST", data=faulty):
        forms = {key: kind(meta={"csrf": False}) for key, (_, kind) in SECTIONS.items()}
        assert not any(forms[key].validate() for key in ("identity", "place", "people", "rooms"))
        errors = {name: said for form in forms.values() for name, said in form.errors.items()}
        room = errors["rooms"][0]
        assert room["kind"] == ["N'est pas un choix valide."]
        assert room["seats"] == ["Indiquez un nombre entier, de 0 à 10000."]
        assert errors["name"] == ["Ce champ est obligatoire."]
        assert errors["town"] == ["120 caractères au plus."]
        assert len(errors["capacity"]) == 1
        assert "nombre entier" in errors["area_m2"][0]
        assert "Le champ ne peut pas" in errors["email"][0]
    with node_app.test_request_context("/?lang=fr", method="POST", data={"email": "x" * 300}):
        login = LoginForm(meta={"csrf": False})
        assert not login.validate()
        assert "Le champ ne peut pas" in login.errors["email"][0]
        assert login.errors["password"] == ["Indiquez votre mot de passe."]
