"""The second account says what the charter's cases expect, before it judges the first one."""

from __future__ import annotations

import base64
import json
import tomllib
from collections.abc import Callable
from datetime import date, datetime, time
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.e2e import recompute
from tests.e2e.processes import ROOT

CASES = ROOT / "charter" / "cases"
RULE = tomllib.loads((ROOT / "charter" / "rules.toml").read_text())["balance"]


def _cases(name: str) -> list[Any]:
    found = json.loads((CASES / f"{name}.json").read_text())
    return [pytest.param(case, id=case["name"]) for case in found]


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


@pytest.mark.parametrize("case", _cases("settlement"))
def test_it_settles_as_the_cases_expect(case: dict[str, Any]) -> None:
    expected, rule = case["expect"], {**RULE, **case["rule"]}
    balances = recompute.balances_of([tuple(line) for line in case["lines"]], [])
    assert balances == expected["balances"]
    cents = recompute.compensation_of(balances, rule)
    assert cents == expected["compensation"]
    assert [list(each) for each in recompute.transfers_of(cents)] == expected["transfers"]


@pytest.mark.parametrize("case", _cases("statement"))
def test_it_writes_the_documents_that_the_cases_expect(case: dict[str, Any]) -> None:
    given, rule = case["statement"], {**RULE, **case["rule"]}
    lines = {name: recompute.in_order(given[name]) for name in ("visits", "corrections")}
    told = [(x["home"], x["host"], x["half_days"]) for found in lines.values() for x in found]
    figures = recompute.figures_of(told, given["nodes"], rule, given["brought_forward"])
    assert figures == case["expect"]["figures"]
    body = recompute.canonical({**given["head"], **figures, **lines})
    assert sha256(body).hexdigest() == case["expect"]["sha256"]


@pytest.mark.parametrize("case", _cases("openings"))
def test_it_finds_the_days_that_the_cases_expect(case: dict[str, Any]) -> None:
    at = datetime.fromisoformat(case["at"])
    day, openings, closes_at = recompute.day_of(case["schedule"], at)
    expected = case["expect"]
    if "day" in expected:
        assert day.isoformat() == expected["day"]
    if "openings" in expected:
        spans = None if openings is None else [list(span) for span in openings]
        told = expected["openings"]
        assert spans == (told and [[_instant(a), _instant(b)] for a, b in told])
    if "closes_at" in expected:
        assert closes_at == _instant(expected["closes_at"])


@pytest.mark.parametrize("case", _cases("halfdays"))
def test_it_counts_the_half_days_that_the_cases_expect(case: dict[str, Any]) -> None:
    visit, expected = case["visit"], case["expect"]
    noon = time.fromisoformat(case.get("rules", {}).get("opening_hours", {}).get("split", "13:00"))
    day = date.fromisoformat(visit.get("day", "2026-07-07"))
    told = visit.get("openings", [[f"{day}T09:00:00+02:00", f"{day}T19:00:00+02:00"]])
    openings = None if told is None else [tuple(map(datetime.fromisoformat, x)) for x in told]
    zone = ZoneInfo(visit.get("timezone", "Europe/Paris"))
    start, end = datetime.fromisoformat(visit["start"]), _instant(expected["end"])
    split = datetime.combine(day, noon, zone)
    halves = recompute.touched(start, end, day, openings, split)
    assert [f"{day} {half}" for half in halves] == expected["half_days"]


KEY = Ed25519PrivateKey.generate()
SPACE = {"timezone": "Europe/Paris", "week": {"fr": [["09:00", "19:00"]]}, "exceptions": {}}


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _visit(name: str, start: str, end: str, **more: Any) -> dict[str, Any]:
    told = {"home": "a", "host": "b", "space": "b", "charter": "1", "flags": [], "held": None}
    times = {"started_at": f"2026-11-27T{start}+01:00", "ended_at": f"2026-11-27T{end}+01:00"}
    return {
        "id": name,
        "day": "2026-11-27",
        "state": "closed",
        "half_days": 1,
        **told,
        **times,
        "changed_at": "2026-11-27T20:00:00+01:00",
        **more,
    }


