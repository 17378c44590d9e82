"""E-mail that was given up: shown on hub and node, and sent again by a button or a command."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import delete

from federation import cli as hub_cli
from node import cli as node_cli
from shared.base.mail_server import mail_server
from shared.mail.queue import Mailbox
from shared.store.db import begin_write
from tests.network import LocalService, Network
from tests.shared.browser import Browser, Page, forget_attempts
from tests.shared.mail.test_mail import Sink, free_port, serving

TO = "ada@la-cordee.example"


class Post:
    """One of the two services, whose mail goes to a server that refuses some."""

    def __init__(
        self, service: LocalService, kind: str, email: str, home: str, mailbox: Mailbox
    ) -> None:
        self.service, self.kind, self.email, self.home = service, kind, email, home
        self.mailbox, self.sink, self.port = mailbox, Sink(), free_port()
        context = service.app.extensions[kind]
        url = mail_server(f"smtp://127.0.0.1:{self.port}")
        self.settings = replace(context.settings, smtp_url=url, mail_from="mail@hub.example")
        self.before = context
        service.app.extensions[kind] = replace(context, settings=self.settings)

    def do(self, work: Callable[[Any], Any]) -> Any:
        with self.service.app.app_context():
            session = self.service.app.extensions["sqlalchemy"].session()
            begin_write(session)
            found = work(session)
            session.commit()
            return found

    def queue(self, key: str, to: str = TO) -> None:
        subject, text = "Votre compte / Your account", "https://n.example/welcome/secret"
        self.do(lambda s: self.mailbox.queue(s, self.settings, key, to, subject, text))

    def deliver(self) -> int:
        with serving(self.sink, self.port):
            now = datetime.now(UTC)
            return int(self.do(lambda s: self.mailbox.deliver(s, self.settings, now)))

    def close(self) -> None:
        self.do(lambda session: session.execute(delete(self.mailbox.mail)))
        self.service.app.extensions[self.kind] = self.before


@pytest.fixture(params=["hub", "node"])
def post(request: pytest.FixtureRequest, lasting_network: Network) -> Iterator[Post]:
    from federation.mail.service import mailbox as hub_mailbox
    from node.mail.service import mailbox as node_mailbox

    forget_attempts()
    if request.param == "hub":
        hub = lasting_network.hub
        found = Post(hub, "hub", "coord@hub.example", "/coordination", hub_mailbox)
    else:
        node = lasting_network.nodes["troquet"]
        found = Post(node, "node", "admin@troquet.example", "/console", node_mailbox)
    yield found
    found.close()


def test_a_dead_letter_is_shown_and_sent_again_by_its_button(post: Post) -> None:
    browser = Browser(post.service)
    assert browser.log_in(post.email).status_code == 302
    page = f"{post.home}/letters"
    assert "None." in Page(browser.get(page).text).text
    assert "not sent" not in browser.get(post.home).text
    post.sink.refusal = "550 5.1.1 no such user"
    post.queue("a")
    post.queue("b", "nobody")
    assert post.deliver() == 0
    assert f'href="{page}"' in browser.get(post.home).text
    assert "2 letters were not sent." in Page(browser.get(post.home).text).text
    shown = browser.get(page)
    assert "Your account" in Page(shown.text).text
    assert "the mail server refused it (550)" in Page(shown.text).text
    assert "secret" not in shown.text
    (button,) = re.findall(rf'action="({page}/\d+/again)"', shown.text)  # none for no address
    assert browser.post(button).headers["Location"] == page
    assert "1 letter is sent again." in browser.get(page).text
    post.sink.refusal = ""
    assert post.deliver() == 1
    assert [taken["To"] for taken in post.sink.taken] == [TO]


def test_letters_that_wait_for_the_mail_server_are_shown_with_the_reason(post: Post) -> None:
    browser = Browser(post.service)
    assert browser.log_in(post.email).status_code == 302
    post.sink.sender_refusal = "530 5.7.0 Authentication required"
    post.queue("a")
    post.queue("b")
    assert post.deliver() == 0
    text = Page(browser.get(f"{post.home}/letters").text).text
    assert "2 letters wait" in text
    assert "the mail server refused it (530)" in text


@pytest.mark.parametrize(("number", "status"), [("99999", 302), ("9" * 30, 404), ("%00", 404)])
def test_a_button_for_nothing_sends_nothing(post: Post, number: str, status: int) -> None:
    browser = Browser(post.service)
    assert browser.log_in(post.email).status_code == 302
    post.sink.refusal = "550 5.1.1 no such user"
    post.queue("a")
    post.deliver()
    browser.get(f"{post.home}/letters")
    assert browser.post(f"{post.home}/letters/{number}/again").status_code == status
    assert post.do(lambda session: len(post.mailbox.dead(session))) == 1


def test_a_command_sends_them_again(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    post.sink.refusal = "550 5.1.1 no such user"
    post.queue("a")
    post.queue("b", "nobody")
    post.deliver()
    cli: Any = hub_cli if post.kind == "hub" else node_cli
    monkeypatch.setattr(cli, "_app", lambda: post.service.app)
    done = CliRunner().invoke(getattr(cli, post.kind), ["mail-again"])
    assert done.exit_code == 0, done.output
    assert "1 message(s) sent again" in done.output
    assert "'nobody'" in done.output
    post.sink.refusal = ""
    assert post.deliver() == 1


def test_an_invitation_that_was_given_up_can_still_be_sent(post: Post, tmp_path: Path) -> None:
    from federation.identity.service import links as hub_links
    from node.members.password_links import links as node_links

    links = hub_links if post.kind == "hub" else node_links
    post.sink.refusal = "550 5.1.1 no such user"
    post.queue("welcome:a")
    post.deliver()
    with post.service.app.app_context():
        links.forget(post.service.app.extensions["sqlalchemy"].session(), datetime.now(UTC))
    assert post.do(lambda session: post.mailbox.dead(session)[0].text)
    post.do(lambda session: post.mailbox.send_again(session, datetime.now(UTC)))
    post.sink.refusal = ""
    assert post.deliver() == 1
    assert "secret" in post.sink.taken[0].get_content()
