"""The demo, seen by a client that knows the contract and none of the product's code."""

from __future__ import annotations

import csv
import io
import json
import re
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
import requests

from tests.contract.forgeries import FORGERIES, GARBAGE, MALFORMED, ODDITIES, Stolen
from tests.contract.independent_client import (
    INVALID,
    NODE_STATES,
    VALID,
    Desk,
    Hub,
    Json,
    Member,
    Pass,
    Phone,
    Service,
    respelled,
    status_of,
    unb64,
    verified,
    verify_credential,
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


def _until(holds: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


@pytest.fixture(scope="module", name="demo")
def _demo(demo: dict[str, Any]) -> Demo:
    return Demo(demo)


class Enter(Protocol):
    def __call__(self, desk: Desk, space: str, text: str, **options: Any) -> requests.Response: ...


class NewPass(Protocol):
    def __call__(
        self, node: str, plan: str = "resident", number: int = 0, phone: Phone | None = None
    ) -> Pass: ...


@pytest.fixture
def new_pass(demo: Demo) -> Iterator[NewPass]:
    """Passes of members by home; they end with the test, as a home may limit how many one has."""
    made: list[tuple[Member, str]] = []

    def make(
        node: str, plan: str = "resident", number: int = 0, phone: Phone | None = None
    ) -> Pass:
        member = demo.member(node, plan, number)
        got = member.new_pass(phone)
        made.append((member, got.pass_id))
        return got

    yield make
    for member, pass_id in made:
        member.revoke(pass_id)


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


def _short(value: object) -> str:
    if isinstance(value, (set, frozenset)):
        return "+".join(sorted(map(str, value)))  # two workers must give a case one name
    return ascii(value)[:40]


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
    demo: Demo, new_pass: NewPass, enter: Enter
) -> None:
    phone = Phone()
    got = new_pass("la-cordee", phone=phone)

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
def test_a_pass_is_at_most_950_bytes(demo: Demo, new_pass: NewPass, node: str) -> None:
    for plan in ("resident", "nomad", "ticket"):
        assert len(new_pass(node, plan).show().encode()) <= 950


@pytest.mark.parametrize("alg", ["EdDSA", "Ed25519"])
def test_either_name_of_the_algorithm_is_taken(
    demo: Demo, new_pass: NewPass, enter: Enter, alg: str
) -> None:
    shown = new_pass("la-cordee", "nomad")
    answer = enter(demo.desk("locaux-motiv"), "locaux-motiv", shown.show(header={"alg": alg}))
    admission(answer)


@pytest.mark.parametrize("seconds", [-80, 80])
def test_a_clock_that_is_a_little_off_is_forgiven(
    demo: Demo, new_pass: NewPass, enter: Enter, seconds: int
) -> None:
    shown = new_pass("sceaux-smart", "nomad")
    text = shown.show(iat=int(time.time()) + seconds)
    admission(enter(demo.desk("comptoir-numerique"), "comptoir-numerique", text))


def test_headers_that_nobody_knows_are_ignored(demo: Demo, new_pass: NewPass, enter: Enter) -> None:
    shown = new_pass("locaux-motiv")
    text = shown.show(header={"kid": "phone", "x-app": "1.2"}, app="1.2")
    admission(enter(demo.desk("sceaux-smart"), "sceaux-smart", text))


def test_members_may_have_two_phones_and_end_either_pass(
    demo: Demo, new_pass: NewPass, enter: Enter
) -> None:
    member = demo.member("tiers-lieu-sevres", "resident", 0)
    lost, kept = new_pass("tiers-lieu-sevres"), new_pass("tiers-lieu-sevres")
    home = demo.node("tiers-lieu-sevres")
    assert status_of(lost.claims, home) == VALID
    assert member.revoke(lost.pass_id).status_code == 204
    desk = demo.desk("ekilibre")
    refusal(enter(desk, "ekilibre", lost.show()), "pass_revoked")
    assert status_of(lost.claims, home) == INVALID
    assert status_of(kept.claims, home) == VALID
    admission(enter(desk, "ekilibre", kept.show()))


def test_nobody_ends_the_pass_of_somebody_else(demo: Demo, new_pass: NewPass, enter: Enter) -> None:
    mine = new_pass("tiers-lieu-sevres", "resident", 1)
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
    ids=_short,
)
def test_a_pass_for_a_key_that_is_none_is_refused_naming_it(demo: Demo, jwk: object) -> None:
    body = problem(demo.member("ekilibre").ask_pass(jwk), 422, "validation")
    assert "jwk" in json.dumps(body["errors"])


