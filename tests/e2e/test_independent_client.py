"""The demo, seen by a client that knows the contract and none of the product's code."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
import requests

from tests.contract.independent_client import (
    INVALID,
    NODE_STATES,
    VALID,
    Desk,
    Forger,
    Hub,
    Json,
    Member,
    Pass,
    Phone,
    Service,
    compact_json,
    flip_signature,
    jws,
    jws_bytes,
    replace_claims,
    respell_signature,
    status_list_text,
    status_of,
    unb64,
    unsigned,
    verified,
    verify_credential,
    with_hmac,
)

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[2]
SERVICES = 8
DAY = "2026-11-24"
MONTH = DAY[:7]
SUNDAY = "2026-11-29T10:00:00+01:00"
NODES = (
    "troquet-numerique",
    "la-cordee",
    "sceaux-smart",
    "tiers-lieu-sevres",
    "ekilibre",
    "comptoir-numerique",
    "locaux-motiv",
)
CODES = {
    "pass_malformed", "pass_expired", "pass_stale", "pass_replayed", "pass_revoked",
    "pass_suspended", "home_unknown", "home_suspended", "charter_unsigned",
    "plan_not_eligible", "seniority", "quota_host", "quota_network", "guest_cap",
    "space_closed", "space_full", "reciprocity_floor", "offline_budget", "trust_list_stale",
    "paused",
}  # fmt: skip


# -- The demo -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Demo:
    info: Json

    @property
    def hub(self) -> Hub:
        return Hub(self.info["hub"]["url"])

    @property
    def coordinator(self) -> Hub:
        return Hub(self.hub.url, self.info["hub"]["coordinator"]["token"])

    def node(self, node: str) -> Service:
        return Service(self.info["nodes"][node]["url"])

    def desk(self, node: str) -> Desk:
        found = self.info["nodes"][node]
        return Desk(found["url"], found["desk"]["token"])

    def member(self, node: str, plan: str = "resident", number: int = 0) -> Member:
        found = self.info["nodes"][node]
        of_plan = [each for each in found["members"] if each["plan_class"] == plan]
        return Member(found["url"], of_plan[number]["token"])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_base() -> int:
    for _ in range(200):
        base = random.randrange(20_000, 30_000, 10)
        if all(_is_free(port) for port in range(base, base + SERVICES)):
            return base
    raise AssertionError("no eight ports in a row are free")


def _is_alive(pid: int) -> bool:
    """Whether the process runs; one that waits to be collected by its parent does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    with suppress(OSError):
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    return not stat.parent.parent.is_dir()


