"""The desk's accounts: invited, given roles, shut out; and one coordinator is always left."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import select

from federation import jobs
from federation.db import db
from federation.identity import people
from federation.identity.models import Account, Link
from federation.identity.service import accounts
from shared.base.mail_server import mail_server
from shared.crypto import totp
from shared.store.db import begin_write
from shared.wire.problems import Problem
from tests.network import PASSWORD, LocalHub, Network, at_once
from tests.shared.browser import Browser, Page, forget_attempts

PATH = "/coordination/accounts"
LINK = re.compile(r"http://[^\s<]+(/welcome/[\w-]+)")


@pytest.fixture
def hub(lasting_network: Network) -> Iterator[LocalHub]:
    forget_attempts()
    found = lasting_network.hub
    before = found.app.extensions["hub"]
    yield found
    found.app.extensions["hub"] = before


@pytest.fixture
def coordinator(hub: LocalHub) -> Browser:
    browser = Browser(hub)
    assert browser.log_in("coord@hub.example").status_code == 302
    browser.get(PATH)
    return browser


def invite(browser: Browser, email: str, *roles: str, name: str = "Ines") -> requests.Response:
    browser.get(PATH)
    return browser.post(PATH, {"name": name, "email": email, "roles": list(roles) or ["reader"]})


def number(hub: LocalHub, email: str) -> int:
    with hub.app.app_context():
        found = db.session.scalar(select(Account.id).where(Account.email == email))
        db.session.rollback()
    assert found is not None
    return int(found)


def choose(hub: LocalHub, path: str, password: str = PASSWORD) -> tuple[Browser, requests.Response]:
    browser = Browser(hub)
    browser.get("/login")
    browser.get(path)
    return browser, browser.post(path, password=password)


def noted(hub: LocalHub, subject: str) -> list[tuple[str, str]]:
    """Return actor and action of what the audit log says of a subject."""
    answer = hub.get(f"/coordination/audit.ndjson?subject={subject}", hub.token)
    lines = [json.loads(line) for line in answer.text.splitlines()]
    return [(line["actor"], line["action"]) for line in lines]


def test_who_is_invited_chooses_a_password_by_a_link_that_works_once(
    hub: LocalHub, coordinator: Browser
) -> None:
    page = invite(coordinator, " Ines.Roux@Example.org", "moderator", "reader")
    found = LINK.search(page.text)
    assert found, page.text
    id_ = number(hub, "ines.roux@example.org")
    assert "invitation sent" in Page(coordinator.get(PATH).text).text
    assert Browser(hub).log_in("ines.roux@example.org", "").status_code == 422
    browser, answer = choose(hub, found[1])
    assert answer.headers["Location"] == "/coordination"
    assert browser.get("/coordination").status_code == 200
    assert browser.get(PATH).status_code == 403
    assert choose(hub, found[1])[1].status_code == 404
    assert "/coordination/accounts" not in browser.get("/coordination").text
    assert noted(hub, f"account:{id_}") == [
        ("account:1", "account-invited"),
        (f"account:{id_}", "password"),
        (f"account:{id_}", "log-in"),
    ]
    again = coordinator.post(f"{PATH}/{id_}/link")
    assert LINK.search(again.text)


@contextmanager
def mail(hub: LocalHub, folder: Path) -> Iterator[Callable[[], list[Any]]]:
    """Give the hub a mail server for a while: a folder."""
    context = hub.app.extensions["hub"]
    smtp = {"smtp_url": mail_server(f"file://{folder}"), "mail_from": "hub@hub.example"}
    hub.app.extensions["hub"] = replace(context, settings=replace(context.settings, **smtp))

    def come() -> list[Any]:
        with hub.app.app_context():
            jobs.send_mail()
        found = [
            message_from_bytes(path.read_bytes(), policy=policy.default)
            for path in folder.glob("*.eml")
        ]
        for path in folder.glob("*.eml"):
            path.unlink()
        return found

    yield come
    hub.app.extensions["hub"] = context


def test_invitations_and_forgotten_passwords_go_by_mail_where_there_is_a_server(
    hub: LocalHub, coordinator: Browser, tmp_path: Path
) -> None:
    with mail(hub, tmp_path) as come:
        come()
        assert invite(coordinator, "posted@example.org").status_code == 302
        (letter,) = come()
        text = letter.get_content()
        assert (letter["To"], "coordination" in text) == ("posted@example.org", True)
        found = LINK.search(text)
        assert found
        assert choose(hub, found[1])[1].status_code == 302
        browser = Browser(hub)
        browser.get("/forgot")
        said = {
            Page(browser.post("/forgot", email=email).text).text
            for email in ("coord@hub.example", "nobody@example.org")
        }
        assert len(said) == 1
        (letter,) = come()
        assert letter["To"] == "coord@hub.example"
        with hub.app.app_context():
            jobs.tidy()
    assert "ask a coordinator" in Browser(hub).get("/forgot").text


def test_what_is_typed_wrongly_invites_nobody(hub: LocalHub, coordinator: Browser) -> None:
    with hub.app.app_context():
        before = len(people.listed(db.session()))
    for told in (
        {"email": "nobody", "name": "A", "roles": "reader"},
        {"email": "", "name": "A", "roles": "reader"},
        {"email": "a@b.example", "name": " ", "roles": "reader"},
        {"email": "a@b.example", "name": "A\0", "roles": "reader"},
        {"email": "a@b.example", "name": "x" * 10_000, "roles": "reader"},
        {"email": "a@b.example", "name": "A"},
        {"email": "a@b.example", "name": "A", "roles": "admin"},
        {"email": "COORD@hub.example", "name": "A", "roles": "reader"},
    ):
        answer = coordinator.post(PATH, told)
        assert (answer.status_code, "field-error" in answer.text) == (422, True), told
    with hub.app.app_context():
        assert len(people.listed(db.session())) == before
    for path in (f"{PATH}/999999", f"{PATH}/99999999999999999999"):
        assert coordinator.get(path).status_code == 404
        for verb in ("roles", "link", "log-ins/end", "two-factor/reset"):
            assert coordinator.post(f"{path}/{verb}", roles="reader").status_code == 404
        assert coordinator.post(f"{path}/state", state="closed").status_code == 404
    assert coordinator.post(f"{PATH}/1/state", state="odd").status_code == 400
    assert coordinator.post(f"{PATH}/1/roles", roles="odd").status_code == 422


def test_two_who_invite_the_same_address_at_once_make_one_account(hub: LocalHub) -> None:
    def one() -> str:
        with hub.app.app_context():
            try:
                people.invite(
                    db.session(),
                    hub.app.extensions["hub"],
                    1,
                    email="race@example.org",
                    name="R",
                    roles=["reader"],
                )
            except Problem as problem:
                return problem.slug
        return "made"

    assert sorted(at_once([one] * 4)) == ["conflict"] * 3 + ["made"]
    with hub.app.app_context():
        id_ = db.session.scalar(select(Account.id).where(Account.email == "race@example.org"))
        links = db.session.scalars(select(Link).where(Link.account_id == id_)).all()
        assert len(links) == 1


def test_the_last_coordinator_cannot_be_taken_away(hub: LocalHub, coordinator: Browser) -> None:
    invite(coordinator, "not-yet@example.org", "coordinator")  # who has no password does not count
    for path, form in (
        (f"{PATH}/1/roles", {"roles": "reader"}),
        (f"{PATH}/1/state", {"state": "closed"}),
    ):
        answer = coordinator.post(path, form)
        assert answer.status_code == 302
        assert "only coordinator" in Page(coordinator.get(f"{PATH}/1").text).text
    assert coordinator.get(PATH).status_code == 200


def test_of_two_coordinators_who_remove_each_other_at_once_one_is_left(
    hub: LocalHub, lasting_network: Network
) -> None:
    verbs: list[Callable[..., None]] = [
        lambda by, whom: people.set_roles(db.session(), datetime.now(UTC), by, whom, ["reader"]),
        lambda by, whom: people.disable(db.session(), datetime.now(UTC), by, whom),
    ]
    for n, verb in enumerate(verbs):
        lasting_network.add_staff("coordinator", f"second{n}")
        pair = 1, number(hub, f"second{n}@hub.example")

        def remove(by: int, whom: int, verb: Callable[..., None] = verb) -> str:
            with hub.app.app_context():
                try:
                    verb(by, whom)
                except Problem as problem:
                    return problem.slug
            return "done"

        calls = [partial(remove, *pair), partial(remove, *reversed(pair))]
        outcomes = at_once(calls)
        assert sorted(outcomes) == ["conflict", "done"]
        with hub.app.app_context():
            session = db.session()
            left = [
                row.id
                for row in people.listed(session)
                if "coordinator" in row.roles and accounts.usable(row)
            ]
            assert len(left) == 1
            begin_write(session)
            session.get_one(Account, 1).roles = ["coordinator"]
            session.get_one(Account, 1).disabled_at = None
            session.get_one(Account, pair[1]).roles = ["reader"]
            session.commit()


def test_a_closed_account_is_out_at_once_and_open_again_as_it_was(
    hub: LocalHub, coordinator: Browser, lasting_network: Network
) -> None:
    token = lasting_network.add_staff("reader", "closing")
    id_, path = number(hub, "closing@hub.example"), f"{PATH}/{number(hub, 'closing@hub.example')}"
    browser = Browser(hub)
    browser.log_in("closing@hub.example")
    coordinator.get(path)
    for _ in range(2):
        assert coordinator.post(f"{path}/state", state="closed").status_code == 302
    assert browser.get("/coordination").status_code == 302
    assert hub.get("/api/v1/nodes", token).status_code == 401
    assert Browser(hub).log_in("closing@hub.example").status_code == 422
    assert coordinator.post(f"{path}/link").status_code == 302
    for _ in range(2):
        assert coordinator.post(f"{path}/state", state="open").status_code == 302
    assert hub.get("/api/v1/nodes", token).status_code == 200
    assert browser.get("/coordination").status_code == 302
    assert noted(hub, f"account:{id_}")[-2:] == [("account:1", "disable"), ("account:1", "enable")]


def test_roles_hold_at_once_for_log_ins_and_tokens(
    hub: LocalHub, coordinator: Browser, lasting_network: Network
) -> None:
    token = lasting_network.add_staff("coordinator", "changing")
    id_ = number(hub, "changing@hub.example")
    assert hub.get(PATH, token).status_code == 200
    coordinator.get(f"{PATH}/{id_}")
    for _ in range(2):
        coordinator.post(f"{PATH}/{id_}/roles", {"roles": ["moderator"]})
    assert hub.get(PATH, token).status_code == 403
    found = hub.get(f"/coordination/audit.ndjson?subject=account:{id_}&action=roles", hub.token)
    (line,) = [json.loads(each) for each in found.text.splitlines()]
    assert (line["detail"]["before"], line["detail"]["after"]) == (
        {"roles": ["coordinator"]},
        {"roles": ["moderator"]},
    )


def _key(hub: LocalHub, id_: int) -> bytes:
    with hub.app.app_context():
        row = db.session.get_one(Account, id_)
        assert row.totp_secret is not None
        key = totp.unseal("h" * 32, id_, row.totp_secret)
        db.session.rollback()
    assert key is not None
    return key


def test_where_it_is_required_the_second_step_is_set_up_at_the_next_log_in(
    hub: LocalHub, coordinator: Browser, lasting_network: Network
) -> None:
    lasting_network.add_staff("reader", "required")
    id_ = number(hub, "required@hub.example")
    context = hub.app.extensions["hub"]
    hub.app.extensions["hub"] = replace(
        context, settings=replace(context.settings, require_two_factor=True)
    )
    browser = Browser(hub)
    answer = browser.log_in("required@hub.example", after="?next=/coordination/audit")
    assert answer.headers["Location"] == "/login/two-factor?next=%2Fcoordination%2Faudit"
    assert browser.get("/coordination").status_code == 302
    assert browser.get("/login/two-factor").status_code == 200
    assert browser.post("/login/two-factor", code="1").status_code == 422
    key = _key(hub, id_)
    code = totp.code_of(key, totp.step_at(datetime.now(UTC)))
    page = browser.post("/login/two-factor?next=/coordination/audit", code=code)
    assert 'href="/coordination/audit"' in page.text
    assert page.headers["Cache-Control"] == "no-store"
    assert browser.get("/coordination").status_code == 200
    browser.get("/account")
    form = {"off-password": PASSWORD, "off-code": code}
    assert browser.post("/account/two-factor/off", form).status_code == 302
    assert "it stays on" in Page(browser.get("/account").text).text

    coordinator.get(f"{PATH}/{id_}")
    assert coordinator.post(f"{PATH}/{id_}/two-factor/reset").status_code == 302
    assert browser.get("/coordination").status_code == 302
    again = Browser(hub).log_in("required@hub.example")
    assert again.headers["Location"] == "/login/two-factor"
    assert _key(hub, id_) != key
    assert ("account:1", "two-factor-reset") in noted(hub, f"account:{id_}")


def test_nobody_resets_her_own_second_step_without_a_code(
    hub: LocalHub, coordinator: Browser
) -> None:
    coordinator.get(f"{PATH}/1")
    assert coordinator.post(f"{PATH}/1/two-factor/reset").status_code == 302
    assert "on your account page" in Page(coordinator.get(f"{PATH}/1").text).text