# -- Twice --------------------------------------------------------------------------------


def test_the_same_code_again_is_the_same_visit(demo: Demo, new_pass: NewPass, enter: Enter) -> None:
    text = new_pass("troquet-numerique").show()
    desk = demo.desk("la-cordee")
    first = admission(enter(desk, "la-cordee", text))
    again = admission(enter(desk, "la-cordee", text), 200)
    assert again == first


def test_a_new_code_of_somebody_already_here_is_the_same_visit(
    demo: Demo, new_pass: NewPass, enter: Enter
) -> None:
    shown = new_pass("troquet-numerique", "nomad")
    desk = demo.desk("la-cordee")
    first = admission(enter(desk, "la-cordee", shown.show()))
    again = admission(enter(desk, "la-cordee", shown.show()), 200)
    assert again["visit"]["id"] == first["visit"]["id"]
    other_phone = new_pass("troquet-numerique", "nomad")
    third = admission(enter(desk, "la-cordee", other_phone.show()), 200)
    assert third["visit"]["id"] == first["visit"]["id"]


def test_a_key_answered_before_gets_the_same_body(
    demo: Demo, new_pass: NewPass, enter: Enter
) -> None:
    text = new_pass("troquet-numerique", "resident", 1).show()
    desk, key = demo.desk("sceaux-smart"), secrets.token_hex(8)
    first = admission(enter(desk, "sceaux-smart", text, key=key))
    assert admission(enter(desk, "sceaux-smart", text, key=key), 200) == first

    desk.check_out(first["visit"]["id"])
    after = admission(enter(desk, "sceaux-smart", text, key=key), 200)
    assert after["visit"]["id"] == first["visit"]["id"]
    assert first["visit"]["id"] not in {each["id"] for each in desk.presence("sceaux-smart")}


def test_a_key_used_with_another_body_is_a_conflict(
    demo: Demo, new_pass: NewPass, enter: Enter
) -> None:
    shown = new_pass("troquet-numerique", "resident", 1)
    desk, key = demo.desk("tiers-lieu-sevres"), secrets.token_hex(8)
    space = "tiers-lieu-sevres"
    admission(enter(desk, space, shown.show(), key=key))
    problem(enter(desk, space, shown.show(), key=key), 409, "idempotency-conflict")
    problem(enter(desk, "elsewhere", shown.show(), key=key), 409, "idempotency-conflict")


def test_a_key_of_a_refused_scan_is_used_too(demo: Demo, new_pass: NewPass, enter: Enter) -> None:
    shown = new_pass("troquet-numerique", "resident", 1)
    desk, key = demo.desk("ekilibre"), secrets.token_hex(8)
    stale = shown.show(iat=int(time.time()) - 120)
    refusal(enter(desk, "rooftop-viry", stale, key=key), "pass_stale")
    refusal(enter(desk, "rooftop-viry", stale, key=key), "pass_stale")
    problem(enter(desk, "rooftop-viry", shown.show(), key=key), 409, "idempotency-conflict")


@pytest.mark.parametrize("keyed", [True, False])
def test_eight_scans_at_once_are_one_visit(
    demo: Demo, new_pass: NewPass, enter: Enter, *, keyed: bool
) -> None:
    text = new_pass("la-cordee", "resident", 1).show()
    desk, key = demo.desk("ekilibre"), secrets.token_hex(8) if keyed else None
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: enter(desk, "un-bureau-et-plus", text, key=key), range(8))
        )
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201], [
        answer.text for answer in answers if answer.status_code not in {200, 201}
    ]
    assert len({answer.json()["visit"]["id"] for answer in answers}) == 1


def test_a_code_is_not_taken_at_another_space(demo: Demo, new_pass: NewPass, enter: Enter) -> None:
    shown = new_pass("sceaux-smart", "resident", 1)
    text = shown.show()
    desk = demo.desk("locaux-motiv")
    first = admission(enter(desk, "locaux-motiv", text))
    elsewhere = demo.desk("la-cordee")
    told = elsewhere.preview("la-cordee", text).json()["decision"]
    assert refusal(enter(elsewhere, "la-cordee", text), "pass_replayed") == told
    assert desk.preview("locaux-motiv", text).json()["decision"]["outcome"] == "allowed"
    present = desk.presence("locaux-motiv")
    assert first["visit"]["id"] in {each["id"] for each in present}
    still_works(enter, demo.desk("la-cordee"), "la-cordee", shown)


