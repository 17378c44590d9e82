"""Wrong passwords are slowed for an account, whoever sends them, and its owner is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import delete, func, select

from federation.identity.service import passwords as hub_passwords
from node.members.password_links import passwords as node_passwords
from shared.accounts.failed_passwords import KEPT_FOR, LONGEST_WAIT, WRONG_IN_A_ROW
from shared.base.clock import Clock
from shared.base.mail_server import mail_server
from shared.store import account_tables
from shared.store.db import begin_write
from tests.network import PASSWORD, LocalService, Network
from tests.shared.browser import TOKEN, Browser, Page, forget_attempts

pytestmark = pytest.mark.both_databases

NEW = "four words that nobody guesses"


class Door:
    """The log-in of one of the two services, with a mail server, from any address."""

    def __init__(self, service: LocalService, kind: str, email: str, folder: Path) -> None:
        self.service, self.app, self.kind, self.email = service, service.app, kind, email
        self.passwords = hub_passwords if kind == "hub" else node_passwords
        self.before = self.app.extensions[kind]
        # In the morning: what is told once a day is told once, whenever the tests run.
        self.still = self.before.clock.real().replace(hour=8)
        self.mail = {"smtp_url": mail_server(f"file://{folder}"), "mail_from": "mail@hub.example"}
        self.later(timedelta())

    def later(self, by: timedelta) -> None:
        self.still += by
        settings = replace(self.before.settings, clock=Clock(still=self.still), **self.mail)
        self.app.extensions[self.kind] = replace(self.before, settings=settings)

    def session(self) -> Any:
        return self.app.extensions["sqlalchemy"].session()

    def log_in(self, password: str, address: str = "127.0.0.1", email: str = "") -> Any:
        client: FlaskClient = self.app.test_client()
        client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "en"
        caller = {"REMOTE_ADDR": address}
        found = TOKEN.search(client.get("/login", environ_base=caller).text)
        assert found
        form = {"email": email or self.email, "password": password, "csrf_token": found[1]}
        return client.post("/login", data=form, environ_base=caller)

    def letters(self) -> list[tuple[str, str]]:
        with self.app.app_context():
            mail = self.passwords.mailbox.mail
            rows = self.session().scalars(select(mail).where(mail.key.startswith("passwords:")))
            return [(row.to, row.text) for row in rows]

    def close(self) -> None:
        with self.app.app_context():
            begin_write(self.session())
            for table in (self.passwords.wrong, self.passwords.mailbox.mail):
                self.session().execute(delete(table))
            self.session().commit()
        self.app.extensions[self.kind] = self.before


@pytest.fixture(params=["hub", "node"])
def door(
    request: pytest.FixtureRequest, lasting_network: Network, tmp_path: Path
) -> Iterator[Door]:
    forget_attempts()
    if request.param == "hub":
        found = Door(lasting_network.hub, "hub", "coord@hub.example", tmp_path)
    else:
        node = lasting_network.nodes["troquet"]
        found = Door(node, "node", "admin@troquet.example", tmp_path)
    yield found
    found.close()


def wait_of(answer: Any) -> int:
    """Return after how many minutes to come back."""
    return round(int(answer.headers["Retry-After"]) / 60)


def test_two_hundred_wrong_passwords_from_ten_addresses_are_slowed_and_the_owner_told(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = []
    verify = account_tables._hasher.verify

    def counted(hashed: str, password: str) -> bool:
        checked.append(password)
        return verify(hashed, password)

    monkeypatch.setattr(
        account_tables, "_hasher", type("Hasher", (), {"verify": staticmethod(counted)})
    )
    answers = [door.log_in(f"wrong {n}", f"203.0.113.{n % 10}") for n in range(200)]
    assert [answer.status_code for answer in answers] == [422] * 10 + [429] * 190
    assert len(checked) == 10
    assert answers[-1].headers["Retry-After"] in ("59", "60")
    assert "Wait 1 minute, or have a link" in Page(answers[-1].text).text
    ((to, text),) = door.letters()
    assert to == door.email
    assert "/forgot" in text
    assert door.log_in(PASSWORD).status_code == 429  # a delay for everybody...
    door.later(timedelta(seconds=61))
    assert door.log_in(PASSWORD).status_code == 302  # ...and not a lock
    assert door.log_in("wrong").status_code == 422  # counted anew


def test_each_further_wrong_one_makes_the_wait_longer_up_to_an_hour(door: Door) -> None:
    for number in range(WRONG_IN_A_ROW):
        assert door.log_in(f"wrong {number}", f"203.0.113.{number}").status_code == 422
    waits = []
    for number in range(8):
        waits.append(wait_of(door.log_in("x", f"198.51.100.{number}")))
        door.later(timedelta(minutes=waits[-1], seconds=1))
        assert door.log_in("wrong", f"198.51.100.{number}").status_code == 422
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    assert timedelta(minutes=60) == LONGEST_WAIT
    assert len(door.letters()) == 1  # once a day


def test_an_address_that_nobody_has_is_slowed_alike_and_nobody_is_told(door: Door) -> None:
    said = {}
    for email in (door.email, "nobody@example.org"):
        said[email] = [door.log_in("wrong", f"203.0.113.{n}", email).status_code for n in range(12)]
    assert said[door.email] == said["nobody@example.org"]
    assert [to for to, _ in door.letters()] == [door.email]


def test_a_link_to_a_new_password_ends_the_wait(door: Door) -> None:
    for number in range(WRONG_IN_A_ROW + 1):
        door.log_in("wrong", f"203.0.113.{number}")
    with door.app.app_context():
        links = door.app.extensions["people"].links
        account = door.session().scalar(
            select(links.account).where(links.account.email == door.email)
        )
        begin_write(door.session())
        url, _ = links._make(door.session(), door.app.extensions["people"].place(), account.id)
        door.session().commit()
    browser = Browser(door.service)
    path = url.removeprefix(door.service.url)
    browser.get(path)
    assert browser.post(path, password=PASSWORD).status_code == 302
    assert door.log_in(PASSWORD).status_code == 302


def test_what_was_counted_is_forgotten_after_a_day(door: Door) -> None:
    door.log_in("wrong")
    with door.app.app_context():
        count = select(func.count()).select_from(door.passwords.wrong)
        door.passwords.forget(door.session(), door.still + KEPT_FOR - timedelta(seconds=1))
        assert door.session().scalar(count) == 1
        door.passwords.forget(door.session(), door.still + KEPT_FOR + timedelta(seconds=1))
        assert door.session().scalar(count) == 0


def test_ipv6_addresses_of_one_network_count_together(door: Door) -> None:
    answers = [door.log_in("", f"2001:db8:1:2::{number:x}").status_code for number in range(1, 32)]
    assert answers == [422] * 30 + [429]
    assert door.log_in("", "2001:db8:1:3::1").status_code == 422


def test_the_account_page_counts_too(door: Door) -> None:
    browser = Browser(door.service)
    assert browser.log_in(door.email).status_code == 302
    browser.get("/account")
    for number in range(WRONG_IN_A_ROW):
        forget_attempts()
        path = ("/account/password", "/account/two-factor")[number % 2]
        prefix = ("password-old", "begin-password")[number % 2]
        form = {prefix: "wrong", "password-password": NEW}
        assert "This is not your password." in browser.post(path, form).text
    forget_attempts()
    form = {"password-old": PASSWORD, "password-password": NEW}
    assert "Too many wrong passwords" in browser.post("/account/password", form).text


def test_a_token_needs_the_password(door: Door) -> None:
    browser = Browser(door.service)
    assert browser.log_in(door.email).status_code == 302
    shown = browser.get("/account").text
    scope = next(a["value"] for _, a in Page(shown).elements if a.get("name") == "scopes")
    for password in ("", "wrong"):
        answer = browser.post("/account", name="mine", scopes=scope, password=password)
        assert answer.status_code == 422
        assert "psl_" not in answer.text
    assert "psl_" in browser.post("/account", name="mine", scopes=scope, password=PASSWORD).text


@pytest.mark.parametrize("way", ["link", "reset", "change", "second step"])
def test_tokens_end_with_a_new_password_and_with_a_recovery(door: Door, way: str) -> None:
    people = door.app.extensions["people"]
    with door.app.app_context():
        session, now = door.session(), people.place().clock.now()
        account = session.scalar(
            select(people.links.account).where(people.links.account.email == door.email)
        )
        number, roles = account.id, list(account.roles)
        made = people.accounts.add_token(session, now, number, "t", roles[:1])
        assert people.accounts.find(session, now, made) is not None
        if way == "link":
            begin_write(session)
            url, _ = people.links._make(session, people.place(), number)
            session.commit()
            people.links.choose_password(session, now, url.rpartition("/")[2], PASSWORD)
        elif way == "reset":
            people.links.start_over(session, people.place(), people.two_factor, door.email)
        elif way == "change":
            with door.app.test_request_context():
                assert people.accounts.change_password(session, now, number, PASSWORD, PASSWORD)
        else:
            people.two_factor.turn_off(session, now, number, by=0 if door.kind == "node" else 99)
        assert people.accounts.find(session, now, made) is None
