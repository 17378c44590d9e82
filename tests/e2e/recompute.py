"""A second account: the months of a network, worked out anew from what it publishes.

It shares nothing with the network's own programs: written from ``charter/README.md``, it uses the
standard library alone, and ``cryptography`` for signatures. It reads from standard input ::

    {"hub": URL, "token": a coordinator's, "homes": {operator: its token}, "months": ["2026-11"]}

and writes ``{"faults": [...], "figures": {...}}``; its status is 1 if there is a fault.
"""

from __future__ import annotations

import json
import sys
import tomllib
import urllib.request
from base64 import urlsafe_b64decode
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, time, timedelta
from itertools import combinations
from typing import Any
from zoneinfo import ZoneInfo

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Key = tuple[str, str, str, str]
"""A person, an operator, a day and a half: what counts once."""
LINE = {"id", "day", "halves", "half_days", "home", "host", "space", "charter", "flags"}
FEW = 15


# Canonical JSON


def canonical(value: Any) -> bytes:
    """Write RFC 8785 of what has whole numbers alone."""
    return json.dumps(_sorted(value), ensure_ascii=False, separators=(",", ":")).encode()


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return {name: _sorted(value[name]) for name in names}
    return [_sorted(each) for each in value] if isinstance(value, list) else value


# Openings and half-days


def openings_on(hours: dict[str, Any], day: date) -> list[tuple[datetime, datetime]]:
    """Return the openings that begin on a date, those that touch as one; the times are local."""
    name = ("mo", "tu", "we", "th", "fr", "sa", "su")[day.weekday()]
    spans = (hours.get("exceptions") or {}).get(day.isoformat())
    if spans is None:
        spans = (hours.get("week") or {}).get(name, [])
    if hours.get("until") and day.isoformat() > hours["until"]:
        spans = []
    found: list[tuple[datetime, datetime]] = []
    for opens, closes in sorted(spans):
        first = datetime.combine(day, time.fromisoformat(opens))
        last = datetime.combine(day, time.fromisoformat(closes))
        last += timedelta(days=last <= first)
        if found and first <= found[-1][1]:
            first, last = found[-1][0], max(last, found.pop()[1])
        found.append((first, last))
    return found


def day_of(
    hours: dict[str, Any], at: datetime
) -> tuple[date, list[tuple[datetime, datetime]] | None, datetime]:
    """Return the day that an instant belongs to, its openings (None: any time), and its end."""
    zone = ZoneInfo(hours.get("timezone") or "Europe/Paris")
    today = at.astimezone(zone).date()
    midnight = datetime.combine(today + timedelta(days=1), time(), zone)
    known = any((hours.get("week") or {}).values()) or any((hours.get("exceptions") or {}).values())
    if not known:
        return today, None, midnight
    for day in (today - timedelta(days=1), today):
        local = openings_on(hours, day)
        moments = [(a.replace(tzinfo=zone), b.replace(tzinfo=zone)) for a, b in local]
        for (opens, closes), wall in zip(moments, local, strict=True):
            if opens.astimezone(UTC) <= at.astimezone(UTC) < closes.astimezone(UTC):
                if wall[1] - wall[0] >= timedelta(days=1):
                    return today, None, midnight
                return day, moments, moments[-1][1]
    return today, [], at


def touched(
    start: datetime,
    end: datetime | None,
    day: date,
    openings: list[tuple[datetime, datetime]] | None,
    split: datetime,
) -> list[str]:
    """Return the halves of its day that a visit touches; without an end it goes on."""
    start, split = start.astimezone(UTC), split.astimezone(UTC)
    if start >= split:
        return ["pm"]
    if end is None:
        return ["am"]
    parts = [(split, end)] if openings is None else openings
    for opens, closes in parts:
        since = max(opens.astimezone(UTC), split, start)
        if since < min(closes.astimezone(UTC), end.astimezone(UTC)):
            return ["am", "pm"]
    return ["am"]


# Balances, compensation, transfers


