"""Links by which people choose their password: once, for seven days, and told to nobody else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from sqlalchemy import select

from node import jobs
from node.identity.models import Account
from node.mail.models import Mail
from node.members.models import Link
from shared.accounts.password_links import VALID
from shared.store.account_tables import NO_PASSWORD, hash_token
from tests.network import PASSWORD, LocalNode, Network, at_once
from tests.node.postbox import Postbox
from tests.shared.browser import Browser, Page, forget_attempts

ADDRESS = re.compile(r"http://[^\s<]+/welcome/([\w-]+)")
NEW = "three plain words"


@pytest.fixture
def filature(lasting_network: Network) -> Iterator[LocalNode]:
    found = lasting_network.nodes["filature"]
    before = found.app.extensions["node"]
    yield found
    found.app.extensions["node"] = before


@pytest.fixture
def admin(filature: LocalNode) -> Browser:
    forget_attempts()
    browser = Browser(filature, "en")
    assert browser.log_in("admin@filature.example").status_code == 302
    browser.get("/console/members/new")
    return browser


def add(admin: Browser, email: str, invite: str | None = "y") -> requests.Response:
    before = Page(admin.get("/console/members/new").text).values
    told = {"given_name": "Ines", "family_name": "Roux", "email": email, "invite": invite}
    return admin.post("/console/members/new", {**before, **told})


def token_in(text: str) -> str:
    found = ADDRESS.search(text)
    assert found, text
    return found[1]


def choose(node: LocalNode, token: str, password: str = NEW) -> requests.Response:
    browser = Browser(node, "en")
    browser.get("/login")
    browser.get(f"/welcome/{token}")
    return browser.post(f"/welcome/{token}", password=password)


def test_without_a_mail_server_the_link_is_shown_once_and_works_once(
    admin: Browser, filature: LocalNode
) -> None:
    page = add(admin, "Ines.Roux@Example.org")
    assert page.status_code == 200
    token = token_in(page.text)
    with filature.context() as (session, _):
        account = session.scalar(select(Account).where(Account.email == "ines.roux@example.org"))
        assert account is not None
        assert account.password_hash == NO_PASSWORD
        kept = session.scalars(select(Link.token_hash)).all()
        assert hash_token(token) in kept
        assert token not in kept
    assert "invited" in Page(admin.get("/console/members?q=ines.roux").text).text
    for guess in ("", "!", NEW):
        assert Browser(filature).log_in("ines.roux@example.org", guess).status_code == 422
    assert choose(filature, token, "short").status_code == 422
    assert choose(filature, token).status_code == 302
    assert choose(filature, token, "another password").status_code == 404
    assert Browser(filature).log_in("ines.roux@example.org", NEW).status_code == 302
    assert "subscribed" in Page(admin.get("/console/members?q=ines.roux").text).text


def test_nobody_has_two_accounts(admin: Browser, filature: LocalNode) -> None:
    assert add(admin, "twice@example.org", None).status_code == 302
    for email in ("TWICE@example.org", " twice@example.org "):
        answer = add(admin, email, None)
        assert answer.status_code == 422
        assert "already has an account" in answer.text
    # Who has an account without a subscription, as the admin does, is given one.
    assert add(admin, "Desk@filature.example", None).status_code == 302
    with filature.context() as (session, _):
        found = session.scalars(select(Account).where(Account.email == "desk@filature.example"))
        assert [row.roles for row in found] == [["desk", "member"]]


def test_adding_the_same_address_at_once_makes_one_account(
    admin: Browser, filature: LocalNode
) -> None:
    before = Page(admin.get("/console/members/new").text).values
    told = {**before, "given_name": "A", "family_name": "B", "email": "race@example.org"}

    def post() -> int:
        return admin.session.post(
            f"{filature.url}/console/members/new",
            data={**told, "csrf_token": admin.token},
            allow_redirects=False,
            timeout=20,
        ).status_code

    answers = at_once([post] * 4)
    assert len([answer for answer in answers if answer < 400]) == 1, answers


def test_of_two_uses_at_once_one_sets_the_password(admin: Browser, filature: LocalNode) -> None:
    token = token_in(add(admin, "once@example.org").text)

    def use(n: int) -> Callable[[], int]:
        return lambda: choose(filature, token, f"password number {n}").status_code

    assert sorted(at_once([use(n) for n in range(4)])) == [302, 404, 404, 404]


def test_a_link_is_too_old_after_seven_days_and_replaced_by_the_next(
    admin: Browser, filature: LocalNode, lasting_network: Network
) -> None:
    first = token_in(add(admin, "late@example.org").text)
    with filature.context() as (session, _):
        account = session.scalar(select(Account).where(Account.email == "late@example.org"))
        assert account is not None
    member = re.search(r"/console/members/(\d+)", admin.get("/console/members?q=late@").text)
    assert member
    second = token_in(admin.post(f"/console/members/{member[1]}/invite").text)
    assert choose(filature, first).status_code == 404
    lasting_network.pass_time(seconds=VALID.total_seconds() + 1)
    try:
        assert choose(filature, second).status_code == 404
    finally:
        lasting_network.pass_time(seconds=-VALID.total_seconds() - 1)
    assert choose(filature, second).status_code == 302


@pytest.mark.parametrize("odd", ["x", "%00", "x" * 5000, "%ff", "..%2f"])
def test_a_link_that_never_was_opens_nothing(filature: LocalNode, odd: str) -> None:
    forget_attempts()
    assert Browser(filature).get(f"/welcome/{odd}").status_code == 404


def test_who_forgot_is_sent_a_link_and_nobody_learns_who_is_known(
    filature: LocalNode, tmp_path: Path
) -> None:
    forget_attempts()
    person = filature.add_person()
    postbox = Postbox(filature, tmp_path)
    postbox.come()
    browser = Browser(filature, "en")
    browser.get("/forgot")
    known = browser.post("/forgot", email=person.email.upper())
    unknown = browser.post("/forgot", email="nobody@example.org")
    again = browser.post("/forgot", email=person.email)
    assert {answer.status_code for answer in (known, unknown, again)} == {200}
    assert Page(known.text).text == Page(unknown.text).text == Page(again.text).text
    letters = postbox.come()
    assert [letter["To"] for letter in letters] == [person.email]
    text = letters[0].get_content()
    assert "mot de passe" in text
    assert "password" in text
    token = token_in(text)
    logged_in = Browser(filature)
    logged_in.log_in(person.email)
    assert choose(filature, token).status_code == 302
    assert logged_in.get("/pass").status_code == 302  # the old password's log-in is over
    assert Browser(filature).log_in(person.email, PASSWORD).status_code == 422
    with filature.app.app_context():
        jobs.tidy()
    with filature.context() as (session, _):
        assert not session.scalars(
            select(Mail.id).where(Mail.key.startswith("welcome:"), Mail.text != "")
        ).all()


def test_an_invitation_goes_by_mail_where_there_is_a_server(
    admin: Browser, filature: LocalNode, tmp_path: Path
) -> None:
    postbox = Postbox(filature, tmp_path)
    postbox.come()
    assert add(admin, "posted@example.org").status_code == 302
    letters = postbox.come()
    assert [letter["To"] for letter in letters] == ["posted@example.org"]
    assert choose(filature, token_in(letters[0].get_content())).status_code == 302


def test_asking_again_and_again_is_slowed_down(filature: LocalNode) -> None:
    forget_attempts()
    browser = Browser(filature)
    browser.get("/login")
    answers = [browser.post("/forgot", email="a@example.org").status_code for _ in range(12)]
    assert answers[-1] == 429
    forget_attempts()
    answers = [browser.get("/welcome/x").status_code for _ in range(31)]
    assert answers[-1] == 429
    forget_attempts()
