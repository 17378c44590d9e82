"""What a member prints: a card, and a receipt of a visit."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask_babel import gettext, ngettext

from shared.web.formats import clock_time, day, local_day, moment
from shared.wire.pdf import SOFT, TEAL, Paper

# A card of the size of a bank card (ISO/IEC 7810 ID-1), on a sheet to cut it out of.
CARD_MM = (85.6, 54.0)
_CODE_MM = 40.0


def card(
    given_name: str, home: str, address: str, until: datetime, language: str, made_at: datetime
) -> bytes:
    """Return the card as PDF. Its code is an address; without the PIN it opens nothing."""
    paper = Paper(gettext("My paper card"), language, made_at)
    paper.write_line("Passerelle", 13, bold=True, colour=TEAL, after=4)
    paper.write_line(gettext("My paper card"), 20, bold=True, after=4)
    x, y = paper.l_margin, paper.get_y()
    paper.set_draw_color(*SOFT)
    paper.set_dash_pattern(dash=2, gap=1.5)
    paper.rect(x, y, *CARD_MM)
    paper.set_dash_pattern()
    paper.draw_code(
        address, x + CARD_MM[0] - _CODE_MM - 3, y + (CARD_MM[1] - _CODE_MM) / 2, _CODE_MM
    )
    width = CARD_MM[0] - _CODE_MM - 9
    margin = paper.l_margin
    paper.set_left_margin(x + 5)
    paper.set_xy(x + 5, y + 6)
    paper.write_line("Passerelle", 9, bold=True, colour=TEAL, after=3, width=width)
    paper.write_line(given_name, 13, bold=True, after=1, width=width)
    paper.write_line(home, 8.5, after=3, width=width)
    until_day = gettext("until %(day)s", day=_day(until))
    paper.write_line(until_day, 7.5, colour=SOFT, after=0, width=width)
    paper.set_left_margin(margin)
    paper.set_xy(margin, y + CARD_MM[1] + 8)
    for line in (
        gettext(
            "Cut along the line. At the desk, show the card, then say your first name and your PIN."
        ),
        gettext("Keep the PIN apart from the card: the card alone opens nothing."),
        gettext(
            "The charter’s article on the pass says how many half-days a month a card opens. "
            "It works only while your home space and the network answer."
        ),
        gettext("Lost? Make a new one on your pass page: this one then opens nothing any more."),
    ):
        paper.write_line(line, 11)
    return paper.to_bytes()


def receipt(
    name: str,
    home: str,
    space: str,
    visit: Mapping[str, Any],
    hub_url: str,
    language: str,
    made_at: datetime,
) -> bytes:
    """Return a receipt of one visit, as PDF, for whoever asks the member where they were."""
    paper = Paper(gettext("Receipt of a visit"), language, made_at)
    paper.write_line("Passerelle", 13, bold=True, colour=TEAL, after=4)
    paper.write_line(gettext("Receipt of a visit"), 22, bold=True, after=6)
    ended, zone = visit["ended_at"], visit["timezone"]
    facts = [
        (gettext("Name"), name),
        (gettext("Subscribed at"), home),
        (gettext("Visited space"), space),
        (gettext("Day"), _day(visit["started_at"], zone)),
        (gettext("Arrived"), clock_time(visit["started_at"], zone)),
        (
            gettext("Left"),
            clock_time(ended, zone) if ended else gettext("still there"),
        ),
    ]
    if visit["half_days"] is not None:
        count = visit["half_days"]
        counted = ngettext("%(num)d half-day", "%(num)d half-days", count)
        facts.append((gettext("Counted"), counted))
    if visit["article"]:
        facts.append((gettext("Admitted under"), _admitted(visit)))
        price = gettext("no entrance fee: reciprocity between spaces (article 3)")
        facts.append((gettext("Price"), price))
    facts.append((gettext("Visit number"), visit["id"]))
    paper.write_facts(facts)
    paper.ln(6)
    made = gettext("Made on %(moment)s by the home space.", moment=moment(made_at))
    paper.write_line(made, 9.5, colour=SOFT)
    if visit["article"]:
        paper.write_line(
            gettext("The charter: %(url)s", url=f"{hub_url}/charter"), 9.5, colour=SOFT
        )
    return paper.to_bytes()


def _day(instant: datetime, zone: str | None = None) -> str:
    return day(local_day(instant, zone))


def _admitted(visit: Mapping[str, Any]) -> str:
    return gettext(
        "article %(number)s of the charter, version %(version)s",
        number=visit["article"],
        version=visit["charter"],
    )
