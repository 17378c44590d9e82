"""E-mail: queued once, sent once, encrypted on its way, and nothing slips into its headers."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import select
from structlog.testing import CapturingLogger

from federation.mail.service import mailbox as hub_mailbox
from federation.settings import KEYS
from node.mail.service import mailbox
from shared.base.clock import Clock
from shared.base.config import Settings, SettingsError, read_settings
from shared.base.mail_server import MailServer, is_address, mail_address, mail_server
from shared.crypto.keys import make_key_ring
from shared.mail import queue as mail
from shared.mail.queue import ATTEMPTS, CLAIMED_FOR, KEPT_FOR
from shared.mail.smtp import MailFault, compose, send
from shared.store.db import begin_write
from tests.architecture.applications import APPLICATIONS
from tests.architecture.test_settings import KINDS, enough
from tests.databases import Databases, create_tables
from tests.network import at_once

pytestmark = pytest.mark.both_databases

TO = "ada@la-cordee.example"
AT = datetime(2026, 11, 24, 9, tzinfo=UTC)


class Sink:
    """A mail server on loopback: keeps what it takes, and refuses what it is told to."""

    def __init__(self) -> None:
        self.taken: list[EmailMessage] = []
        self.refusal = ""
        self.sender_refusal = ""
        self.secure: list[bool] = []
        self.users: list[str] = []

    async def handle_MAIL(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: Any
    ) -> str:
        if self.sender_refusal:
            return self.sender_refusal
        envelope.mail_from, envelope.mail_options = address, options
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        if self.refusal:
            return self.refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.secure.append(session.ssl is not None)
        self.taken.append(read_message(bytes(envelope.content or b"")))
        return "250 taken as number 7"

    def authenticate(self, *told: Any) -> AuthResult:
        data = told[-1]
        assert isinstance(data, LoginPassword)
        self.users.append(data.login.decode())
        return AuthResult(success=data.password == b"p@ss:word", handled=False)


def read_message(content: bytes) -> EmailMessage:
    found = message_from_bytes(content, policy=policy.default)
    assert isinstance(found, EmailMessage)
    return found


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextmanager
def serving(sink: Sink, port: int, **options: Any) -> Iterator[None]:
    controller = Controller(sink, "127.0.0.1", port, **options)
    controller.start()
    try:
        yield
    finally:
        controller.stop()


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take loopback for a server elsewhere."""
    monkeypatch.setattr("shared.base.mail_server.is_loopback", lambda _host: False)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))


@pytest.fixture
def app(tmp_path: Path, databases: Databases) -> Iterator[Flask]:
    made = APPLICATIONS["node"](tmp_path, databases.new())
    create_tables(made)
    with made.app_context():
        yield made
        made.extensions["sqlalchemy"].session.remove()
        made.extensions["sqlalchemy"].engine.dispose()


def settings_of(app: Flask, url: str) -> Settings:
    settings: Settings = app.extensions["settings"]
    return replace(
        settings,
        smtp_url=mail_server(url),
        mail_from="Réseau <mail@hub.example>",
        clock=Clock(still=AT),  # however long this machine takes
    )


def session_of(app: Flask) -> Any:
    return app.extensions["sqlalchemy"].session()


def queue(app: Flask, settings: Settings, key: str = "vote:2:1", **changes: str) -> bool:
    values = {"to": TO, "subject": "Un vote", "text": "Bonjour"} | changes
    begin_write(session_of(app))
    done = mailbox.queue(session_of(app), settings, key, **values)
    session_of(app).commit()
    return done


def row_of(app: Flask, key: str = "vote:2:1") -> Any:
    session_of(app).rollback()
    found = session_of(app).scalar(select(mailbox.mail).where(mailbox.mail.key == key))
    session_of(app).refresh(found)
    return found


def deliver(app: Flask, settings: Settings, **later: float) -> int:
    now = settings.clock.real() + timedelta(**later)
    return mailbox.deliver(session_of(app), settings, now)