def balances_of(lines: list[tuple[str, str, int]], nodes: list[str]) -> dict[str, int]:
    """Return half-days given less received of lines (home, host, half-days)."""
    found = dict.fromkeys(nodes, 0)
    for home, host, count in lines:
        found[host] = found.get(host, 0) + count
        found[home] = found.get(home, 0) - count
    return found


def compensation_of(half_days: dict[str, int], rule: dict[str, Any]) -> dict[str, int]:
    cents = dict.fromkeys(half_days, 0)
    if rule["mode"] != "compensate":
        return cents
    spare = rule["tolerance_half_days"]
    due = {node: count - spare for node, count in half_days.items() if count > spare}
    owed = {node: -count - spare for node, count in half_days.items() if count < -spare}
    moves = min(sum(due.values()), sum(owed.values())) * rule["rate_cents"]
    for sign, side in ((1, due), (-1, owed)):
        total = sum(side.values())
        if not total or not moves:
            continue
        share = {node: moves * excess // total for node, excess in side.items()}
        rest = {node: moves * excess % total for node, excess in side.items()}
        order = sorted(side, key=lambda node: (-rest[node], node))
        for node in order[: moves - sum(share.values())]:
            share[node] += 1
        cents |= {node: sign * amount for node, amount in share.items()}
    return cents


def transfers_of(cents: dict[str, int]) -> list[tuple[str, str, int]]:
    """Return who pays whom: exact opposites, then groups that sum to zero."""
    left = {node: cents[node] for node in sorted(cents) if cents[node]}
    found = []
    for payer in [node for node, amount in left.items() if amount < 0]:
        payee = next((node for node in left if left[node] == -left[payer]), None)
        if payee is not None:
            found.append((payer, payee, left.pop(payee)))
            del left[payer]
    for group in _groups(left):
        found += _settled({node: left[node] for node in group})
    return found


def _groups(left: dict[str, int]) -> list[list[str]]:
    names, made = list(left), []
    for first in list(names):
        if len(names) <= FEW:
            break
        three = _three(names, first, left) if first in names else None
        if three:
            made.append(three)
            names = [node for node in names if node not in three]
    if len(names) > FEW:
        return [*made, names]
    return [*made, *_most(tuple(names), left, {})]


def _three(names: list[str], first: str, left: dict[str, int]) -> list[str] | None:
    after = names[names.index(first) + 1 :]
    for place, second in enumerate(after[:100]):
        for third in after[place + 1 :]:
            if left[first] + left[second] + left[third] == 0:
                return [first, second, third]
    return None


def _most(
    names: tuple[str, ...], left: dict[str, int], known: dict[tuple[str, ...], list[list[str]]]
) -> list[list[str]]:
    """Return as many groups as there can be; of equal ones those whose first come first."""
    if not names:
        return []
    if names not in known:
        best: list[list[str]] = []
        rest = names[1:]
        groups = [
            (names[0], *more)
            for size in range(1, len(names))
            for more in combinations(rest, size)
            if left[names[0]] + sum(left[node] for node in more) == 0
        ]
        for group in sorted(groups):
            others = tuple(node for node in names if node not in group)
            made = [list(group), *_most(others, left, known)]
            if len(made) > len(best):
                best = made
        known[names] = best
    return known[names]


def _settled(group: dict[str, int]) -> list[tuple[str, str, int]]:
    found = []
    while any(group.values()):
        payer = min(group, key=lambda node: (group[node], node))
        payee = min(group, key=lambda node: (-group[node], node))
        amount = min(-group[payer], group[payee])
        group[payer] += amount
        group[payee] -= amount
        found.append((payer, payee, amount))
    return found


def figures_of(
    lines: list[tuple[str, str, int]],
    nodes: list[str],
    rule: dict[str, Any],
    brought: dict[str, int],
) -> dict[str, Any]:
    """Return what follows from a month's lines."""
    half_days = balances_of(lines, nodes)
    cents = compensation_of(half_days, rule)
    carried = {node: brought.get(node, 0) + count for node, count in half_days.items()}
    return {
        "balances": half_days,
        "carried": carried if rule["mode"] == "barter" else {},
        "compensation": cents,
        "currency": rule["currency"],
        "transfers": [{"from": a, "to": b, "cents": c} for a, b, c in transfers_of(cents)],
    }


def in_order(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    def key(line: dict[str, Any]) -> tuple[Any, ...]:
        more = line.get("recorded_on", ""), line.get("reason", "")
        return line["day"], line["id"], line["halves"], *more

    return sorted(lines, key=key)


# What the network publishes


class Published:
    """Reads a hub as anybody with a token can."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self.hub, self.token, self.homes = asked["hub"], asked["token"], asked["homes"]
        self.months: list[str] = asked["months"]
        self.charter = self.json("/api/v1/charters/current")
        self.rules = tomllib.loads(self.charter["sources"]["rules.toml"])
        self.visits = {visit["id"]: visit for visit in self.pages("/api/v1/visits?limit=100")}
        self.people = {
            visit["id"]: f"{home}/{each['member']}"
            for home, token in self.homes.items()
            for each in {p["member"]: p for p in self.pages("/api/v1/passes?", token)}.values()
            for visit in self.pages(f"/api/v1/visits?side=home&member={each['member']}", token)
        }
        names = {visit["space"] for visit in self.visits.values()}
        self.spaces = {name: self.json(f"/api/v1/spaces/{name}") for name in names}
        self.upheld = {
            dispute["visit"]
            for month in self.months
            for dispute in self.pages(f"/api/v1/disputes?month={month}")
            if dispute["state"] == "upheld"
        }
        self.bytes = {m: self.read(f"/api/v1/statements/{m}.json") for m in self.months}
        self.documents = {month: json.loads(body) for month, body in self.bytes.items()}

    def read(self, path: str, token: str | None = None) -> bytes:
        headers = {"Authorization": f"Bearer {token or self.token}"}
        request = urllib.request.Request(self.hub + path, headers=headers)  # noqa: S310
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            found: bytes = answer.read()
            return found

    def json(self, path: str, token: str | None = None) -> Any:
        return json.loads(self.read(path, token))

    def pages(self, path: str, token: str | None = None) -> list[Any]:
        found: list[Any] = []
        cursor: str | None = ""
        while cursor is not None:
            more = f"&cursor={cursor.replace('+', '%2B')}" if cursor else ""
            page = self.json(path + more, token)
            found += page["items"]
            cursor = page["next_cursor"]
        return found


# The account


class Account:
    """What each half-day of each person is by the charter, and what the months say."""

    def __init__(self, published: Published) -> None:
        self.published, self.faults = published, list[str]()
        self.touching: dict[Key, list[str]] = defaultdict(list)
        self.stood: dict[Key, list[str]] = defaultdict(list)  # when the first month was issued
        head = published.documents[published.months[0]]
        self.issued_at = datetime.fromisoformat(head["issued_at"]) if head["issued_at"] else None
        order = sorted(published.visits.values(), key=lambda v: (instant(v["started_at"]), v["id"]))
        following: dict[str, datetime] = {}
        for visit in reversed(order):
            self._check_end(visit, following)
        for visit in order:
            self._place(visit)

    def fault(self, text: str, *about: Any) -> None:
        self.faults.append(" ".join([text, *map(str, about)]))

    def _person(self, visit: dict[str, Any]) -> str:
        return self.published.people.get(visit["id"], "")

    def _day(self, visit: dict[str, Any]) -> tuple[date, Any, datetime]:
        return day_of(self.published.spaces[visit["space"]], instant(visit["started_at"]))

    def _check_end(self, visit: dict[str, Any], following: dict[str, datetime]) -> None:
        """A visit ends by its closing and by the person's next one, and not before it began."""
        person, start = self._person(visit), instant(visit["started_at"])
        if not person:
            self.fault("nobody's visit", visit["id"])
        cuts = visit["held"] is None and visit["id"] not in self.published.upheld
        if visit["state"] != "void" and visit["ended_at"] is not None:
            latest = min(
                self._day(visit)[2], following.get(person, datetime.max.replace(tzinfo=UTC))
            )
            if not start <= instant(visit["ended_at"]) <= max(start, latest):
                self.fault("ends at the wrong time", visit["id"])
        elif visit["state"] == "open" and person in following:
            self.fault("goes on beside the next one", visit["id"])
        if cuts:
            following[person] = start

    def _place(self, visit: dict[str, Any]) -> None:
        start, end = instant(visit["started_at"]), visit["ended_at"]
        day, openings, _ = self._day(visit)
        if visit["day"] != day.isoformat():
            self.fault("is of another day", visit["id"], visit["day"], day)
        zone = ZoneInfo(self.published.spaces[visit["space"]]["timezone"])
        noon = time.fromisoformat(self.published.rules["opening_hours"]["split"])
        split = datetime.combine(day, noon, zone)
        halves = touched(start, instant(end) if end else None, day, openings, split)
        stands = visit["state"] != "void" and visit["held"] is None
        changed_later = self.issued_at and instant(visit["changed_at"]) > self.issued_at
        for half in halves:
            key = self._person(visit), visit["host"], visit["day"], half
            if visit["home"] == visit["host"]:
                continue
            if stands:
                self.touching[key].append(visit["id"])
            if stands or (visit["state"] == "void" and changed_later):
                self.stood[key].append(visit["id"])

    # The months

    def check(self) -> dict[str, Any]:
        for month in self.published.months:
            self._check_document(month)
        nets = {month: self._net(month) for month in self.published.months}
        self._check_half_days(nets)
        self._check_balances(nets)
        documents = self.published.documents
        return {
            "visits": Counter(v["state"] for v in self.published.visits.values()),
            "people": len(set(self.published.people.values())),
            "half_days": len(self.touching),
            "lines": {m: [len(d["visits"]), len(d["corrections"])] for m, d in documents.items()},
            "balances": {month: d["balances"] for month, d in documents.items()},
            "disputed": {month: d["disputed"] for month, d in documents.items()},
            "transfers": {month: d["transfers"] for month, d in documents.items()},
        }

    def _check_document(self, month: str) -> None:
        """The bytes are those that its lines give, and the hub has signed them."""
        body, document = self.published.bytes[month], self.published.documents[month]
        lines = [*document["visits"], *document["corrections"]]
        carried, balances = document["carried"], document["balances"]
        brought = {node: carried[node] - balances[node] for node in carried}
        told = [(line["home"], line["host"], line["half_days"]) for line in lines]
        figures = figures_of(told, list(balances), self.published.rules["balance"], brought)
        ordered = {name: in_order(document[name]) for name in ("visits", "corrections")}
        if canonical({**document, **figures, **ordered}) != body:
            self.fault("does not follow from its lines", month)
        if sum(document["balances"].values()) or sum(document["compensation"].values()):
            self.fault("does not sum to zero", month)
        for line in lines:
            self._check_line(month, line)
        protected, payload, signature = (
            self.published.read(f"/api/v1/statements/{month}.jws").decode().split(".")
        )
        header = json.loads(decoded(protected))
        keys = self.published.json("/.well-known/jwks.json")["keys"]
        (key,) = [each for each in keys if each["kid"] == header["kid"]]
        try:
            public = Ed25519PublicKey.from_public_bytes(decoded(key["x"]))
            public.verify(decoded(signature), f"{protected}.{payload}".encode())
        except InvalidSignature:
            self.fault("is not signed", month)
        if decoded(payload) != body:
            self.fault("is signed with other bytes", month)

    def _check_line(self, month: str, line: dict[str, Any]) -> None:
        visit = self.published.visits.get(line["id"])
        names = ("home", "host", "space", "charter", "flags", "day")
        if visit is None or any(visit[name] != line[name] for name in names):
            self.fault("a line of no such visit", month, line["id"])
        more = set(line) - LINE
        sign = -1 if more else 1
        if more not in (set(), {"reason", "recorded_on"}) or line["day"][:7] > month:
            self.fault("a line that cannot be", month, line["id"])
        if line["half_days"] != sign * len(line["halves"]):
            self.fault("a line of another number", month, line["id"])

    def _net(self, month: str) -> Counter[tuple[str, str]]:
        """Return what a month counts of each visit and half."""
        found = Counter[tuple[str, str]]()
        document = self.published.documents[month]
        for line in [*document["visits"], *document["corrections"]]:
            for half in line["halves"]:
                found[line["id"], half] += 1 if line["half_days"] > 0 else -1
        return found

    def _by_key(self, net: Counter[tuple[str, str]]) -> Counter[Key]:
        found = Counter[Key]()
        for (visit_id, half), count in net.items():
            visit = self.published.visits[visit_id]
            found[self._person(visit), visit["host"], visit["day"], half] += count
        return found

    def _check_half_days(self, nets: dict[str, Counter[tuple[str, str]]]) -> None:
        """Each half-day that was touched is counted once in one month, or disputed; no other is."""
        disputed = {v for d in self.published.documents.values() for v in d["disputed"]}
        by_month = {month: self._by_key(net) for month, net in nets.items()}
        total: Counter[tuple[str, str]] = Counter()
        for net in nets.values():
            total.update(net)
        for key in {*self.touching, *(key for found in by_month.values() for key in found)}:
            carriers = {v: n for (v, half), n in total.items() if n and self._is_of(v, half, key)}
            touching = self.touching.get(key, [])
            counts = [found[key] for found in by_month.values() if found[key]]
            held = disputed & set(touching)
            if touching and counts != [1] and not (held and sum(counts) == 0):
                self.fault("is not counted once", key, touching, carriers, counts)
            if not touching and sum(counts):
                self.fault("is counted, and nobody was there", key, carriers, counts)
            if any(n != 1 or v not in touching for v, n in carriers.items()):
                self.fault("is carried by others", key, touching, carriers)
        per_visit: Counter[str] = Counter()
        for (visit_id, _), count in total.items():
            per_visit[visit_id] += count
        for visit_id, visit in self.published.visits.items():
            if visit_id not in disputed and visit["half_days"] != per_visit[visit_id]:
                self.fault("has another number of half-days", visit_id, visit["half_days"])

    def _is_of(self, visit_id: str, half: str, key: Key) -> bool:
        visit = self.published.visits[visit_id]
        return (self._person(visit), visit["host"], visit["day"], half) == key

    def _check_balances(self, nets: dict[str, Counter[tuple[str, str]]]) -> None:
        """The issued month has what stood then; the open one what is different now."""
        first, *rest = self.published.months
        if self.issued_at is None or not rest:
            return
        documents, out = self.published.documents, set(self.published.upheld)
        out |= set(documents[first]["disputed"])
        due = {key: ids for key, ids in self.stood.items() if key[2][:7] <= first}
        counted = {key for key, count in self._by_key(nets[first]).items() if count}
        if counted - set(due):
            self.fault("counts what did not stand", first, counted - set(due))
        for key in set(due) - counted:
            if not out & set(due[key]):
                self.fault("leaves out what stood", first, key, due[key])
        stands = {key for key, ids in self.touching.items() if key[2][:7] <= rest[0]}
        held = {
            key
            for key in stands - counted
            if set(documents[first]["disputed"]) & set(self.touching[key])
        }
        lines = [self._line(key, 1) for key in stands - held]
        lines += [self._line(key, -1) for key in counted]
        expected = balances_of(lines, list(documents[rest[0]]["balances"]))
        if expected != documents[rest[0]]["balances"]:
            self.fault("has other balances", rest[0], expected)
        expected = balances_of(
            [self._line(key, 1) for key in counted], list(documents[first]["balances"])
        )
        if expected != documents[first]["balances"]:
            self.fault("has other balances", first, expected)

    @staticmethod
    def _line(key: Key, count: int) -> tuple[str, str, int]:
        return key[0].partition("/")[0], key[1], count


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def main() -> int:
    account = Account(Published(json.load(sys.stdin)))
    figures = account.check()
    json.dump({"faults": account.faults, "figures": figures}, sys.stdout, indent=1)
    return int(bool(account.faults))


if __name__ == "__main__":
    sys.exit(main())