def _descendants(root: int) -> set[int]:
    """Every process below this one, by ``ps``, which Linux and macOS both have."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
    )
    parents = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()]
    found: set[int] = set()
    edge = {root}
    while edge:
        edge = {pid for pid, parent in parents if parent in edge} - found
        found |= edge
    return found


def _until(holds: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The whole network in its own processes; none of them outlives the tests."""
    folder = tmp_path_factory.mktemp("demo")
    info, log = folder / "info.json", folder / "log.txt"
    base = _free_base()
    command = [
        sys.executable, "-m", "deploy.cli", "demo", "--no-story",
        "--info", str(info), "--port-base", str(base), "--day", DAY,
    ]  # fmt: skip
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=output, stderr=output, start_new_session=True
        )
    children: set[int] = set()
    try:
        _until(lambda: info.exists() or process.poll() is not None, 120)
        assert info.exists(), f"the demo did not start:\n{log.read_text()}"
        yield Demo(json.loads(info.read_text(encoding="utf-8")))
        children = _descendants(process.pid)
        assert len(children) >= 2 * SERVICES, "the hub and every node serve, and have their jobs"
        process.send_signal(signal.SIGINT)
        process.wait(60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert process.returncode == 0, log.read_text()
    assert _until(lambda: not any(map(_is_alive, children)), 10), "a process was left behind"
    assert all(_is_free(port) for port in range(base, base + SERVICES))


class Enter(Protocol):
    def __call__(
        self, desk: Desk, space: str, text: str, **options: Any
    ) -> requests.Response: ...


@pytest.fixture
def enter() -> Iterator[Enter]:
    """Check in; whoever is still there at the end of the test is checked out."""
    opened: list[tuple[Desk, str]] = []

    def check_in(desk: Desk, space: str, text: str, **options: Any) -> requests.Response:
        answer = desk.check_in(space, text, **options)
        if answer.status_code in {200, 201}:
            opened.append((desk, answer.json()["visit"]["id"]))
        return answer

    yield check_in
    for desk, visit in opened:
        desk.check_out(visit)


# -- What the contract says of every answer -----------------------------------------------


def problem(answer: requests.Response, status: int, name: str | None = None) -> Json:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"].split(";")[0] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["title"]
    assert body["type"].startswith("http")
    if name is not None:
        assert body["type"].rstrip("/").rpartition("/")[2] == name
    return body


def refusal(answer: requests.Response, *codes: str) -> Json:
    """The decision of a refusal that has at least these reasons."""
    decision = problem(answer, 403, "visit-refused")["decision"]
    check_decision(decision, "refused")
    assert set(codes) <= {reason["code"] for reason in decision["reasons"]}, decision
    return decision


def check_decision(decision: Json, outcome: str) -> None:
    assert decision["outcome"] == outcome, decision
    assert bool(decision["reasons"]) == (outcome == "refused")
    assert decision["charter"] == "1"
    assert decision["online"] is True
    assert isinstance(decision["terms"], dict)
    for reason in decision["reasons"]:
        assert reason["code"] in CODES
        assert isinstance(reason["article"], int)
        assert isinstance(reason["params"], dict)
        assert reason["message"].strip()


def admission(answer: requests.Response, status: int = 201) -> Json:
    assert answer.status_code == status, answer.text
    body = answer.json()
    check_decision(body["decision"], "allowed")
    assert body["visit"]["id"]
    return body


def still_works(enter: Enter, desk: Desk, space: str, shown: Pass) -> None:
    """The next person in the queue is not delayed by whatever was shown before."""
    answer = enter(desk, space, shown.show())
    assert answer.status_code in {200, 201}, answer.text


# -- The pass -----------------------------------------------------------------------------


def test_a_pass_is_got_verified_with_public_documents_and_admitted_elsewhere(
    demo: Demo, enter: Enter
) -> None:
    phone = Phone()
    got = demo.member("la-cordee").new_pass(phone)

    listed = {node["id"]: node for node in demo.hub.trust_list()["nodes"]}
    assert set(listed) == set(NODES)
    for node_id, node in listed.items():
        assert node["state"] in NODE_STATES
        assert node["charter"] == "1"
        assert {s["id"] for s in node["spaces"]} == set(demo.info["nodes"][node_id]["spaces"])
        published = {key["kid"]: key["x"] for key in demo.node(node_id).jwks()["keys"]}
        assert {key["kid"]: key["x"] for key in node["keys"]}.items() <= published.items()

    home = demo.node("la-cordee")
    claims = verify_credential(got.credential, home)
    verified(got.credential, {"keys": listed["la-cordee"]["keys"]}, "dc+sd-jwt")
    assert claims["iss"] == "la-cordee"
    assert claims["cnf"]["jwk"] == phone.jwk
    assert claims["plan"] == "resident"
    assert claims["sub"] == got.pass_id
    assert len(unb64(claims["sub"])) * 8 >= 96
    assert 0 < claims["exp"] - claims["iat"] <= 35 * 86400
    assert set(claims) <= {
        "iss", "sub", "iat", "exp", "nbf", "cnf", "plan", "status", "vct", "given_name",
    }  # fmt: skip
    assert status_of(claims, home) == VALID

    body = admission(
        enter(demo.desk("troquet-numerique"), "troquet-numerique", got.show()),
    )
    assert body["visit"]["space"] == "troquet-numerique"
    assert body["visit"]["home"] == "la-cordee"
    assert body["decision"]["terms"]["services"]


@pytest.mark.parametrize("node", NODES)
def test_a_pass_is_at_most_950_bytes(demo: Demo, node: str) -> None:
    for plan in ("resident", "nomad", "ticket"):
        assert len(demo.member(node, plan).new_pass().show().encode()) <= 950


@pytest.mark.parametrize("alg", ["EdDSA", "Ed25519"])
def test_either_name_of_the_algorithm_is_taken(demo: Demo, enter: Enter, alg: str) -> None:
    shown = demo.member("la-cordee", "nomad").new_pass()
    answer = enter(demo.desk("locaux-motiv"), "locaux-motiv", shown.show(header={"alg": alg}))
    admission(answer)


@pytest.mark.parametrize("seconds", [-80, 80])
def test_a_clock_that_is_a_little_off_is_forgiven(
    demo: Demo, enter: Enter, seconds: int
) -> None:
    shown = demo.member("sceaux-smart", "nomad").new_pass()
    text = shown.show(iat=int(time.time()) + seconds)
    admission(enter(demo.desk("comptoir-numerique"), "comptoir-numerique", text))


def test_members_may_have_two_phones_and_end_either_pass(demo: Demo, enter: Enter) -> None:
    member = demo.member("tiers-lieu-sevres", "resident", 0)
    lost, kept = member.new_pass(), member.new_pass()
    home = demo.node("tiers-lieu-sevres")
    assert status_of(lost.claims, home) == VALID
    assert member.revoke(lost.pass_id).status_code == 204
    desk = demo.desk("ekilibre")
    refusal(enter(desk, "ekilibre", lost.show()), "pass_revoked")
    assert status_of(lost.claims, home) == INVALID
    assert status_of(kept.claims, home) == VALID
    admission(enter(desk, "ekilibre", kept.show()))


def test_nobody_ends_the_pass_of_somebody_else(demo: Demo, enter: Enter) -> None:
    mine = demo.member("tiers-lieu-sevres", "resident", 1).new_pass()
    neighbour = demo.member("tiers-lieu-sevres", "nomad")
    assert neighbour.revoke(mine.pass_id).status_code in {403, 404}
    admission(enter(demo.desk("la-cordee"), "la-cordee", mine.show()))


@pytest.mark.parametrize(
    "jwk",
    [
        None,
        {},
        [],
        "key",
        {"kty": "OKP", "crv": "Ed25519"},
        {"kty": "OKP", "crv": "Ed25519", "x": ""},
        {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"},
        {"kty": "OKP", "crv": "Ed25519", "x": "é" * 43},
        {"kty": "OKP", "crv": "X25519", "x": "A" * 43},
        {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43},
        {"kty": "OKP", "crv": "Ed25519", "x": 5},
    ],
    ids=repr,
)
def test_a_pass_for_a_key_that_is_none_is_refused_naming_it(demo: Demo, jwk: object) -> None:
    body = problem(demo.member("ekilibre").ask_pass(jwk), 422, "validation")
    assert "jwk" in json.dumps(body["errors"])


# -- Twice --------------------------------------------------------------------------------


def test_the_same_code_again_is_the_same_visit(demo: Demo, enter: Enter) -> None:
    text = demo.member("troquet-numerique").new_pass().show()
    desk = demo.desk("la-cordee")
    first = admission(enter(desk, "la-cordee", text))
    again = admission(enter(desk, "la-cordee", text), 200)
    assert again == first


def test_a_new_code_of_somebody_already_here_is_the_same_visit(
    demo: Demo, enter: Enter
) -> None:
    shown = demo.member("troquet-numerique", "nomad").new_pass()
    desk = demo.desk("la-cordee")
    first = admission(enter(desk, "la-cordee", shown.show()))
    again = admission(enter(desk, "la-cordee", shown.show()), 200)
    assert again["visit"]["id"] == first["visit"]["id"]
    other_phone = demo.member("troquet-numerique", "nomad").new_pass()
    third = admission(enter(desk, "la-cordee", other_phone.show()), 200)
    assert third["visit"]["id"] == first["visit"]["id"]


def test_a_key_answered_before_gets_the_same_body(demo: Demo, enter: Enter) -> None:
    text = demo.member("troquet-numerique", "resident", 1).new_pass().show()
    desk, key = demo.desk("sceaux-smart"), secrets.token_hex(8)
    first = admission(enter(desk, "sceaux-smart", text, key=key))
    assert admission(enter(desk, "sceaux-smart", text, key=key), 200) == first

    desk.check_out(first["visit"]["id"])
    after = admission(enter(desk, "sceaux-smart", text, key=key), 200)
    assert after["visit"]["id"] == first["visit"]["id"]
    assert first["visit"]["id"] not in {each["id"] for each in desk.presence("sceaux-smart")}


def test_a_key_used_with_another_body_is_a_conflict(demo: Demo, enter: Enter) -> None:
    shown = demo.member("troquet-numerique", "resident", 1).new_pass()
    desk, key = demo.desk("tiers-lieu-sevres"), secrets.token_hex(8)
    space = "tiers-lieu-sevres"
    admission(enter(desk, space, shown.show(), key=key))
    problem(enter(desk, space, shown.show(), key=key), 409, "idempotency-conflict")
    problem(enter(desk, "elsewhere", shown.show(), key=key), 409, "idempotency-conflict")


def test_a_key_of_a_refused_scan_is_used_too(demo: Demo, enter: Enter) -> None:
    shown = demo.member("troquet-numerique", "resident", 1).new_pass()
    desk, key = demo.desk("ekilibre"), secrets.token_hex(8)
    stale = shown.show(iat=int(time.time()) - 120)
    refusal(enter(desk, "rooftop-viry", stale, key=key), "pass_stale")
    refusal(enter(desk, "rooftop-viry", stale, key=key), "pass_stale")
    problem(enter(desk, "rooftop-viry", shown.show(), key=key), 409, "idempotency-conflict")


@pytest.mark.parametrize("keyed", [True, False])
def test_eight_scans_at_once_are_one_visit(demo: Demo, enter: Enter, *, keyed: bool) -> None:
    text = demo.member("la-cordee", "resident", 1).new_pass().show()
    desk, key = demo.desk("ekilibre"), secrets.token_hex(8) if keyed else None
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: enter(desk, "un-bureau-et-plus", text, key=key), range(8))
        )
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201], [
        answer.text for answer in answers if answer.status_code not in {200, 201}
    ]
    assert len({answer.json()["visit"]["id"] for answer in answers}) == 1


