"""The console's members and plans: what an admin changes is true at every door."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

import pytest
import requests
from sqlalchemy import select

from node import jobs
from node.identity.models import Account
from node.members import changes, service
from node.members.models import Member, Plan
from node.members.plans import plans
from node.members.service import Sheet
from node.passes import cards
from node.passes.models import Pass
from shared.wire.problems import Problem
from tests.network import LocalNode, Network, Person, at_once, codes
from tests.shared.browser import Browser, Page, forget_attempts

TODAY = date(2026, 11, 24)


@pytest.fixture
def cordee(lasting_network: Network) -> LocalNode:
    return lasting_network.nodes["cordee"]


@pytest.fixture
def troquet(lasting_network: Network) -> LocalNode:
    return lasting_network.nodes["troquet"]


@pytest.fixture
def admin(cordee: LocalNode) -> Browser:
    return browser_of(cordee)


def browser_of(node: LocalNode) -> Browser:
    forget_attempts()
    browser = Browser(node, "en")
    assert browser.log_in(f"admin@{node.id}.example").status_code == 302
    browser.get("/console/members/new")  # has the token that the next form needs
    return browser


def id_of(person: Person) -> int:
    with person.node.context() as (session, _):
        found = session.scalar(select(Member.id).where(Member.account_id == person.account_id))
        assert found is not None
        return int(found)


def page_of(person: Person) -> str:
    return f"/console/members/{id_of(person)}"


def fill(browser: Browser, path: str, **changed: Any) -> requests.Response:
    """Open a page's form, change some of it, and send it."""
    before = Page(browser.get(path).text).values
    return browser.post(path, {**before, **changed})


def plan_id(node: LocalNode, plan_class: str) -> int:
    with node.context() as (session, _):
        return next(p.id for p in plans(session) if p.plan_class == plan_class)


def statuses(person: Person) -> list[str]:
    with person.node.context() as (session, _):
        query = select(Pass.status).join(Member).where(Member.account_id == person.account_id)
        return list(session.scalars(query.order_by(Pass.number)))


def test_who_is_suspended_is_refused_at_the_door_and_admitted_again_when_taken_up(
    admin: Browser, cordee: LocalNode, troquet: LocalNode
) -> None:
    person = cordee.add_person().get_pass()
    other = person.other_phone().get_pass()
    assert cordee.delete(f"/api/v1/me/passes/{other.pass_id}", person.token).status_code == 204
    path = page_of(person)
    for _ in range(2):  # twice is as good as once
        assert admin.post(f"{path}/suspend").status_code == 302
    assert statuses(person) == ["suspended", "revoked"]
    assert codes(troquet.scan(person.show())) == ["pass_suspended"]
    assert "suspended" in Page(admin.get(path).text).text
    refused = cordee.post("/api/v1/me/passes", {"jwk": {}}, person.token)
    assert refused.status_code in (403, 422)
    again = cordee.post(
        "/api/v1/me/passes", {"jwk": person.key.as_dict(private=False)}, person.token
    )
    assert again.status_code == 403
    assert again.json()["detail"]
    for _ in range(2):
        assert admin.post(f"{path}/resume").status_code == 302
    assert statuses(person) == ["valid", "revoked"]
    admitted = troquet.scan(person.show())
    assert admitted.status_code == 201
    troquet.check_out(admitted.json()["visit"]["id"])
    # And once more: the hub is told each time, though the words are the same.
    admin.post(f"{path}/suspend")
    assert codes(troquet.scan(person.show())) == ["pass_suspended"]


def test_a_door_without_the_hub_refuses_who_is_suspended(
    admin: Browser, cordee: LocalNode, troquet: LocalNode
) -> None:
    person = cordee.add_person().get_pass()
    admin.post(f"{page_of(person)}/suspend")
    troquet.age("status:cordee", hours=1)
    with troquet.cut_off():
        answer = troquet.scan(person.show())
    assert codes(answer) == ["pass_suspended"]


