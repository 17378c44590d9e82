"""The coordinator's room of nodes: how each is, suspending, letting go; and who asks to join."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from federation.audit.models import AuditEntry
from federation.context import hub as hub_context
from federation.db import db as hub_db
from federation.identity.models import Account
from federation.identity.service import accounts
from federation.mail.models import Mail
from federation.nodes import enrolment, join_requests
from federation.nodes import service as nodes
from federation.nodes.models import Invitation, JoinRequest, Node, NodeMark
from federation.trust import node_health
from federation.trust.node_health import Condition
from federation.trust.own_api import skew
from shared.base.mail_server import mail_server
from shared.base.version import VERSION
from shared.store.db import begin_write
from shared.wire.problems import Problem
from tests.browsing import wrong_with
from tests.contract.hostile import answer, hostile
from tests.contract.speaking import access_token
from tests.network import PASSWORD, Network, at_once
from tests.shared.browser import Browser, forget_attempts

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def node_as(**changes: Any) -> Any:
    common = {
        "state": "connected",
        "leaving_on": None,
        "harvest_failures": 0,
        "published_at": NOW,
    }
    return SimpleNamespace(**{**common, **changes})


def mark_as(**said: Any) -> NodeMark:
    return NodeMark(jumps=0, jumped_at=None, **said)


@pytest.mark.parametrize(
    ("changes", "amiss"),
    [
        ({}, []),
        ({"node": node_as(state="offline")}, ["offline"]),
        ({"node": node_as(state="late", harvest_failures=1)}, ["late"]),
        ({"node": node_as(harvest_failures=2)}, ["harvest"]),
        ({"node": node_as(state="suspended", harvest_failures=2), "refused": 1}, ["suspended"]),
        ({"node": node_as(state="left"), "signed": False}, []),
        ({"places_until": NOW}, ["places"]),
        ({"places_until": None}, ["places"]),
        ({"places_until": None, "spaces": 0}, []),
        ({"refused": 2, "signed": False}, ["refused", "unsigned"]),
        ({"mark": mark_as(skew=-61)}, ["clock-wrong"]),
        ({"mark": mark_as(skew=60)}, ["clock-off"]),
        ({"mark": mark_as(skew=20, outbox_pending=19, outbox_dead=0)}, []),
        ({"mark": mark_as(outbox_pending=20, outbox_dead=1)}, ["outbox-dead", "outbox-waiting"]),
    ],
)
def test_what_is_amiss_is_said_worst_first(changes: dict[str, Any], amiss: list[str]) -> None:
    good = Condition(node_as(), None, 1, 0, NOW, NOW + MINUTE, signed=True)
    assert node_health._amiss(replace(good, **changes), NOW) == amiss


def test_a_clock_from_another_age_is_a_number_that_can_be_kept() -> None:
    assert skew(NOW + timedelta(seconds=90), NOW) == 90
    assert skew(datetime.max.replace(tzinfo=UTC), NOW) == 2**31 - 1
    assert skew(datetime.min.replace(tzinfo=UTC), NOW) == -(2**31) + 1


@pytest.fixture
def desk(lasting_network: Network, tmp_path: Path) -> Iterator[Browser]:
    """A coordinator's browser; the hub has a mail server for a while."""
    forget_attempts()
    app = lasting_network.hub.app
    before = app.extensions["hub"]
    settings = replace(
        before.settings, smtp_url=mail_server(f"file://{tmp_path}"), mail_from="hub@hub.example"
    )
    app.extensions["hub"] = replace(before, settings=settings)
    found = Browser(lasting_network.hub)
    found.log_in("coord@hub.example")
    with app.app_context():
        yield found
        begin_write(hub_db.session())
        hub_db.session.execute(delete(Mail))
        hub_db.session.execute(delete(JoinRequest))
        hub_db.session.execute(update(Invitation).values(email=None))
        hub_db.session.commit()
    app.extensions["hub"] = before


def letters() -> list[tuple[str, str]]:
    """Return to whom letters were written, and their subjects in English."""
    hub_db.session.rollback()
    mails = hub_db.session.scalars(select(Mail).order_by(Mail.id))
    return [(mail.to, mail.subject.partition(" / ")[2]) for mail in mails]