def test_a_code_is_not_taken_at_another_space(demo: Demo, enter: Enter) -> None:
    shown = demo.member("sceaux-smart", "resident", 1).new_pass()
    text = shown.show()
    first = admission(enter(demo.desk("locaux-motiv"), "locaux-motiv", text))
    refusal(enter(demo.desk("la-cordee"), "la-cordee", text), "pass_replayed")
    present = demo.desk("locaux-motiv").presence("locaux-motiv")
    assert first["visit"]["id"] in {each["id"] for each in present}
    still_works(enter, demo.desk("la-cordee"), "la-cordee", shown)


def test_a_code_is_not_taken_at_another_space_of_the_same_operator(
    demo: Demo, enter: Enter
) -> None:
    text = demo.member("comptoir-numerique", "nomad").new_pass().show()
    desk = demo.desk("ekilibre")
    admission(enter(desk, "ekilibre", text))
    refusal(enter(desk, "rooftop-viry", text), "pass_replayed")


def test_a_code_spelled_otherwise_is_still_the_same_code(demo: Demo, enter: Enter) -> None:
    text = demo.member("ekilibre", "nomad").new_pass().show()
    admission(enter(demo.desk("locaux-motiv"), "locaux-motiv", text))
    again = enter(demo.desk("comptoir-numerique"), "comptoir-numerique", respell_signature(text))
    assert problem(again, 403, "visit-refused")


