"""The public face: map, list, values side by side, and the charter to read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, render_template, request
from flask_babel import get_locale

from charter.values import shared_values
from federation.context import hub
from federation.db import db
from federation.directory import presenter, search
from federation.directory import service as directory
from federation.governance import paper, proposals
from federation.governance import service as governance
from shared import comparison
from shared.web import allow
from shared.web.application import policy
from shared.web.prose import paragraphs, rule_of_article

pages = Blueprint(
    "map",
    __name__,
    template_folder="templates",
    static_folder="static",
    static_url_path="/static/network",
)

MAX_WORDS = 100


@pages.get("/")
@allow("public")
def network_map() -> str:
    words = request.args.get("q", "")[:MAX_WORDS].replace("\x00", "").strip()
    now = hub().clock.now()
    wanted = search.Wanted(words=words)
    spaces = list(search.find(db.session(), wanted, now, hub().url))
    shared = shared_values(governance.in_force(db.session()))
    by_value = request.args.get("by_value", "")
    if by_value not in {value.id for value in shared}:
        by_value = ""
    if by_value:  # who stands furthest first
        spaces.sort(key=lambda space: -_level(space, by_value))
    return render_template(
        "map/map.html",
        spaces=spaces,
        words=words,
        shared=shared,
        by_value=by_value,
        language=str(get_locale()),
        settings=hub().settings,
    )


def _level(space: Mapping[str, Any], value: str) -> int:
    said = presenter.standing(space.get("assessments", []))
    return int(said[value]["level"]) if value in said else 0


@pages.get("/embed/map")
@allow("public")
def embedded_map() -> Response:
    """The map for a frame in somebody else's page; it sets and reads no cookie."""
    words = request.args.get("q", "")[:MAX_WORDS].replace("\x00", "").strip()
    wanted = search.Wanted(words=words)
    spaces = list(search.find(db.session(), wanted, hub().clock.now(), hub().url))
    page = render_template("map/embed.html", spaces=spaces, words=words, settings=hub().settings)
    response = Response(page)
    tiles = hub().settings.tiles_origin
    response.headers["Content-Security-Policy"] = policy(
        images=f" {tiles}" if tiles else "", ancestors="*"
    )
    return response


@pages.get("/values")
@allow("public")
def compare_values() -> str:
    """Where every space says it stands on the shared values, side by side."""
    shared = shared_values(governance.in_force(db.session()))
    spaces = directory.spaces(db.session())
    return render_template(
        "map/values.html",
        shared=shared,
        rows=[
            {"space": space, "said": presenter.standing(space.document.get("assessments", []))}
            for space in sorted(spaces, key=lambda space: space.name.casefold())
        ],
        language=str(get_locale()),
    )


@pages.get("/charter")
@pages.get("/charter/<version>")
@allow("public")
def charter_page(version: str = "current") -> str:
    row = governance.find(db.session(), version)
    charter = governance.as_charter(row)
    text = charter.texts[str(get_locale())]
    articles: list[dict[str, Any]] = [
        {
            "number": article.number,
            "title": article.title,
            "blocks": paragraphs(article.body),
            "rules": rule_of_article(row.sources["rules.toml"], article.number),
        }
        for article in text.articles
    ]
    under_way = row.state in proposals.UNDER_WAY
    return render_template(
        "map/charter.html",
        charter=row,
        current=governance.in_force(db.session()).version,
        warnings=comparison.warnings(charter) if under_way else None,
        title=text.title,
        preamble=paragraphs(text.preamble),
        articles=articles,
        names={node.id: node.name for node in directory.nodes(db.session())},
        signatures=governance.signatures(db.session(), row.version),
        versions=governance.versions(db.session()),
        ballots=proposals.ballots(db.session(), row) if row.outcome else [],
        closes_at=proposals.closes_at(db.session(), row) if row.state == "open" else None,
    )


@pages.get("/charter/<version>.pdf")
@allow("public")
def charter_pdf(version: str) -> Response:
    session, language = db.session(), str(get_locale())
    row = governance.find(session, version)
    pdf = paper.as_pdf(
        row,
        governance.as_charter(row),
        governance.signatures(session, row.version),
        {node.id: node.name for node in directory.nodes(session)},
        language,
        hub().clock.now(),
    )
    name = f"charter-{row.version}-{language}.pdf"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(pdf, mimetype="application/pdf", headers=headers)


@pages.get("/charter/<before>/diff/<after>")
@allow("public")
def charter_difference(before: str, after: str) -> str:
    one, other = (governance.find(db.session(), version) for version in (before, after))
    return render_template(
        "map/difference.html",
        before=one.version,
        after=other.version,
        diff=comparison.compare(governance.as_charter(one), governance.as_charter(other)),
    )
