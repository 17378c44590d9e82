"""A version of the charter to print: its text, each rule beside its article, who signed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from flask import current_app
from flask_babel import gettext

from charter import Charter
from federation.charters.models import CharterVersion, Signature
from federation.charters.prose import paragraphs, rule_of_article
from shared.web.formats import day, moment
from shared.wire.pdf import SOFT, TEAL, Paper


def as_pdf(
    row: CharterVersion,
    charter: Charter,
    signatures: Sequence[Signature],
    names: Mapping[str, str],
    language: str,
    made_at: datetime,
) -> bytes:
    """Return the version in one language, with the names of the nodes that signed it."""
    text = charter.texts[language]
    paper = Paper(text.title, language, made_at)
    paper.write_line("Passerelle", 13, bold=True, colour=TEAL, after=3)
    paper.write_line(text.title, 20, bold=True, after=1)
    paper.write_line(_standing(row), 10, colour=SOFT, after=5)
    _write_prose(paper, text.preamble)
    for article in text.articles:
        paper.ln(2)
        if paper.will_page_break(30):  # a title is not left alone below
            paper.add_page()
        paper.write_line(f"{article.number}. {article.title}", 13, bold=True, after=1.5)
        _write_prose(paper, article.body)
        _write_rules(paper, row.sources["rules.toml"], article.number)
    paper.ln(4)
    paper.write_line(gettext("Signed by"), 13, bold=True)
    if signatures:
        paper.write_facts(
            [(moment(s.signed_at), names.get(s.node_id, s.node_id)) for s in signatures]
        )
    else:
        paper.write_line(gettext("No node has signed this version yet."), 10.5)
    words = gettext("Fingerprint (SHA-256) of the signed text and rules:")
    paper.write_line(f"{words} {row.sha256}", 8.5, colour=SOFT)
    return paper.to_bytes()


def _standing(row: CharterVersion) -> str:
    if row.state == "in_force":
        since = day(row.effective_at) if row.effective_at else "–"
        return gettext(
            "Version %(version)s, in force since %(day)s", version=row.version, day=since
        )
    if row.state == "adopted":
        since = day(row.effective_at) if row.effective_at else "–"
        return gettext(
            "Version %(version)s, adopted, in force from %(day)s", version=row.version, day=since
        )
    return {
        "open": gettext("Proposal %(version)s, put to the vote", version=row.version),
        "past": gettext("Version %(version)s, no longer in force", version=row.version),
        "rejected": gettext("Proposal %(version)s, rejected", version=row.version),
        "withdrawn": gettext("Proposal %(version)s, withdrawn", version=row.version),
    }[row.state]


def _write_prose(paper: Paper, markdown: str) -> None:
    for block in paragraphs(markdown):
        if block["kind"] == "list":
            for item in block["items"]:
                paper.write_runs(item, mark="•")
        else:
            paper.write_runs(block["text"])


def _write_rules(paper: Paper, toml: str, number: int) -> None:
    """Write the rules in the words of the page (made anew: they are the reader's language)."""
    words: Any = current_app.jinja_env.get_template("rules.html").make_module()
    for kind, values in rule_of_article(toml, number):
        figures = [
            (words.keys[key], str(words.value(key, value)).strip())
            for key, value in values.items()
            if key != "currency"
        ]
        paper.write_line(words.kinds.get(kind, kind), 10, bold=True, colour=TEAL, after=0.5)
        if figures:
            paper.write_facts(figures, 70)
        else:
            paper.write_line(gettext("in force"), 10)