def test_a_code_is_not_taken_at_another_space_of_the_same_operator(
    demo: Demo, new_pass: NewPass, enter: Enter
) -> None:
    text = new_pass("comptoir-numerique", "nomad").show()
    desk = demo.desk("ekilibre")
    admission(enter(desk, "ekilibre", text))
    refusal(enter(desk, "rooftop-viry", text), "pass_replayed")


def test_a_code_spelled_otherwise_is_still_the_same_code(
    demo: Demo, new_pass: NewPass, enter: Enter
) -> None:
    shown = new_pass("ekilibre", "nomad")
    text = shown.show()
    while not {"-", "_"} & set(text.rpartition(".")[2]):
        text = shown.show()
    admission(enter(demo.desk("locaux-motiv"), "locaux-motiv", text))
    for other in respelled(text):
        again = enter(demo.desk("comptoir-numerique"), "comptoir-numerique", other)
        problem(again, 403, "visit-refused")


def test_one_code_shown_at_two_doors_at_once_opens_one(
    demo: Demo, new_pass: NewPass, enter: Enter
) -> None:
    text = new_pass("locaux-motiv", "nomad").show()
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


@pytest.fixture
def stolen(demo: Demo, new_pass: NewPass) -> Stolen:
    return Stolen(
        shown=new_pass("ekilibre"),
        other=new_pass("ekilibre"),
        home=demo.node("ekilibre"),
        foreign=new_pass("sceaux-smart"),
    )


@pytest.mark.parametrize(
    ("cause", "way"),
    [(cause, way) for cause, (_, ways) in FORGERIES.items() for way in ways],
)
def test_what_is_forged_is_refused_and_the_next_good_scan_works(
    demo: Demo, enter: Enter, stolen: Stolen, cause: str, way: str
) -> None:
    code, ways = FORGERIES[cause]
    desk, space = demo.desk("comptoir-numerique"), "comptoir-numerique"
    before, text = desk.presence(space), ways[way](stolen)
    told = desk.preview(space, text)
    assert told.status_code == 200, told.text
    decision = refusal(enter(desk, space, text), code)
    assert told.json()["decision"] == decision
    assert [reason["code"] for reason in decision["reasons"]] == [code]
    assert desk.presence(space) == before
    still_works(enter, desk, space, stolen.shown)


def test_no_two_wrongs_are_refused_in_the_same_words(demo: Demo, stolen: Stolen) -> None:
    desk = demo.desk("comptoir-numerique")
    said: dict[str, set[tuple[str, object]]] = {}
    for cause, (_, ways) in FORGERIES.items():
        for make in ways.values():
            decision = refusal(desk.check_in("comptoir-numerique", make(stolen)))
            said.setdefault(cause, set()).update(
                (reason["code"], reason["params"].get("detail")) for reason in decision["reasons"]
            )
    wrongs = list(said)
    same = [
        (one, other, said[one] & said[other])
        for n, one in enumerate(wrongs)
        for other in wrongs[n + 1 :]
        if said[one] & said[other]
    ]
    assert not same


@pytest.mark.parametrize("what", ODDITIES)
def test_what_a_phone_signs_amiss_is_refused_and_never_a_fault(
    demo: Demo, enter: Enter, stolen: Stolen, what: str
) -> None:
    desk, space = demo.desk("comptoir-numerique"), "comptoir-numerique"
    refusal(enter(desk, space, ODDITIES[what](stolen)))
    still_works(enter, desk, space, stolen.shown)


