"""Peers are believed by the system's authorities, and by one of the operator's own."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from flask import Flask

from shared.base.config import SettingsError, read_settings
from shared.net import authorities
from shared.net.causes import SENTENCES
from shared.net.http import PeerError, PeerSession
from shared.ops.explaining import explain
from shared.wire.error_messages import OURS
from shared.wire.problems import Problem
from tests.architecture.applications import APPLICATIONS
from tests.architecture.test_settings import KINDS, enough

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@contextmanager
def serving(context: ssl.SSLContext | None, answer: bytes = ANSWER) -> Iterator[int]:
    """Answer every request alike, by TLS or not; gives the port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(plain, server_side=True) if context else plain as spoken:
                    spoken.recv(4096)
                    spoken.sendall(answer)
            except OSError:
                plain.close()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def tls(authority: trustme.CA, name: str = "localhost", **dates: datetime) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, **dates).configure_cert(context)
    return context


def test_a_peer_of_an_authority_of_ones_own_is_believed_by_the_setting(
    authority: trustme.CA, ca_file: Path
) -> None:
    with serving(tls(authority)) as port:
        url = f"https://localhost:{port}"
        with pytest.raises(PeerError):
            PeerSession(allow_private=True).request("GET", url)
        peers = PeerSession(allow_private=True, ca_file=ca_file)
        assert peers.request("GET", url).status == 200
        assert peers.certificate_end(url) > datetime.now(UTC)


def test_a_peer_of_an_authority_of_the_system_is_believed(
    authority: trustme.CA, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(tls(authority)) as port:
        url = f"https://localhost:{port}"
        monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
        assert PeerSession(allow_private=True).request("GET", url).status == 200
        monkeypatch.delenv("SSL_CERT_FILE")
        with pytest.raises(PeerError):
            PeerSession(allow_private=True).request("GET", url)


def test_where_a_machine_has_no_authorities_those_that_are_brought_along_are_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ca_file: Path
) -> None:
    (tmp_path / "none").mkdir()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    for make in (authorities.for_peers, authorities.for_mail):
        assert make(None).cert_store_stats()["x509_ca"] > 50
        assert make(ca_file).verify_mode is ssl.CERT_REQUIRED
        assert make(ca_file).check_hostname


@pytest.mark.parametrize("prefix", KINDS)
def test_the_setting_is_a_file_of_certificates(prefix: str, ca_file: Path, tmp_path: Path) -> None:
    name = f"{prefix}_CA_FILE"
    read = read_settings(KINDS[prefix], prefix, {**enough(prefix), name: str(ca_file)})
    assert read.ca_file == ca_file
    (tmp_path / "text.pem").write_text("hello")
    for wrong in ("text.pem", "none.pem", "."):
        with pytest.raises(SettingsError, match=f"{name} is wrong: a file of certificates"):
            read_settings(KINDS[prefix], prefix, {**enough(prefix), name: str(tmp_path / wrong)})


@pytest.mark.parametrize("kind", APPLICATIONS)
def test_the_applications_ask_their_peers_so(
    kind: str, authority: trustme.CA, ca_file: Path, tmp_path: Path
) -> None:
    from federation.app import create_app as create_hub
    from node.app import create_app as create_node

    first = APPLICATIONS[kind](tmp_path)
    make = {"hub": create_hub, "node": create_node}[kind]
    app: Flask = make(replace(first.extensions["settings"], ca_file=ca_file))  # type: ignore[operator]
    with serving(tls(authority)) as port:
        answer = app.extensions[kind].peers.request("GET", f"https://localhost:{port}")
    assert answer.status == 200


# In words


def said(peers: PeerSession, url: str) -> str:
    with pytest.raises(PeerError) as refused:
        peers.request("GET", url, timeout=10)
    return explain(refused.value, "elsewhere")


def test_a_certificate_that_is_not_believed_is_said_to_be_with_what_to_do(
    authority: trustme.CA, ca_file: Path
) -> None:
    strict, trusting = (PeerSession(allow_private=True, ca_file=each) for each in (None, ca_file))
    past = datetime.now(UTC) - timedelta(days=2)
    with serving(tls(authority)) as port:
        words = said(strict, f"https://localhost:{port}")
        assert words.startswith("The certificate of localhost is signed by no authority that we")
        assert "HUB_CA_FILE or NODE_CA_FILE" in words
        assert "for another name" in said(trusting, f"https://127.0.0.1:{port}")
    with serving(tls(authority, not_before=past - timedelta(1), not_after=past)) as port:
        assert "has expired" in said(trusting, f"https://localhost:{port}")


def test_whoever_is_not_there_is_named_with_what_is_the_matter(authority: trustme.CA) -> None:
    peers = PeerSession(allow_private=True)
    with serving(None) as port:
        assert said(peers, f"https://localhost:{port}").startswith("localhost does not speak TLS")
    assert said(peers, f"http://localhost:{port}").startswith("localhost refuses the connection")
    with serving(None, b"") as port:
        assert said(peers, f"http://localhost:{port}").startswith("localhost ends the connection")
    assert said(peers, "http://none.invalid").startswith("The name none.invalid is not found")
    public = PeerSession(allow_private=False)
    words = said(public, "https://localhost")
    assert words.startswith("localhost is at an address of a private network")
    assert "ALLOW_PRIVATE_PEERS" in words


@pytest.mark.parametrize("cause", SENTENCES)
def test_each_cause_has_a_remedy_and_a_translation(cause: str) -> None:
    words = explain(PeerError("unreachable", host="a.example", cause=cause), "")
    assert words.count(". ") >= 1
    assert words.endswith((".", "yes."))
    assert SENTENCES[cause] in OURS


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PeerError("not-json"), "What answers at hub.example is not this service."),
        (PeerError("status", "502"), "hub.example answers with an error (status 502)."),
        (PeerError("away"), "hub.example does not answer in time."),
        (PeerError("not-enrolled"), "run passerelle node enrol."),
        (PeerError("strange", "thing"), "hub.example could not be asked, or not understood"),
        (Problem("conflict", "it is taken"), "It is taken (conflict)."),
        (Problem("invitation-invalid"), "This invitation is unknown, used or expired"),
    ],
)
def test_what_else_goes_wrong_is_a_sentence(
    error: PeerError | Problem, words: str, tmp_path: Path
) -> None:
    with APPLICATIONS["node"](tmp_path).app_context():
        assert words in explain(error, "hub.example")