def test_a_pass_that_was_suspended_or_ended_otherwise_does_not_come_back_with_its_member(
    admin: Browser, cordee: LocalNode
) -> None:
    person = cordee.add_person().get_pass()
    with cordee.context() as (session, node):
        member = service.one(session, id_of(person))
        row, pin = cards.make(session, node, member)
        wrong = "000000" if pin != "000000" else "111111"
        for _ in range(cards.TRIES):
            with pytest.raises(Problem):
                cards.show(session, node, row.id, wrong, "troquet", "troquet")
    assert statuses(person) == ["valid", "suspended"]
    path = page_of(person)
    admin.post(f"{path}/suspend")
    assert admin.post(f"{path}/passes/{person.pass_id}/revoke").status_code == 302
    admin.post(f"{path}/resume")
    assert statuses(person) == ["revoked", "suspended"]


def test_a_subscription_ends_after_its_last_day_and_its_passes_with_it(
    admin: Browser, cordee: LocalNode, troquet: LocalNode, lasting_network: Network
) -> None:
    person = cordee.add_person().get_pass()
    path = page_of(person)
    assert admin.post(f"{path}/end", {"end-last_day": TODAY.isoformat()}).status_code == 302
    assert statuses(person) == ["valid"]  # she is in for the day
    admitted = troquet.scan(person.show())
    assert admitted.status_code == 201
    troquet.check_out(admitted.json()["visit"]["id"])
    assert "ends on 24 November 2026" in Page(admin.get(path).text).text
    lasting_network.pass_time(days=1)
    try:
        with cordee.app.app_context():
            jobs.end_subscriptions()
            jobs.deliver()
        assert statuses(person) == ["revoked"]
        assert codes(troquet.scan(person.show())) == ["pass_revoked"]
    finally:
        lasting_network.pass_time(days=-1)


def test_a_subscription_that_ended_before_today_ends_its_passes_at_once(
    admin: Browser, cordee: LocalNode, troquet: LocalNode
) -> None:
    person = cordee.add_person().get_pass()
    path = page_of(person)
    for _ in range(2):
        assert fill(admin, path, ended_on="2026-11-20").status_code == 302
    assert codes(troquet.scan(person.show())) == ["pass_revoked"]
    assert cordee.get("/api/v1/me/passes", person.token).status_code == 403


@pytest.mark.parametrize("online", [True, False])
def test_the_door_goes_by_the_new_plan_at_once(
    admin: Browser, cordee: LocalNode, troquet: LocalNode, online: bool
) -> None:
    person = cordee.add_person("resident").get_pass()
    answer = fill(admin, page_of(person), plan=str(plan_id(cordee, "ticket")))
    assert answer.status_code == 302, answer.text
    troquet.age("status:cordee", hours=1)
    if online:
        assert codes(troquet.scan(person.show())) == ["pass_revoked"]
        person.get_pass()
        assert codes(troquet.scan(person.show())) == ["plan_not_eligible"]
    else:
        with troquet.cut_off():
            assert codes(troquet.scan(person.show())) == ["pass_revoked"]
    fill(admin, page_of(person), plan=str(plan_id(cordee, "nomad")))
    person.get_pass()
    admitted = troquet.scan(person.show())
    assert admitted.status_code == 201, admitted.text
    troquet.check_out(admitted.json()["visit"]["id"])


def test_another_plan_of_the_same_class_ends_no_pass(
    admin: Browser, cordee: LocalNode, troquet: LocalNode
) -> None:
    person = cordee.add_person("resident").get_pass()
    with cordee.context() as (session, _):
        other = service.add_plan(session, f"Resident {person.account_id}", "resident", 10).id
    assert fill(admin, page_of(person), plan=str(other)).status_code == 302
    admitted = troquet.scan(person.show())
    assert admitted.status_code == 201
    troquet.check_out(admitted.json()["visit"]["id"])


def test_a_card_on_paper_outlives_a_change_of_plan_and_shows_the_new_one(
    cordee: LocalNode, admin: Browser
) -> None:
    person = cordee.add_person("resident")
    with cordee.context() as (session, node):
        cards.make(session, node, service.one(session, id_of(person)))
    fill(admin, page_of(person), plan=str(plan_id(cordee, "ticket")))
    assert statuses(person) == ["valid"]


def test_a_first_day_that_moves_reaches_the_hub(
    admin: Browser, cordee: LocalNode, troquet: LocalNode
) -> None:
    person = cordee.add_person().get_pass()
    assert fill(admin, page_of(person), joined_on="2026-11-20").status_code == 302
    assert codes(troquet.scan(person.get_pass(days_ago=2).show())) == ["seniority"]