# -- Settings ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("smtp://mail.example", MailServer("smtp", "mail.example", 587)),
        ("smtps://u:p%40ss@mail.example", MailServer("smtps", "mail.example", 465, "u", "p@ss")),
        ("smtp://[::1]:2525/", MailServer("smtp", "::1", 2525)),
        ("file:///var/mail%20box", MailServer("file", folder=Path("/var/mail box"))),
    ],
)
def test_a_mail_server_is_one_address(value: str, found: MailServer) -> None:
    assert mail_server(value) == found
    assert "p@ss" not in repr(found)


@pytest.mark.parametrize(
    "value",
    [
        "mail.example:587",
        "http://mail.example",
        "smtp://",
        "smtp://user@mail.example",
        "smtp://user:s%C3%A9cret@mail.example",
        "smtp://mail.example/inbox",
        "smtp://mail.example?tls=no",
        "smtp://mail.example:0",
        "smtp://mail.example:port",
        "file://folder/mail",
        "file:///",
    ],
)
@pytest.mark.parametrize("prefix", KINDS)
def test_what_is_no_mail_server_is_a_fault(prefix: str, value: str) -> None:
    with pytest.raises(SettingsError) as wrong:
        read_settings(KINDS[prefix], prefix, {**enough(prefix), f"{prefix}_SMTP_URL": value})
    (fault,) = [f for f in wrong.value.faults if "_SMTP_URL" in f]
    assert fault.startswith(f"{prefix}_SMTP_URL is wrong: ")
    assert "cret" not in fault


@pytest.mark.parametrize("prefix", KINDS)
def test_with_a_mail_server_goes_the_address_that_mail_is_from(prefix: str) -> None:
    values = {**enough(prefix), f"{prefix}_SMTP_URL": "smtp://localhost:25"}
    with pytest.raises(SettingsError) as wrong:
        read_settings(KINDS[prefix], prefix, values)
    assert [fault.split()[0] for fault in wrong.value.faults] == [f"{prefix}_MAIL_FROM"]
    found = read_settings(KINDS[prefix], prefix, {**values, f"{prefix}_MAIL_FROM": "a@b.example"})
    assert (found.smtp_url, found.mail_from) == (MailServer("smtp", "localhost", 25), "a@b.example")


@pytest.mark.parametrize(
    "value", ["nobody", "a@b.example\nBcc: c@d.example", "a@b.example, c@d.example", "<>", "é@b.fr"]
)
def test_mail_is_from_one_address(value: str) -> None:
    with pytest.raises(ValueError, match="is expected"):
        mail_address(value)


@pytest.mark.parametrize(
    ("value", "usable"),
    [
        ("ada@example.org", True),
        ("ada.l+x@a-b.example.org", True),
        ("ada", False),
        ("ada..l@example.org", False),
        ("ada@example.org>\r\nRCPT TO:<eve@example.org", False),
        ("ada@example.org\n", False),
        ("ada lovelace@example.org", False),
        ('"ada"@example.org', False),
        ("é@example.org", False),
        ("a" * 65 + "@example.org" * 20, False),
    ],
)
def test_an_address_is_one_or_it_is_none(value: str, usable: bool) -> None:
    assert is_address(value) is usable


# -- The message -------------------------------------------------------------------------


def test_nothing_slips_into_a_header() -> None:
    evil = "Vote\u202f:\r\nBcc: eve@example.org\r\n\r\nhello\u2028X-Other: 1\x00"
    made = compose("https://n.example", "k", "N <a@n.example>", TO, evil, "x\r\n.\r\ny\x00", AT)
    found = read_message(made.as_bytes())
    assert found["Bcc"] is None
    assert found["X-Other"] is None
    assert found["Subject"] == "Vote\u202f: Bcc: eve@example.org hello X-Other: 1"
    assert found.get_content().splitlines() == ["x", ".", "y"]
    with pytest.raises((ValueError, IndexError)):
        compose("https://n.example", "k", "a@n.example", f"{TO}\nBcc: e@x.example", "s", "t", AT)


