"""Backups restored on either side: what the other knows is asked again, none of it twice."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from federation.charters.models import Signature
from federation.db import db as hub_db
from federation.visits.models import Pass as KnownPass
from node.desk import corrections
from node.hub import checkpoint
from node.hub.models import Enrolment
from node.members.models import Member
from node.passes import lifecycle
from node.passes.models import LostPass, Pass
from node.spaces import service as spaces
from node.statements import service as statements
from node.visits.history import ask_correction, history
from node.visits.models import Visit
from shared.crypto import jose
from shared.store.db import begin_write
from tests.network import LocalNode, Network, Person, codes

MONTH = "2026-11"
DAY = timedelta(days=1)


@pytest.fixture
def cordee(network: Network) -> LocalNode:
    return network.nodes["cordee"]


@pytest.fixture
def troquet(network: Network) -> LocalNode:
    return network.nodes["troquet"]


def settle(network: Network, times: int = 3) -> None:
    """Let every node's jobs run, as often as it takes for an answer to an answer."""
    for _ in range(times):
        for node in network.nodes.values():
            node.deliver()
        network.refresh()


def states(node: LocalNode) -> dict[str, str]:
    with node.context() as (session, _):
        rows = session.scalars(select(Visit).where(Visit.local.is_(False)))
        return {row.id: row.state for row in rows}


def hub_states(network: Network) -> dict[str, str]:
    items = network.hub.get("/api/v1/visits?limit=500", network.hub.token).json()["items"]
    return {item["id"]: item["state"] for item in items}


def figures(network: Network) -> dict[str, Any]:
    """Return what the account says, without the hub's own remarks on how it was told."""
    document = network.hub.statement(MONTH)
    lines = [(v["id"], v["half_days"]) for v in document["visits"]]
    return {"visits": sorted(lines), "balances": document["balances"]}


def visit(host: LocalNode, person: Person) -> str:
    answer = host.scan(person.show())
    assert answer.status_code == 201, answer.text
    found: str = answer.json()["visit"]["id"]
    return found


def notice(node: LocalNode) -> tuple[str | None, dict[str, Any]]:
    with node.context() as (session, _):
        row = checkpoint.memory(session)
        assert row is not None
        return row.behind, dict(row.found or {})


def agree(network: Network, host: LocalNode) -> bool:
    with host.context() as (session, context):
        found = statements.compare_log(session, context, MONTH)
    return bool(found["agrees"])


def a_day(network: Network, cordee: LocalNode, troquet: LocalNode) -> dict[str, str]:
    """Play a day of visits: one that ended, one undone, one that goes on; return their ids."""
    people = [cordee.add_person().get_pass() for _ in range(3)]
    found = dict(zip(("over", "undone", "open"), (visit(troquet, p) for p in people), strict=True))
    network.pass_time(hours=4)
    assert troquet.check_out(found["over"]).status_code == 200
    assert troquet.void(found["undone"]).status_code == 200
    settle(network, 1)
    return found


# The node is behind