def test_changing_and_issuing_at_once_leaves_no_valid_pass_of_who_is_suspended(
    cordee: LocalNode,
) -> None:
    people = [cordee.add_person() for _ in range(4)]

    def suspend(person: Person) -> Callable[[], object]:
        def call() -> None:
            with cordee.context() as (session, node):
                changes.suspend(session, node, id_of(person))

        return call

    def issue(person: Person) -> Callable[[], object]:
        jwk = person.key.as_dict(private=False)
        return lambda: cordee.post("/api/v1/me/passes", {"jwk": jwk}, person.token).status_code

    answers = at_once([call for p in people for call in (suspend(p), issue(p))])
    assert {answer for answer in answers if answer} <= {201, 403}
    for person in people:
        assert "valid" not in statuses(person)


def test_the_last_admin_keeps_the_role(cordee: LocalNode, admin: Browser) -> None:
    person = cordee.add_person()
    path = page_of(person)
    # While there is another admin, she may lose it; alone, she keeps it.
    assert admin.post(f"{path}/roles", {"account-roles": ["admin", "member"]}).status_code == 302
    assert admin.post(f"{path}/roles", {"account-roles": ["member"]}).status_code == 302
    admin.post(f"{path}/roles", {"account-roles": ["admin", "desk", "member"]})
    with cordee.context() as (session, node):
        first = session.scalar(select(Account).where(Account.email == "admin@cordee.example"))
        assert first is not None
        first.roles = []
        session.commit()
        for forbidden in (
            lambda: changes.set_roles(session, id_of(person), ["desk"]),
            lambda: changes.end(session, node, id_of(person), TODAY),
        ):
            with pytest.raises(Problem, match="only admin"):
                forbidden()
        member = service.one(session, id_of(person))
        sheet = Sheet("A", "B", member.account.email, member.plan_id, member.joined_on, TODAY)
        with pytest.raises(Problem, match="only admin"):
            changes.change(session, node, id_of(person), sheet)
        first = session.scalar(select(Account).where(Account.email == "admin@cordee.example"))
        assert first is not None
        first.roles = ["admin"]
        session.commit()
        changes.set_roles(session, id_of(person), ["member"])


def test_two_admins_who_take_the_role_from_each_other_leave_one(cordee: LocalNode) -> None:
    people = [cordee.add_person() for _ in range(2)]
    with cordee.context() as (session, _):
        for person in people:
            changes.set_roles(session, id_of(person), ["admin", "member"])
        first = session.scalar(select(Account).where(Account.email == "admin@cordee.example"))
        assert first is not None
        first.roles = []
        session.commit()

    def lose(person: Person) -> Callable[[], str]:
        def call() -> str:
            with cordee.context() as (session, _):
                try:
                    changes.set_roles(session, id_of(person), ["member"])
                except Problem:
                    return "kept"
                return "lost"

        return call

    try:
        assert sorted(at_once([lose(person) for person in people])) == ["kept", "lost"]
    finally:
        with cordee.context() as (session, _):
            first = session.scalar(select(Account).where(Account.email == "admin@cordee.example"))
            assert first is not None
            first.roles = ["admin"]
            session.commit()
            for person in people:
                changes.set_roles(session, id_of(person), ["member"])


def test_members_are_found_by_name_address_and_plan_without_accents(
    cordee: LocalNode, admin: Browser
) -> None:
    with cordee.context() as (session, node):
        plan = service.add_plan(session, "Formule Été", "nomad", None)
        service.add_member(
            session,
            node.clock.now(),
            email="Zoe@Exemple.fr",
            given_name="Zoé",
            family_name="Lefèvre",
            password=None,
            plan_id=plan.id,
            joined_on=TODAY + timedelta(days=2),
        )
    for wanted in ("lefevre", "ZOÉ LEF", "zoe@exemple", "formule ete"):
        page = Page(admin.get(f"/console/members?q={wanted}").text).text
        assert "Lefèvre Zoé" in page, wanted
        assert "begins on 26 November 2026" in page
    for wanted in ("%", "_", "nobody at all", "\\"):
        assert "Nobody found" in admin.get(f"/console/members?q={wanted}").text, wanted
    for odd in ("after=x", "plan=99999999999999999999", "after=-1", "q=%00", "plan=x"):
        assert admin.get(f"/console/members?{odd}").status_code == 200, odd