def test_a_message_is_plain_text_and_says_that_no_person_wrote_it() -> None:
    text = "Bonjour à tous\n" + "très long " * 300
    made = compose("https://n.example", "k", "Réseau <a@n.example>", TO, "Été", text, AT)
    found = read_message(made.as_bytes())
    assert made.as_bytes().isascii()
    assert max(map(len, made.as_bytes().splitlines())) < 998
    assert (found.get_content_type(), found.get_content_charset()) == ("text/plain", "utf-8")
    assert found["Auto-Submitted"] == "auto-generated"
    assert (found["Subject"], found["From"]) == ("Été", "Réseau <a@n.example>")
    assert found["Date"].datetime == AT
    assert found.get_content().splitlines()[0] == "Bonjour à tous"


def test_the_same_key_is_the_same_message_id_and_another_site_another() -> None:
    def message_id(site: str, key: str) -> str:
        return str(compose(site, key, "a@n.example", TO, "s", "t", AT)["Message-ID"])

    one = message_id("https://n.example", "vote:2")
    assert one == message_id("https://n.example", "vote:2")
    assert one.endswith("@n.example>")
    assert len({one, message_id("https://n.example", "vote:3"), message_id("https://m", "x")}) == 3


# -- To a server -------------------------------------------------------------------------


def message() -> EmailMessage:
    return compose("https://n.example", "k", "a@n.example", TO, "s", "t", AT)


def test_plain_smtp_is_spoken_to_loopback_alone(sink: Sink, elsewhere: None) -> None:
    port = free_port()
    with serving(sink, port), pytest.raises(MailFault) as refused:
        send(MailServer("smtp", "127.0.0.1", port), message())
    assert refused.value.reason == "not-supported"
    assert sink.taken == []


@pytest.mark.parametrize(
    ("host", "plain"),
    [("localhost", True), ("127.9.9.9", True), ("::1", True), ("localhost.example", False)],
)
def test_loopback_is_known_by_its_name(host: str, plain: bool) -> None:
    assert MailServer("smtp", host, 25).plain is plain


def test_to_another_machine_goes_starttls_and_then_the_password(
    sink: Sink, elsewhere: None, tls: ssl.SSLContext, trusted: None
) -> None:
    port = free_port()
    options = {
        "tls_context": tls,
        "require_starttls": True,
        "auth_required": True,
        "authenticator": sink.authenticate,
    }
    with serving(sink, port, **options):
        said = send(mail_server(f"smtp://ada:p%40ss%3Aword@localhost:{port}"), message())
        assert said == "250 taken as number 7"
        with pytest.raises(MailFault) as refused:
            send(mail_server(f"smtp://ada:wrong@localhost:{port}"), message())
    assert (refused.value.reason, refused.value.of_server) == ("not-authenticated", True)
    assert (sink.secure, set(sink.users)) == ([True], {"ada"})


def test_a_certificate_that_nobody_vouches_for_is_refused(
    sink: Sink, elsewhere: None, tls: ssl.SSLContext
) -> None:
    port = free_port()
    with serving(sink, port, tls_context=tls), pytest.raises(MailFault) as refused:
        send(MailServer("smtp", "localhost", port), message())
    assert (refused.value.reason, sink.taken) == ("tls", [])


def test_a_certificate_for_another_name_is_refused(
    sink: Sink, elsewhere: None, tls: ssl.SSLContext, trusted: None
) -> None:
    port = free_port()
    with serving(sink, port, tls_context=tls), pytest.raises(MailFault) as refused:
        send(MailServer("smtp", "127.0.0.1", port), message())
    assert (refused.value.reason, sink.taken) == ("tls", [])


def test_smtps_is_encrypted_from_the_first_byte(
    sink: Sink, tls: ssl.SSLContext, trusted: None
) -> None:
    port = free_port()
    with serving(sink, port, ssl_context=tls, server_hostname="localhost"):
        send(MailServer("smtps", "localhost", port), message())
    assert sink.secure in ([False], [True])
    assert len(sink.taken) == 1


def test_a_folder_gets_each_message_as_one_file(tmp_path: Path) -> None:
    server = mail_server(f"file://{tmp_path}/some/mail")
    for _ in range(2):  # again after a crash: the same file
        assert send(server, message()).startswith("written to ")
    (path,) = (tmp_path / "some" / "mail").iterdir()
    assert path.suffix == ".eml"
    assert (path.stat().st_mode & 0o777) == 0o600
    assert read_message(path.read_bytes())["To"] == TO
    (tmp_path / "file").write_text("")
    with pytest.raises(MailFault) as refused:
        send(mail_server(f"file://{tmp_path}/file"), message())
    assert refused.value.reason == "not-written"


