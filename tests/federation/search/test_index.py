"""What the index finds is what a plain walk over what the public sees finds, whatever is asked."""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from charter import PLAN_CLASSES, model_sources
from charter.hours import read_schedule
from federation.charters import service as charters
from federation.charters.models import Signature
from federation.db import db
from federation.nodes.models import Node
from federation.search import clusters, facets, features, index_refresh, response_cache
from federation.search import service as search
from federation.search.area import distance_km
from federation.search.service import Filters
from federation.spaces import presenter
from federation.spaces import queries as published
from federation.spaces.models import Availability, Space
from federation.text_search import FEW, Words, edits, most_edits, plain, words_of
from shared.store.db import begin_write
from shared.wire.spaces import SpaceSchema
from tests.architecture.applications import APPLICATIONS
from tests.databases import Databases, create_tables

HUB = "https://hub.example"
# Tuesday, half an hour before noon in Paris.
NOW = datetime(2026, 11, 24, 10, 30, tzinfo=UTC)
TOWNS = ("Bourgoin-Jallieu", "Lyon", "Sèvres", "Saint-Étienne", "Villefontaine", "Laon")
NAMES = ("Troquet numérique", "La Cordée", "Tiers-lieu", "Atelier du Cœur", "Filature")
SERVICES = ("Café", "Fibre", "Salle de réunion", "FabLab", "Imprimante")
VALUES = ("Coopération", "Sobriété")
WEEKS: tuple[dict[str, Any], ...] = (
    {},
    {"tu": [["09:00", "18:00"]], "we": [["09:00", "12:00"]]},
    {"mo": [["20:00", "02:00"]], "tu": [["08:00", "11:30"], ["14:00", "18:00"]]},
)
STATES = ("connected", "late", "offline", "suspended", "left")


def _sheet(chance: random.Random, n: int) -> dict[str, Any]:
    closed = chance.choice(([], ["2026-11-24"], ["2026-11-25"]))
    return {
        **SpaceSchema().load(
            {"id": f"s{n}", "name": chance.choice(NAMES), "address": {"town": chance.choice(TOWNS)}}
        ),
        "timezone": chance.choice(("Europe/Paris", "Europe/Paris", "Indian/Reunion")),
        "week": chance.choice(WEEKS),
        "exceptions": chance.choice(({}, {"2026-11-24": []}, {"2026-11-24": [["10:00", "13:00"]]})),
        "until": chance.choice((None, None, None, "2026-11-23")),
        "guest_cap": chance.randrange(4),
        "conditions": {"closed": closed, "guests": {"tu": [chance.randrange(3), 1]}},
        "paused": chance.random() < 0.1,
        "project": chance.random() < 0.1,
        "services": chance.sample(SERVICES, chance.randrange(4)),
        "values": chance.sample(VALUES, chance.randrange(3)),
        "access": {"features": chance.choice(([], ["step_free"], ["lift"]))},
        "transport": chance.choice(("", "Gare")),
    }


def _place(chance: random.Random) -> tuple[float | None, float | None]:
    if chance.random() < 0.1:
        return None, None
    if chance.random() < 0.1:  # both sides of 180°, and a pole
        return chance.choice(((-17.0, 179.9), (-17.0, -179.9), (89.9, 10.0)))
    return round(chance.uniform(44, 46), 4), round(chance.uniform(4, 6), 4)


def _fill(session: Any, chance: random.Random, count: int) -> None:
    charter = charters.adopt_first(session, NOW, model_sources())
    begin_write(session)
    for n in range(12):
        node_id = f"n{n}"
        session.add(
            Node(
                id=node_id,
                name=node_id,
                url=f"https://{node_id}.example",
                state=STATES[n % len(STATES)],
                plans={},
                enrolled_at=NOW,
                last_seen_at=NOW - timedelta(minutes=n),
            )
        )
        session.flush()
        if n % 4:
            session.add(Signature(version=charter.version, node_id=node_id, jws="-", signed_at=NOW))
    for n in range(count):
        _add(session, chance, n)
    session.commit()


