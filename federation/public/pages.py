"""The public face: values side by side, and the charter to read. The map is in ``finder``."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, render_template
from flask_babel import get_locale

from charter import read_charter
from charter.values import shared_values
from federation.charters import proposals, votes
from federation.charters import service as charters
from federation.charters.adoption import UNDER_WAY
from federation.charters.models import CharterVersion
from federation.charters.prose import paragraphs, rule_of_article
from federation.context import hub
from federation.db import db
from federation.nodes import service as nodes
from federation.spaces import presenter
from federation.spaces import queries as published
from shared.web import allow
from shared.wire import comparison
from shared.wire.problems import Problem

SHOWN = 100  # operators, or versions, in a list; all are in the JSON

pages = Blueprint(
    "map",
    __name__,
    template_folder="templates",
    static_folder="static/network",
    static_url_path="/static/network",
)


@pages.get("/values")
@allow("public")
def compare_values() -> str:
    """Where every space says it stands on the shared values, side by side."""
    shared = shared_values(charters.in_force(db.session()))
    spaces = published.spaces(db.session(), listed=False)
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
    row = charters.find(db.session(), version)
    charter = charters.as_charter(row)
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
    session, under_way = db.session(), row.state in UNDER_WAY
    return render_template(
        "map/charter.html",
        charter=row,
        current=charters.in_force(session).version,
        warnings=comparison.warnings(charter) if under_way else None,
        title=text.title,
        preamble=paragraphs(text.preamble),
        articles=articles,
        names={node.id: node.name for node in nodes.nodes(session)},
        signatures=charters.signatures(session, row.version, limit=SHOWN),
        signatures_total=charters.number_of_signatures(session, row.version),
        versions=charters.page(session, (), 0, SHOWN)[::-1],
        vote=_vote(row),
        others=_others(row) if under_way else [],
        former=proposals.former_texts(session, row.version),
    )


def _vote(row: CharterVersion) -> dict[str, Any] | None:
    """Return what the page says of a vote: who voted what is told once it is closed."""
    session, promised = db.session(), votes.terms(row)
    if promised is None:
        return None
    out = votes.out_of_network(session, row, hub().clock.now())
    return {
        "rule": promised.rule,
        "electors": len(promised.electorate),
        "total": votes.number_of_ballots(session, row),
        "suspended": votes.number_of_ballots(session, row, among=out),
        "ballots": votes.ballots(session, row, limit=SHOWN) if row.outcome else [],
        "out": out,
    }


def _others(row: CharterVersion) -> list[CharterVersion]:
    """Return the versions that this one meets: under way with it, in the order of their numbers."""
    found = charters.page(db.session(), UNDER_WAY, 0, SHOWN)
    return [other for other in found[::-1] if other.version != row.version]


@pages.get("/charter/<version>/texts/<int:number>")
@allow("public")
def former_text(version: str, number: int) -> str:
    """Show what a proposal said before an edit, and what the edit changed."""
    session = db.session()
    row = charters.find(session, version)
    former = proposals.former_texts(session, row.version)
    if not 1 <= number <= len(former):
        raise Problem("not-found")
    text = former[number - 1]
    after = former[number] if number < len(former) else row
    before = read_charter(row.version, text.sources)
    return render_template(
        "map/former_text.html",
        charter=row,
        text=text,
        argument_after=after.argument,
        diff=comparison.compare(before, read_charter(row.version, after.sources)),
        prose=before.texts[str(get_locale())],
        paragraphs=paragraphs,
        toml=text.sources["rules.toml"],
        names={node.id: node.name for node in nodes.nodes(session)},
    )


@pages.get("/charter/<version>.pdf")
@allow("public")
def charter_pdf(version: str) -> Response:
    session, language = db.session(), str(get_locale())
    row = charters.find(session, version)
    from federation.charters import pdf as paper  # noqa: PLC0415 - large, and seldom needed

    pdf = paper.as_pdf(
        row,
        charters.as_charter(row),
        charters.signatures(session, row.version),
        {node.id: node.name for node in nodes.nodes(session)},
        language,
        hub().clock.now(),
    )
    name = f"charter-{row.version}-{language}.pdf"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(pdf, mimetype="application/pdf", headers=headers)


@pages.get("/charter/<before>/diff/<after>")
@allow("public")
def charter_difference(before: str, after: str) -> str:
    one, other = (charters.find(db.session(), version) for version in (before, after))
    return render_template(
        "map/difference.html",
        before=one.version,
        after=other.version,
        diff=comparison.compare(charters.as_charter(one), charters.as_charter(other)),
    )