# -- The outbox --------------------------------------------------------------------------


def test_a_key_is_one_message_for_ever(app: Flask, sink: Sink) -> None:
    port = free_port()
    settings = settings_of(app, f"smtp://127.0.0.1:{port}")
    assert queue(app, settings)
    assert not queue(app, settings, text="anders")
    with serving(sink, port):
        assert deliver(app, settings) == 1
        assert not queue(app, settings)
        assert deliver(app, settings, days=1) == 0
    (taken,) = sink.taken
    assert (taken["To"], taken["From"]) == (TO, "Réseau <mail@hub.example>")
    assert taken.get_content().strip() == "Bonjour"
    assert mailbox.counts(session_of(app)) == {"sent": 1, "pending": 0, "dead": 0}


def test_two_who_queue_the_same_key_at_once_queue_one(app: Flask) -> None:
    settings = settings_of(app, "smtp://127.0.0.1:9")

    def run() -> bool:
        with app.app_context():
            return queue(app, settings)

    assert sorted(at_once([run] * 4)) == [False, False, False, True]


def test_a_message_goes_with_what_caused_it(app: Flask) -> None:
    settings = settings_of(app, "smtp://127.0.0.1:9")
    begin_write(session_of(app))
    mailbox.queue(session_of(app), settings, "k", TO, "s", "t")
    session_of(app).rollback()
    assert not mailbox.known(session_of(app), "k")


def test_without_a_mail_server_nothing_is_queued(app: Flask) -> None:
    settings: Settings = app.extensions["settings"]
    assert settings.smtp_url is None
    assert not queue(app, settings)
    assert deliver(app, settings) == 0
    assert sum(mailbox.counts(session_of(app)).values()) == 0


def test_a_server_that_is_away_and_back_gets_each_message_once(app: Flask, sink: Sink) -> None:
    port = free_port()
    settings = settings_of(app, f"smtp://127.0.0.1:{port}")
    for key in ("a", "b"):
        queue(app, settings, key)
    assert deliver(app, settings) == 0
    assert [row_of(app, key).attempts for key in ("a", "b")] == [1, 0]
    assert row_of(app, "a").error == "unreachable"
    with serving(sink, port):
        assert deliver(app, settings) == 0  # it is not asked again at once
        assert deliver(app, settings, minutes=2) == 2
        assert deliver(app, settings, minutes=4) == 0
    assert len(sink.taken) == 2
    assert row_of(app, "a").error is None


def test_two_who_deliver_at_once_send_one(app: Flask, sink: Sink) -> None:
    port = free_port()
    settings = settings_of(app, f"smtp://127.0.0.1:{port}")
    for key in "abcde":
        queue(app, settings, key)

    def run() -> int:
        with app.app_context():
            return deliver(app, settings)

    with serving(sink, port):
        assert sum(at_once([run] * 3)) == 5
    assert len({taken["Message-ID"] for taken in sink.taken}) == len(sink.taken) == 5


