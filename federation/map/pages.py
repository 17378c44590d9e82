"""The public face: a page for each space, and the charter to read. The map is in ``finder``."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, redirect, render_template
from flask_babel import get_locale
from werkzeug.wrappers import Response as BaseResponse

from charter.hours import read_schedule
from charter.values import shared_values
from federation.context import hub
from federation.db import db
from federation.directory import presenter
from federation.directory import service as directory
from federation.governance import paper, proposals
from federation.governance import service as governance
from federation.listings import spaces as listed
from federation.listings.space_pages import public_page
from shared import comparison
from shared.events import coming
from shared.linked_data import linked_space
from shared.spaces import photos_at
from shared.web import allow
from shared.web.application import origin_of, policy
from shared.web.prose import paragraphs, rule_of_article

pages = Blueprint(
    "map",
    __name__,
    template_folder="templates",
    static_folder="static",
    static_url_path="/static/network",
)


@pages.get("/spaces/<space_id>")
@allow("public")
def space_page(space_id: str) -> BaseResponse:
    """A space's page. Its photos are its node's: that origin alone is opened, for pictures."""
    became = listed.now_at(db.session(), space_id)
    if became is not None:
        return redirect(f"/spaces/{became}", 301)
    space = directory.space(db.session(), space_id)
    if space.node is None:
        return Response(public_page(space))
    now = hub().clock.now()
    origin = origin_of(space.node.url)
    photos = photos_at(space.document, origin) if origin else []
    page = render_template(
        "map/space.html",
        space=presenter.present(space, now, hub().url, directory.signed(db.session())),
        events=coming(space.document, now),
        photos=photos,
        linked=linked_space(
            {**space.document, "photos": photos},
            read_schedule(space.document),
            now,
            f"{hub().url}/spaces/{space.id}",
        ),
        week=presenter.week(space, now),
        shared=shared_values(governance.in_force(db.session())),
        language=str(get_locale()),
    )
    response = Response(page)
    if photos:
        origins = filter(None, (hub().settings.tiles_origin, origin))
        images = "".join(f" {each}" for each in origins)
        response.headers["Content-Security-Policy"] = policy(images=images)
    return response


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