def test_a_long_nonce_is_taken_or_refused_but_never_a_fault(
    demo: Demo, enter: Enter, stolen: Stolen
) -> None:
    desk, space = demo.desk("comptoir-numerique"), "comptoir-numerique"
    for nonce in ("n" * 2000, "é" * 300, "\0", "🎉"):
        answer = enter(desk, space, stolen.shown.show(nonce=nonce))
        assert answer.status_code in {200, 201, 403}, answer.text
    still_works(enter, desk, space, stolen.shown)


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage_is_refused_and_the_next_good_scan_works(
    demo: Demo, new_pass: NewPass, enter: Enter, what: str
) -> None:
    desk, space = demo.desk("locaux-motiv"), "locaux-motiv"
    for path in ("/api/v1/check-ins", "/api/v1/check-ins/preview"):
        answer = desk.call("POST", path, json={"space": space, "pass": GARBAGE[what]})
        if answer.status_code == 200:
            check_decision(answer.json()["decision"], "refused")
        elif answer.status_code == 422:
            assert "pass" in problem(answer, 422, "validation")["errors"]
        else:
            refusal(answer, MALFORMED)
            assert path.endswith("check-ins")
    still_works(enter, desk, space, new_pass("ekilibre", number=1))


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, {"space", "pass"}),
        ({"space": "locaux-motiv"}, {"pass"}),
        ({"pass": "a"}, {"space"}),
        ({"space": "locaux-motiv", "pass": ""}, {"pass"}),
        ({"space": "", "pass": ""}, {"space", "pass"}),
        ({"space": None, "pass": None}, {"space", "pass"}),
        ({"space": 5, "pass": 5}, {"space", "pass"}),
        ({"space": [], "pass": {}}, {"space", "pass"}),
        ({"space": ["locaux-motiv"], "pass": ["a"]}, {"space", "pass"}),
    ],
    ids=_short,
)
def test_a_body_with_faulty_fields_is_refused_naming_each(
    demo: Demo, body: Json, named: set[str]
) -> None:
    for path in ("/api/v1/check-ins", "/api/v1/check-ins/preview"):
        answer = demo.desk("locaux-motiv").call("POST", path, json=body)
        assert set(problem(answer, 422, "validation")["errors"]) == named


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"5",
        b'"text"',
        b"\xff\xfe\x00",
        b"[" * 5000,
        b'{"space": ' + b"1" * 5000 + b"}",
        b'{"space": NaN}',
    ],
    ids=_short,
)
def test_a_body_that_is_no_object_is_refused(demo: Demo, body: bytes) -> None:
    answer = demo.desk("locaux-motiv").call(
        "POST", "/api/v1/check-ins", data=body, headers={"Content-Type": "application/json"}
    )
    problem(answer, 422, "validation")


@pytest.mark.parametrize("key", ["", "x" * 5000, "clé".encode(), "a b", "'; --"], ids=_short)
def test_an_odd_key_is_taken_or_refused_but_never_a_fault(
    demo: Demo, new_pass: NewPass, enter: Enter, key: Any
) -> None:
    shown = new_pass("ekilibre", number=1)
    answer = enter(demo.desk("locaux-motiv"), "locaux-motiv", shown.show(), key=key)
    assert answer.status_code in {200, 201, 409, 422}, answer.text
    still_works(enter, demo.desk("locaux-motiv"), "locaux-motiv", shown)


@pytest.mark.parametrize(
    "space",
    ["la-cordee", "no-such-space", "../la-cordee", "\0", "é", "\ud800", "x" * 65],
    ids=_short,
)
def test_a_space_that_is_not_this_nodes_admits_nobody(
    demo: Demo, new_pass: NewPass, space: str
) -> None:
    shown = new_pass("ekilibre", number=1)
    answer = demo.desk("locaux-motiv").check_in(space, shown.show())
    assert answer.status_code in {403, 404, 422}, answer.text
    problem(answer, answer.status_code)


# -- What the charter refuses -------------------------------------------------------------


def test_a_revoked_pass_is_refused_at_once_and_its_member_may_make_another(
    demo: Demo, new_pass: NewPass, enter: Enter
) -> None:
    member, desk = demo.member("comptoir-numerique"), demo.desk("sceaux-smart")
    shown = new_pass("comptoir-numerique")
    visit = admission(enter(desk, "le-petit-voisin", shown.show()))["visit"]["id"]
    desk.check_out(visit)
    assert member.revoke(shown.pass_id).status_code == 204
    decision = refusal(enter(desk, "le-petit-voisin", shown.show()), "pass_revoked")
    assert decision["online"] is True
    refusal(
        enter(demo.desk("troquet-numerique"), "troquet-numerique", shown.show()), "pass_revoked"
    )
    admission(enter(desk, "le-petit-voisin", new_pass("comptoir-numerique").show()))