class Hub(recompute.Published):
    """One person's visits of a Friday: a morning, a whole day undone, and an afternoon."""

    def __init__(self) -> None:
        self.months = ["2026-11", "2026-12"]
        self.rules = {"balance": RULE, "opening_hours": {"split": "13:00"}}
        visits = (
            _visit("v1", "09:30", "10:00"),
            _visit("v2", "10:00", "14:00", state="void", half_days=0),
            _visit("v3", "14:00", "18:00"),
        )
        self.visits = {visit["id"]: visit for visit in visits}
        self.people = dict.fromkeys(self.visits, "a/someone")
        self.spaces, self.upheld = {"b": SPACE}, set[str]()
        names = ("id", "day", "home", "host", "space", "charter", "flags")
        lines = [
            {**{n: self.visits[v][n] for n in names}, "halves": [half], "half_days": 1}
            for v, half in (("v1", "am"), ("v3", "pm"))
        ]
        self.documents = {}
        issued = {"state": "issued", "revision": 1, "issued_at": "2026-12-01T09:00:00+01:00"}
        opened = {"state": "open", "revision": 0, "issued_at": None}
        for month, head, visits_of in (("2026-11", issued, lines), ("2026-12", opened, [])):
            found = {"visits": visits_of, "corrections": [], "disputed": [], "charter": "1"}
            self.documents[month] = {"month": month, **head, **found}
        self.write()

    def write(self, **changes: Any) -> None:
        """Make the documents follow from their lines, but for what is changed in the first."""
        self.bytes = {}
        for month, document in self.documents.items():
            lines = [*document["visits"], *document["corrections"]]
            told = [(line["home"], line["host"], line["half_days"]) for line in lines]
            document.update(recompute.figures_of(told, ["a", "b"], RULE, {}))
            document.update(changes if month == "2026-11" else {})
            self.bytes[month] = recompute.canonical(document)

    def read(self, path: str, token: str | None = None) -> bytes:
        if path == "/.well-known/jwks.json":
            key = {"kid": "k", "x": _b64(KEY.public_key().public_bytes_raw())}
            return json.dumps({"keys": [key]}).encode()
        month = path.rpartition("/")[2].removesuffix(".jws")
        signed = ".".join(map(_b64, (b'{"kid": "k"}', self.bytes[month])))
        return f"{signed}.{_b64(KEY.sign(signed.encode()))}".encode()


def _faults(hub: Hub) -> list[str]:
    account = recompute.Account(hub)
    account.check()
    return account.faults


def test_it_finds_no_fault_with_an_account_that_is_right() -> None:
    assert _faults(Hub()) == []


def _lose_a_line(hub: Hub) -> None:
    del hub.documents["2026-11"]["visits"][0]


def _double_a_line(hub: Hub) -> None:
    hub.documents["2026-11"]["visits"] *= 2


def _count_in_two_months(hub: Hub) -> None:
    hub.documents["2026-12"]["visits"] = hub.documents["2026-11"]["visits"][:1]


def _count_what_was_undone(hub: Hub) -> None:
    hub.documents["2026-11"]["visits"][0]["id"] = "v2"


def _swap_halves(hub: Hub) -> None:
    hub.documents["2026-11"]["visits"][0]["halves"] = ["pm"]


def _name_another_host(hub: Hub) -> None:
    hub.documents["2026-11"]["visits"][0]["host"] = "c"


def _leave_it_open_too_long(hub: Hub) -> None:
    hub.visits["v1"]["ended_at"] = "2026-11-27T15:00:00+01:00"


def _undo_it_unsaid(hub: Hub) -> None:
    hub.visits["v1"]["state"] = "void"


@pytest.mark.parametrize(
    "falsify",
    [
        _lose_a_line,
        _double_a_line,
        _count_in_two_months,
        _count_what_was_undone,
        _swap_halves,
        _name_another_host,
        _leave_it_open_too_long,
        _undo_it_unsaid,
    ],
)
def test_it_finds_what_is_false_though_every_sum_follows(falsify: Callable[[Hub], None]) -> None:
    hub = Hub()
    falsify(hub)
    hub.write()
    assert _faults(hub)


@pytest.mark.parametrize(
    "change",
    [
        {"balances": {"a": -3, "b": 3}},
        {"balances": {"a": -2, "b": 3}},
        {"compensation": {"a": -900, "b": 900}},
        {"transfers": [{"from": "a", "to": "b", "cents": 1}]},
    ],
)
def test_it_finds_a_figure_that_does_not_follow(change: dict[str, Any]) -> None:
    hub = Hub()
    hub.write(**change)
    assert _faults(hub)
