"""Votes and signatures are reminded of: each once, and from the text as it stands."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from charter import model_sources
from federation import jobs as hub_jobs
from node.governance import reminders
from node.governance.reminders import Reminder, Version, due, read
from node.hub import service as sync
from node.identity.service import accounts
from shared.store.db import begin_write
from tests.contract.speaking import access_token
from tests.network import PASSWORD, LocalNode, Network, rules
from tests.node.postbox import Postbox
from tests.shared.browser import Browser

OPENED = datetime(2026, 11, 24, 9, tzinfo=UTC)
CLOSES = OPENED + timedelta(days=10)
EFFECT = CLOSES + timedelta(days=14)
COUNT = {"yes": 2, "no": 0, "abstain": 0, "suspended": 0, "entitled": 3, "reason": None}

FIRST = Version("1", "a" * 64, "in_force", signed=True)
OPEN = Version("2", "b" * 64, "open", OPENED, CLOSES, elector=True, voted=False, signed=False)
ADOPTED = replace(OPEN, state="adopted", closed_at=CLOSES, effective_at=EFFECT, outcome=COUNT)
REJECTED = replace(
    OPEN, state="rejected", closed_at=CLOSES, outcome={**COUNT, "reason": "no_quorum"}
)


def kinds(version: Version, now: datetime, *told: Reminder, first: Version = FIRST) -> list[str]:
    """Return what is due of a version, beside the one in force."""
    return [r.kind for r in due([first, version], now, {t.key for t in told})]


def days(number: float) -> timedelta:
    return timedelta(days=number)


# -- The vote ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (0, ["vote"]),
        (6.99, ["vote"]),
        (7, ["vote", "vote-3"]),
        (8.99, ["vote", "vote-3"]),
        (9, ["vote", "vote-1"]),
        (9.99, ["vote", "vote-1"]),
        (10, []),
    ],
)
def test_who_has_not_voted_is_reminded_three_days_and_one_day_before_the_end(
    after: float, expected: list[str]
) -> None:
    assert kinds(OPEN, OPENED + days(after)) == expected


def test_who_has_voted_on_the_text_as_it_stands_is_not_reminded() -> None:
    now = OPENED + days(8)
    assert kinds(replace(OPEN, voted=True), now) == ["vote"]
    assert kinds(OPEN, now) == ["vote", "vote-3"]


def test_who_has_no_voice_is_not_reminded_to_vote_and_who_had_one_at_the_opening_is() -> None:
    stranger = replace(FIRST, signed=False)
    now = OPENED + days(8)
    assert kinds(replace(OPEN, elector=False), now, first=stranger) == ["out", "vote"]
    assert kinds(OPEN, now, first=stranger) == ["out", "vote", "vote-3"]


def test_a_withdrawal_is_told_to_whom_the_vote_was_told_for_a_week() -> None:
    gone = replace(OPEN, state="withdrawn", closed_at=OPENED + days(2))
    told = Reminder("vote", OPEN)
    assert kinds(gone, OPENED + days(2)) == []
    assert kinds(gone, OPENED + days(1.9), told) == []
    assert kinds(gone, OPENED + days(2), told) == ["withdrawn"]
    assert kinds(gone, OPENED + days(8.9), told) == ["withdrawn"]
    assert kinds(gone, OPENED + days(9), told) == []
    assert kinds(replace(gone, version="3"), OPENED + days(2), told) == []


def test_a_vote_shorter_than_the_notice_is_not_reminded_of_at_once() -> None:
    short = replace(OPEN, closes_at=OPENED + days(2))
    assert kinds(short, OPENED + days(0.5)) == ["vote"]
    assert kinds(short, OPENED + days(1)) == ["vote", "vote-1"]
    assert kinds(replace(OPEN, closes_at=OPENED + days(0.5)), OPENED) == ["vote"]


def test_an_edit_is_told_as_one_and_starts_anew() -> None:
    edited = replace(OPEN, sha256="c" * 64, opened_at=OPENED + days(8), closes_at=CLOSES + days(8))
    told = Reminder("vote", OPEN), Reminder("vote-3", OPEN)
    assert kinds(edited, OPENED + days(9), *told) == ["edited"]
    again = due([FIRST, edited], OPENED + days(9), {t.key for t in told})[0]
    assert kinds(edited, OPENED + days(10), *told, again) == ["edited"]
    back = replace(OPEN, opened_at=OPENED + days(9), closes_at=CLOSES + days(9))
    assert kinds(back, OPENED + days(9), *told, again) == ["edited"]
    keys = {r.key for v in (OPEN, edited, back) for r in (Reminder("vote", v),)}
    assert len(keys) == 3


def test_another_proposal_is_no_edit() -> None:
    assert kinds(replace(OPEN, version="3"), OPENED, Reminder("vote", OPEN)) == ["vote"]
    assert kinds(replace(OPEN, version="22"), OPENED, Reminder("vote", OPEN)) == ["vote"]


# -- The result, the signature, the reciprocity ------------------------------------------


def test_a_result_is_news_for_a_week() -> None:
    assert kinds(REJECTED, CLOSES - days(0.01)) == []
    assert kinds(REJECTED, CLOSES) == ["rejected"]
    assert kinds(ADOPTED, CLOSES + days(6.9)) == ["adopted"]
    assert kinds(REJECTED, CLOSES + days(7)) == kinds(ADOPTED, CLOSES + days(7)) == []
    assert kinds(replace(OPEN, state="withdrawn"), CLOSES) == []


@pytest.mark.parametrize(
    ("before", "expected"),
    [(3.01, []), (3, ["sign-3"]), (1.01, ["sign-3"]), (1, ["sign-1"]), (0.01, ["sign-1"]), (0, [])],
)
def test_who_has_not_signed_is_reminded_before_the_effect(
    before: float, expected: list[str]
) -> None:
    assert kinds(ADOPTED, EFFECT - days(before)) == expected
    assert kinds(replace(ADOPTED, signed=True), EFFECT - days(before)) == []


def test_who_has_not_signed_is_told_that_it_is_out_and_then_that_it_is_back() -> None:
    forced = replace(ADOPTED, state="in_force")
    now = EFFECT + days(1)
    (out,) = due([forced], now)
    assert out.kind == "out"
    signed = replace(forced, signed=True)
    assert [r.kind for r in due([signed], now, {out.key})] == ["back"]
    assert due([signed], now) == []


# -- What the hub does not say ------------------------------------------------------


def test_what_the_hub_does_not_tell_is_not_guessed() -> None:
    def told(**document: Any) -> list[str]:
        found = read({"version": "2", "sha256": "b" * 64, **document})
        assert found is not None
        return [r.kind for r in due([found], OPENED + days(8))]

    def own(**said: Any) -> dict[str, Any]:
        return {"own": {"elector": True, "signed": False, "vote": None, **said}}

    closes = CLOSES.isoformat()
    assert told() == told(state="adopted") == told(state="in_force") == told(state="rejected") == []
    assert told(state="open") == told(state="open", closes_at=closes) == ["vote"]
    assert told(state="open", closes_at=closes, own="none") == ["vote"]
    assert told(state="open", closes_at=closes, **own()) == ["vote", "vote-3"]
    assert told(state="open", closes_at=closes, **own(vote={"choice": "yes"})) == ["vote"]
    assert told(state="open", closes_at=closes, **own(elector=False)) == ["vote"]
    assert told(state="open", closes_at="soon", **own()) == ["vote"]
    assert told(state="open", closes_at="2026-12-04", **own()) == ["vote"]
    assert told(state="in_force", **own(signed=True)) == []
    assert told(state="in_force", **own()) == ["out"]
    assert told(state="a state of later") == []
    assert read({"state": "open"}) is None
    assert read({"version": 2, "sha256": None}) is None


# -- Over a network ----------------------------------------------------------------------


def _ask(node: LocalNode, method: str, path: str, body: Any) -> Any:
    headers = {"Authorization": f"Bearer {access_token(node)}"}
    url = node.app.extensions["node"].hub.url + path
    answer = requests.request(method, url, json=body, headers=headers, timeout=20)
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


def _proposal(per_host: int, argument: str) -> dict[str, Any]:
    sources = {**model_sources(), "rules.toml": rules(per_host=per_host)}
    return {"sources": sources, "argument": argument}


def _vote(node: LocalNode) -> None:
    _ask(node, "POST", "/api/v1/charters/2/votes", {"choice": "yes", "reason": ""})


def _sign(node: LocalNode) -> None:
    with node.context() as (session, context):
        sync.sign_charter(session, context, "2")


@pytest.fixture
def boxes(lasting_network: Network, tmp_path: Path) -> dict[str, Postbox]:
    nodes = lasting_network.nodes
    return {name: Postbox(node, tmp_path / name) for name, node in nodes.items()}


def test_the_admins_are_told_each_thing_once_from_the_vote_to_the_signature(
    lasting_network: Network, boxes: dict[str, Postbox]
) -> None:
    network = lasting_network
    cordee, troquet, filature = (network.nodes[n] for n in ("cordee", "troquet", "filature"))

    def come() -> dict[str, list[str]]:
        found = {name: box.subjects() for name, box in boxes.items()}
        assert not any(box.come() for box in boxes.values())  # each once
        return {name: subjects for name, subjects in found.items() if subjects}

    def same(names: tuple[str, ...], subject: str) -> dict[str, list[str]]:
        return {name: [subject] for name in names}

    def later(**delta: float) -> None:
        network.pass_time(**delta)
        with network.hub.app.app_context():
            hub_jobs.advance_votes()

    everybody = ("cordee", "troquet", "filature")
    assert come() == {}
    _ask(cordee, "POST", "/api/v1/charters", _proposal(8, "Six are <b>too few</b>\nfor us"))
    _read_the_first(boxes["filature"], filature)
    assert come() == same(("cordee", "troquet"), "Charter: version 2 is put to the vote")
    _vote(troquet)
    later(days=7, hours=1)
    left = "Charter: 3 days left to vote on version 2"
    assert come() == same(("cordee", "filature"), left)

    _ask(cordee, "PUT", "/api/v1/charters/2", _proposal(9, "Nine"))
    anew = "Charter: the proposal has changed, version 2 is put to the vote anew"
    assert come() == same(everybody, anew)
    _vote(troquet)
    _vote(cordee)
    later(days=9, hours=1)
    assert come() == {"filature": ["Charter: 1 day left to vote on version 2"]}

    later(days=1)
    network.hub_goes()
    assert come() == {}  # later
    network.hub_returns()
    assert come() == same(everybody, "Charter: version 2 is adopted")
    for node in (cordee, troquet):
        _sign(node)
    later(days=11)
    assert come() == {"filature": ["Charter: 3 days left to sign version 2"]}
    later(days=2)
    assert come() == {"filature": ["Charter: 1 day left to sign version 2"]}
    later(days=1)
    network.refresh()
    assert come() == {"filature": ["Charter: filature is out of the reciprocity"]}
    _sign(filature)
    assert come() == {"filature": ["Charter: filature is back in the reciprocity"]}


def _read_the_first(box: Postbox, node: LocalNode) -> None:
    """What is put to the vote is told with figures, argument and page, in two languages."""
    (message,) = box.come()
    text = message.get_content().replace("\r\n", "\n")
    assert message["To"] == "admin@filature.example"
    assert message["Subject"].startswith("Charte\u202f: la version 2 est soumise au vote / ")
    french, english = text.split("-" * 40)
    for half in (french, english):
        assert "> Six are <b>too few</b>\n> for us" in half
        assert "6 → 8" in half
        assert f"{node.url}/console/charter" in half
    assert "Le vote est ouvert jusqu’au 4 déc. 2026" in french.replace("\u00a0", " ")
    assert "cordee proposes a change" in english
    assert "At one space (article 5)" in english


def test_a_proposal_withdrawn_with_its_operators_suspension_is_told(
    lasting_network: Network, boxes: dict[str, Postbox]
) -> None:
    network, box = lasting_network, boxes["troquet"]
    filature = network.nodes["filature"]
    version = _ask(filature, "POST", "/api/v1/charters", _proposal(5, "Five"))["version"]
    assert box.subjects() == [f"Charter: version {version} is put to the vote"]
    network.set_state("filature", "suspended")
    (message,) = box.come()
    assert message["Subject"].endswith(f"Charter: proposal {version} is withdrawn")
    assert "The operator that proposed it was suspended." in message.get_content()
    assert box.come() == []
    network.set_state("filature", "connected")
    network.pass_time(days=8)  # no news any more
    assert box.come() == []


def test_an_admin_who_comes_later_is_told_what_still_holds(
    lasting_network: Network, boxes: dict[str, Postbox]
) -> None:
    """An admin who has gone is told nothing any more."""
    network, node = lasting_network, lasting_network.nodes["troquet"]
    version = _ask(node, "POST", "/api/v1/charters", _proposal(7, "Seven"))["version"]
    assert boxes["troquet"].subjects() == [f"Charter: version {version} is put to the vote"]
    with node.context() as (session, context):
        begin_write(session)
        values = {"name": "New", "password": PASSWORD, "roles": ["desk", "admin"]}
        now = context.clock.now()
        new = accounts.create(session, now, email="new@troquet.example", **values)
        session.commit()
        new_id = new.id
    (message,) = boxes["troquet"].come()
    assert message["To"] == "new@troquet.example"
    with node.context() as (session, context):
        begin_write(session)
        session.get(accounts.account, new_id).disabled_at = context.clock.now()
        session.commit()
    network.pass_time(days=8)
    assert [m["To"] for m in boxes["troquet"].come()] == ["admin@troquet.example"]


def test_the_charter_page_says_what_became_of_the_mail(
    lasting_network: Network, boxes: dict[str, Postbox]
) -> None:
    node = lasting_network.nodes["troquet"]
    browser = Browser(node)
    browser.log_in("admin@troquet.example")
    assert 'href="/console/letters"' in browser.get("/console/charter").text
    context = node.app.extensions["node"]
    node.app.extensions["node"] = replace(
        context, settings=replace(context.settings, smtp_url=None)
    )
    assert "this node has no mail server" in browser.get("/console/charter").text
    with node.context() as (session, without):
        assert reminders.remind(session, without) == 0