def test_one_code_shown_at_two_doors_at_once_opens_one(demo: Demo, enter: Enter) -> None:
    text = demo.member("locaux-motiv", "nomad").new_pass().show()
    doors = ["comptoir-numerique", "la-cordee"] * 3
    with ThreadPoolExecutor(len(doors)) as pool:
        answers = list(pool.map(lambda door: enter(demo.desk(door), door, text), doors))
    assert [answer.status_code for answer in answers].count(201) == 1
    for answer in answers:
        if answer.status_code not in {200, 201}:
            refusal(answer, "pass_replayed")
    admitted = {door for door, a in zip(doors, answers, strict=True) if a.status_code < 300}
    assert len(admitted) == 1


# -- What is no pass ----------------------------------------------------------------------


@dataclass(frozen=True)
class Stolen:
    """All that somebody dishonest can have in hands."""

    shown: Pass
    other: Pass
    home: Service
    rival: Pass

    @property
    def issuer_secrets(self) -> list[bytes]:
        """The home's public key, in the three spellings that a careless verifier may use."""
        jwk = self.home.jwks()["keys"][0]
        return [unb64(jwk["x"]), jwk["x"].encode(), compact_json(jwk)]

    def under(self, credential: str) -> str:
        """This credential, with a good key binding by the phone."""
        return f"{credential}~{self.shown.phone.bind(credential)}"


Make = Callable[[Stolen], str]
MALFORMED = "pass_malformed"