def test_a_restored_node_has_the_visits_of_the_lost_day_again_and_none_twice(
    network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    network.refresh()
    backup = network.back_up(troquet)
    network.pass_time(minutes=5)
    network.refresh()
    ids = a_day(network, cordee, troquet)
    before, account = states(troquet), figures(network)
    assert [item["given_name"] for item in troquet.presence()] == ["Ada3"]
    network.restore(troquet, backup)
    assert states(troquet) == {}
    settle(network)
    assert (
        states(troquet)
        == before
        == {
            ids["over"]: "closed",
            ids["undone"]: "void",
            ids["open"]: "open",
        }
    )
    assert [item["given_name"] for item in troquet.presence()] == [""], "the hub knows no name"
    assert (figures(network), hub_states(network)) == (account, before)
    assert agree(network, troquet)
    assert troquet.check_out(ids["open"]).status_code == 200
    assert hub_states(network)[ids["open"]] == "closed"
    assert notice(troquet)[0] == "node"


def test_a_visit_that_came_back_is_known_by_its_pass_at_the_door(
    network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    network.refresh()
    backup = network.back_up(troquet)
    member = cordee.add_person().get_pass()
    text = member.show()
    first = troquet.scan(text, key="one").json()["visit"]["id"]
    network.restore(troquet, backup)
    again = troquet.scan(text, key="one")
    assert (again.status_code, again.json()["visit"]["id"]) == (200, first)
    settle(network)
    network.hub_goes()
    alone = troquet.scan(member.show())
    assert (alone.status_code, alone.json()["visit"]["id"]) == (200, first)
    network.hub_returns()
    settle(network)
    assert figures(network)["visits"] == [(first, 1)]


def test_old_messages_of_a_restored_outbox_change_nothing(
    network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    member, other = cordee.add_person().get_pass(), cordee.add_person().get_pass()
    network.refresh()
    network.hub_goes()
    first = visit(troquet, member)
    network.pass_time(hours=4)
    troquet.check_out(first)
    backup = network.back_up(troquet)
    network.hub_returns()
    settle(network)
    second = visit(troquet, other)
    account = figures(network)
    network.restore(troquet, backup)
    settle(network)
    assert troquet.waiting() == {"pending": 0, "dead": 0}
    assert figures(network) == account
    assert states(troquet) == {first: "closed", second: "open"} == hub_states(network)
    assert agree(network, troquet)


def test_a_pass_revoked_since_the_backup_stays_revoked_everywhere(
    network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    lost, kept = cordee.add_person().get_pass(), cordee.add_person().get_pass()
    backup = network.back_up(cordee)  # its announcements may still be in the outbox
    network.pass_time(minutes=5)
    settle(network)
    path = f"/api/v1/me/passes/{lost.pass_id}"
    assert cordee.delete(path, lost.token).status_code == 204
    settle(network)
    assert codes(troquet.scan(lost.show())) == ["pass_revoked"]
    network.restore(cordee, backup)
    cordee.deliver()
    assert codes(troquet.scan(lost.show())) == ["pass_revoked"], "the hub does not take it back"
    settle(network)
    assert codes(cordee.scan(lost.show())) == ["pass_revoked"], "and its home knows again"
    troquet.age("status:cordee", seconds=61)
    network.refresh()
    network.hub_goes()
    assert codes(troquet.scan(lost.show())) == ["pass_revoked"], "nor does its list"
    assert troquet.scan(kept.show()).status_code == 201
    behind, found = notice(cordee)
    assert (behind, found["passes"]["ended"], len(found["passes"]["members"])) == ("node", 1, 1)


def test_a_pass_suspended_since_the_backup_is_suspended_again_and_resumed_by_a_person(
    network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    member = cordee.add_person().get_pass()
    settle(network)
    backup = network.back_up(cordee)
    network.pass_time(minutes=5)
    network.refresh()
    with cordee.context() as (session, context):
        held = session.scalars(select(Pass).where(Pass.id == member.pass_id)).one()
        lifecycle.suspend_all(session, context, held.member_id)
        session.commit()
    settle(network)
    assert codes(troquet.scan(member.show())) == ["pass_suspended"]
    network.restore(cordee, backup)
    settle(network)
    assert codes(cordee.scan(member.show())) == ["pass_suspended"]
    assert codes(troquet.scan(member.show())) == ["pass_suspended"]
    assert troquet.scan(member.other_phone().show()).status_code == 201


def test_a_pass_issued_since_the_backup_is_its_members_again_and_its_number_nobody_elses(
    network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    member = cordee.add_person().get_pass()
    settle(network)
    backup = network.back_up(cordee)
    network.pass_time(minutes=5)
    network.refresh()
    phone = member.other_phone().get_pass()
    stranger = cordee.add_person().get_pass()  # she herself is lost with the database
    settle(network)
    network.restore(cordee, backup)
    settle(network)
    assert cordee.scan(phone.show()).status_code == 201, "its home knows it again"
    assert codes(troquet.scan(stranger.show())) == ["pass_revoked"]
    with cordee.context() as (session, _):
        numbers = {row.id: row.number for row in session.scalars(select(Pass))}
        lost = session.scalars(select(LostPass)).one()
    assert lost.pass_id == stranger.pass_id
    new = member.other_phone().get_pass()
    with cordee.context() as (session, _):
        number = session.get_one(Pass, new.pass_id).number
    assert number > max(*numbers.values(), lost.number)
    troquet.age("status:cordee", seconds=61)
    network.refresh()
    network.hub_goes()
    assert codes(troquet.scan(stranger.show())) == ["pass_revoked"]
    assert troquet.scan(phone.show()).status_code == 201
    assert notice(cordee)[1]["passes"]["lost"] == 1


def test_a_number_given_twice_before_anybody_noticed_ends_both_passes(
    network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    member = cordee.add_person()
    settle(network)
    backup = network.back_up(cordee)
    network.pass_time(minutes=5)
    network.refresh()
    first = member.other_phone().get_pass()
    settle(network)
    network.restore(cordee, backup)
    second = member.other_phone().get_pass()
    settle(network)
    for phone in (first, second):
        assert codes(troquet.scan(phone.show())) == ["pass_revoked"]
    assert troquet.scan(member.other_phone().show()).status_code == 201


def test_a_publication_that_was_rolled_back_goes_on_above_what_the_hub_has(
    network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    backup = network.back_up(troquet)
    for n in range(4):
        with troquet.context() as (session, context):
            spaces.save(session, context, "troquet", {"description": f"version {n}"})
        troquet.deliver()
    network.restore(troquet, backup)
    with troquet.context() as (session, context):
        spaces.save(session, context, "troquet", {"description": "after all"})
    for _ in range(2):
        troquet.deliver()
    shown = network.hub.get("/api/v1/spaces/troquet").json()
    assert shown["description"] == "after all"
    with troquet.context() as (session, _):
        row = session.get_one(Enrolment, 1)
        assert row.accepted_revision == row.revision > 5


def test_a_restored_node_publishes_what_it_has_without_being_told(
    network: Network, troquet: LocalNode
) -> None:
    network.refresh()
    backup = network.back_up(troquet)
    network.pass_time(minutes=5)
    network.refresh()
    with troquet.context() as (session, context):
        spaces.save(session, context, "troquet", {"description": "of the lost day"})
    settle(network)
    network.restore(troquet, backup)
    settle(network)
    assert network.hub.get("/api/v1/spaces/troquet").json()["description"] == ""


# The hub is behind


def test_a_restored_hub_is_told_again_what_it_lost_and_none_of_it_twice(
    network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    network.refresh()
    backup = network.back_up(network.hub)
    network.pass_time(minutes=5)
    network.refresh()
    ids = a_day(network, cordee, troquet)
    before, account = hub_states(network), figures(network)
    network.restore(network.hub, backup)
    assert hub_states(network) == {}
    assert troquet.check_out(ids["open"]).status_code == 200  # refused: the hub knows no such visit
    settle(network)
    assert hub_states(network) == {**before, ids["open"]: "closed"} == states(troquet)
    assert account["balances"] == {"cordee": -3, "troquet": 3}
    assert figures(network)["balances"] == {"cordee": -4, "troquet": 4}  # with her afternoon
    assert dict(figures(network)["visits"])[ids["over"]] == 2
    assert agree(network, troquet)
    assert notice(troquet)[0] == "hub"
    assert troquet.waiting() == {"pending": 0, "dead": 0}
    items = network.hub.get("/api/v1/visits?limit=500", network.hub.token).json()["items"]
    assert {(item["online"], item["flags"][0]) for item in items} == {(True, "told_again")}
    settle(network)
    assert len(hub_states(network)) == 3


def receipts(node: LocalNode) -> dict[str, str]:
    with node.context() as (session, _):
        return {row.id: row.receipt for row in session.scalars(select(Visit))}


def test_the_hubs_receipt_is_kept_whichever_way_it_came(
    network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    people = [cordee.add_person().get_pass() for _ in range(2)]
    network.refresh()
    backup = network.back_up(troquet)
    network.pass_time(minutes=5)
    network.refresh()
    online = visit(troquet, people[0])
    with troquet.cut_off():
        alone = visit(troquet, people[1])
        assert receipts(troquet)[alone] == ""
    settle(network, 1)
    for _ in range(2):
        for visit_id, token in receipts(troquet).items():
            claims = jose.read_unverified(token).claims
            assert (claims["visit"], claims["online"]) == (visit_id, visit_id == online)
        assert receipts(troquet).keys() == {online, alone}
        network.restore(troquet, backup)
        settle(network)  # from the hub's list, the second time


@pytest.mark.parametrize("kept", ["report and receipt", "receipt"])
def test_what_the_hub_admitted_and_lost_is_believed_for_its_receipt(
    network: Network, cordee: LocalNode, troquet: LocalNode, kept: str
) -> None:
    """Whatever has become of the pass since; and however long the report is forgotten."""
    settle(network)
    backup = network.back_up(network.hub)
    network.pass_time(minutes=5)
    network.refresh()
    member = cordee.add_person().get_pass()
    first = visit(troquet, member)
    cordee.delete(f"/api/v1/me/passes/{member.pass_id}", member.token)
    settle(network)
    if kept == "receipt":
        with troquet.context() as (session, _):
            begin_write(session)
            session.execute(update(Visit).values(report=""))
            session.commit()
    network.restore(network.hub, backup)
    settle(network)
    (item,) = network.hub.get("/api/v1/visits", network.hub.token).json()["items"]
    assert (item["id"], item["state"], item["held"]) == (first, "open", None)
    assert item["flags"][0] == "told_again"
    assert network.hub.lines(first) == [1]
    assert troquet.waiting() == {"pending": 0, "dead": 0}


def test_a_restored_hub_learns_again_which_passes_hold_and_whose_visits_were_whose(
    network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    ended, member = cordee.add_person().get_pass(), cordee.add_person().get_pass()
    settle(network)
    backup = network.back_up(network.hub)
    network.pass_time(minutes=5)
    network.refresh()
    assert cordee.delete(f"/api/v1/me/passes/{ended.pass_id}", ended.token).status_code == 204
    phone = member.other_phone().get_pass()
    settle(network)
    first = visit(troquet, phone)
    network.restore(network.hub, backup)
    troquet.refresh()  # the host is the first to notice: nobody knows yet whose pass this was
    assert hub_states(network) == {first: "open"}
    settle(network)
    assert codes(troquet.scan(ended.show())) == ["pass_revoked"]
    again = troquet.scan(member.show())
    assert (again.status_code, again.json()["visit"]["id"]) == (200, first), "she is here already"
    with cordee.context() as (session, context):
        her = session.scalars(select(Member).where(Member.account_id == member.account_id)).one()
        assert [item["id"] for item in history(session, context, her)] == [first]
    with network.hub.app.app_context():
        assert hub_db.session.get(KnownPass, ("cordee", ended.pass_id)).status == "revoked"


def test_half_days_told_again_before_it_is_known_whose_they_are_count_once(
    network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    member = cordee.add_person().get_pass()
    settle(network)
    backup = network.back_up(network.hub)
    network.pass_time(minutes=5)
    network.refresh()
    ids = []
    for phone in (member, member.other_phone()):  # the second is of the lost day
        ids.append(visit(troquet, phone))
        network.pass_time(minutes=5)
        troquet.check_out(ids[-1])
    cordee.deliver()
    account = figures(network)["balances"]
    assert account == {"cordee": -1, "troquet": 1}
    network.restore(network.hub, backup)
    troquet.refresh()
    assert figures(network)["balances"] == {"cordee": -2, "troquet": 2}, "two people, it seems"
    settle(network)
    assert hub_states(network) == dict.fromkeys(ids, "closed")
    assert figures(network)["balances"] == account
    settle(network)
    assert figures(network)["balances"] == account


def test_a_restored_hub_has_the_signatures_the_sheets_and_the_answers_again(
    network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    member = cordee.add_person().get_pass()
    first = visit(troquet, member)
    settle(network)
    backup = network.back_up(network.hub)
    network.pass_time(minutes=5)
    network.refresh()
    with cordee.context() as (session, context):
        her = session.scalars(select(Member).where(Member.account_id == member.account_id)).one()
        ask_correction(context, her, first, "I was not there")
    network.refresh()
    with troquet.context() as (session, context):
        corrections.answer(session, context, first, "You were, and had tea")
        spaces.save(session, context, "troquet", {"description": "with a garden"})
    settle(network)
    network.restore(network.hub, backup)
    with network.hub.app.app_context():
        hub_db.session.query(Signature).filter_by(node_id="troquet").delete()
        hub_db.session.commit()
    settle(network)
    signed = network.hub.get("/api/v1/charters/current").json()["signatures"]
    assert {each["node"] for each in signed} == {"cordee", "troquet"}
    assert network.hub.get("/api/v1/spaces/troquet").json()["description"] == "with a garden"
    items = network.hub.get("/api/v1/visits", network.hub.token).json()["items"]
    assert items[0]["correction"]["answer"] == "You were, and had tea"


def test_who_came_again_after_the_hub_was_restored_was_here_twice(
    network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    """What is told again is over: it is not the visit that she is in the middle of."""
    member = cordee.add_person().get_pass()
    settle(network)
    backup = network.back_up(network.hub)
    network.pass_time(minutes=5)
    network.refresh()
    first = visit(troquet, member)
    troquet.check_out(first)
    network.restore(network.hub, backup)
    second = visit(troquet, member)
    settle(network)
    assert hub_states(network) == {first: "closed", second: "open"} == states(troquet)
    assert figures(network)["balances"] == {"cordee": -1, "troquet": 1}


def test_a_pass_that_was_revoked_is_revoked_whatever_its_home_says_later(
    network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    member = cordee.add_person().get_pass()
    cordee.delete(f"/api/v1/me/passes/{member.pass_id}", member.token)
    settle(network)
    word = {"member": "somebody", "member_since": "2026-01-05", "status": "valid"}
    for changes in (None, 0, 50):
        with cordee.context() as (_, context):
            path, body = f"/api/v1/passes/{member.pass_id}", {**word, "changes": changes}
            assert context.hub.call("PUT", path, json=body).status == 204
        assert codes(troquet.scan(member.show())) == ["pass_revoked"]


def test_both_restored_at_once_have_together_what_either_kept(
    network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    settle(network)
    old_hub = network.back_up(network.hub)
    network.pass_time(minutes=5)
    network.refresh()
    kept = visit(troquet, cordee.add_person().get_pass())
    settle(network)
    old_node = network.back_up(troquet)
    network.pass_time(minutes=5)
    network.refresh()
    visit(troquet, cordee.add_person().get_pass())  # in neither backup
    settle(network)
    network.restore(network.hub, old_hub)
    network.restore(troquet, old_node)
    settle(network)
    assert hub_states(network) == states(troquet) == {kept: "open"}
    assert agree(network, troquet)


def test_what_agrees_is_not_compared_line_by_line(
    network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    visit(troquet, cordee.add_person().get_pass())
    settle(network)
    network.pass_time(hours=25)
    with troquet.calls() as asked:
        troquet.refresh()
    assert [url for url in asked if "/visits/days" in url]
    assert not [url for url in asked if "day=" in url]
    with troquet.calls() as asked:
        troquet.refresh()
    assert not [url for url in asked if "/visits/days" in url]
