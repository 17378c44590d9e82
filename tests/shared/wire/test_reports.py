"""Reports of visits and the hub's receipts: what each must say, and what is not believed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from marshmallow import ValidationError

from charter import Facts
from shared.crypto import jose
from shared.crypto.keys import new_key_ring
from shared.wire.reports import (
    RECEIPT_TYP,
    TYP,
    Receipt,
    Report,
    read_receipt,
    read_report,
    sign_receipt,
    sign_report,
    tell_again,
    visit_id,
)

HUB = "https://hub.example"
AT = datetime(2026, 11, 30, 9, 5, 7, 250_000, tzinfo=UTC)
HOST, COORDINATION = new_key_ring(), new_key_ring()
SHOWING = "ab" * 32
DECISION = {
    "outcome": "allowed",
    "reasons": [],
    "charter": "1",
    "terms": {"until": None, "services": [], "half_days_left": {"host": 3, "network": None}},
    "online": True,
}
RECEIPT = Receipt(
    hub=HUB,
    issued_at=AT.replace(microsecond=0),
    visit=visit_id(SHOWING, "troquet-numerique"),
    host="troquet",
    space="troquet-numerique",
    home="la-cordee",
    pass_id="a-pass-number-16",
    plan="resident",
    showing=SHOWING,
    at=AT,
    online=True,
    held=None,
    charter="1",
    decision=DECISION,
)


def facts(**changes: Any) -> Facts:
    known = Facts(host="troquet", space="troquet-numerique", guest_cap=4, services=("coffee",))
    return replace(known, **changes)


def read(token: str) -> Report:
    return read_report(jose.verify(token, HOST.find, TYP))


def test_a_receipt_says_again_what_it_was_given() -> None:
    assert read_receipt(sign_receipt(COORDINATION, RECEIPT), COORDINATION.find, HUB) == RECEIPT


@pytest.mark.parametrize(
    "changes",
    [
        {"hub": "https://other.example"},
        {"visit": visit_id(SHOWING, "another-space")},
        {"showing": "ab" * 16},
        {"held": "x" * 21},
        {"plan": "king"},
        {"decision": {"outcome": "perhaps"}},
    ],
)
def test_a_receipt_of_another_hub_or_of_no_visit_is_not_believed(changes: dict[str, Any]) -> None:
    token = sign_receipt(COORDINATION, replace(RECEIPT, **changes))
    with pytest.raises(jose.TokenFault, match="claims"):
        read_receipt(token, COORDINATION.find, HUB)


def test_a_receipt_by_another_key_or_of_another_type_is_not_believed() -> None:
    with pytest.raises(jose.TokenFault, match="key"):
        read_receipt(sign_receipt(HOST, RECEIPT), COORDINATION.find, HUB)
    with pytest.raises(jose.TokenFault, match="typ"):
        read_receipt(sign_report(HOST, HUB, "text", AT, facts()), HOST.find, HUB)
    token = COORDINATION.sign({"iss": HUB}, RECEIPT_TYP)
    with pytest.raises(jose.TokenFault, match="claims"):
        read_receipt(token, COORDINATION.find, HUB)


def test_a_report_shows_the_pass() -> None:
    report = read(sign_report(HOST, HUB, "the~text", AT, facts()))
    assert (report.shown, report.again, report.receipt, report.live) == (
        "the~text",
        False,
        None,
        True,
    )


@pytest.mark.parametrize(
    "changes", [{}, {"again": True}, {"again": False, "receipt": "a.b.c"}, {"again": True, "r": ""}]
)
def test_a_report_without_the_pass_needs_again_and_its_receipt(changes: dict[str, Any]) -> None:
    claims = dict(jose.read_unverified(sign_report(HOST, HUB, "the~text", AT, facts())).claims)
    del claims["pass"]
    with pytest.raises(ValidationError) as error:
        read(HOST.sign({**claims, **changes}, TYP))
    assert "pass" in error.value.messages_dict


def test_a_report_that_is_told_again_carries_its_receipt_and_how_it_ended() -> None:
    told = sign_report(HOST, HUB, "the~text", AT, facts(people_present=3))
    ended = AT + timedelta(hours=2)
    report = read(tell_again(HOST, HUB, told, AT, ended, DECISION, "a.b.c"))
    assert report.shown == "the~text"
    assert report.facts.people_present == 3
    assert (report.at, report.ended_at) == (AT, ended)
    assert (report.again, report.receipt, report.live) == (True, "a.b.c", False)


def test_a_visit_of_which_only_the_receipt_is_kept_is_told_with_it_alone() -> None:
    report = read(tell_again(HOST, HUB, facts(), AT, None, None, "a.b.c"))
    assert (report.shown, report.receipt, report.again) == (None, "a.b.c", True)


def test_a_visit_without_a_receipt_is_told_late() -> None:
    told = sign_report(HOST, HUB, "the~text", AT, facts(online=False), DECISION)
    report = read(tell_again(HOST, HUB, told, AT, None, None, None))
    assert (report.again, report.receipt, report.live) == (False, None, False)
