"""A space that hosts far more than it sends, or sends far more, sees it coming."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.network import TUESDAY, Network
from tests.node.postbox import Postbox
from tests.shared.browser import Browser, Page


@pytest.fixture
def boxes(lasting_network: Network, tmp_path: Path) -> dict[str, Postbox]:
    nodes = lasting_network.nodes
    return {name: Postbox(node, tmp_path / name) for name, node in nodes.items()}


def _visit(network: Network, times: int) -> None:
    """Let members of ``cordee`` each spend a half-day at ``troquet``."""
    for _ in range(times):
        answer = network.nodes["troquet"].scan(network.nodes["cordee"].add_person().show())
        assert answer.status_code == 201, answer.text


def _month(network: Network, node: str) -> str:
    browser = Browser(network.nodes[node])
    browser.log_in(f"admin@{node}.example")
    return Page(browser.get("/console/statements/2026-11?lang=en").text).text


def test_both_sides_are_warned_once_on_the_page_and_by_mail(
    lasting_network: Network, boxes: dict[str, Postbox]
) -> None:
    network = lasting_network
    assert "within the tolerance of ±10" in _month(network, "troquet")
    assert not any(box.come() for box in boxes.values())
    _visit(network, 9)  # by the 24th; 11 at the end of the month
    (warned,) = boxes["troquet"].come()
    text = warned.get_content()
    assert str(warned["Subject"]).endswith(" / November 2026: your balance nears the tolerance")
    assert "9 half-days given, 0 received" in text
    assert "+11 at the month’s end" in text
    assert "€9.00 at most" in text
    assert "receive fewer visitors at once, down to 1 (article 6)" in text
    assert f"{network.nodes['troquet'].url}/console/statements/2026-11" in text
    (owing,) = boxes["cordee"].come()
    assert "That would cost €9.00 at most" in owing.get_content()
    assert "receive more visitors at once" in owing.get_content()
    assert not any(box.come() for box in boxes.values())  # once a month
    assert "That would bring €9.00 at most" in _month(network, "troquet")
    assert "troquet receives 1000 visitors at once" in _month(network, "troquet")

    _visit(network, 2)
    beyond = ["November 2026: your balance is beyond the tolerance"]
    assert boxes["troquet"].subjects() == boxes["cordee"].subjects() == beyond
    assert boxes["filature"].subjects() == []
    visits = network.nodes["troquet"].presence()
    assert network.nodes["troquet"].void(visits[0]["id"]).status_code == 200
    network.refresh()
    assert boxes["troquet"].subjects() == []  # less so again: no news


def test_the_coordinator_sees_where_the_month_is_heading(
    make_network: Callable[..., Network],
) -> None:
    network = make_network(nodes={"cordee": {}, "troquet": {"guest_cap": 1000}})
    _visit(network, 6)  # more than half of the tolerance, and a week is to come
    browser = Browser(network.hub)
    browser.log_in("coord@hub.example")
    page = Page(browser.get("/coordination/statements/2026-11?lang=en").text).text
    assert "Where the month is heading" in page
    assert "near ±10" in page
    before = Page(browser.get("/coordination/statements/2026-10?lang=en").text).text
    assert "Where the month is heading" not in before


def test_another_month_is_heading_nowhere(lasting_network: Network) -> None:
    network = lasting_network
    network.move_to("2026-12-01T10:00:00+01:00")
    try:
        assert "Where the month is heading" not in _month(network, "troquet")
    finally:
        network.move_to(TUESDAY)


def test_a_hub_that_is_away_only_delays_the_warning(
    lasting_network: Network, boxes: dict[str, Postbox]
) -> None:
    with lasting_network.nodes["filature"].cut_off():
        assert boxes["filature"].come() == []


def test_an_admin_says_a_word_to_the_houses_figures_and_takes_it_back(
    lasting_network: Network,
) -> None:
    node = lasting_network.nodes["troquet"]
    admin = Browser(node)
    admin.log_in("admin@troquet.example")
    page = admin.get("/console/statements/2026-11").text
    assert "What the network’s pictures say of us" in page
    words = "Deux semaines sans toit <i>& sans café</i>"
    for said, flash in ((words, "stands beside"), ("x" * 1001, "1000 characters")):
        assert admin.post("/console/statements/2026-11/reply", reply=said).status_code == 302
        page = admin.get("/console/statements/2026-11").text
        assert flash in page
        assert "Deux semaines sans toit &lt;i&gt;&amp; sans café&lt;/i&gt;</textarea>" in page
    staff = Browser(lasting_network.hub)
    staff.log_in("coord@hub.example")
    assert "Deux semaines sans toit" in staff.get("/coordination/pictures/honour").text
    admin.post("/console/statements/2026-11/reply", reply=" ")
    assert "was taken back" in admin.get("/console/statements/2026-11").text
    assert "Deux semaines" not in staff.get("/coordination/pictures/honour").text
    assert admin.post("/console/statements/2027-11/reply", reply="x").status_code == 404
