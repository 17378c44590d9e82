"""“Check my node”: the hub looks from outside, and each fault is named with what to do about it."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import delete, update

from federation.context import hub as hub_context
from federation.db import db as hub_db
from federation.nodes.models import Node as HubNode
from federation.spaces.models import Availability
from federation.trust import diagnostics as looking
from node import jobs
from node.console import diagnostics, hub_labels
from node.hub import outbox, service
from node.public import machine_pages
from node.spaces import service as spaces
from node.spaces.models import Price
from shared.crypto.keys import new_key_ring
from shared.net.http import Answer, PeerError, PeerSession, Unreachable
from shared.store.db import begin_write
from shared.wire.spaces import PUBLICATION_TYP
from tests.contract.hostile import answer, hostile
from tests.contract.speaking import claims_of, keys_of
from tests.network import LocalNode, Network
from tests.shared.browser import Browser, Page, forget_attempts


@pytest.fixture
def cordee(network: Network) -> LocalNode:
    forget_attempts()
    network.refresh()
    return network.nodes["cordee"]


def check(node: LocalNode) -> dict[str, dict[str, Any]]:
    """Ask as the admin does, let the jobs process do it, and return the findings by name."""
    with node.context() as (session, context):
        diagnostics.ask(session, context.clock.now())
        jobs.check_node()
        row = service.enrolment(session)
        assert row is not None
        assert row.check_report is not None
        return {found["name"]: found for found in row.check_report.get("items") or []}


def brief(found: dict[str, dict[str, Any]]) -> dict[str, tuple[str, str]]:
    return {name: (each["state"], each["code"]) for name, each in found.items()}


def lead_to(network: Network, url: str) -> None:
    """Let the hub have another address of the node."""
    with network.hub.app.app_context():
        begin_write(hub_db.session())
        hub_db.session.execute(update(HubNode).where(HubNode.id == "cordee").values(url=url))
        hub_db.session.commit()


GOOD = dict.fromkeys(looking.NAMES, ("passed", "ok")) | {
    "certificate": ("warning", "plain-http"),
}


def test_a_node_where_all_is_well_hears_so(network: Network, cordee: LocalNode) -> None:
    found = check(cordee)
    assert brief(found) == GOOD
    assert [*found] == [*looking.NAMES]


def test_a_node_that_nobody_reaches_is_told_why(network: Network, cordee: LocalNode) -> None:
    cordee.server.stop()
    found = check(cordee)
    assert brief(found)["reachable"] == ("failed", "unreachable")
    assert brief(found)["publication"] == ("skipped", "unreachable")
    cordee.server.start()


def _page(**changes: Any) -> Any:
    def make(node: LocalNode) -> bytes:
        claims = {**claims_of(node.get("/.well-known/passerelle").text), **changes}
        return keys_of(node).sign(claims, PUBLICATION_TYP).encode()

    return make


def _by_a_stranger(node: LocalNode) -> bytes:
    claims = claims_of(node.get("/.well-known/passerelle").text)
    return new_key_ring().sign(claims, PUBLICATION_TYP).encode()


def _late(node: LocalNode) -> bytes:
    issued: int = claims_of(node.get("/.well-known/passerelle").text)["iat"]
    made: bytes = _page(iat=issued - 100)(node)
    return made


def _html(_node: LocalNode) -> bytes:
    return b"<title>It works!</title>"


@pytest.mark.parametrize(
    ("body", "name", "finding"),
    [
        (_html, "key", ("failed", "unreadable")),
        (_by_a_stranger, "key", ("failed", "wrong")),
        (_page(iss="troquet"), "key", ("failed", "another-node")),
        (_page(), "key", ("failed", "not-shown")),
        (_page(), "cors", ("failed", "closed")),
        (_page(), "spaceapi", ("failed", "invalid")),
        (_page(), "publication", ("passed", "ok")),
        (_page(spaces=5), "publication", ("failed", "unreadable")),
        (_by_a_stranger, "publication", ("failed", "not-signed")),
        (_late, "clock", ("failed", "wrong")),
        (_page(iat="now"), "clock", ("failed", "unreadable")),
    ],
)
def test_what_is_wrong_at_its_address_is_named(
    network: Network, cordee: LocalNode, body: Any, name: str, finding: tuple[str, str]
) -> None:
    with hostile(answer(body(cordee))) as server:
        lead_to(network, server.url)
        found = check(cordee)
    assert brief(found)["reachable"] == ("passed", "ok")
    assert brief(found)[name] == finding


@pytest.mark.parametrize(
    ("status", "code"), [(b"302 Found", "redirect"), (b"503 Busy", "status"), (b"404 No", "status")]
)
def test_an_address_that_leads_elsewhere_is_not_followed(
    network: Network, cordee: LocalNode, status: bytes, code: str
) -> None:
    away = answer(b"", "Location: http://127.0.0.1:1/", status=b"HTTP/1.1 " + status + b"\r\n")
    with hostile(away) as server:
        lead_to(network, server.url)
        assert brief(check(cordee))["reachable"] == ("failed", code)


def test_a_document_that_is_refused_is_named(network: Network, cordee: LocalNode) -> None:
    with cordee.context() as (session, context):
        wrong = [Price(place=0, label=" ", cents=5, unit="day")]
        spaces.save(session, context, "cordee", {"prices": wrong})
    found = check(cordee)
    assert brief(found) == GOOD | {"publication": ("failed", "refused")}
    assert found["publication"]["params"] == {"documents": ["cordee/prices"]}


def test_what_spaceapi_misses_is_named_by_space_and_field(
    network: Network, cordee: LocalNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = machine_pages.space_api
    monkeypatch.setattr(
        machine_pages,
        "space_api",
        lambda *args: {**make(*args), "logo": None, "api_compatibility": ["13"]},
    )
    found = check(cordee)
    assert brief(found) == GOOD | {"spaceapi": ("failed", "invalid")}
    assert [*found["spaceapi"]["params"]["spaces"]["cordee"]] == ["logo"]


@pytest.mark.parametrize("ever", [True, False])
def test_a_jobs_process_that_is_silent_is_noticed(
    network: Network, cordee: LocalNode, ever: bool
) -> None:
    if ever:
        network.pass_time(minutes=6)
    else:
        with network.hub.app.app_context():
            begin_write(hub_db.session())
            hub_db.session.execute(delete(Availability))
            hub_db.session.commit()
    expected = ("failed", "silent" if ever else "never")
    assert brief(check(cordee)) == GOOD | {"jobs": expected}


class Peers(PeerSession):
    """Answers at an https address as the node does at its own."""

    def __init__(self, url: str, days: int | None) -> None:
        super().__init__(allow_private=True)
        self._url, self._days = url, days

    def request(self, method: str, url: str, **kwargs: Any) -> Answer:
        return super().request(method, url.replace("https://cordee.example", self._url), **kwargs)

    def certificate_end(self, url: str, *, timeout: float = 5.0) -> datetime:
        assert url == "https://cordee.example"
        if self._days is None:
            raise Unreachable("unreachable", "SSLCertVerificationError")
        return datetime.now(UTC) + timedelta(days=self._days, hours=1)


@pytest.mark.parametrize(
    ("days", "finding"),
    [(60, ("passed", "ok")), (5, ("warning", "ends-soon")), (None, ("failed", "invalid"))],
)
def test_a_certificate_is_looked_at_before_it_ends(
    network: Network, cordee: LocalNode, days: int | None, finding: tuple[str, str]
) -> None:
    lead_to(network, "https://cordee.example")
    with network.hub.app.app_context():
        clock = hub_context().clock
        found = looking.look(
            hub_db.session(), clock.now(), clock.real(), Peers(cordee.url, days), "cordee"
        )
    (certificate,) = [each for each in found["items"] if each.name == "certificate"]
    assert (certificate.state, certificate.code) == finding


def test_an_address_inside_a_network_is_not_called(network: Network, cordee: LocalNode) -> None:
    lead_to(network, "https://127.0.0.1:9")
    with network.hub.app.app_context():
        clock, peers = hub_context().clock, PeerSession(allow_private=False)
        found = looking.look(hub_db.session(), clock.now(), clock.real(), peers, "cordee")
    by_name = {each.name: each for each in found["items"]}
    assert by_name["reachable"].params["reason"] == "address-not-public"
    assert by_name["certificate"].state == "failed"


def test_the_hub_is_not_made_to_call_for_ever(network: Network, cordee: LocalNode) -> None:
    for _ in range(6):
        assert check(cordee)
    assert check(cordee) == {}
    with cordee.context() as (session, _):
        row = service.enrolment(session)
        assert row is not None
        assert row.check_report is not None
        assert row.check_report["fault"]["status"] == 429
    assert check(network.nodes["troquet"])["reachable"]["state"] == "passed"


def test_a_check_is_made_once_for_each_time_it_is_asked_for(
    network: Network, cordee: LocalNode
) -> None:
    with cordee.context() as (session, context):
        assert diagnostics.run_due(session, context) is False
        diagnostics.ask(session, context.clock.now())
        diagnostics.ask(session, context.clock.now())
        assert diagnostics.run_due(session, context) is True
        assert diagnostics.run_due(session, context) is False


def test_every_finding_has_its_words_in_both_languages(cordee: LocalNode) -> None:
    from flask_babel import force_locale

    params = dict.fromkeys(("status", "days", "detail", "seconds", "id", "errors", "paths"), "x")
    more = {"spaces": {"a": {"logo": ["Missing data for required field."]}}, "reason": "away"}
    with cordee.app.app_context():
        for name, code in hub_labels.FINDINGS:
            found = {"name": name, "code": code, "state": "failed"}
            said = set()
            for language in ("fr", "en"):
                with force_locale(language):
                    every = {**params, **more, "documents": ["a/hours"]}
                    said.add(hub_labels.finding({**found, "params": every}))
            assert len(said) == 2, (name, code)
            assert not [each for each in said if "%(" in each or each == code]
    with cordee.app.app_context(), force_locale("en"):
        newer = {"name": "moon", "code": "eclipsed", "state": "failed", "params": {}}
        assert hub_labels.finding(newer) == "eclipsed"


# The page


@pytest.fixture
def admin(cordee: LocalNode) -> Browser:
    browser = Browser(cordee, "en")
    assert browser.log_in("admin@cordee.example").status_code == 302
    return browser


def test_the_page_shows_a_check_from_asking_to_its_findings(
    network: Network, cordee: LocalNode, admin: Browser
) -> None:
    admin.get("/console/sync")
    assert admin.post("/console/sync/check").headers["Location"] == "/console/sync#check"
    page = Page(admin.get("/console/sync").text)
    assert "The hub is looking." in page.text
    assert "data-pending" in (page.with_id("check") or {})
    with cordee.app.app_context():
        jobs.check_node()
    page = Page(admin.get("/console/sync").text)
    assert "data-pending" not in (page.with_id("check") or {})
    states = {
        attrs["data-check"]: attrs["data-state"]
        for _, attrs in page.elements
        if "data-check" in attrs
    }
    assert states == {name: state for name, (state, _) in GOOD.items()}
    assert "The hub reaches it." in page.text


def test_the_page_says_when_nobody_does_what_was_asked(
    network: Network, cordee: LocalNode, admin: Browser
) -> None:
    admin.get("/console/sync")
    admin.post("/console/sync/check")
    network.pass_time(minutes=4)
    cordee.jobs_at_work(timedelta(minutes=4))
    page = Page(admin.get("/console/sync").text).text
    assert "Nobody has done it yet" in page
    assert "The jobs process is not at work" in page
    with cordee.app.app_context():
        jobs.note_jobs()
    assert "not at work: nothing" not in Page(admin.get("/console/sync").text).text


def test_the_page_names_every_document_and_each_fault_of_one_that_was_not_taken(
    network: Network, cordee: LocalNode, admin: Browser
) -> None:
    page = Page(admin.get("/console/sync").text).text
    assert "All of it is on the map as it is here." in page
    for title in map(
        str, (v for v in ("Identity sheet", "Prices", "Events", "Operator and plans"))
    ):
        assert title in page
    with cordee.context() as (session, context):
        wrong = [Price(place=0, label=" ", cents=5, unit="day")]
        spaces.save(session, context, "cordee", {"prices": wrong})
    assert "waiting" in Page(admin.get("/console/sync").text).text
    cordee.deliver()
    page = Page(admin.get("/console/sync").text).text
    assert "1 document is not on the map as it is here." in page
    assert "prices › 1 › label This may not be blank." in page
    assert "The map still shows version 1" in page
    in_french = Page(admin.get("/console/sync?lang=fr").text).text
    assert "Ce champ ne peut pas rester vide." in in_french
    admin.get("/console/sync?lang=en")
    with cordee.context() as (session, context):
        spaces.save(session, context, "cordee", {"prices": []})
    assert admin.post("/console/sync/publish").status_code == 302
    assert "All of it is on the map as it is here." in Page(admin.get("/console/sync").text).text


def test_the_page_says_since_when_the_hub_is_away_and_what_waits(
    network: Network, cordee: LocalNode, admin: Browser
) -> None:
    with cordee.cut_off():
        with cordee.context() as (session, context):
            spaces.save(session, context, "cordee", {"description": "new"})
        jobs_deliver(cordee)
        page = Page(admin.get("/console/sync").text).text
        assert "The hub has not answered since 24 Nov 2026, 10:00." in page
        assert "1 message waits for the hub." in page
        assert "the publication" in page
    cordee.deliver()
    cordee.tell()
    page = Page(admin.get("/console/sync").text).text
    assert "None waits, and none was refused." in page


def jobs_deliver(node: LocalNode) -> None:
    with node.app.app_context():
        jobs.publish()
        jobs.deliver()


def test_a_message_that_was_refused_says_why_in_words(
    network: Network, cordee: LocalNode, admin: Browser
) -> None:
    from node.hub.models import Outbox

    with cordee.context() as (session, context):
        begin_write(session)
        outbox.queue(session, context.clock.real(), "visit", "visit:x", {}, "visit:x")
        session.commit()
        begin_write(session)
        problem = (
            '{"type":"x","title":"This space already belongs to another node","status":409,"inst'
        )
        session.execute(
            update(Outbox).where(Outbox.key == "visit:x").values(state="dead", error=problem)
        )
        session.commit()
    page = Page(admin.get("/console/sync").text).text
    assert "This space already belongs to another node. It is not sent again" in page
    assert "a visit admitted without the hub" in page
    in_french = Page(admin.get("/console/sync?lang=fr").text).text
    assert "Cet espace est déjà celui d’un autre nœud" in in_french


@pytest.mark.parametrize(
    "error",
    [
        "",
        "unreachable ConnectTimeout",
        "status 503",
        "away",
        "none such",
        '{"title":"\\x"',
        "%s%(x)s",
    ],
)
def test_any_reason_can_be_said(cordee: LocalNode, error: str) -> None:
    with cordee.app.test_request_context("/console/sync"):
        assert hub_labels.reason(error)


def test_a_node_outside_the_network_is_told_how_to_come_in(network: Network) -> None:
    stranger = network.add_stranger("atelier")
    browser = Browser(stranger, "en")
    forget_attempts()
    browser.log_in("admin@atelier.example")
    page = browser.get("/console/sync")
    assert page.status_code == 200
    assert "Not in the network yet" in page.text
    assert browser.post("/console/sync/check").status_code == 503


# The certificate itself


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server with a certificate for localhost that ends in ten days, and its authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=10))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, secret = tmp_path / "ca.pem", tmp_path / "key.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, secret)
    import socket

    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
                with context.wrap_socket(connection, server_side=True) as spoken:
                    spoken.recv(1)
            except ssl.SSLError:
                continue
            except OSError:
                return

    threading.Thread(target=serve, daemon=True).start()
    yield f"https://localhost:{listener.getsockname()[1]}", pem
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def test_the_end_of_a_certificate_is_read_once_it_is_verified(
    tls: tuple[str, Path],
) -> None:
    url, authority = tls
    peers = PeerSession(allow_private=True)
    with pytest.raises(Unreachable):  # nobody vouches for it
        peers.certificate_end(url)
    peers = PeerSession(allow_private=True, ca_file=authority)
    assert (peers.certificate_end(url) - datetime.now(UTC)).days == 9
    with pytest.raises(Unreachable):  # of another name
        peers.certificate_end(url.replace("localhost", "127.0.0.1"))
    with pytest.raises(PeerError) as refused:
        PeerSession(allow_private=False).certificate_end(url)
    assert refused.value.reason == "address-not-public"
