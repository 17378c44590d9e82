"""The poster by which visitors check themselves in, to hang at the entrance."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlencode

from flask_babel import gettext

from shared.wire.pdf import SOFT, TEAL, Paper


def link(node_url: str, space_id: str, code: str) -> str:
    """Return where the poster leads."""
    return f"{node_url}/spaces/{space_id}/here?{urlencode({'code': code})}"


def poster(name: str, url: str, language: str, made_at: datetime) -> bytes:
    """Return an A4 page, as PDF, in the language of the request."""
    paper = Paper(gettext("Check in at %(space)s", space=name), language, made_at)
    paper.write_line("Passerelle", 15, bold=True, colour=TEAL, align="C", after=8)
    paper.write_line(name, 30, bold=True, align="C", after=4)
    paper.write_line(gettext("Subscribed at another space?"), 20, align="C", after=1)
    paper.write_line(gettext("Here you are at home."), 20, align="C", after=8)
    side = 105.0
    top = paper.get_y()
    paper.draw_code(url, (paper.w - side) / 2, top, side)
    paper.set_y(top + side + 6)
    steps = (
        gettext("1. Scan this code with your phone."),
        gettext("2. Choose your home space, read the conditions of the day, confirm."),
        gettext("3. The desk sees you come in. Sit down, you are welcome."),
    )
    for step in steps:
        paper.write_line(step, 14, align="C", after=1.5)
    paper.ln(5)
    paper.write_line(
        gettext("Without a phone, or if it does not work: ask at the desk."),
        11,
        colour=SOFT,
        align="C",
    )
    return paper.to_bytes()