def test_a_node_tells_its_version_its_clock_and_what_waits_and_the_desk_shows_it(
    lasting_network: Network, desk: Browser
) -> None:
    cordee = lasting_network.nodes["cordee"]
    cordee.refresh()
    page = desk.get("/coordination/nodes/cordee").text
    assert VERSION in page
    assert "0 wait" in page
    told = {"mark": "999.AAAAAAAAAAAAAAAA", "last": None, "version": "9.9", "outbox_dead": 3}
    said = {**told, "clock": (datetime.now(UTC) - 5 * MINUTE).isoformat(), "newer": "ignored"}
    path = "/api/v1/nodes/me/mark"
    token = access_token(cordee)
    assert lasting_network.hub.post(path, said, token).status_code == 200
    page = desk.get("/coordination/nodes/cordee").text
    assert "3 messages were refused by the hub for good." in page
    assert "seconds slow." in page
    listed = desk.get("/coordination/nodes?state=attention&q=CORD").text
    assert "wrong clock, messages refused" in listed
    assert "troquet" not in listed
    refused = lasting_network.hub.post(path, {**told, "outbox_dead": -1}, token)
    assert refused.status_code == 422


def test_the_effect_of_suspending_is_shown_before_and_the_node_and_others_are_told(
    lasting_network: Network, desk: Browser
) -> None:
    hub, filature = lasting_network.hub, lasting_network.nodes["filature"]
    person = filature.add_person()
    assert lasting_network.nodes["troquet"].scan(person.show()).status_code == 201
    session = hub_db.session()
    begin_write(session)
    now = hub_context().clock.now()
    roles = ["coordinator"]
    accounts.create(
        session, now, email="two@hub.example", name="Two", password=PASSWORD, roles=roles
    )
    theirs = update(Invitation).where(Invitation.node_id == "filature")
    session.execute(theirs.values(email="op@filature.example"))
    session.commit()
    page = desk.get("/coordination/nodes/filature/suspension").text
    assert "1 of its members elsewhere" in page
    assert "Members with a valid pass</dt><dd>1<" in page
    assert hub.get("/api/v1/nodes", hub.token).json()["items"][1]["state"] == "connected"
    state = "/coordination/nodes/filature/state"
    assert desk.post(state, state="suspended", reason=" ").status_code == 422
    assert letters() == []
    assert desk.post(state, state="suspended", reason="Unpaid <b>").status_code == 302
    assert desk.post(state, state="suspended", reason="Twice").status_code == 302
    assert letters() == [
        ("two@hub.example", "filature was suspended"),
        ("op@filature.example", "Your node filature was suspended"),
    ]
    logged = session.scalars(
        select(AuditEntry).where(AuditEntry.action == "suspended", AuditEntry.subject == "filature")
    ).all()
    assert [(row.detail["before"], row.detail["reason"]) for row in logged] == [
        ("connected", "Unpaid <b>")
    ]
    assert desk.post(state, state="connected", reason="Paid").status_code == 302
    assert letters()[2:] == [
        ("two@hub.example", "filature takes part again"),
        ("op@filature.example", "Your node filature takes part again"),
    ]
    begin_write(session)
    session.execute(update(Account).where(Account.email == "two@hub.example").values(roles=[]))
    session.commit()


def test_a_coordinator_lets_a_node_go_with_notice_and_may_keep_it(
    lasting_network: Network, desk: Browser
) -> None:
    page = "/coordination/nodes/filature/let-go"
    assert desk.get(page).status_code == 200
    for day in ("2026-11-01", "2030-01-01", "", "soon"):
        assert desk.post(page, last_day=day, reason="It closes").status_code == 422, day
    assert desk.post(page, last_day="2026-12-31", reason="It closes").status_code == 302
    assert "leaves the network on 31" in desk.get("/coordination/nodes/filature").text
    assert desk.post("/coordination/nodes/filature/keep").status_code == 302
    node = hub_db.session.get_one(Node, "filature", populate_existing=True)
    assert node.leaving_on is None


ASKED = {
    "operator": "Le Phare",
    "person": "Ada",
    "email": "ada@phare.example",
    "url": "",
    "words": "Twelve desks by the sea.",
    "website": "",
}


def ask(network: Network, **changes: str) -> int:
    stranger = Browser(network.hub)
    stranger.get("/join")
    return stranger.post("/join", {**ASKED, **changes}).status_code


def waiting() -> list[JoinRequest]:
    hub_db.session.rollback()
    return list(hub_db.session.scalars(select(JoinRequest).order_by(JoinRequest.id)))


def test_who_asks_to_join_is_in_the_queue_once_and_programs_are_not(
    lasting_network: Network, desk: Browser
) -> None:
    assert ask(lasting_network) == 302
    assert ask(lasting_network, words="Again") == 302
    assert ask(lasting_network, operator="Spam", website="https://spam.example") == 302
    assert [row.operator for row in waiting()] == ["Le Phare"]
    assert letters() == [("coord@hub.example", "Le Phare asks to join")]
    for wrong in ({"email": "ada"}, {"url": "ftp://x"}, {"words": ""}, {"operator": "\0"}):
        assert ask(lasting_network, **wrong) == 422, wrong
    assert len(waiting()) == 1
    assert "Le Phare" in desk.get("/coordination/join").text


