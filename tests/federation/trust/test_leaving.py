"""An operator leaves in order: notice, a last day like any other, and an account to the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from federation import jobs as hub_jobs
from federation.audit.models import AuditEntry
from federation.db import db as hub_db
from federation.mail.models import Mail as HubMail
from federation.visits.models import Pass as HubPass
from node.bookings import telling
from node.bookings.models import Booking, Trip
from node.leaving import service as leaving
from node.mail.models import Mail
from node.passes.models import Pass
from node.statements import service as statements
from shared.base.mail_server import mail_server
from shared.wire.problems import Problem
from tests.contract.speaking import access_token
from tests.network import LocalNode, Network, codes
from tests.shared.browser import Browser, forget_attempts

MakeNetwork = Callable[..., Network]
LAST = date(2026, 11, 26)  # Thursday, two days after the tests' Tuesday
ON_IT = ("2026-11-26T14:00:00+01:00", "2026-11-26T18:00:00+01:00")
PAST = ("2026-11-27T14:00:00+01:00", "2026-11-27T18:00:00+01:00")
BEFORE_MIDNIGHT = "2026-11-26T23:59:30+01:00"
AFTER_MIDNIGHT = "2026-11-27T00:00:30+01:00"


@pytest.fixture
def two(make_network: MakeNetwork) -> Network:
    return make_network(nodes=("cordee", "troquet"))


@pytest.fixture
def cordee(two: Network) -> LocalNode:
    return two.nodes["cordee"]


@pytest.fixture
def troquet(two: Network) -> LocalNode:
    return two.nodes["troquet"]


def give_notice(node: LocalNode, last: date = LAST, reason: str = "We close.") -> None:
    with node.context() as (session, context):
        leaving.announce(session, context, last, reason)


def said(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(Problem) as problem:
        call()
    return problem.value.slug, str(problem.value.detail)


def book(
    node: LocalNode, token: str, when: tuple[str, str], space: str, *, confirm: bool = True
) -> Any:
    body = {"space": space, "starts_at": when[0], "ends_at": when[1], "confirm": confirm}
    return node.post("/api/v1/me/bookings", body, token)


def reasons(answer: Any) -> list[str]:
    assert answer.status_code == 409, answer.text
    return [reason["code"] for reason in answer.json()["reasons"]]


def confirmed(node: LocalNode, token: str, when: tuple[str, str], space: str) -> str:
    answer = book(node, token, when, space)
    assert answer.status_code == 201, answer.text
    assert answer.json()["state"] == "confirmed"
    return str(answer.json()["id"])


def pass_midnight(network: Network, instant: str = AFTER_MIDNIGHT) -> None:
    """Let the hub's and the nodes' jobs run once at an instant."""
    network.move_to(instant)
    run_jobs(network)


def run_jobs(network: Network) -> None:
    with network.hub.app.app_context():
        hub_jobs.leave_due()
    network.refresh()
    for node in network.nodes.values():
        with node.context() as (session, context):
            leaving.tend(session, context)


def trusted(network: Network, node_id: str) -> dict[str, Any]:
    from shared.crypto import jose

    claims = jose.read_unverified(network.hub.get("/api/v1/trust-list").text).claims
    found: dict[str, Any] = next(node for node in claims["nodes"] if node["id"] == node_id)
    return found


def test_a_notice_is_on_the_trust_list_the_map_and_the_coordinators_page(
    two: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    give_notice(troquet, reason="<b>We close.</b>")
    assert trusted(two, "troquet")["leaving_on"] == "2026-11-26"
    assert "leaving_on" not in trusted(two, "cordee")
    space = two.hub.get("/api/v1/spaces/troquet").json()
    assert space["node"]["leaving_on"] == "2026-11-26"
    english = {"Accept-Language": "en"}
    assert "until that day members" in two.hub.get("/spaces/troquet", **english).text
    page = two.hub.get("/coordination", two.hub.token, **english).text
    assert "troquet leaves the network on 26 November 2026" in page
    assert "&lt;b&gt;We close." in page
    nodes = two.hub.get("/api/v1/nodes", access_token(cordee)).json()["items"]
    assert {n["id"]: n["leaving_on"] for n in nodes} == {"cordee": None, "troquet": "2026-11-26"}


def test_a_notice_given_twice_is_one_and_may_be_changed_and_taken_back(
    two: Network, troquet: LocalNode
) -> None:
    give_notice(troquet)
    give_notice(troquet)
    give_notice(troquet, date(2026, 12, 24))
    with troquet.context() as (session, context):
        leaving.withdraw(session, context)
        leaving.withdraw(session, context)
        assert leaving.announced(session, context) is None
    with two.hub.app.app_context():
        lines = hub_db.session().scalars(
            select(AuditEntry).where(AuditEntry.subject == "troquet").order_by(AuditEntry.id)
        )
        found = [(line.action, line.detail.get("last_day")) for line in lines]
    assert found[-3:] == [
        ("leaving", "2026-11-26"),
        ("leaving", "2026-12-24"),
        ("leaving-withdrawn", "2026-12-24"),
    ]
    pass_midnight(two, "2027-02-01T10:00:00+01:00")
    assert trusted(two, "troquet")["state"] != "left"


@pytest.mark.parametrize(
    ("day", "words"),
    [
        (date(2026, 11, 23), "over already"),
        (date.min, "over already"),
        (date(2030, 1, 1), "two years"),
        (date.max, "two years"),
    ],
)
def test_a_last_day_that_is_over_or_far_away_is_refused_in_words(
    two: Network, troquet: LocalNode, day: date, words: str
) -> None:
    slug, detail = said(lambda: give_notice(troquet, day))
    assert slug == "conflict"
    assert words in detail
    assert "leaving_on" not in trusted(two, "troquet")


def test_today_may_be_the_last_day(two: Network, troquet: LocalNode) -> None:
    give_notice(troquet, date(2026, 11, 24))
    assert trusted(two, "troquet")["leaving_on"] == "2026-11-24"


def test_without_the_hub_no_notice_is_given_and_that_is_said(
    two: Network, troquet: LocalNode
) -> None:
    two.hub_goes()
    assert said(lambda: give_notice(troquet))[0] == "hub-unreachable"
    two.hub_returns()
    assert "leaving_on" not in trusted(two, "troquet")


def test_bookings_until_the_last_day_are_taken_and_honoured_and_none_past_it(
    two: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    person = cordee.add_person()
    give_notice(troquet)
    two.refresh()
    assert reasons(book(cordee, person.token, PAST, "troquet")) == ["host_leaves"]
    kept = confirmed(cordee, person.token, ON_IT, "troquet")
    other = troquet.add_person()
    assert reasons(book(troquet, other.token, PAST, "cordee")) == ["home_leaves"]
    assert book(troquet, other.token, ON_IT, "cordee").status_code == 201
    two.move_to("2026-11-26T14:30:00+01:00")
    run_jobs(two)
    with troquet.context() as (session, _):
        assert session.get_one(Booking, kept).state == "confirmed"
    assert troquet.scan(person.show()).status_code == 201, "the last day is a day like any other"


def test_notice_is_refused_while_a_booking_past_the_last_day_is_confirmed(
    two: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    person = cordee.add_person()
    confirmed(cordee, person.token, PAST, "troquet")
    slug, detail = said(lambda: give_notice(troquet))
    assert (slug, detail) == ("conflict", leaving.BOOKED)
    assert "leaving_on" not in trusted(two, "troquet")
    with troquet.context() as (session, context):
        found = leaving.outlook(session, context, LAST)
        assert (found.hosted, found.hosted_after, found.latest) == (1, 1, date(2026, 11, 27))
    give_notice(troquet, date(2026, 11, 27))


def test_what_is_only_held_past_the_last_day_is_called_off_and_the_home_is_told(
    two: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    person = cordee.add_person()
    held = book(cordee, person.token, PAST, "troquet", confirm=False).json()["id"]
    give_notice(troquet)
    with troquet.context() as (session, context):
        assert session.get_one(Booking, held).state == "cancelled"

        telling.tell_homes(session, context)
    with cordee.context() as (session, _):
        trip = session.get_one(Trip, held)
        assert (trip.state, trip.reason) == ("cancelled", leaving.WHY)


def test_our_members_places_elsewhere_past_the_last_day_are_given_back_on_it(
    two: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    person = troquet.add_person()
    past = confirmed(troquet, person.token, PAST, "cordee")
    kept = confirmed(troquet, person.token, ON_IT, "cordee")
    give_notice(troquet)
    with cordee.context() as (session, _):
        assert session.get_one(Booking, past).state == "confirmed"
    pass_midnight(two, "2026-11-26T08:00:00+01:00")
    with cordee.context() as (session, _):
        states = {row.id: row.state for row in session.scalars(select(Booking))}
    assert states == {past: "cancelled", kept: "confirmed"}


def test_the_node_has_left_on_the_day_after_in_its_own_time_and_its_passes_end(
    two: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    person = troquet.add_person().get_pass()
    give_notice(troquet)
    pass_midnight(two, BEFORE_MIDNIGHT)
    assert trusted(two, "troquet")["state"] == "connected"
    pass_midnight(two)
    assert trusted(two, "troquet")["state"] == "left"
    with troquet.context() as (session, _):
        assert session.get_one(Pass, person.pass_id).status == "revoked"
    with two.hub.app.app_context():
        assert hub_db.session().get_one(HubPass, ("troquet", person.pass_id)).status == "revoked"
    two.move_to("2026-11-27T10:00:00+01:00")
    two.refresh()
    assert "home_unknown" in codes(cordee.scan(person.show()))
    again = troquet.post(
        "/api/v1/me/passes", {"jwk": person.key.as_dict(private=False)}, person.token
    )
    assert again.status_code == 403
    assert "troquet" not in two.hub.get("/api/v1/spaces").text
    run_jobs(two)  # and once more, which changes nothing
    assert troquet.waiting()["pending"] == 0


def test_a_space_to_the_west_is_in_the_network_until_its_own_midnight(
    make_network: MakeNetwork,
) -> None:
    network = make_network()
    island = network.add_node("ile", timezone="America/Guadeloupe")
    give_notice(island)
    pass_midnight(network)
    assert trusted(network, "ile")["state"] != "left", "there it is eight in the evening"
    pass_midnight(network, "2026-11-27T05:00:30+01:00")
    assert trusted(network, "ile")["state"] == "left"


def test_after_leaving_the_account_is_read_verified_and_contested_and_nothing_else(
    two: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    visitor = cordee.add_person()
    hosted = troquet.scan(visitor.show()).json()["visit"]["id"]
    assert troquet.check_out(hosted).status_code == 200
    abroad = cordee.scan(troquet.add_person().show()).json()["visit"]["id"]
    assert cordee.check_out(abroad).status_code == 200
    give_notice(troquet)
    pass_midnight(two)
    two.move_to("2026-12-04T10:00:00+01:00")
    run_jobs(two)
    issued = two.hub.put("/api/v1/statements/2026-11", {"state": "issued"}, two.hub.token)
    assert issued.status_code == 200, issued.text
    assert two.hub.lines(hosted) == [1]
    assert two.hub.statement()["balances"] == {"cordee": 0, "troquet": 0}
    with troquet.context() as (session, context):
        assert statements.month_of(session, context, "2026-11")["state"] == "issued"
        assert statements.verify(session, context, "2026-11").faults == []
        opened = statements.dispute(context, "2026-11", abroad, "She never came.")
        assert opened["state"] == "open"
        statements.withdraw(context, int(opened["id"]))
    token = access_token(troquet)
    for method, path, body in (
        ("POST", "/api/v1/publications", {"publication": "x.y.z"}),
        ("POST", "/api/v1/nodes/me/leaving", {"last_day": "2027-01-01"}),
        ("GET", "/api/v1/nodes", None),
        ("POST", "/api/v1/charters/1/votes", {"choice": "yes"}),
    ):
        answer = two.hub.get(path, token) if method == "GET" else two.hub.post(path, body, token)
        assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (
            403,
            "node-left",
        ), path
    assert said(lambda: give_notice(troquet))[0] == "node-left"


def test_a_visit_that_was_let_in_without_the_network_counts_although_its_host_has_left(
    two: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    person = cordee.add_person().get_pass()
    give_notice(troquet)
    two.refresh()
    with troquet.cut_off():
        admitted = troquet.scan(person.show())
        assert admitted.status_code == 201
        assert not admitted.json()["decision"]["online"]
        two.move_to(AFTER_MIDNIGHT)
        with two.hub.app.app_context():
            hub_jobs.leave_due()
    troquet.deliver()
    assert troquet.waiting() == {"pending": 0, "dead": 0}
    # Nobody said when they left: until the closing as published, a day later.
    assert two.hub.lines(admitted.json()["visit"]["id"]) == [2]


def test_coordinators_and_partners_with_bookings_are_told_by_mail_once(
    two: Network, cordee: LocalNode, troquet: LocalNode, tmp_path: Path
) -> None:
    for app, kind in ((two.hub.app, "hub"), (cordee.app, "node")):
        context = app.extensions[kind]
        folder = tmp_path / kind
        folder.mkdir()
        settings = replace(
            context.settings, smtp_url=mail_server(f"file://{folder}"), mail_from="a@hub.example"
        )
        app.extensions[kind] = replace(context, settings=settings)
    confirmed(cordee, cordee.add_person().token, ON_IT, "troquet")
    for _ in range(2):
        give_notice(troquet)
        run_jobs(two)
    with two.hub.app.app_context():
        mails = list(hub_db.session().scalars(select(HubMail)))
        assert [mail.to for mail in mails] == ["coord@hub.example"]
        assert "troquet leaves the network on 26 November 2026" in mails[0].subject
        assert "We close." in mails[0].text
    with cordee.context() as (session, _):
        told = [m for m in session.scalars(select(Mail)) if m.key.startswith("partner-leaves")]
        assert [mail.to for mail in told] == ["admin@cordee.example"]
        assert "1 booking there" in told[0].text
    with troquet.context() as (session, context):
        leaving.withdraw(session, context)
    with two.hub.app.app_context():
        subjects = [mail.subject for mail in hub_db.session().scalars(select(HubMail))]
        assert sum("stays in the network" in subject for subject in subjects) == 1


def test_an_admin_leaves_from_the_console_having_read_what_it_means(
    two: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    english = {"Accept-Language": "en"}
    troquet.add_person().get_pass()
    hosted = troquet.scan(cordee.add_person().show()).json()["visit"]["id"]
    assert hosted
    page = troquet.get("/console/leave", troquet.admin, **english).text
    assert "Passes that end</dt><dd>1<" in page
    assert "+1 half-day" in page
    with troquet.context() as (session, context):
        found = leaving.outlook(session, context)
        assert found.months is not None
        assert ("2026-11", "open", 1) in found.months
    give_notice(troquet)
    for path in ("/console", "/console/leave"):
        assert (
            "26 November 2026 is your last day" in troquet.get(path, troquet.admin, **english).text
        )
    pass_midnight(two)
    assert "has left the network" in troquet.get("/console/leave", troquet.admin, **english).text


def test_the_form_names_what_is_missing_and_gives_and_takes_back_notice(
    two: Network, troquet: LocalNode
) -> None:
    forget_attempts()
    admin = Browser(troquet, "en")
    assert admin.log_in("admin@troquet.example").status_code == 302
    admin.get("/console/leave")
    assert admin.post("/console/leave", csrf_token=None, sure="y").status_code == 400
    for form, words in (
        ({"last_day": "2026-11-26"}, "Tick this to go on."),
        ({"last_day": "soon", "sure": "y"}, "Not a valid date value."),
        ({"last_day": "2020-01-01", "sure": "y"}, "This day is over already."),
        ({"last_day": "2026-11-26", "sure": "y", "reason": "x" * 501}, "500"),
    ):
        admin.get("/console/leave")
        answer = admin.post("/console/leave", form)
        assert answer.status_code == 422
        assert words in answer.text
        assert "leaving_on" not in trusted(two, "troquet")
    given = admin.post("/console/leave", {"last_day": "2026-11-26", "sure": "y"})
    assert given.status_code == 302
    assert trusted(two, "troquet")["leaving_on"] == "2026-11-26"
    admin.get("/console/leave")
    assert admin.post("/console/leave/withdraw").status_code == 302
    assert "leaving_on" not in trusted(two, "troquet")