def test_the_list_goes_on_where_a_page_ends(cordee: LocalNode, admin: Browser) -> None:
    with cordee.context() as (session, node):
        plan = service.add_plan(session, "Many", "nomad", None)
        for n in range(service.PAGE + 3):
            service.insert(
                session,
                node.clock.now(),
                Sheet(f"M{n}", "Same", f"many{n}@x.example", plan.id, TODAY),
            )
        session.commit()
        first, after = service.listed(session, plan_id=plan.id)
        rest, none = service.listed(session, plan_id=plan.id, after=after)
    assert (len(first), len(rest), none) == (service.PAGE, 3, None)
    assert not {row.id for row in first} & {row.id for row in rest}
    page = admin.get(f"/console/members?plan={plan.id}").text
    assert f"after={after}" in page


@pytest.fixture
def plan(cordee: LocalNode) -> Iterator[Plan]:
    with cordee.context() as (session, _):
        yield service.add_plan(session, "For a test", "nomad", None)


def test_plans_are_published_and_say_what_they_open(
    cordee: LocalNode, admin: Browser, lasting_network: Network
) -> None:
    page = Page(admin.get("/console/plans").text).text
    assert "May roam" in page
    assert "No roaming" in page
    assert "Up to 16 half-days a month in all, 6 at one host." in page
    added = admin.post(
        "/console/plans", {"name": "Ten tickets", "plan_class": "ticket", "half_days": "10"}
    )
    assert added.status_code == 302, added.text
    with cordee.context() as (session, _):
        row = next(p for p in plans(session) if p.name == "Ten tickets")
        path = f"/console/plans/{row.id}"
    taken = admin.post("/console/plans", {"name": "TEN TICKETS", "plan_class": "nomad"})
    assert taken.status_code == 422
    assert "another plan has this name" in taken.text
    listed = lasting_network.hub.get("/api/v1/trust-list")
    assert listed.status_code == 200
    assert fill(admin, path, half_days="").status_code == 302
    assert admin.post(f"{path}/remove").status_code == 302
    with cordee.context() as (session, _):
        assert "Ten tickets" not in {p.name for p in plans(session)}


def test_a_plan_that_somebody_has_stays(cordee: LocalNode, admin: Browser) -> None:
    cordee.add_person("nomad")
    path = f"/console/plans/{plan_id(cordee, 'nomad')}"
    admin.post(f"{path}/remove")
    assert "give them another first" in admin.get("/console/plans").text
    assert admin.get(path).status_code == 200


def test_a_plan_of_another_class_is_true_at_the_door_at_once(
    cordee: LocalNode, troquet: LocalNode, admin: Browser
) -> None:
    person = cordee.add_person("resident").get_pass()
    with cordee.context() as (session, _):
        row = service.add_plan(session, f"Own {person.account_id}", "resident", None)
        path = f"/console/plans/{row.id}"
        fill(admin, page_of(person), plan=str(row.id))
    assert statuses(person) == ["valid"]
    assert fill(admin, path, plan_class="ticket").status_code == 302
    assert codes(troquet.scan(person.show())) == ["pass_revoked"]
    assert codes(troquet.scan(person.get_pass().show())) == ["plan_not_eligible"]


def test_the_console_of_members_is_for_admins(cordee: LocalNode) -> None:
    forget_attempts()
    desk = Browser(cordee, "en")
    desk.log_in("desk@cordee.example")
    person = cordee.add_person()
    for path in ("/console/members", page_of(person), "/console/plans", "/console/members.csv"):
        assert desk.get(path).status_code == 403, path
    assert desk.post(f"{page_of(person)}/suspend").status_code == 403
    admin = browser_of(cordee)
    for odd in ("0", "99999999999999999999", str(1 << 31)):
        assert admin.get(f"/console/members/{odd}").status_code == 404, odd
        assert admin.post(f"/console/members/{odd}/suspend").status_code == 404, odd
        assert admin.get(f"/console/plans/{odd}").status_code == 404, odd