def _add(session: Any, chance: random.Random, n: int) -> None:
    sheet, (latitude, longitude) = _sheet(chance, n), _place(chance)
    session.add(
        Space(
            id=sheet["id"],
            node_id=f"n{chance.randrange(12)}",
            name=sheet["name"],
            town=sheet["address"]["town"],
            latitude=latitude,
            longitude=longitude,
            document={**sheet, "latitude": latitude, "longitude": longitude},
            published_at=NOW - timedelta(seconds=chance.choice((30, 90))),
            withdrawn_at=NOW if chance.random() < 0.05 else None,
        )
    )
    session.flush()
    if chance.random() < 0.8:
        session.add(
            Availability(
                space_id=sheet["id"],
                guest_places=chance.randrange(4),
                guest_places_free=chance.randrange(4),
                paused=chance.random() < 0.1,
                as_of=NOW - timedelta(seconds=chance.choice((60, 60, -4, -60))),
                expires_at=NOW + timedelta(seconds=chance.choice((240, 240, 0, 1))),
            )
        )


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    folder: Path = tmp_path_factory.mktemp("index")
    app = APPLICATIONS["hub"](folder, Databases(folder, None).new())
    create_tables(app)
    with app.app_context():
        _fill(db.session(), random.Random(7), 90)
        yield app
        db.session.remove()


def _walk(session: Any, wanted: Filters, now: datetime) -> list[dict[str, Any]]:
    """The plain way: look at each space as the public sees it."""
    signed, rules = charters.signatories(session), charters.in_force(session).rules
    rows = {row.id: row for row in published.spaces(session)}
    shown = [presenter.present(row, now, HUB, signed) for row in rows.values()]
    return [
        each
        for each in shown
        if _is_it(each, wanted)
        and _is_open(each, wanted)
        and (not wanted.plan or _admits(each, rows[each["id"]], wanted.plan, rules, now))
    ]


def _is_it(shown: dict[str, Any], wanted: Filters) -> bool:
    free, place = (
        shown["availability"]["guest_places_free"],
        (shown["latitude"], shown["longitude"]),
    )
    if wanted.box or wanted.near:
        if None in place:
            return False
        west, south, east, north = wanted.box or (-180, -90, 180, 90)
        if not (south <= place[0] <= north and west <= place[1] <= east):
            return False
    return (
        (not wanted.near or distance_km(wanted.near, place) <= wanted.radius_km)
        and {plain(name) for name in wanted.services} <= {*map(plain, shown["services"])}
        and {plain(name) for name in wanted.values} <= {*map(plain, shown["values"])}
        and set(wanted.facets) <= facets.facets(shown)
        and (not wanted.kind or (wanted.kind == "listed") == shown["listed"])
        and (not wanted.seats or (free is not None and free >= wanted.seats))
    )


def _is_open(shown: dict[str, Any], wanted: Filters) -> bool:
    schedule = read_schedule(shown)
    then = wanted.open_at
    return (not wanted.open_now or shown["open"] is True) and (
        then is None or (schedule.known and schedule.opening_at(then) is not None)
    )


def _admits(shown: dict[str, Any], row: Space, plan: str, rules: Any, now: datetime) -> bool:
    schedule = read_schedule(shown)
    over = schedule.until and now.astimezone(schedule.zone).date() > schedule.until
    return bool(
        shown["reciprocity"]
        and not row.document["paused"]
        and not shown["project"]
        and not over
        and plan in rules.eligible_plans.classes
    )


instants = st.datetimes(datetime(2026, 11, 20), datetime(2026, 12, 1)).map(  # noqa: DTZ001
    lambda naive: naive.replace(tzinfo=UTC)
)
boxes = st.tuples(
    st.floats(-180, 5), st.floats(-90, 45.5), st.floats(4.5, 180), st.floats(45, 90)
).filter(lambda box: box[0] <= box[2] and box[1] <= box[3])
near = st.sampled_from([(45.0, 5.0), (44.2, 5.9), (-17.0, 179.99), (89.9, -170.0)])
questions = st.builds(
    Filters,
    box=st.none() | boxes,
    services=st.lists(st.sampled_from(["cafe", "FIBRE", "none"]), max_size=2).map(tuple),
    values=st.lists(st.sampled_from(["cooperation", "sobriété"]), max_size=1).map(tuple),
    facets=st.lists(st.sampled_from(facets.FACETS), max_size=2, unique=True).map(tuple),
    kind=st.sampled_from(["", "", "connected", "listed"]),
    plan=st.sampled_from(["", "", *PLAN_CLASSES]),
    open_now=st.booleans(),
    open_at=st.none() | instants,
    seats=st.sampled_from([0, 0, 1, 2]),
    near=st.none() | near,
    radius_km=st.floats(1, 1000),
)


