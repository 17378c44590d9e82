"""The text and the rules say the same, in both languages."""

from __future__ import annotations

import re
from dataclasses import fields
from fractions import Fraction

import pytest

from charter import CODES, TextError, model_sources, read_charter
from charter.model import LANGUAGES, cited_articles
from charter.rules import KINDS
from charter.text import parse_text

MODEL = read_charter("1", model_sources())
RULES = MODEL.rules
SHARES = {Fraction(1, 2): ("moitié", "half"), Fraction(2, 3): ("deux tiers", "two thirds")}
CLASSES = {"resident": ("résident", "resident"), "nomad": ("nomade", "nomad")}
MODES = {"compensate": ("se compense", "is compensated")}


def _stated() -> dict[tuple[str, str], tuple[str, str]]:
    """Return how each figure in force must read, in French and in English."""
    assert RULES.eligible_plans is not None
    assert RULES.seniority is not None
    assert RULES.half_days is not None
    assert RULES.guest_cap is not None
    assert RULES.house_conditions is not None
    classes = [CLASSES[name] for name in reversed(RULES.eligible_plans.classes)]
    split, cents = RULES.opening_hours.split, RULES.balance.rate_cents
    euros = f"{cents // 100}.{cents % 100:02}"
    assert RULES.balance.currency == "EUR"
    price = (f"**{euros.replace('.', ',')} €**", f"**€{euros}**")
    half_days = RULES.half_days
    return {
        ("eligible_plans", "classes"): (
            f"Les classes {' et '.join(f'**{fr}**' for fr, _ in classes)} ouvrent droit",
            f"The {' and '.join(f'**{en}**' for _, en in classes)} classes give the right",
        ),
        ("seniority", "days"): (
            f"**{RULES.seniority.days} jours**",
            f"**{RULES.seniority.days} days**",
        ),
        ("half_days", "per_host"): (
            f"**{half_days.per_host} demi-journées** dans un même espace",
            f"**{half_days.per_host} half-days** at one and the same host",
        ),
        ("half_days", "network"): (
            f"**{half_days.network} demi-journées** dans l’ensemble du réseau",
            f"**{half_days.network} half-days** in the network",
        ),
        ("guest_cap", "at_least"): (
            f"**au moins {RULES.guest_cap.at_least}**",
            f"**at least {RULES.guest_cap.at_least}**",
        ),
        ("house_conditions", "closed_dates"): (
            f"**{RULES.house_conditions.closed_dates} par mois** au plus",
            f"**{RULES.house_conditions.closed_dates} a month** at most",
        ),
        ("house_conditions", "notice_hours"): (
            f"ne dépasse pas **{RULES.house_conditions.notice_hours} heures**",
            f"never longer than **{RULES.house_conditions.notice_hours} hours**",
        ),
        ("opening_hours", "split"): (f"**{split.hour} h**", f"**{split:%H:%M}**"),
        ("offline", "trust_list_hours"): (
            f"**{RULES.offline.trust_list_hours} heures** au plus",
            f"at most **{RULES.offline.trust_list_hours} hours**",
        ),
        ("offline", "visits_per_pass"): (
            f"**{RULES.offline.visits_per_pass} visites** au plus",
            f"at most **{RULES.offline.visits_per_pass} visits**",
        ),
        ("paper_card", "half_days"): (
            f"**{RULES.paper_card.half_days} demi-journées** par mois civil",
            f"**{RULES.paper_card.half_days} half-days** per calendar month",
        ),
        ("balance", "mode"): MODES[RULES.balance.mode],
        ("balance", "tolerance_half_days"): (
            f"**{RULES.balance.tolerance_half_days} demi-journées** de solde",
            f"balance of **{RULES.balance.tolerance_half_days} half-days**",
        ),
        ("balance", "rate_cents"): price,
        ("balance", "currency"): price,
        ("correction", "hours"): (
            f"**{RULES.correction.hours} heures**",
            f"**{RULES.correction.hours} hours**",
        ),
        ("dispute", "days"): (f"**{RULES.dispute.days} jours**", f"**{RULES.dispute.days} days**"),
        ("vote", "quorum"): tuple(f"**{word}**" for word in SHARES[RULES.vote.quorum]),
        ("vote", "majority"): tuple(f"**{word}**" for word in SHARES[RULES.vote.majority]),
        ("vote", "days"): (f"**{RULES.vote.days} jours**", f"**{RULES.vote.days} days**"),
    }  # type: ignore[dict-item]