def test_who_dies_between_sending_and_marking_leaves_a_repeat_that_can_be_recognised(
    app: Flask, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least once: the same Message-ID, and not before the claim has ended."""
    port = free_port()
    settings = settings_of(app, f"smtp://127.0.0.1:{port}")
    queue(app, settings)

    def die(*_: Any) -> None:
        raise SystemExit

    with serving(sink, port):
        with monkeypatch.context() as patch:
            patch.setattr(mailbox, "_mark", die)
            with pytest.raises(SystemExit):
                deliver(app, settings)
        assert deliver(app, settings, minutes=9) == 0
        assert deliver(app, settings, seconds=CLAIMED_FOR.total_seconds() + 1) == 1
    assert [taken["Message-ID"] for taken in sink.taken] == [sink.taken[0]["Message-ID"]] * 2


@pytest.mark.parametrize(("refusal", "state"), [("550 no such user", "dead"), ("451 x", "pending")])
def test_a_refused_message_steps_aside(app: Flask, sink: Sink, refusal: str, state: str) -> None:
    port = free_port()
    settings = settings_of(app, f"smtp://127.0.0.1:{port}")
    queue(app, settings, "a")
    with serving(sink, port):
        sink.refusal = refusal
        assert deliver(app, settings) == 0
        sink.refusal = ""
        queue(app, settings, "b")
        assert deliver(app, settings) == 1
    assert (row_of(app, "a").state, row_of(app, "a").error) == (state, f"smtp-{refusal[:3]}")


SENDER_REFUSED = ("530 5.7.0 Authentication required", "550 sender rejected", "553 5.1.8 no such")


@pytest.mark.parametrize("refusal", SENDER_REFUSED)
def test_a_refused_sender_kills_no_letter_however_long_it_takes(
    app: Flask, sink: Sink, monkeypatch: pytest.MonkeyPatch, refusal: str
) -> None:
    """Put off, all of them, and sent after the mend without anybody's hand."""
    monkeypatch.setattr(mail, "ATTEMPTS", 12)
    port = free_port()
    settings = settings_of(app, f"smtp://127.0.0.1:{port}")
    for key in ("a", "b"):
        queue(app, settings, key)
    with serving(sink, port):
        sink.sender_refusal = refusal
        for minutes in range(20):
            assert deliver(app, settings, minutes=2 * minutes) == 0
        assert {row_of(app, key).state for key in ("a", "b")} == {"pending"}
        assert row_of(app, "a").error == f"smtp-{refusal[:3]}"
        sink.sender_refusal, sink.refusal = "", "451 4.7.1 greylisted"
        assert deliver(app, settings, minutes=42) == 0
        sink.refusal = ""
        assert deliver(app, settings, minutes=44) == 2
    assert len(sink.taken) == 2


@pytest.mark.parametrize(
    "refusal",
    [
        "530 5.7.0 Authentication required",
        "554 5.7.1 <ada@la-cordee.example>: Relay access denied",
        "550 5.1.8 sender's domain is not found",
    ],
)
def test_who_refuses_the_sender_only_at_the_recipient_kills_no_letter_either(
    app: Flask, sink: Sink, refusal: str
) -> None:
    port = free_port()
    settings = settings_of(app, f"smtp://127.0.0.1:{port}")
    queue(app, settings)
    with serving(sink, port):
        sink.refusal = refusal
        assert deliver(app, settings) == 0
        assert row_of(app).state == "pending"
        sink.refusal = ""
        assert deliver(app, settings, minutes=2) == 1


def test_a_dead_letter_is_sent_again_when_it_is_told_to_be(app: Flask, sink: Sink) -> None:
    port = free_port()
    settings = settings_of(app, f"smtp://127.0.0.1:{port}")
    queue(app, settings, "a")
    queue(app, settings, "b")
    queue(app, settings, "no address", to="admin")
    with serving(sink, port):
        sink.refusal = "550 no such user"
        deliver(app, settings)
        sink.refusal = ""
        dead = mailbox.dead(session_of(app))
        assert {(row.to, row.error) for row in dead} == {(TO, "smtp-550"), ("admin", "address")}
        (first,) = [row.id for row in dead if row.key == "a"]
        assert mailbox.send_again(session_of(app), AT, first) == 1
        assert mailbox.send_again(session_of(app), AT, first) == 0
        assert deliver(app, settings) == 1
        assert mailbox.send_again(session_of(app), AT) == 1
        assert deliver(app, settings) == 1
    assert [row.key for row in mailbox.dead(session_of(app))] == ["no address"]


def test_what_was_not_sent_for_a_month_is_sent_no_more(app: Flask) -> None:
    settings = settings_of(app, f"smtp://127.0.0.1:{free_port()}")
    queue(app, settings)
    mailbox.forget(session_of(app), settings.clock.real() + KEPT_FOR + timedelta(minutes=1))
    assert (row_of(app).state, row_of(app).to) == ("dead", "")
    assert mailbox.send_again(session_of(app), AT) == 0
    assert mailbox.dead(session_of(app)) == []


def test_neither_the_log_nor_what_is_kept_of_a_refusal_names_anybody(
    app: Flask, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, logged = free_port(), CapturingLogger()
    monkeypatch.setattr(mail, "log", logged)
    settings = settings_of(app, f"smtp://127.0.0.1:{port}")
    sink.refusal = f"550 <{TO}> is not known here"
    with serving(sink, port):
        queue(app, settings, text="Bonjour Ada", subject="Un vote")
        deliver(app, settings)
    assert [call.args for call in logged.calls] == [("mail.dead",)]
    for secret in (TO, "Bonjour", "Un vote", "not known"):
        assert secret not in str(logged.calls) + str(row_of(app).error)


def test_a_message_is_given_up_after_four_days(
    app: Flask, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "ATTEMPTS", 3)
    assert timedelta(minutes=ATTEMPTS) == timedelta(days=4)
    port = free_port()
    settings = settings_of(app, f"smtp://127.0.0.1:{port}")
    queue(app, settings)
    sink.refusal = "451 later"
    with serving(sink, port):
        for minutes in range(5):
            deliver(app, settings, minutes=2 * minutes)
    assert (row_of(app).state, row_of(app).attempts) == ("dead", 3)


def test_what_is_no_address_is_dead_at_once(app: Flask) -> None:
    settings = settings_of(app, "smtp://127.0.0.1:9")
    assert queue(app, settings, to="admin")
    assert (row_of(app).state, row_of(app).error) == ("dead", "address")


def test_a_month_later_only_the_key_is_kept(app: Flask, tmp_path: Path) -> None:
    settings = settings_of(app, f"file://{tmp_path}/mail")
    queue(app, settings)
    deliver(app, settings)
    mailbox.forget(session_of(app), settings.clock.real() + KEPT_FOR - timedelta(minutes=1))
    assert row_of(app).to == TO
    mailbox.forget(session_of(app), settings.clock.real() + KEPT_FOR + timedelta(minutes=1))
    assert (row_of(app).to, row_of(app).subject, row_of(app).text) == ("", "", "")
    assert not queue(app, settings)


def test_the_hub_has_an_outbox_too(tmp_path: Path, databases: Databases) -> None:
    app = APPLICATIONS["hub"](tmp_path, databases.new())
    create_tables(app)
    with app.app_context():
        settings = settings_of(app, f"file://{tmp_path}/mail")
        said = hub_mailbox.test(session_of(app), settings, TO)
        assert said.startswith("written to ")
        assert hub_mailbox.counts(session_of(app))["sent"] == 1
        session_of(app).close()
        app.extensions["sqlalchemy"].engine.dispose()


# -- The command -------------------------------------------------------------------------

Try = Callable[..., Any]


@pytest.fixture
def mail_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Try:
    """Run ``passerelle hub mail-test`` on a hub of its own."""
    from deploy.cli import main

    for name, value in enough("HUB").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HUB_DATA_DIR", str(tmp_path / "hub"))
    monkeypatch.setenv("HUB_MAIL_FROM", "mail@hub.example")
    (tmp_path / "hub").mkdir()
    make_key_ring(tmp_path / "hub" / KEYS)
    # Loggers are kept once they are configured, and later tests look at theirs.
    monkeypatch.setattr("shared.ops.logs.configure_logging", lambda *_: None)
    assert CliRunner().invoke(main, ["hub", "migrate"]).exit_code == 0

    def run(url: str, to: str = TO) -> Any:
        monkeypatch.setenv("HUB_SMTP_URL", url)
        return CliRunner().invoke(main, ["hub", "mail-test", to])

    return run


def test_the_command_says_what_the_server_answered(mail_test: Try, sink: Sink) -> None:
    port = free_port()
    with serving(sink, port):
        done = mail_test(f"smtp://127.0.0.1:{port}")
        assert (done.exit_code, done.output.strip()) == (0, "250 taken as number 7")
        sink.refusal = "550 no such user here"
        done = mail_test(f"smtp://127.0.0.1:{port}")
        assert done.exit_code == 1
        assert "550 no such user here" in done.output
    assert "unreachable" in mail_test(f"smtp://127.0.0.1:{port}").output
    assert "no mail server is set" in mail_test("").output
    assert "no e-mail address" in mail_test(f"smtp://127.0.0.1:{port}", "nobody").output
    assert len(sink.taken) == 1