@settings(
    deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(wanted=questions, now=st.just(NOW) | instants)
def test_whatever_is_asked_a_plain_walk_finds_the_same(
    hub: Flask, wanted: Filters, now: datetime
) -> None:
    session = db.session()
    expected = {shown["id"]: shown for shown in _walk(session, wanted, now)}
    found = search.matches(session, wanted, now)
    assert {entry.id for entry in found} == set(expected)
    page = search.page(session, wanted, now, HUB)
    assert [shown["id"] for shown in page.shown] == [entry.id for entry in found]
    for entry in found:
        shown, feature = expected[entry.id], features.point(entry, now)
        assert feature[5] == features.STATES[shown["open"]]
        assert feature[6] == shown["availability"]["guest_places_free"]
        assert feature[7:] == [shown["reciprocity"], shown["listed"]]
    if wanted.near is not None:
        far = [shown["distance_km"] for shown in page.shown]
        assert far == sorted(far)
        assert all(km <= wanted.radius_km + 0.05 for km in far)


def test_features_say_what_spaces_say(hub: Flask) -> None:
    session = db.session()
    entries = {
        entry.id: entry
        for entry in search.matches(session, Filters(seats=0, kind="connected"), NOW)
    }
    heard = features.heard_of(session, [*entries.values()])
    shown = _walk(session, Filters(), NOW)
    assert len(shown) == len(entries) > 40
    for each in shown:
        properties = features.feature(entries[each["id"]], NOW, HUB, heard)["properties"]
        assert properties["as_of"] == each["availability"]["as_of"]
        assert properties["url"] == each["url"]
        assert [*properties["services"]] == each["services"]
        assert [*properties["values"]] == each["values"]
        assert properties["open"] == each["open"]


def test_pages_follow_each_other_and_leave_nothing_out(hub: Flask) -> None:
    session = db.session()
    for wanted in (
        Filters(kind="connected"),
        Filters(words="lion"),
        Filters(near=(45.0, 5.0), radius_km=90),
    ):
        every = [entry.id for entry in search.matches(session, wanted, NOW)]
        ids, after = list[str](), ""
        while True:
            page = search.page(session, wanted, NOW, HUB, after=after, limit=7)
            assert page.total == len(every) > 7
            ids += [shown["id"] for shown in page.shown]
            if page.next_cursor is None:
                break
            after = page.next_cursor
        assert ids == every


@pytest.mark.parametrize(
    ("typed", "town"),
    [
        ("trouquet numerik", None),
        ("bourgoin jalieu", "Bourgoin-Jallieu"),
        ("BOURGOIN", "Bourgoin-Jallieu"),
        ("st etienne", "Saint-Étienne"),
        ("saint-etiene", "Saint-Étienne"),
        ("vilefontiane", "Villefontaine"),
        ("coeur", None),
        ("cœur", None),
    ],
)
def test_words_are_found_as_people_type_them(hub: Flask, typed: str, town: str | None) -> None:
    found = search.matches(db.session(), Filters(words=typed), NOW)
    assert found
    if town:
        assert {entry.town for entry in found} == {town}
    else:
        assert len({entry.name for entry in found}) == 1


@pytest.mark.parametrize("typed", ["xyzzy", "日本", "!!", "oyrgoin", "lyon xyzzy", "evres"])
def test_nonsense_finds_nothing(hub: Flask, typed: str) -> None:
    assert search.matches(db.session(), Filters(words=typed), NOW) == []


def test_what_begins_so_comes_before_what_nearly_does() -> None:
    words = Words[str]()
    for town in ("Laon", "Lyon", "Lion-sur-Mer", "Lyons-la-Forêt"):
        words.add(town, words_of(town))
    assert words.find("lyon") == {"Lyon": 0, "Lyons-la-Forêt": 0, "Lion-sur-Mer": 1, "Laon": 1}
    for number in range(FEW):
        words.add(f"Lyon {number}", words_of(f"Lyon {number}"))
    assert set(words.find("lyon").values()) == {0}
    words.remove("Lyon", words_of("Lyon"))
    assert "Lyon" not in words.find("lyon")


@given(st.text("abc", min_size=1, max_size=7), st.text("abc", max_size=9))
def test_edits_count_the_fewest_changes_that_make_a_beginning(typed: str, word: str) -> None:
    """Compared with the definition, step by step from every beginning of the word."""
    from functools import cache

    @cache
    def far(i: int, j: int) -> int:
        if not (i and j):
            return i + j
        best = min(
            far(i - 1, j) + 1,
            far(i, j - 1) + 1,
            far(i - 1, j - 1) + (typed[i - 1] != word[j - 1]),
        )
        if i > 1 and j > 1 and typed[i - 1] == word[j - 2] and typed[i - 2] == word[j - 1]:
            best = min(best, far(i - 2, j - 2) + 1)
        return best

    least = min(far(len(typed), j) for j in range(len(word) + 1))
    for most in (1, 2):
        assert edits(typed, word, most) == min(least, most + 1)
    assert most_edits(typed) <= 1


def test_clusters_count_everything_and_are_few(hub: Flask) -> None:
    entries = [e for e in search.matches(db.session(), Filters(), NOW) if e.latitude is not None]
    many = entries * 12
    for zoom in (0, 7, 12, 22):
        alone, together = clusters.cluster(many, zoom)
        assert len(alone) + sum(each.number for each in together) == len(many)
        assert len(alone) + len(together) <= clusters.MOST_ITEMS
        for each in together:
            west, south, east, north = each.box
            assert west - 1e-5 <= each.longitude <= east + 1e-5
            assert south - 1e-5 <= each.latitude <= north + 1e-5
    assert clusters.cluster(entries, 3) == (entries, [])


def test_a_document_says_what_there_is() -> None:
    assert facets.facets({}) == set()
    assert facets.facets({"about": {"kind": "fablab"}, "access": {"features": ["lift"]}}) == {
        "fablab"
    }
    rooms = [{"name": "Le Fab Lab", "kind": "other"}, {"name": "A", "kind": "meeting"}]
    assert facets.facets({"rooms": rooms, "transport": " "}) == {"fablab", "meeting_room"}
    assert facets.facets({"services": ["Deux salles de réunion"]}) == {"meeting_room"}


# What other processes write


def _ids(hub: Flask, **wanted: Any) -> set[str]:
    db.session.remove()  # as the next request
    return {entry.id for entry in search.matches(db.session(), Filters(**wanted), NOW)}


def test_what_is_written_elsewhere_is_found_and_what_is_withdrawn_is_not(
    databases: Databases, tmp_path: Path
) -> None:
    app = APPLICATIONS["hub"](tmp_path, databases.new())
    create_tables(app)
    with app.app_context():
        session = db.session()
        _fill(session, random.Random(1), 5)
        before = _ids(app)
        watch, revision = index_refresh.of(db.session()), index_refresh.of(db.session()).revision
        assert _ids(app) == before
        assert watch.revision == revision

        session = db.session()
        begin_write(session)
        session.add(
            Node(
                id="new",
                name="new",
                url="https://new.example",
                plans={},
                enrolled_at=NOW,
                last_seen_at=NOW,
            )
        )
        session.flush()
        sheet = {
            **_sheet(random.Random(2), 99),
            "paused": False,
            "project": False,
            "conditions": {},
        }
        session.add(
            Space(
                id="s99", node_id="new", name="Neuf", town="Nancy", document=sheet, published_at=NOW
            )
        )
        session.flush()
        told = {"guest_places": 9, "guest_places_free": 9, "paused": False}
        session.add(
            Availability(space_id="s99", **told, as_of=NOW, expires_at=NOW + timedelta(hours=1))
        )
        session.commit()
        assert _ids(app) == before | {"s99"}
        assert _ids(app, words="nancy") == {"s99"}
        assert _ids(app, seats=9) == set()

        session = db.session()
        begin_write(session)
        version = charters.in_force(session).version
        session.add(Signature(version=version, node_id="new", jws="-", signed_at=NOW))
        session.commit()
        assert _ids(app, seats=9) == {"s99"}
        _write(
            update(Availability).where(Availability.space_id == "s99").values(guest_places_free=1)
        )
        assert _ids(app, seats=9) == set()
        _write(update(Space).where(Space.id == "s99").values(name="Autre", town="Metz"))
        assert (_ids(app, words="nancy"), _ids(app, words="metz")) == (set(), {"s99"})
        _write(update(Node).where(Node.id == "new").values(state="suspended"))
        assert (_ids(app, words="metz"), _ids(app, seats=1, words="metz")) == ({"s99"}, set())
        _write(update(Node).where(Node.id == "new").values(state="left"))
        assert _ids(app) == before
        _write(update(Node).where(Node.id == "new").values(state="connected"))
        assert _ids(app, seats=1, words="metz") == {"s99"}
        _write(update(Space).where(Space.id == "s99").values(withdrawn_at=NOW))
        assert _ids(app) == before
        db.session.remove()
        db.engine.dispose()


def _write(statement: Any) -> None:
    session = db.session()
    begin_write(session)
    session.execute(statement)
    session.commit()


def test_what_was_committed_late_or_deleted_is_noticed_after_a_while(
    hub: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _ids(hub)
    gone = sorted(before)[0]
    _write(update(Space).where(Space.id == gone).values(town="Ailleurs", stamp=1))
    assert gone not in _ids(hub, words="ailleurs")
    monkeypatch.setattr(index_refresh, "ALL_EVERY", 0)
    assert _ids(hub, words="ailleurs") == {gone}


# Answers that are kept


def test_a_kept_answer_is_the_answer_with_all_that_stands_above_it(
    hub: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, path = hub.test_client(), "/api/v1/spaces/points?service=cafe"
    monkeypatch.setattr(index_refresh, "LOOK_SECONDS", 60)
    monkeypatch.setattr(response_cache, "_KEPT", timedelta(hours=1))
    fast = _count(monkeypatch, response_cache, "_send")
    for asked in (path, "/api/v1/spaces.csv", "/api/v1/spaces.geojson?limit=3"):
        first, _, third = (
            client.get(asked, headers={"X-Request-ID": f"number-{n}"}) for n in "123"
        )
        assert (first.status_code, first.data) == (200, third.data)
        assert third.headers["X-Request-ID"] == "number-3"
        ours, theirs = ({**each.headers} for each in (first, third))
        for headers in (ours, theirs):
            del headers["X-Request-ID"], headers["Server-Timing"]
            headers.pop("RateLimit", None)  # what is kept counts for nothing
        assert ours == theirs
        tag = {"If-None-Match": first.headers["ETag"]}
        unchanged = client.get(asked, headers=tag)
        assert (unchanged.status_code, unchanged.data) == (304, b"")
        assert unchanged.headers["ETag"] == first.headers["ETag"]
        assert client.get(asked, headers={"If-None-Match": 'W/"other"'}).status_code == 200
        short = [client.get(asked, headers={"Accept-Encoding": "gzip"}) for _ in "12"]
        for each in short:
            assert each.headers["Content-Encoding"] == "gzip"
            assert gzip.decompress(each.data) == first.data
        assert client.get(asked).data == first.data
    assert len(fast) == 3 * 6
    assert client.post(path).status_code == 405
    assert client.get(f"{path}&seats=x").status_code == 422


def test_a_kept_answer_is_not_given_once_something_changed(
    hub: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, path = hub.test_client(), "/api/v1/spaces/points?seats=0&q=lyon"
    before = [client.get(path).json for _ in range(3)]
    space_id = before[0]["points"][0][0]
    _write(update(Space).where(Space.id == space_id).values(town="Lyon 2e"))
    after = client.get(path).json["points"]
    assert [point[2] for point in after if point[0] == space_id] == ["Lyon 2e"]


def _count(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[Any]:
    """Note each call of a function."""
    calls, real = list[Any](), getattr(module, name)

    def note(*arguments: Any) -> Any:
        calls.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(module, name, note)
    return calls