# What is wrong, and in which ways, with the code of its refusal. Where two wrongs share a
# code, their ``params.detail`` differ. An expired credential cannot be had without the home's
# key or a month of patience: the tests of the door have that case.
FORGED: dict[str, tuple[str, dict[str, Make]]] = {
    "issuer's signature": (
        MALFORMED,
        {
            "one bit of it": lambda s: s.under(flip_signature(s.shown.credential)),
            "another plan": lambda s: s.under(replace_claims(s.shown.credential, plan="nomad")),
            "later expiry": lambda s: s.under(
                replace_claims(s.shown.credential, exp=s.shown.claims["exp"] + 86400)
            ),
            "another phone": lambda s: (
                lambda made: f"{made}~{s.other.phone.bind(made)}"
            )(replace_claims(s.shown.credential, cnf={"jwk": s.other.phone.jwk})),
            "a stranger's": lambda s: Forger().show(s.shown),
            "another node's pass": lambda s: s.under(
                jws(
                    {"alg": "EdDSA", "typ": "dc+sd-jwt", "kid": s.home.jwks()["keys"][0]["kid"]},
                    s.rival.claims | {"iss": s.shown.claims["iss"]},
                    s.rival.phone.key.sign,
                )
            ),
        },
    ),
    "issuer's algorithm": (
        MALFORMED,
        {
            "none": lambda s: Forger().show(s.shown, header={"alg": "none"}, sign=unsigned),
            "NONE": lambda s: Forger().show(s.shown, header={"alg": "NONE"}, sign=unsigned),
            **{
                f"HS256 with the public key ({n})": lambda s, n=n: Forger().show(
                    s.shown, header={"alg": "HS256"}, sign=with_hmac(s.issuer_secrets[n])
                )
                for n in range(3)
            },
        },
    ),
    "issuer's type": (
        MALFORMED,
        {
            "a status list": lambda s: s.under(status_list_text(s.shown.claims)),
        },
    ),
    "unknown issuer": (
        "home_unknown",
        {
            "another name": lambda s: Forger().show(s.shown, iss="squat", header={"kid": "k"}),
            "a known key": lambda s: Forger().show(s.shown, iss="squat"),
            "an unknown key": lambda s: Forger().show(s.shown, header={"kid": "k"}),
        },
    ),
    "no key binding": (
        MALFORMED,
        {
            "stripped": lambda s: f"{s.shown.credential}~",
            "stripped with its tilde": lambda s: s.shown.credential,
        },
    ),
    "key binding's signature": (
        MALFORMED,
        {
            "another phone": lambda s: s.shown.show(sign=s.other.phone.key.sign),
            "another phone that brings its key": lambda s: s.shown.show(
                sign=s.other.phone.key.sign, header={"jwk": s.other.phone.jwk}
            ),
            "one bit of it": lambda s: flip_signature(s.shown.show()),
            "a later time": lambda s: (
                f"{s.shown.credential}~"
                + replace_claims(
                    s.shown.show(iat=int(time.time()) - 120).rpartition("~")[2],
                    iat=int(time.time()),
                )
            ),
        },
    ),
    "key binding's credential": (
        MALFORMED,
        {
            "another pass": lambda s: (
                f"{s.shown.credential}~{s.shown.phone.bind(s.other.credential)}"
            ),
            "no tilde in the hash": lambda s: s.shown.show(
                sd_hash=s.shown.phone.binding_claims(s.shown.credential[:-1])["sd_hash"]
            ),
        },
    ),
    "key binding's audience": (
        MALFORMED,
        {
            "another": lambda s: s.shown.show(aud="passerelle:check-out"),
            "a space": lambda s: s.shown.show(aud="troquet-numerique"),
            "none": lambda s: s.shown.bind_without("aud"),
        },
    ),
    "key binding's type": (
        MALFORMED,
        {
            "JWT": lambda s: s.shown.show(header={"typ": "JWT"}),
            "the credential's": lambda s: s.shown.show(header={"typ": "dc+sd-jwt"}),
        },
    ),
    "key binding's algorithm": (
        MALFORMED,
        {
            "none": lambda s: s.shown.show(header={"alg": "none"}, sign=unsigned),
            "HS256 with the public key": lambda s: s.shown.show(
                header={"alg": "HS256"}, sign=with_hmac(s.shown.phone.public)
            ),
        },
    ),
    "stale": (
        "pass_stale",
        {
            "two minutes ago": lambda s: s.shown.show(iat=int(time.time()) - 120),
            "in two minutes": lambda s: s.shown.show(iat=int(time.time()) + 120),
        },
    ),
    "too long": (
        MALFORMED,
        {"a nonce of 4 KiB": lambda s: s.shown.show(nonce="n" * 4096)},
    ),
}