def test_tickets_are_not_eligible_and_the_article_that_says_so_is_cited(
    demo: Demo, new_pass: NewPass, enter: Enter
) -> None:
    shown = new_pass("la-cordee", "ticket")
    desk = demo.desk("troquet-numerique")
    decision = refusal(enter(desk, "troquet-numerique", shown.show()), "plan_not_eligible")
    charter = demo.hub.call("GET", "/api/v1/charters/current").json()
    reason = next(r for r in decision["reasons"] if r["code"] == "plan_not_eligible")
    assert reason["article"] == charter["rules"]["eligible_plans"]["article"]


def test_a_closed_day_is_told_before_going(demo: Demo) -> None:
    member = demo.member("comptoir-numerique", "resident", 1)
    answer = member.rights("troquet-numerique", SUNDAY)
    assert answer.status_code == 200, answer.text
    (item,) = answer.json()["items"]
    assert item["space"] == "troquet-numerique"
    check_decision(item["decision"], "refused")
    assert "space_closed" in {reason["code"] for reason in item["decision"]["reasons"]}

    (now,) = member.rights("troquet-numerique").json()["items"]
    check_decision(now["decision"], "allowed")


def test_all_reasons_that_apply_are_given(demo: Demo) -> None:
    answer = demo.member("comptoir-numerique", "ticket").rights("troquet-numerique", SUNDAY)
    (item,) = answer.json()["items"]
    codes = {reason["code"] for reason in item["decision"]["reasons"]}
    assert {"plan_not_eligible", "space_closed"} <= codes


@pytest.mark.parametrize("at", ["soon", "2026-11-29", "2026-11-29T10:00:00", "9999-99-99T00:00Z"])
def test_a_time_that_is_none_is_refused(demo: Demo, at: str) -> None:
    answer = demo.member("comptoir-numerique").rights("troquet-numerique", at)
    assert "at" in json.dumps(problem(answer, 422, "validation")["errors"])


@pytest.mark.parametrize("plan", ["resident", "ticket"])
def test_the_preview_says_what_the_door_says_and_records_nothing(
    demo: Demo, new_pass: NewPass, enter: Enter, plan: str
) -> None:
    member = demo.member("sceaux-smart", plan)
    desk, space = demo.desk("troquet-numerique"), "troquet-numerique"
    shown = new_pass("sceaux-smart", plan)
    text = shown.show()
    before = desk.presence(space), _lines(demo)
    previews = [desk.preview(space, text) for _ in range(3)]
    assert {answer.status_code for answer in previews} == {200}
    assert (desk.presence(space), _lines(demo)) == before
    (item,) = member.rights(space).json()["items"]
    at_hub = Service(demo.hub.url, shown.show(aud="passerelle:rights")).call(
        "GET", "/api/v1/me/rights", params={"space": space}
    )
    assert at_hub.status_code == 200, at_hub.text

    door = enter(desk, space, text)
    assert door.status_code == (201 if plan == "resident" else 403), door.text
    decision = door.json()["decision"]
    assert [answer.json()["decision"] for answer in previews] == [decision] * 3
    assert item["decision"] == decision
    assert at_hub.json()["items"][0]["decision"] == decision


# -- Being there --------------------------------------------------------------------------


def test_who_is_here_is_listed_until_checked_out(
    demo: Demo, new_pass: NewPass, enter: Enter
) -> None:
    desk = demo.desk("ekilibre")
    shown = new_pass("locaux-motiv")
    visit = admission(enter(desk, "un-bureau-et-plus", shown.show()))["visit"]
    (here,) = [v for v in desk.presence("un-bureau-et-plus") if v["id"] == visit["id"]]
    assert here["given_name"] == shown.claims["given_name"]
    assert here["home"] == "locaux-motiv"
    assert visit["id"] not in {v["id"] for v in desk.presence("ekilibre")}

    answer = desk.check_out(visit["id"])
    assert answer.status_code == 200, answer.text
    assert answer.json()["ended_at"]
    assert visit["id"] not in {v["id"] for v in desk.presence("un-bureau-et-plus")}
    assert desk.check_out(visit["id"]).json()["ended_at"] == answer.json()["ended_at"]

    back = admission(enter(desk, "un-bureau-et-plus", shown.show()))
    assert back["visit"]["id"] != visit["id"]


def test_times_are_rfc_3339_with_offset(demo: Demo, new_pass: NewPass, enter: Enter) -> None:
    shown = new_pass("la-cordee", "nomad")
    desk = demo.desk("tiers-lieu-sevres")
    visit = admission(enter(desk, "tiers-lieu-sevres", shown.show()))["visit"]
    rfc3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
    assert rfc3339.fullmatch(visit["started_at"])
    assert visit["started_at"].startswith(DAY)
    assert rfc3339.fullmatch(desk.check_out(visit["id"]).json()["ended_at"])


