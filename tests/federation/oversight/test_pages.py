"""The coordination's pages about hosts, and its e-mail, with hosts that invent visits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, select

from federation.audit.models import AuditEntry
from federation.db import db
from federation.mail.models import Mail
from federation.oversight import service
from federation.visits.models import Showing, Visit
from shared.base.mail_server import mail_server
from shared.store.db import begin_write
from tests.federation.visits.test_inflation import THREE, late, now
from tests.network import LocalHub, LocalNode, Network, Person
from tests.shared.browser import Browser, Page, forget_attempts

HOSTS, HELD = "/coordination/hosts", "/coordination/hosts/held"


@pytest.fixture
def network(make_network: Callable[..., Network]) -> Network:
    forget_attempts()
    return make_network(nodes=THREE)


@pytest.fixture
def evil(network: Network) -> LocalNode:
    return network.nodes["troquet"]


@pytest.fixture
def member(network: Network) -> Person:
    return network.nodes["cordee"].add_person().get_pass()


def invent(network: Network, host: LocalNode, member: Person, count: int) -> list[str]:
    """Tell of visits whose codes no phone signed; return their ids."""
    credential = member.show().partition("~")[0]
    ids = []
    for number in range(count):
        at = now(network) - timedelta(hours=number + 1)
        answer = late(network, host, f"{credential}~{number}", at)
        assert answer.status_code == 201, answer.text
        assert answer.json()["visit"]["held"] == "pass_malformed"
        ids.append(answer.json()["visit"]["id"])
    return ids


def read(hub: LocalHub, path: str, token: str | None = None, language: str = "en") -> str:
    answer = hub.get(path, token or hub.token, **{"Accept-Language": language})
    assert answer.status_code == 200, answer.text
    return Page(answer.text).text


@pytest.fixture
def browser(network: Network) -> Browser:
    found = Browser(network.hub)
    found.log_in("coord@hub.example")
    return found


def test_a_host_that_invents_visits_is_shown_to_the_coordination(
    network: Network, evil: LocalNode, member: Person
) -> None:
    filature = network.nodes["filature"]
    for _ in range(5):
        assert filature.scan(network.nodes["cordee"].add_person().show()).status_code == 201
    assert "Nobody is out of line" in read(network.hub, HOSTS)
    invent(network, evil, member, 9)
    text = read(network.hub, HOSTS, network.add_staff("reader"))
    assert "9 held visits wait for a decision" in text
    said = "9 of 9 visits were held for want of proof; in the three months before: no visit"
    assert f"{said}; elsewhere: 0 of 5." in text
    assert "9 of 9 visits were let in without the network" in text
    assert "filature" in text.partition("The figures of")[2]
    french = read(network.hub, HOSTS, language="fr")
    assert "9 visites sur 9" in french
    assert "of 9" not in french


def test_another_month_has_its_own_figures(
    network: Network, evil: LocalNode, member: Person
) -> None:
    invent(network, evil, member, 5)
    assert "5 of 5 visits were held" in read(network.hub, f"{HOSTS}?month=2026-11")
    assert "No visit was told of this month" in read(network.hub, f"{HOSTS}?month=2026-08")
    assert network.hub.get(f"{HOSTS}?month=2026-13", network.hub.token).status_code == 404


def test_held_visits_are_listed_with_their_reason_page_by_page_and_host_by_host(
    network: Network, evil: LocalNode, member: Person
) -> None:
    ids = invent(network, evil, member, 23)
    first = network.hub.get(HELD, network.hub.token, **{"Accept-Language": "en"}).text
    assert "the phone’s signature does not hold" in first
    shown = {visit for visit in ids if f'id="v-{visit}"' in first}
    assert len(shown) == 20
    address = next(attrs["href"] for _, attrs in Page(first).elements if attrs.get("rel") == "next")
    second = network.hub.get(str(address), network.hub.token).text
    assert {visit for visit in ids if f'id="v-{visit}"' in second} == {*ids} - shown
    assert "No visit of this host is held" in read(network.hub, f"{HELD}?host=filature")
    assert "23 visits" in read(network.hub, f"{HELD}?host=troquet&after=nonsense")
    assert "la signature du téléphone" in read(network.hub, HELD, language="fr")


def test_without_any_the_page_says_what_would_be_there(network: Network) -> None:
    assert "No visit is held" in read(network.hub, HELD)


def test_a_coordinator_lets_one_count_and_undoes_another_with_a_reason(
    network: Network, evil: LocalNode, member: Person, browser: Browser
) -> None:
    counts, undone = invent(network, evil, member, 2)
    browser.get(HELD)
    again = browser.post(HELD, outcome="counts", reason="", host="", visit=counts)
    assert (again.status_code, "Give the reason" in again.text) == (422, True)
    assert f'value="{counts}" checked' in again.text
    again = browser.post(HELD, outcome="counts", reason="seen on camera")
    assert (again.status_code, "seen on camera" in again.text) == (422, True)
    assert "Tick the visits" in again.text
    browser.get(HELD)
    answer = browser.post(HELD, outcome="counts", reason="seen on camera", visit=counts)
    assert answer.headers["Location"] == HELD
    assert "1 visit counts now." in browser.get(HELD).text
    answer = browser.post(HELD, outcome="undone", reason="no", host="troquet", visit=undone)
    assert answer.headers["Location"] == f"{HELD}?host=troquet"
    browser.post(HELD, outcome="counts", reason="again", host="//evil.example", visit=undone)
    assert "Somebody has decided about 1 visit already." in browser.get(HELD).text
    assert (network.hub.lines(counts), network.hub.lines(undone)) == ([1], [])
    with network.hub.app.app_context():
        states = [db.session.get_one(Visit, each).state for each in (counts, undone)]
        said = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "held-visit"))
        assert [(line.subject, line.detail["after"]) for line in said] == [
            (counts, "counted"),
            (undone, "void"),
        ]
    assert states == ["open", "void"]
    assert "decided about a held visit" in read(network.hub, "/coordination/audit")


def test_many_are_decided_at_once_for_one_reason_and_each_is_in_the_log(
    network: Network, evil: LocalNode, member: Person, browser: Browser
) -> None:
    ids = invent(network, evil, member, 4)
    browser.get(HELD)
    browser.post(HELD, outcome="undone", reason="nobody signed", visit=[*ids[:3], ids[0]])
    assert "3 visits are undone." in browser.get(HELD).text
    with network.hub.app.app_context():
        said = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "held-visit"))
        logged = {line.subject: line.detail["reason"] for line in said}
    assert logged == dict.fromkeys(ids[:3], "nobody signed")
    assert read(network.hub, HELD).count("Why it is held:") == 1


def test_a_held_visit_names_the_door_and_the_time_that_speak_against_it(
    network: Network, evil: LocalNode, member: Person
) -> None:
    shown, at = member.show(), now(network)
    assert network.nodes["filature"].scan(shown).status_code == 201
    answer = late(network, evil, shown, at)
    assert answer.json()["visit"]["held"] == "pass_replayed"
    text = " ".join(read(network.hub, HELD).split())
    assert "With the same code, filature let somebody in on 24" in text
    french = " ".join(read(network.hub, HELD, language="fr").split())
    assert "Avec le même code, filature a laissé entrer quelqu’un le 24" in french
    with network.hub.app.app_context():
        begin_write(db.session())
        db.session.execute(delete(Showing))
        db.session.commit()
    assert "Where else it was shown is forgotten" in read(network.hub, HELD)


def test_who_only_reads_sees_no_form_and_decides_nothing(
    network: Network, evil: LocalNode, member: Person
) -> None:
    (visit,) = invent(network, evil, member, 1)
    network.add_staff("reader")
    reader = Browser(network.hub)
    reader.log_in("reader@hub.example")
    page = reader.get(HELD)
    assert f'id="v-{visit}"' in page.text
    assert "<textarea" not in page.text
    reader.get("/account")
    refused = reader.post(HELD, outcome="counts", reason="x", visit=visit)
    assert refused.status_code == 403


def test_what_a_suspended_host_counts_is_held_and_decided_on_the_page(
    network: Network, evil: LocalNode, member: Person, browser: Browser
) -> None:
    visit = evil.scan(member.show()).json()["visit"]["id"]
    assert network.hub.lines(visit) == [1]
    network.set_state("troquet", "suspended")
    assert (
        "1 of its visits counts in a month that is not final" in Page(browser.get(HOSTS).text).text
    )
    browser.post(f"{HOSTS}/troquet/hold", reason="half of its codes are too old")
    text = Page(browser.get(HOSTS).text).text
    assert "Its lines are held, until the coordination decides." in text
    assert "half of its codes are too old" in text
    assert network.hub.lines(visit) == []
    assert network.hub.statement()["disputed"] == [visit]
    browser.post(f"{HOSTS}/disputes/1", outcome="rejected", reason="a power failure")
    assert "a power failure" in Page(browser.get(HOSTS).text).text
    assert network.hub.lines(visit) == [1]
    assert browser.post(f"{HOSTS}/disputes/7", outcome="upheld", reason="x").status_code == 404
    refused = browser.post(f"{HOSTS}/filature/hold", reason="x")
    assert refused.status_code == 409


class Letters:
    """A hub with a mail server, looking at hosts as its job does."""

    def __init__(self, network: Network, folder: Path) -> None:
        self.network, self.folder = network, folder

    def look(self) -> list[tuple[str, str, str]]:
        """Return the letters that are written now: to whom, English subject, text."""
        with self.network.hub.app.app_context():
            session, hub = db.session(), self.network.hub.app.extensions["hub"]
            begin_write(session)
            before = set(session.scalars(select(Mail.id)))
            session.commit()
            server = mail_server(f"file://{self.folder}")
            settings = replace(hub.settings, smtp_url=server, mail_from="hub@hub.example")
            service.tell(session, replace(hub, settings=settings))
            mails = session.scalars(select(Mail).order_by(Mail.id)).all()
            return [
                (mail.to, mail.subject.partition(" / ")[2], mail.text)
                for mail in mails
                if mail.id not in before
            ]


@pytest.fixture
def letters(network: Network, tmp_path: Path) -> Letters:
    return Letters(network, tmp_path)


def test_coordinators_are_written_to_once_of_a_host_and_month_and_of_what_waits(
    network: Network, evil: LocalNode, member: Person, letters: Letters
) -> None:
    network.add_staff("reader")
    assert letters.look() == []
    invent(network, evil, member, 6)
    said = letters.look()
    assert [(to, subject) for to, subject, _ in said] == [
        ("coord@hub.example", "troquet stands out among the hosts of November 2026"),
        ("coord@hub.example", "6 held visits wait for you"),
    ]
    assert "- 6 of 6 visits were held for want of proof; in the three months" in said[0][2]
    assert "Ada" not in said[0][2] + said[1][2]
    assert "- troquet: 6" in said[1][2]
    assert letters.look() == []


def test_of_held_visits_one_is_written_to_again_when_another_waits_and_not_the_same_day(
    network: Network, evil: LocalNode, member: Person, letters: Letters
) -> None:
    invent(network, evil, member, 1)
    assert [subject for _, subject, _ in letters.look()] == ["1 held visit waits for you"]
    invent(network, evil, network.nodes["cordee"].add_person().get_pass(), 1)
    assert letters.look() == []
    network.pass_time(days=1)
    assert [subject for _, subject, _ in letters.look()] == ["2 held visits wait for you"]
    network.pass_time(days=1)
    assert letters.look() == []


def test_nothing_is_written_where_no_mail_server_is_set(
    network: Network, evil: LocalNode, member: Person
) -> None:
    invent(network, evil, member, 6)
    with network.hub.app.app_context():
        service.tell(db.session(), network.hub.app.extensions["hub"])
        assert db.session.scalars(select(Mail)).all() == []


def test_the_member_and_the_overview_see_that_a_visit_is_held_and_why(
    network: Network, evil: LocalNode, member: Person
) -> None:
    invent(network, evil, member, 1)
    text = read(network.hub, "/coordination")
    assert "1 held visit waits for a decision" in text
    assert "The hub would have refused: the phone’s signature does not hold" in text
    answer = member.node.get("/pass/visits", member.token, **{"Accept-Language": "en"})
    why = "It does not count yet; the coordination looks at it: the phone’s signature does not hold"
    assert why in Page(answer.text).text