def test_what_a_coordinator_would_look_at_first_is_looked_at(
    lasting_network: Network, desk: Browser
) -> None:
    troquet = lasting_network.nodes["troquet"]
    page = answer(b"<p>soon", "Date: Tue, 24 Nov 2020 09:00:00 GMT")
    with hostile(page) as server:
        assert ask(lasting_network, operator="Troquet", url=troquet.url) == 302
        assert ask(lasting_network, operator="Site", url=server.url) == 302
        assert ask(lasting_network, operator="None yet") == 302
        join_requests.check_new(hub_db.session(), hub_context())
    found = [{c["name"]: (c["state"], c["code"]) for c in row.checks or ()} for row in waiting()]
    assert found[0]["name"] == ("warning", "taken")
    assert found[0]["address"] == ("failed", "taken")
    assert found[0]["reachable"] == found[0]["software"] == ("passed", "ok")
    assert found[0]["clock"] == ("passed", "ok")
    assert found[0]["mail"] == ("warning", "other")
    assert found[1]["software"] == ("warning", "other")
    assert found[1]["clock"] == ("failed", "wrong")
    assert found[2]["reachable"] == ("skipped", "none")
    for row in waiting():
        assert desk.get(f"/coordination/join/{row.id}").status_code == 200
    gone = waiting()[1]
    assert desk.post(f"/coordination/join/{gone.id}/check").status_code == 302
    assert waiting()[1].checks[2]["state"] == "failed"  # type: ignore[index]


def test_admitting_is_an_invitation_by_mail_and_of_two_coordinators_one_decides(
    lasting_network: Network, desk: Browser
) -> None:
    ask(lasting_network)
    request_id, app = waiting()[0].id, lasting_network.hub.app
    hub_db.session.rollback()

    def decide(verb: Any) -> str:
        with app.app_context():
            try:
                verb(hub_db.session(), hub_context(), request_id, 1, "Welcome")
            except Problem as problem:
                return problem.slug
            return "done"

    outcomes = at_once([lambda: decide(join_requests.admit), lambda: decide(join_requests.decline)])
    assert sorted(outcomes) == ["conflict", "done"]
    assert letters()[1:] == [
        (
            "ada@phare.example",
            "Passerelle: you are invited"
            if outcomes[0] == "done"
            else "Passerelle: about your request",
        )
    ]
    again = desk.get(f"/coordination/join/{request_id}")
    assert again.status_code == 200
    assert decide(join_requests.admit) == "conflict"


def test_the_invitation_of_the_letter_enrols_and_declining_needs_words(
    lasting_network: Network, desk: Browser
) -> None:
    ask(lasting_network)
    ask(lasting_network, operator="La Digue")
    first, second = (f"/coordination/join/{row.id}" for row in waiting())
    desk.get(first)
    assert desk.post(first, outcome="admit", answer="").status_code == 302
    assert desk.post(second, outcome="decline", answer="").status_code == 422
    assert desk.post(second, outcome="decline", answer="Too far").status_code == 302
    assert desk.post(second, outcome="admit", answer="").status_code == 302  # decided already
    hub_db.session.rollback()
    texts = list(hub_db.session.scalars(select(Mail.text).order_by(Mail.id)))
    token = next(w for text in texts for w in text.split() if w.startswith("inv_"))
    row = enrolment._valid_invitation(hub_db.session(), hub_context().clock.now(), token)
    assert (row.operator, row.email) == ("Le Phare", "ada@phare.example")
    assert "Too far" in texts[-1]
    assert [each.state for each in waiting()] == ["admitted", "declined"]
    join_requests.purge_expired(hub_db.session(), hub_context().clock.now() + timedelta(days=181))
    assert waiting() == []
    assert nodes.nodes(hub_db.session())


@pytest.mark.browser
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(
    lasting_network: Network, desk: Browser, browser: Any
) -> None:
    ask(lasting_network)
    hub, request_id = lasting_network.hub.url, waiting()[0].id
    context = browser.new_context(locale="fr-FR", viewport={"width": 360, "height": 740})
    page, said = context.new_page(), list[str]()
    page.on("console", lambda message: said.append(message.text))
    name, value = desk.cookie()
    found = {}
    for path in (
        "/join",
        "/coordination/nodes",
        "/coordination/nodes/troquet",
        "/coordination/nodes/troquet/suspension",
        "/coordination/nodes/troquet/let-go",
        "/coordination/join",
        f"/coordination/join/{request_id}",
    ):
        answer = page.goto(hub + path)
        assert answer.status == 200, path
        found[path] = wrong_with(page)
        if path == "/join":
            context.add_cookies([{"name": name, "value": value, "url": hub}])
    context.close()
    assert {path: wrong for path, wrong in found.items() if wrong} == {}
    assert said == []