def test_a_fresh_code_at_a_second_host_closes_the_visit_at_the_first(
    demo: Demo, new_pass: NewPass, enter: Enter
) -> None:
    shown = new_pass("locaux-motiv", "resident", 1)
    first, second = demo.desk("troquet-numerique"), demo.desk("comptoir-numerique")
    left = admission(enter(first, "troquet-numerique", shown.show()))["visit"]["id"]
    there = admission(enter(second, "comptoir-numerique", shown.show()))["visit"]["id"]
    assert there in {visit["id"] for visit in second.presence("comptoir-numerique")}
    assert _until(
        lambda: left not in {visit["id"] for visit in first.presence("troquet-numerique")}, 30
    )


@pytest.mark.parametrize("act", ["check-out", "void"])
def test_a_visit_that_is_not_here_cannot_be_ended(
    demo: Demo, new_pass: NewPass, enter: Enter, act: str
) -> None:
    shown = new_pass("locaux-motiv", "resident", 1)
    visit = admission(enter(demo.desk("la-cordee"), "la-cordee", shown.show()))["visit"]["id"]
    for wanted in (visit, "nothing", "%00", "é"):
        answer = demo.desk("sceaux-smart").call(
            "POST", f"/api/v1/check-ins/{wanted}/{act}", json={"reason": "mistake"}
        )
        problem(answer, 404)
    assert visit in {v["id"] for v in demo.desk("la-cordee").presence("la-cordee")}


# -- The account --------------------------------------------------------------------------


def _statement(demo: Demo) -> Json:
    answer = demo.coordinator.statement(MONTH)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _lines(demo: Demo) -> list[str]:
    return sorted(line["id"] for line in _statement(demo)["visits"])


def test_a_void_reverses_the_half_day_and_the_balances_sum_to_zero(
    demo: Demo, new_pass: NewPass, enter: Enter
) -> None:
    desk = demo.desk("sceaux-smart")
    shown = new_pass("la-cordee", "resident", 1)
    visit = admission(enter(desk, "sceaux-smart", shown.show()))["visit"]["id"]

    def counted() -> list[tuple[str, str, int]]:
        found = _statement(demo)
        assert sum(found["balances"].values()) == 0
        return [
            (line["home"], line["host"], line["half_days"])
            for line in found["visits"] + found["corrections"]
            if line["id"] == visit
        ]

    assert counted() == [("la-cordee", "sceaux-smart", 1)]
    answer = desk.void(visit, "scanned by mistake")
    assert answer.status_code == 200, answer.text
    assert visit not in {v["id"] for v in desk.presence("sceaux-smart")}
    assert counted() == [("la-cordee", "sceaux-smart", 1), ("la-cordee", "sceaux-smart", -1)]
    desk.void(visit, "twice")
    assert sum(half_days for _, _, half_days in counted()) == 0

    for options in ({"params": {"format": "csv"}}, {"headers": {"Accept": "text/csv"}}):
        answer = demo.coordinator.statement(MONTH, **options)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"].split(";")[0] == "text/csv"
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert sum(int(r["half_days"]) for r in rows if r["id"] == visit) == 0
        balances = {r["host"]: int(r["half_days"]) for r in rows if r["kind"] == "balance"}
        assert set(balances) == set(NODES)
        assert sum(balances.values()) == 0
        assert balances == _statement(demo)["balances"]


def test_a_void_wants_a_reason(demo: Demo, new_pass: NewPass, enter: Enter) -> None:
    desk = demo.desk("sceaux-smart")
    shown = new_pass("la-cordee", "resident", 1)
    visit = admission(enter(desk, "le-petit-voisin", shown.show()))["visit"]["id"]
    for body in ({}, {"reason": ""}, {"reason": None}):
        answer = desk.call("POST", f"/api/v1/check-ins/{visit}/void", json=body)
        assert set(problem(answer, 422, "validation")["errors"]) == {"reason"}
    assert visit in {v["id"] for v in desk.presence("le-petit-voisin")}