STATED = _stated()


def body(language: str, number: int) -> str:
    """Return an article on one line, with plain spaces: how a reader sees it."""
    return re.sub(r"\s+", " ", MODEL.texts[language].articles[number - 1].body)


def test_both_languages_have_the_same_fifteen_articles() -> None:
    for language in LANGUAGES:
        numbers = [article.number for article in MODEL.texts[language].articles]
        assert numbers == list(range(1, 16))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_article_has_a_title_and_a_body_and_the_text_a_preamble(language: str) -> None:
    text = MODEL.texts[language]
    assert text.title
    assert text.preamble
    assert all(article.title and article.body for article in text.articles)


@pytest.mark.parametrize("number", range(1, 16))
def test_an_article_has_as_many_paragraphs_and_points_in_both_languages(number: int) -> None:
    shapes = []
    for language in LANGUAGES:
        source = MODEL.texts[language].articles[number - 1].body
        shapes.append((source.count("\n\n"), len(re.findall(r"^- ", source, re.MULTILINE))))
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("number", range(1, 16))
def test_an_article_gives_the_same_numbers_in_both_languages(number: int) -> None:
    french, english = body("fr", number), body("en", number)
    french = re.sub(r"(\d),(\d)", r"\1.\2", re.sub(r"(\d+) h\b", r"\1:00", french))
    assert sorted(re.findall(r"\d+(?:[.:]\d+)?", french)) == sorted(
        re.findall(r"\d+(?:[.:]\d+)?", english)
    )


def test_every_figure_in_force_is_among_those_looked_for_in_the_text() -> None:
    figures = {
        (name, spec.name)
        for name, kind in KINDS.items()
        if name != "articles"
        for spec in fields(kind)
        if spec.name != "article"
    }
    assert set(STATED) == figures


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("name", "key"), sorted(STATED))
def test_a_figure_is_stated_by_the_article_that_carries_it(
    name: str, key: str, language: str
) -> None:
    wording = STATED[name, key][LANGUAGES.index(language)]
    assert wording in body(language, getattr(RULES, name).article)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_cited_article_exists(language: str) -> None:
    assert cited_articles(RULES) <= set(range(1, len(MODEL.texts[language].articles) + 1))


@pytest.mark.parametrize(
    ("kind", "french", "english"),
    [
        ("pass_", "Le pass", "The pass"),
        ("host", "Protection de l’accueil", "Protection of the host"),
        (
            "membership",
            "Entrée, signature, suspension et sortie",
            "Entry, signature, suspension and exit",
        ),
    ],
)
def test_reasons_without_a_figure_cite_the_article_of_their_subject(
    kind: str, french: str, english: str
) -> None:
    number = getattr(RULES.articles, kind)
    assert MODEL.texts["fr"].articles[number - 1].title == french
    assert MODEL.texts["en"].articles[number - 1].title == english


def test_there_are_twenty_codes_and_none_twice() -> None:
    assert len(CODES) == len(set(CODES)) == 20


def test_a_text_is_split_into_title_preamble_and_articles() -> None:
    text = parse_text(
        "\n# Title\n\nBefore.\n\n## 1. One\n\nFirst.\n\n- point\n\n## 2. Two \nSecond.\n"
    )
    assert (text.title, text.preamble) == ("Title", "Before.")
    assert [(a.number, a.title, a.body) for a in text.articles] == [
        (1, "One", "First.\n\n- point"),
        (2, "Two", "Second."),
    ]


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("", "title"),
        ("   \n", "title"),
        ("No heading", "title"),
        ("## 1. Article first", "title"),
        ("# T\n## 2. Two", "numbered"),
        ("# T\n## 1. One\n## 3. Three", "numbered"),
        ("# T\n## 1. One\n## 1. Again", "numbered"),
        ("# T\n## 2. Two\n## 1. One", "numbered"),
        (f"# T\n## {'9' * 5000}. Many digits", "numbered"),
    ],
)
def test_a_text_without_title_or_with_a_gap_is_refused(source: str, fault: str) -> None:
    with pytest.raises(TextError, match=fault):
        parse_text(source)
