"""The second step of logging in: on either service, with a code that works once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
import requests
from click import ClickException
from sqlalchemy import select, text

from federation.db import db as hub_db
from federation.identity.models import Account as HubAccount
from federation.identity.service import links as hub_links
from node.db import db as node_db
from node.identity.models import Account as NodeAccount
from shared.crypto import totp
from shared.ops import command
from shared.store.db import begin_write
from tests.network import PASSWORD, LocalService, Network, at_once
from tests.shared.browser import Browser, Page, forget_attempts

pytestmark = pytest.mark.both_databases

AT = datetime(2026, 3, 2, 9, 0, 7, tzinfo=UTC)


# The codes themselves


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_codes_are_those_of_rfc_6238(seconds: int, code: str) -> None:
    assert totp.code_of(b"12345678901234567890", seconds // 30, digits=8) == code


def test_a_code_is_taken_a_step_early_or_late_and_never_again() -> None:
    key, now = totp.new_key(), totp.step_at(AT)
    for step in range(now - 3, now + 4):
        found = totp.matching_step(key, totp.code_of(key, step), AT, None)
        assert found == (step if abs(step - now) <= 1 else None)
    code = totp.code_of(key, now)
    assert totp.matching_step(key, f" {code[:3]} {code[3:]} ", AT, now - 1) == now
    assert totp.matching_step(key, code, AT, now) is None
    assert totp.matching_step(key, totp.code_of(key, now - 1), AT, now) is None
    for odd in ("", "0", "é" * 6, "\ud800", "0" * 10_000, "１２３４５６"):
        assert totp.matching_step(key, odd, AT, None) is None


def test_a_sealed_key_opens_with_the_same_secret_for_the_same_account_alone() -> None:
    key = totp.new_key()
    sealed = totp.seal("s" * 32, 3, key)
    assert totp.unseal("s" * 32, 3, sealed) == key
    assert totp.unseal("t" * 32, 3, sealed) is None
    assert totp.unseal("s" * 32, 4, sealed) is None
    assert totp.seal("s" * 32, 3, key) != sealed


# On the services


_moments = count(1)


@dataclass
class Somebody:
    """An account of either service, made for one test."""

    network: Network
    service: LocalService
    db: Any
    model: Any
    email: str
    home: str

    def row(self, what: Callable[[Any], Any]) -> Any:
        with self.service.app.app_context():
            account = self.db.session.scalar(
                select(self.model).where(self.model.email == self.email)
            )
            found = what(account)
            self.db.session.rollback()
            return found

    def wait(self, **delta: float) -> None:
        """Let real time go on, for all services of the network."""
        still = self.network.clock.real() + timedelta(**delta)
        object.__setattr__(self.network.clock, "still", still)

    def code(self) -> str:
        """Return the code that the phone shows, half a minute after the one before."""
        self.wait(seconds=30)
        secret = self.service.app.config["SECRET_KEY"]
        key = self.row(lambda row: totp.unseal(secret, row.id, row.totp_secret))
        return totp.code_of(key, totp.step_at(self.network.clock.real()))

    def browser(self) -> Browser:
        browser = Browser(self.service)
        assert browser.log_in(self.email).status_code == 302
        return browser

    def opens(self, browser: Browser) -> bool:
        return browser.get("/account").status_code == 200

    def turn_on(self, browser: Browser | None = None) -> list[str]:
        """Turn the second step on; return the recovery codes."""
        browser = browser or self.browser()
        browser.get("/account")
        assert browser.post("/account/two-factor", {"begin-password": PASSWORD}).status_code == 200
        answer = browser.post("/account/two-factor/first-code", code=self.code())
        assert answer.status_code == 200, answer.text
        return re.findall(r"<code>([\w-]+)</code>", answer.text)

    def second_step(self, code: str, browser: Browser | None = None) -> requests.Response:
        """Give the password, then a code."""
        browser = browser or Browser(self.service)
        answer = browser.log_in(self.email)
        assert answer.headers["Location"] == "/login/code", answer.text
        browser.get("/login/code")
        return browser.post("/login/code", code=code)


@pytest.fixture
def somebody(lasting_network: Network) -> Iterator[Somebody]:
    """Return somebody at the hub on PostgreSQL, and at a node on SQLite: the code is the same."""
    forget_attempts()
    object.__setattr__(lasting_network.clock, "still", datetime.now(UTC))
    if lasting_network.databases.kind == "postgres":
        hub, name = lasting_network.hub, f"reader{next(_moments)}"
        lasting_network.add_staff("reader", name)
        yield Somebody(
            lasting_network, hub, hub_db, HubAccount, f"{name}@hub.example", "/coordination"
        )
    else:
        troquet = lasting_network.nodes["troquet"]
        email = troquet.add_person().email
        yield Somebody(lasting_network, troquet, node_db, NodeAccount, email, "/pass")
    object.__setattr__(lasting_network.clock, "still", None)


def test_a_second_step_is_set_up_and_then_asked_for_after_the_password(somebody: Somebody) -> None:
    browser, other = somebody.browser(), somebody.browser()
    browser.get("/account")
    wrong = browser.post("/account/two-factor", {"begin-password": "wrong"})
    assert (wrong.status_code, "not your password" in wrong.text) == (422, True)
    page = browser.post("/account/two-factor", {"begin-password": PASSWORD})
    assert "<svg" in page.text
    assert "style=" not in page.text
    assert browser.post("/account/two-factor/first-code", code="000000").status_code == 422
    assert somebody.opens(other)
    codes = somebody.turn_on(browser)
    assert len(set(codes)) == 10
    assert (somebody.opens(browser), somebody.opens(other)) == (True, False)
    browser.get("/account")
    again = browser.post("/account/two-factor", {"begin-password": PASSWORD})
    assert (again.status_code, again.headers["Location"]) == (302, "/account")  # no key is shown

    visitor = Browser(somebody.service)
    answer = visitor.log_in(somebody.email, after="?next=/account%3Fa=1")
    assert answer.headers["Location"] == "/login/code?next=%2Faccount%3Fa%3D1"
    assert not somebody.opens(visitor)
    visitor.get("/login/code")
    assert visitor.post("/login/code", code="123").status_code == 422
    assert not somebody.opens(visitor)
    code = somebody.code()
    answer = visitor.post("/login/code?next=/account%3Fa=1", code=code)
    assert answer.headers["Location"] == "/account?a=1"
    assert somebody.opens(visitor)
    again = somebody.second_step(code)
    assert (again.status_code, "used already" in again.text) == (422, True)


def test_neither_the_key_nor_a_recovery_code_is_in_the_database(somebody: Somebody) -> None:
    codes = somebody.turn_on()
    key = somebody.row(
        lambda row: totp.unseal(somebody.service.app.config["SECRET_KEY"], row.id, row.totp_secret)
    )
    with somebody.service.app.app_context():
        rows = "".join(
            str(somebody.db.session.execute(text(f"SELECT * FROM {table}")).all())  # noqa: S608
            for table in ("account", "recovery_code")
        )
    assert totp.written(key).replace(" ", "") not in rows
    assert key.hex() not in rows
    assert not [code for code in codes if code in rows or code.replace("-", "") in rows]


def test_a_recovery_code_lets_in_once(somebody: Somebody) -> None:
    first, second, *_ = somebody.turn_on()
    assert somebody.second_step(first.upper().replace("-", " ")).status_code == 302
    assert somebody.second_step(first).status_code == 422
    assert somebody.second_step(second).status_code == 302


def test_of_one_code_given_twice_at_once_one_lets_in(somebody: Somebody) -> None:
    codes = somebody.turn_on()
    for code in (somebody.code(), codes[0]):
        browsers = [Browser(somebody.service) for _ in range(3)]
        for browser in browsers:
            browser.log_in(somebody.email)
            browser.get("/login/code")
        answers = at_once(
            [lambda b=browser, c=code: b.post("/login/code", code=c) for browser in browsers]  # type: ignore[misc]
        )
        assert sorted(answer.status_code for answer in answers) == [302, 422, 422]


def test_after_five_wrong_codes_none_is_taken_for_a_while_but_a_recovery_code_is(
    somebody: Somebody,
) -> None:
    recovery = somebody.turn_on()[0]
    for _ in range(5):
        assert "not right" in somebody.second_step("000000").text
    assert "Too many" in somebody.second_step(somebody.code()).text
    assert somebody.second_step(recovery).status_code == 302
    for _ in range(5):
        somebody.second_step("000000")
    somebody.wait(minutes=14)
    assert "Too many" in somebody.second_step(somebody.code()).text
    somebody.wait(minutes=1)
    for _ in range(5):
        somebody.second_step("000000")
    somebody.wait(minutes=16)
    assert "Too many" in somebody.second_step(somebody.code()).text  # the second wait is longer
    somebody.wait(minutes=15)
    assert somebody.second_step(somebody.code()).status_code == 302


def test_before_the_password_is_right_nothing_tells_who_has_a_second_step(
    somebody: Somebody,
) -> None:
    def said() -> tuple[int, str]:
        answer = Browser(somebody.service).log_in(somebody.email, "wrong password")
        return answer.status_code, Page(answer.text).text

    before = said()
    somebody.turn_on()
    assert said() == before


def test_the_step_between_ends_after_ten_minutes_and_with_the_password(somebody: Somebody) -> None:
    browser = somebody.browser()
    somebody.turn_on(browser)
    waiting, late = Browser(somebody.service), Browser(somebody.service)
    for each in (waiting, late):
        each.log_in(somebody.email)
        each.get("/login/code")
    browser.get("/account")
    form = {"password-old": PASSWORD, "password-password": "another password"}
    assert browser.post("/account/password", form).status_code == 302
    assert waiting.post("/login/code", code=somebody.code()).headers["Location"] == "/login"
    late.log_in(somebody.email, "another password")
    late.get("/login/code")
    somebody.wait(minutes=11)
    assert late.post("/login/code", code=somebody.code()).headers["Location"] == "/login"
    assert Browser(somebody.service).get("/login/code").headers["Location"] == "/login"
    assert Browser(somebody.service).get("/login/two-factor").headers["Location"] == "/login"


def test_it_is_turned_off_with_password_and_code(somebody: Somebody) -> None:
    browser = somebody.browser()
    somebody.turn_on(browser)
    browser.get("/account")
    for password, code in (("wrong", somebody.code()), (PASSWORD, "000000")):
        answer = browser.post(
            "/account/two-factor/off", {"off-password": password, "off-code": code}
        )
        assert answer.status_code == 422
    answer = browser.post(
        "/account/two-factor/off", {"off-password": PASSWORD, "off-code": somebody.code()}
    )
    assert answer.status_code == 302
    assert somebody.row(lambda row: (row.totp_secret, row.totp_on_at)) == (None, None)
    assert somebody.opens(somebody.browser())


def test_new_recovery_codes_take_the_place_of_the_old(somebody: Somebody) -> None:
    browser = somebody.browser()
    old = somebody.turn_on(browser)
    browser.get("/account")
    assert browser.post("/account/two-factor/codes", {"codes-code": "1"}).status_code == 422
    answer = browser.post("/account/two-factor/codes", {"codes-code": somebody.code()})
    new = re.findall(r"<code>([\w-]+)</code>", answer.text)
    assert len({*old, *new}) == 20
    assert somebody.second_step(old[0]).status_code == 422
    assert somebody.second_step(new[0]).status_code == 302


def test_a_password_is_changed_by_who_knows_it_and_ends_other_log_ins(somebody: Somebody) -> None:
    browser, other = somebody.browser(), somebody.browser()
    browser.get("/account")
    for old, new in (("wrong", "another password"), (PASSWORD, "short")):
        form = {"password-old": old, "password-password": new}
        assert browser.post("/account/password", form).status_code == 422
    form = {"password-old": PASSWORD, "password-password": "another password"}
    assert browser.post("/account/password", form).status_code == 302
    assert (somebody.opens(browser), somebody.opens(other)) == (True, False)
    assert Browser(somebody.service).log_in(somebody.email).status_code == 422
    third = Browser(somebody.service)
    assert third.log_in(somebody.email, "another password").status_code == 302
    browser.get("/account")
    assert browser.post("/account/log-ins/end").status_code == 302
    assert (somebody.opens(browser), somebody.opens(third)) == (True, False)


def test_with_another_secret_key_a_recovery_code_is_what_lets_in(
    somebody: Somebody, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes, code = somebody.turn_on(), somebody.code()
    kind = "hub" if somebody.db is hub_db else "node"
    place = somebody.service.app.extensions[kind]
    other = replace(place, settings=replace(place.settings, secret_key="another secret " * 3))
    monkeypatch.setitem(somebody.service.app.extensions, kind, other)
    assert somebody.second_step(code).status_code == 422
    assert somebody.second_step(codes[0]).status_code == 302


def test_who_runs_the_service_lets_somebody_in_again_by_command(
    somebody: Somebody, capsys: pytest.CaptureFixture[str]
) -> None:
    browser = somebody.browser()
    somebody.turn_on(browser)
    command.reset_account(somebody.service.app, somebody.email.upper())
    path = capsys.readouterr().out.strip().removeprefix(somebody.service.url)
    assert not somebody.opens(browser)
    browser.get(path)
    assert browser.post(path, password="chosen by link").status_code == 302
    assert somebody.opens(browser)
    with pytest.raises(ClickException):
        command.reset_account(somebody.service.app, "nobody@example.org")


def test_an_admin_resets_the_second_step_of_a_member_and_not_her_own(
    lasting_network: Network,
) -> None:
    forget_attempts()
    troquet = lasting_network.nodes["troquet"]
    person = troquet.add_person()
    member = Somebody(lasting_network, troquet, node_db, NodeAccount, person.email, "/pass")
    browser = member.browser()
    member.turn_on(browser)
    object.__setattr__(lasting_network.clock, "still", None)
    admin = Browser(troquet)
    admin.log_in("admin@troquet.example")
    page = admin.get(f"/console/members?q={person.email}").text
    found = re.search(r"/console/members/(\d+)", page)
    assert found
    assert "two-factor/reset" in admin.get(found[0]).text
    assert admin.post(f"{found[0]}/two-factor/reset").status_code == 302
    assert not member.opens(browser)
    assert member.opens(member.browser())
    assert "two-factor/reset" not in admin.get(found[0]).text


def test_a_link_for_a_new_password_does_not_pass_over_the_second_step(
    lasting_network: Network,
) -> None:
    forget_attempts()
    object.__setattr__(lasting_network.clock, "still", datetime.now(UTC))
    hub = lasting_network.hub
    lasting_network.add_staff("reader", "linked")
    linked = Somebody(
        lasting_network, hub, hub_db, HubAccount, "linked@hub.example", "/coordination"
    )
    linked.turn_on()
    with hub.app.app_context():
        session = hub_db.session()
        account = session.scalar(select(HubAccount).where(HubAccount.email == linked.email))
        assert account is not None
        begin_write(session)
        url = hub_links.invite(session, hub.app.extensions["hub"], account)
        session.commit()
    assert url is not None
    path = url.removeprefix(hub.url)
    browser = Browser(hub)
    browser.get("/login")
    browser.get(path)
    answer = browser.post(path, password="a password by link")
    assert answer.headers["Location"] == "/login/code"
    assert not linked.opens(browser)
    browser.get("/login/code")
    assert browser.post("/login/code", code=linked.code()).status_code == 302
    object.__setattr__(lasting_network.clock, "still", None)
