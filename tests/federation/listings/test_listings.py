"""Lists of spaces that run no node: what is read, what may be one, and what an import does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from federation.audit.models import AuditEntry
from federation.context import hub as hub_context
from federation.db import db
from federation.listings import document, importing, labels, mapping, reading, service, spaces
from federation.listings.dry_run import Trial, examine
from federation.listings.importing import Decision, Wanted
from federation.listings.models import Listing, ListingChoice, ListingDraft
from federation.listings.similarity import Index, Known, like_names
from federation.nodes.models import Node
from federation.spaces.models import ListingSource, Space
from shared.store.db import begin_write
from shared.wire.tables import SheetFault
from tests.conftest import EITHER, _databases
from tests.network import new_network

# Reading


def table(content: str | bytes) -> reading.Table:
    given_bytes = content.encode() if isinstance(content, str) else content
    return reading.read(reading.to_text(given_bytes))


def facts(content: str | bytes, **constants: str) -> list[dict[str, Any]]:
    """Return what each row of a file says, its columns taken as their names suggest."""
    found = table(content)
    columns = {
        **mapping.guess(found.columns),
        **{name: {"text": text} for name, text in constants.items()},
    }
    return [mapping.make(row.cells, columns).facts for row in found.rows]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_csv_is_read_whatever_separates_it_and_however_it_is_encoded(
    delimiter: str, encoding: str
) -> None:
    rows = [["Nom", "Code postal", "Ville"], ["L’Été à l’Œuvre", "38300", "Bourgoin-Jallieu"]]
    content = "\r\n".join(delimiter.join(row) for row in rows).encode(encoding)
    (found,) = facts(content)
    assert found == {
        "name": "L’Été à l’Œuvre",
        "postcode": "38300",
        "town": "Bourgoin-Jallieu",
    }


def test_geojson_gogocarto_and_spaceapi_are_read_to_the_same_facts() -> None:
    geojson = {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "geometry": {"type": "Point", "coordinates": [5.273, 45.5866]},
                "properties": {"name": "La Fabrique", "town": "Bourgoin", "site": "a.example"},
            }
        ],
    }
    gogocarto = {
        "data": [
            {
                "name": "La Fabrique",
                "geo": {"latitude": 45.5866, "longitude": 5.273},
                "address": {"addressLocality": "Bourgoin"},
                "website": "https://a.example",
            }
        ]
    }
    spaceapi = {
        "api_compatibility": ["15"],
        "space": "La Fabrique",
        "url": "https://a.example",
        "location": {"lat": 45.5866, "lon": 5.273, "address": "38300 Bourgoin, France"},
    }
    wanted = {
        "name": "La Fabrique",
        "latitude": 45.5866,
        "longitude": 5.273,
        "town": "Bourgoin",
        "website": "https://a.example",
    }
    for told, kind in (
        (geojson, "geojson"),
        (gogocarto, "gogocarto"),
        (gogocarto["data"], "gogocarto"),
        (spaceapi, "spaceapi"),
    ):
        content = orjson.dumps(told)
        assert table(content).kind == kind
        (found,) = facts(content)
        found.pop("postcode", None)
        assert found == wanted, kind


@pytest.mark.parametrize(
    ("cells", "place"),
    [
        ({"lat": "45,5866", "lon": "5,273"}, (45.5866, 5.273)),
        ({"geo_point_2d": "45.5866, 5.273"}, (45.5866, 5.273)),
        ({"coordonnées": "45,5866;5,273"}, (45.5866, 5.273)),
        ({"lat": "884123.4", "lon": "6499871.2"}, None),
        ({"lat": "0", "lon": "0"}, None),
        ({"lat": "nan", "lon": "1e9"}, None),
        ({"lat": "91", "lon": "5"}, None),
    ],
)
def test_places_are_degrees_or_nothing(cells: dict[str, str], place: Any) -> None:
    made = mapping.make(
        {"nom": "A", "ville": "B", **cells}, mapping.guess(["nom", "ville", *cells])
    )
    found = made.facts.get("latitude"), made.facts.get("longitude")
    assert found == (place or (None, None))
    assert bool(made.notes) == (place is None)
    assert not made.faults


def test_an_address_in_one_line_is_taken_apart() -> None:
    (found,) = facts('nom;adresse complète\nA;"12 bis, rue de la Gare, 38300 Bourgoin-Jallieu"\n')
    assert found["street"] == "12 bis, rue de la Gare"
    assert (found["postcode"], found["town"]) == ("38300", "Bourgoin-Jallieu")
    (long,) = facts(f'nom;ville;adresse complète\nA;B;"{", " * 4000}"\n')
    assert "street" not in long


def test_what_cannot_be_used_of_a_row_is_left_out_and_said() -> None:
    header = "nom;ville;site;courriel;capacité;description"
    hostile = f"{header}\nA;B;javascript:alert(1);pas une adresse;beaucoup;{'d' * 9000}\n"
    found = table(hostile)
    made = mapping.make(found.rows[0].cells, mapping.guess(found.columns))
    assert [(n.field, n.code) for n in made.notes] == [
        ("description", "cut"),
        ("website", "not-web"),
        ("email", "not-mail"),
        ("capacity", "not-number"),
    ]
    assert made.facts.keys() == {"name", "town", "description"}
    assert len(made.facts["description"]) == mapping.LONGEST_DESCRIPTION


def test_a_row_without_a_name_or_any_place_is_a_fault() -> None:
    columns = mapping.guess(["nom", "ville"])
    codes = {
        cells: [fault.code for fault in mapping.make(dict(cells), columns).faults]
        for cells in (
            (("nom", "A"), ("ville", "")),
            (("nom", ""), ("ville", "B")),
            (("nom", "n" * 121), ("ville", "B")),
        )
    }
    assert list(codes.values()) == [["no-place"], ["missing"], ["too-long"]]


def test_text_is_text_without_marks_that_turn_what_is_around_it() -> None:
    (found,) = facts("nom;ville\n\u202eevil\u202c <b>\x00&\x07 😀;\u200fB\n")
    assert found == {"name": "evil <b>�& 😀", "town": "B"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"   \n",
        b"nom;ville\n",
        b"PK\x03\x04rest of a workbook",
        b"%PDF-1.7",
        b"<html><body>404</body></html>",
        b'{"type": "FeatureCollection", "features": ',
        b'{"a": 1}',
        b'{"features": []}',
        b"[" * 5000,
        b'nom;ville\n"A;B\n' * 2 + b'"' + b"x" * 200_000,
        b"x" * (reading.MAX_BYTES + 1),
    ],
)
def test_what_is_no_list_is_refused_in_words(content: bytes) -> None:
    from flask import Flask
    from flask_babel import Babel

    app = Flask(__name__)
    Babel(app)
    with app.test_request_context(), pytest.raises(SheetFault) as refused:
        table(content)
    assert str(refused.value)


def test_of_very_many_columns_those_that_say_most_are_kept() -> None:
    entries = [{"name": "A", "town": "B", f"tag{n}": "x"} for n in range(300)]
    found = table(orjson.dumps(entries))
    assert len(found.columns) == reading.MAX_COLUMNS
    assert found.columns[:2] == ("name", "town")
    assert len(labels.samples(found)) == reading.MAX_COLUMNS


def test_deep_and_odd_json_is_flattened_or_left() -> None:
    deep: Any = "end"
    for _ in range(50):
        deep = {"a": deep}
    entries = [
        {
            "name": "A",
            "town": "B",
            "deep": deep,
            "tags": [{"name": "x"}, "y", None, [1]],
            "n": None,
        },
        "not an object",
        {"name": ["A", "B"], "town": {"x": 1}},
        {"name": True, "town": 3.5},
    ]
    found = facts(orjson.dumps(entries))
    assert found[0] == {"name": "A", "town": "B", "services": ["x", "y"]}
    assert found[1] == {}


# Which may be one


def test_like_names_are_those_that_differ_by_small_words_accents_or_a_letter() -> None:
    assert like_names("La Cordée", "CORDEE - espace de coworking")
    assert like_names("Le Troquet Numérique", "Troquet numerique")
    assert like_names("Atelier des Médias", "Atelier des Media")
    assert not like_names("La Cordée", "La Corderie royale")
    assert not like_names("Le Coworking", "La Fabrique")


def test_a_space_is_like_another_by_name_nearby_by_address_or_by_site() -> None:
    here, far = (45.5866, 5.2730), (48.85, 2.35)
    known = [
        Known("near", "La Fabrique", "Bourgoin", place=(45.5870, 5.2731)),
        Known("far", "La Fabrique", "Paris", place=far),
        Known("street", "Autre", "Bourgoin", "1, rue du Four", place=(45.59, 5.28)),
        Known("site", "Encore", "Bourgoin", website="http://www.fab.example/", place=(45.6, 5.28)),
        Known("chain", "Ailleurs", "Paris", website="https://fab.example", place=far),
        Known("unplaced", "Fabriques", "BOURGOIN"),
    ]
    sought = Known("", "la fabrique", "Bourgoin", "1 Rue du Four", "https://fab.example", here)
    found = {like.space.id: like.why for like in Index(known).like(sought)}
    assert found == {
        "near": ("name",),
        "street": ("address",),
        "site": ("site",),
        "unplaced": ("name",),
    }


# Importing, on either database


@pytest.fixture(scope="module", params=EITHER)
def session(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Session]:
    folder = tmp_path_factory.mktemp("listings")
    databases = _databases(request, folder)
    network = new_network(folder, databases)
    with network.hub.app.test_request_context(headers={"Accept-Language": "en"}):
        add_connected(db.session())
        yield db.session()
        db.session.remove()
    network.close()
    databases.drop()


def add_connected(session: Session) -> None:
    """Add a node with one space, without running it."""
    begin_write(session)
    at = hub_context().clock.now()
    values = {"name": "troquet", "url": "https://troquet.example", "plans": {}}
    session.add(Node(id="troquet", enrolled_at=at, last_seen_at=at, **values))
    session.flush()
    sheet = {"id": "troquet", "name": "Le Troquet", "town": "Lyon"}
    told = {**document.document("troquet", sheet), "page": "https://troquet.example"}
    session.add(Space(node_id="troquet", published_at=at, document=told, **sheet))
    session.commit()


@pytest.fixture(autouse=True)
def _no_listed(request: pytest.FixtureRequest) -> None:
    if "session" not in request.fixturenames:
        return
    found: Session = request.getfixturevalue("session")
    empty(found)


def empty(session: Session) -> None:
    begin_write(session)
    for model in (ListingChoice, ListingDraft, Listing):
        session.execute(delete(model))
    session.execute(delete(Space).where(Space.node_id.is_(None)))
    session.execute(delete(ListingSource))
    session.commit()


TOLD = {
    "name": "Tiers-lieux",
    "url": None,
    "file_name": "liste.csv",
    "licence": "ODbL",
    "attribution": "",
}


def now() -> Any:
    return hub_context().clock.now()


def bring(session: Session, content: str, name: str = "Tiers-lieux") -> ListingDraft:
    of = session.scalar(select(ListingSource).filter_by(name=name))
    told = {"file_name": "liste.csv"} if of else {**TOLD, "name": name}
    text = reading.to_text(content.encode())
    draft_id = service.store(session, now(), 1, text, reading.read(text), told=told, of=of)
    found = service.kept(session, now(), 1, draft_id)
    assert found is not None
    return found


def trial_of(session: Session, draft: ListingDraft) -> Trial:
    return examine(session, reading.read(draft.text), draft.mapping, draft.source_id)


def take(session: Session, content: str, name: str = "Tiers-lieux", **wanted: Any) -> str:
    """Import a file as the pages do; return what the last step says."""
    draft = bring(session, content, name)
    source = session.get(ListingSource, draft.source_id) if draft.source_id else None
    revision = source.revision if source else 0
    steps = list(importing.run(session, now(), draft, Wanted(revision, **wanted)))
    return f"{steps[-1].state} {steps[-1].words}"


def rows(session: Session) -> list[tuple[Any, ...]]:
    query = select(Space, Listing).join(Listing, Listing.space_id == Space.id).order_by(Space.id)
    return [
        (s.id, s.name, s.town, s.document, s.withdrawn_at is None, s.published_at, ls.facts)
        for s, ls in session.execute(query)
    ]


def shown(session: Session) -> set[str]:
    return {row[1] for row in rows(session) if row[4]}


LIST = "id;nom;ville;lat;lon\n1;Un;Lyon;45.76;4.83\n2;Deux;Lille;50.63;3.06\n3;Trois;Brest;;\n"


def test_the_same_file_twice_is_the_file_once(session: Session) -> None:
    assert "3 new, 0 changed, 0 unchanged" in take(session, LIST)
    before = rows(session)
    assert "0 new, 0 changed, 3 unchanged" in take(session, LIST)
    assert rows(session) == before
    assert shown(session) == {"Un", "Deux", "Trois"}


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
ENTRIES = st.lists(
    st.fixed_dictionaries(
        {"name": TEXTS, "town": TEXTS},
        optional={
            "id": TEXTS | st.integers(0, 3),
            "latitude": st.floats(-100, 100) | TEXTS,
            "longitude": st.floats(-200, 200),
            "website": TEXTS,
            "capacity": st.integers(-5, 10**12),
            "categories": st.lists(TEXTS, max_size=3),
        },
    ),
    min_size=1,
    max_size=6,
)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(ENTRIES)
def test_importing_any_list_twice_is_importing_it_once(
    session: Session, entries: list[dict[str, Any]]
) -> None:
    empty(session)
    content = orjson.dumps(entries).decode()
    take(session, content, rest="apart")
    before = rows(session)
    said = take(session, content, rest="apart")
    assert "0 new, 0 changed" in said
    assert rows(session) == before


def test_a_changed_row_is_the_same_space_and_one_that_is_gone_waits_for_a_word(
    session: Session,
) -> None:
    take(session, LIST)
    ids = {row[1]: row[0] for row in rows(session)}
    changed = LIST.replace("Un;Lyon", "Un et demi;Lyon").replace("2;Deux;Lille;50.63;3.06\n", "")
    draft = bring(session, changed)
    trial = trial_of(session, draft)
    assert [line.differs for line in trial.of("changed")] == [("name",)]
    assert trial.gone == [(ids["Deux"], "Deux")]
    assert "0 new, 1 changed, 1 unchanged, 0 removed" in take(session, changed)
    assert shown(session) == {"Un et demi", "Deux", "Trois"}
    assert "1 removed" in take(session, changed, gone=frozenset({ids["Deux"]}))
    assert shown(session) == {"Un et demi", "Trois"}
    assert "1 new" in take(session, LIST)  # it is in the list again
    assert {row[1]: row[0] for row in rows(session)} == ids


def test_a_likely_double_waits_and_what_is_decided_holds_for_the_next_import(
    session: Session,
) -> None:
    take(session, LIST)
    other = (
        "id;nom;ville;lat;lon\na;UN !;Lyon;45.7601;4.8301\nb;Deux;Lille;50.6301;3.0601\n"
        "c;Le trois;Brest;;\nd;Quatre;Nice;43.7;7.26\n"
    )
    trial = trial_of(session, bring(session, other, "Autre"))
    assert [line.place for line in trial.of("doubtful")] == [2, 3, 4]
    assert "1 new" in take(session, other, "Autre")  # what waits is not listed
    ids = {row[1]: row[0] for row in rows(session)}
    decisions = {
        2: Decision("same", ids["Un"]),
        3: Decision("apart", ids["Deux"]),
        4: Decision("skip"),
    }
    assert "1 new" in take(session, other, "Autre", decisions=decisions)
    again = trial_of(session, bring(session, other, "Autre"))
    assert [line.state for line in again.lines] == ["merged", "same", "skipped", "same"]
    assert [row[1] for row in rows(session)].count("Deux") == 2
    source_id = session.scalar(select(ListingSource.id).filter_by(name="Autre"))
    assert source_id is not None
    service.reconsider(session, now(), "account:1", source_id, {"id c"})
    assert [line.place for line in trial_of(session, bring(session, other, "Autre")).of("doubtful")]


def test_an_import_that_died_half_way_is_finished_by_the_next(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "AT_ONCE", 2)
    content = "nom;ville\n" + "".join(f"Lieu {n * 7919};Ville {n}\n" for n in range(7))
    steps = importing.run(session, now(), bring(session, content), Wanted())
    for _ in range(3):
        next(steps)
    steps.close()  # as a process that is killed: what was committed stays
    assert len(rows(session)) == 4
    ids = {row[0] for row in rows(session)}
    assert "3 new, 0 changed, 4 unchanged" in take(session, content)
    assert ids < {row[0] for row in rows(session)}
    assert len(rows(session)) == 7


def test_of_two_imports_at_once_the_later_goes_on_alone(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "AT_ONCE", 1)
    first = importing.run(session, now(), bring(session, LIST), Wanted())
    assert [next(first).state for _ in range(2)] == ["going", "going"]
    assert take(session, LIST).startswith("done")
    assert next(first).state == "failed"
    assert shown(session) == {"Un", "Deux", "Trois"}
    stale = list(importing.run(session, now(), bring(session, LIST), Wanted(revision=1)))
    assert stale[-1].state == "failed"  # its trial was made before the other's import


def test_what_was_edited_or_removed_by_hand_stays_so_after_an_import(session: Session) -> None:
    take(session, LIST)
    ids = {row[1]: row[0] for row in rows(session)}
    spaces.edit(session, now(), "account:1", ids["Un"], {"name": "Un, corrigé", "latitude": None})
    spaces.remove(session, now(), "account:1", 1, ids["Deux"])
    take(session, LIST.replace("Lyon", "Villeurbanne"))
    assert shown(session) == {"Un, corrigé", "Trois"}
    one = session.get_one(Space, ids["Un"])
    assert (one.town, one.latitude) == ("Villeurbanne", None)
    spaces.restore(session, now(), "account:1", ids["Deux"])
    assert shown(session) == {"Un, corrigé", "Deux", "Trois"}


def test_what_is_taken_off_the_map_while_an_import_runs_stays_off(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(session, LIST)
    ids = {row[1]: row[0] for row in rows(session)}
    monkeypatch.setattr(importing, "AT_ONCE", 1)
    changed = LIST.replace("Lyon", "Vienne").replace("Lille", "Roubaix").replace("Brest", "Vannes")
    steps = importing.run(session, now(), bring(session, changed), Wanted(revision=1))
    assert [next(steps).state for _ in range(2)] == ["going", "going"]
    spaces.remove(session, now(), "account:1", 1, ids["Deux"])
    spaces.become(session, now(), "account:1", ids["Trois"], "troquet")
    assert list(steps)[-1].state == "done"
    assert shown(session) == {"Un"}


def test_a_listed_space_that_joined_leads_to_the_one_with_a_node(session: Session) -> None:
    take(session, "nom;ville;lat;lon\nLe Troquet;Lyon;45.76;4.83\n", rest="apart")
    ((listed_id, *_),) = rows(session)
    assert spaces.joined(session) == []
    begin_write(session)
    session.execute(delete(ListingChoice))  # as if the node had come after the import
    session.commit()
    ((found, like),) = spaces.joined(session)
    assert (found.id, like.space.id) == (listed_id, "troquet")
    spaces.become(session, now(), "account:1", listed_id, "troquet")
    assert shown(session) == set()
    assert spaces.now_at(session, listed_id) == "troquet"
    assert "1 as decided" in take(session, "nom;ville;lat;lon\nLe Troquet;Lyon;45.76;4.83\n")
    assert shown(session) == set()
    spaces.restore(session, now(), "account:1", listed_id)
    spaces.keep_apart(session, now(), "account:1", 1, listed_id, "troquet")
    assert spaces.joined(session) == []
    assert spaces.now_at(session, listed_id) is None


def test_every_change_by_a_person_is_in_the_audit_log(session: Session) -> None:
    before = session.scalar(select(func.max(AuditEntry.id))) or 0
    session.rollback()
    take(session, LIST)
    listed_id = rows(session)[0][0]
    spaces.edit(session, now(), "account:1", listed_id, {"name": "X"})
    spaces.edit(session, now(), "account:1", listed_id, {"name": "X"})  # nothing changes
    spaces.remove(session, now(), "account:1", 1, listed_id)
    spaces.restore(session, now(), "account:1", listed_id)
    spaces.become(session, now(), "account:1", listed_id, "troquet")
    later = select(AuditEntry).where(AuditEntry.id > before)
    entries = session.scalars(later.order_by(AuditEntry.id))
    assert [(entry.action, set(entry.detail) >= {"after"}) for entry in entries] == [
        ("listing-source", True),
        ("listing-import", True),
        ("listing-edit", True),
        ("listing-remove", True),
        ("listing-restore", True),
        ("listing-became", True),
    ]