def test_coming_back_in_the_same_half_day_counts_once(
    demo: Demo, new_pass: NewPass, enter: Enter
) -> None:
    desk = demo.desk("ekilibre")
    shown = new_pass("troquet-numerique", "nomad")
    visits = []
    for _ in range(3):
        visits.append(admission(enter(desk, "ekilibre", shown.show()))["visit"]["id"])
        desk.check_out(visits[-1])
    assert len(set(visits)) == 3
    lines = [line for line in _statement(demo)["visits"] if line["id"] in visits]
    assert len(lines) <= 3
    assert sum(line["half_days"] for line in lines) == 1


# -- Who may ask, and in which language ---------------------------------------------------

DESK_ROUTES = [
    ("POST", "/api/v1/check-ins"),
    ("POST", "/api/v1/check-ins/preview"),
    ("POST", "/api/v1/check-ins/nothing/check-out"),
    ("POST", "/api/v1/check-ins/nothing/void"),
    ("GET", "/api/v1/presence?space=la-cordee"),
]
MEMBER_ROUTES = [
    ("POST", "/api/v1/me/passes"),
    ("DELETE", "/api/v1/me/passes/nothing"),
    ("GET", "/api/v1/me/rights"),
]


def _asked(service: Service, method: str, path: str) -> requests.Response:
    return service.call(method, path, json={} if method == "POST" else None)


@pytest.mark.parametrize(("method", "path"), DESK_ROUTES)
def test_a_member_is_no_desk(demo: Demo, method: str, path: str) -> None:
    member = demo.member("la-cordee")
    problem(_asked(member, method, path), 403)


@pytest.mark.parametrize(("method", "path"), MEMBER_ROUTES)
def test_a_desk_is_no_member(demo: Demo, method: str, path: str) -> None:
    problem(_asked(demo.desk("la-cordee"), method, path), 403)


@pytest.mark.parametrize(("method", "path"), DESK_ROUTES + MEMBER_ROUTES)
def test_without_a_token_that_this_node_gave_nobody_is_known(
    demo: Demo, method: str, path: str
) -> None:
    url = demo.node("la-cordee").url
    elsewhere = demo.desk("troquet-numerique").token
    for token in (None, "nonsense", "", elsewhere, demo.coordinator.token, "é".encode()):
        header = {} if token is None else {"Authorization": b"Bearer " + _bytes(token)}
        answer = Service(url).call(
            method, path, headers=header, json={} if method == "POST" else None
        )
        problem(answer, 401)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def _bytes(token: str | bytes) -> bytes:
    return token if isinstance(token, bytes) else token.encode()


def test_the_account_is_not_for_members_nor_desks(demo: Demo) -> None:
    for token in (None, demo.member("la-cordee").token, demo.desk("la-cordee").token):
        problem(Hub(demo.hub.url, token).statement(MONTH), 401)


def test_the_page_of_every_problem_explains_it(demo: Demo, new_pass: NewPass) -> None:
    desk, nobody = demo.desk("la-cordee"), demo.node("la-cordee")
    ticket = new_pass("locaux-motiv", "ticket")
    found = [
        problem(desk.check_in("la-cordee", ticket.show()), 403, "visit-refused"),
        problem(desk.check_in("", ""), 422, "validation"),
        problem(nobody.call("GET", "/api/v1/presence"), 401),
        problem(desk.call("GET", "/api/v1/me/rights"), 403),
        problem(desk.call("GET", "/api/v1/nothing"), 404),
        problem(desk.call("PATCH", "/api/v1/check-ins"), 405),
    ]
    assert len({each["type"] for each in found}) == len(found)
    for each in found:
        page = requests.get(each["type"], timeout=20)
        assert page.status_code == 200, each["type"]
        assert page.headers["Content-Type"].startswith("text/html")


def test_messages_are_in_the_language_asked_for(demo: Demo, new_pass: NewPass) -> None:
    desk, space = demo.desk("la-cordee"), "la-cordee"
    shown = new_pass("sceaux-smart", "ticket")

    def messages(language: str | None) -> list[str]:
        decision = refusal(desk.check_in(space, shown.show(), language=language))
        return [reason["message"] for reason in decision["reasons"]]

    french, english = messages("fr"), messages("en")
    assert french != english
    assert messages(None) == french
    assert messages("de") == french
    assert messages("fr-CH, fr;q=0.9, en;q=0.8") == french
    assert messages("de, en;q=0.7, fr;q=0.3") == english
    assert messages("en-GB") == english
    assert messages(";;q=,*") == french
