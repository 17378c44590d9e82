"""The public face: values side by side, and the charter to read. The map is in ``finder``."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, render_template
from flask_babel import get_locale

from charter.values import shared_values
from federation.context import hub
from federation.db import db
from federation.directory import presenter
from federation.directory import service as directory
from federation.governance import paper, proposals
from federation.governance import service as governance
from shared import comparison
from shared.web import allow
from shared.web.prose import paragraphs, rule_of_article

pages = Blueprint(
    "map",
    __name__,
    template_folder="templates",
    static_folder="static",
    static_url_path="/static/network",
)


@pages.get("/values")
@allow("public")
def compare_values() -> str:
    """Where every space says it stands on the shared values, side by side."""
    shared = shared_values(governance.in_force(db.session()))
    spaces = directory.spaces(db.session(), listed=False)
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
