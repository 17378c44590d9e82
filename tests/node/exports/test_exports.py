"""An operator takes everything along, in open formats, and takes it into a fresh node."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from icalendar import Calendar
from sqlalchemy import select

from node.db import db
from node.events import service as events
from node.exports import service
from node.exports.importing import take_in
from node.exports.parts import space_sheet
from node.exports.reading import ImportFault, read_export
from node.members.models import Member, Plan
from node.photos.models import Photo
from node.spaces import service as spaces
from node.spaces.hours import special_day
from shared.store.db import begin_write
from tests.network import LocalNode, Network

# What an export does not take along, and why.
STAYS = {
    "api_token": "a token opens something",
    "card": "a PIN's hash",
    "card_showing": "of the last weeks",
    "door_code": "a pass for the next minute",
    "enrolment": "the place of this node in the network, and of no other",
    "host_request": "of the last minutes",
    "idempotency_key": "of the last hours",
    "space_source": "an address that may open something; its events are in the rest",
    "import_file": "of the last hour",
    "link": "opens an account",
    "job_record": "of the jobs process",
    "login": "opens an account",
    "recovery_code": "opens an account",
    "lost_pass": "of people who are not among the members",
    "mail": "of the last days",
    "memory": "what this node and this hub remember of each other",
    "observation": "of this machine",
    "outbox": "what the hub was told is in the rest",
    "pass": "bound to phones and to this node's key",
    "published_document": "what the hub was told is in the rest",
    "showing": "a code is good for a minute and a half",
    "wrong_door_code": "of the last minutes",
    "wrong_password": "of the last day",
}
# In which file each other table is.
TAKEN = {
    "account": "members/accounts.csv",
    "assessment": "spaces/assessments.csv",
    "booking": "bookings/hosted.csv",
    "cached": "charter/charter.json",
    "correction": "visits/corrections.csv",
    "event": "events/events.json",
    "incident": "visits/notes.csv",
    "member": "members/members.csv",
    "photo": "spaces/photos.json",
    "plan": "members/plans.csv",
    "price": "spaces/prices.csv",
    "refusal": "visits/refusals.csv",
    "room": "spaces/rooms.csv",
    "space": "spaces/spaces.json",
    "trip": "bookings/of-members.csv",
    "visit": "visits/hosted.csv",
}


def furnish(node: LocalNode) -> None:
    """Give a node something of everything."""
    with node.context() as (session, context):
        spaces.save(
            session,
            context,
            node.id,
            {
                "description": "=cmd|' /C calc'!A0",
                "latitude": 45.75,
                "longitude": 4.85,
                "special_days": [
                    special_day("2026-12-24", []),
                    special_day("2026-12-28", [["10:00", "12:00"]]),
                ],
                "services": ["Fibre", "Imprimante"],
            },
            rooms=[{"name": "Salle bleue", "kind": "meeting", "seats": 8, "area_m2": None}],
            prices=[
                {"label": "Mois", "cents": 17900, "currency": "EUR", "unit": "month", "quantity": 1}
            ],
        )
        spaces.save_values(
            session, context, node.id, {"Entraide": "Un soir…"}, 2026, {"partage": (3, "on prête")}
        )
        begin = context.clock.now() + timedelta(days=3)
        event = {
            "title": "Café, été",
            "description": "",
            "starts_at": begin,
            "ends_at": begin + timedelta(hours=2),
            "place": "",
            "url": "",
            "open_to": "everyone",
        }
        events.add(session, context, node.id, event)
        begin_write(session)
        ended = session.scalars(select(Member).order_by(Member.id)).all()
        if ended:
            ended[-1].family_name, ended[-1].ended_on = "=SUM(A1)", date(2026, 12, 31)
            ended[0].suspended_at = context.clock.now()
        session.commit()
        session.add(
            Photo(
                id="1" * 32,
                space_id=node.id,
                place=0,
                alt_fr="La cour",
                width=1600,
                height=900,
                created_at=context.clock.now(),
            )
        )
        session.commit()
        photos = context.settings.data_dir / "photos"
        photos.mkdir()
        (photos / "1.jpg").write_bytes(b"\xff\xd8 a photo")


def export(node: LocalNode, path: Path) -> Path:
    with node.context() as (session, context):
        service.write(session, context, path)
    return path


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig")), delimiter=";"))


def everything(node: LocalNode) -> dict[str, Any]:
    """Return what an import is to bring back, but for what names this database."""
    with node.context() as (session, _):
        return {
            "spaces": [space_sheet(row) for row in spaces.spaces(session)],
            "photos": [(p.id, p.alt_fr, p.width) for p in session.scalars(select(Photo))],
            "plans": sorted(
                (p.name, p.plan_class, p.half_days_per_month) for p in session.scalars(select(Plan))
            ),
            "members": sorted(
                (
                    m.account.email,
                    m.given_name,
                    m.family_name,
                    m.plan.name,
                    m.joined_on,
                    m.ended_on,
                    m.suspended_at is not None,
                )
                for m in session.scalars(select(Member))
            ),
        }


@pytest.fixture
def furnished(network: Network) -> LocalNode:
    node = network.nodes["cordee"]
    for plan_class in ("resident", "nomad", "ticket"):
        node.add_person(plan_class)
    visitor = network.nodes["troquet"].add_person()
    assert node.scan(visitor.show()).status_code == 201
    guest = node.add_person()
    assert network.nodes["troquet"].scan(guest.show()).status_code == 201
    furnish(node)
    return node


def test_every_table_is_taken_along_or_stays_for_a_reason(
    furnished: LocalNode, tmp_path: Path
) -> None:
    assert set(STAYS) | set(TAKEN) == set(db.metadata.tables)
    found = export(furnished, tmp_path / "export.zip")
    with zipfile.ZipFile(found) as archive:
        assert set(TAKEN.values()) <= set(archive.namelist())


def test_the_index_and_the_readme_name_every_file(furnished: LocalNode, tmp_path: Path) -> None:
    folder = export(furnished, tmp_path / "export")
    index = json.loads((folder / "index.json").read_text())
    files = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert files == {*index["files"], "index.json"}
    for name, said in index["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == said["sha256"]
    readme = (folder / "README.md").read_text()
    for name in {path.split("/")[0] for path in files}:
        assert readme.count(f"`{name}") >= 2 or name == "README.md", f"{name} in both languages"
    assert all(p.stat().st_mode & 0o077 == 0 for p in [folder, *folder.rglob("*.*")])


def test_nothing_that_opens_anything_is_in_an_export(furnished: LocalNode, tmp_path: Path) -> None:
    folder = export(furnished, tmp_path / "export")
    whole = b"\n".join(p.read_bytes() for p in folder.rglob("*") if p.is_file())
    with furnished.context() as (session, context):
        ring = json.loads((context.settings.data_dir / "node-keys.json").read_text())
        secrets = [key["d"] for key in ring["keys"]] + [context.settings.secret_key]
        secrets += [spaces.space(session, "cordee").poster]
        secrets += [row.reference for row in session.scalars(select(Member))]
        secrets += [row.account.password_hash for row in session.scalars(select(Member))]
    for secret in [*secrets, furnished.admin, furnished.desk]:
        assert secret.encode() not in whole


def test_formats_are_read_by_other_libraries_and_no_cell_computes(
    furnished: LocalNode, tmp_path: Path
) -> None:
    folder = export(furnished, tmp_path / "export")
    hours = Calendar.from_ical((folder / "spaces/cordee-hours.ics").read_bytes())
    days = {event.decoded("dtstart").date() for event in hours.walk("VEVENT")}
    assert date(2026, 11, 24) in days
    assert date(2026, 12, 24) not in days, "a day that is closed"
    assert date(2026, 12, 25) not in days, "a holiday"
    told = Calendar.from_ical((folder / "events/cordee.ics").read_bytes())
    assert [str(event["summary"]) for event in told.walk("VEVENT")] == ["Café, été"]
    places = json.loads((folder / "spaces/spaces.geojson").read_text())
    assert places["features"][0]["geometry"]["coordinates"] == [4.85, 45.75]
    for path in folder.rglob("*.csv"):
        if path.parts[-2] == "statements":
            continue
        for row in csv.reader(io.StringIO(path.read_text("utf-8-sig")), delimiter=";"):
            assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@"))], path
    hosted = rows((folder / "visits/hosted.csv").read_bytes())
    assert [(visit["space_id"], visit["home_id"]) for visit in hosted] == [("cordee", "troquet")]
    abroad = rows((folder / "visits/of-members.csv").read_bytes())
    assert [(visit["host"], visit["half_days"]) for visit in abroad] == [("troquet", "1")]
    assert (folder / "charter" / "1" / "fr.md").read_text().startswith("#")


def test_with_the_hub_away_the_rest_is_exported_and_the_index_says_what_is_missing(
    furnished: LocalNode, network: Network, tmp_path: Path
) -> None:
    network.hub_goes()
    folder = export(furnished, tmp_path / "export")
    index = json.loads((folder / "index.json").read_text())
    assert len(index["missing"]) == 1
    assert "members/members.csv" in index["files"]
    assert "visits/of-members.csv" not in index["files"]
    network.hub_returns()


def test_a_fresh_node_takes_an_export_in_after_a_trial_and_once(
    furnished: LocalNode, network: Network, tmp_path: Path
) -> None:
    found = read_export(export(furnished, tmp_path / "export.zip"))
    fresh = network.add_stranger("nouveau")
    with fresh.context() as (session, context):
        begin_write(session)
        session.delete(spaces.space(session, "nouveau"))
        session.commit()
        before = everything(fresh)
        trial = take_in(session, context, found, dry_run=True)
        assert everything(fresh) == before
        assert not (context.settings.data_dir / "photos").exists()
        done = take_in(session, context, found, dry_run=False)
        assert done.counts == trial.counts
        assert everything(fresh) == everything(furnished)
        assert (context.settings.data_dir / "photos" / "1.jpg").read_bytes() == b"\xff\xd8 a photo"
        again = take_in(session, context, found, dry_run=False)
    assert {outcome for (_, outcome), count in again.counts.items() if count} == {"same"}
    assert everything(fresh) == everything(furnished)


def _change(path: Path, name: str, change: Callable[[str], str], *, index: bool = True) -> None:
    """Change a file of an export; its hash in the index with it, unless not."""
    content = change((path / name).read_text()).encode()
    (path / name).write_bytes(content)
    if index:
        told = json.loads((path / "index.json").read_text())
        told["files"][name]["sha256"] = hashlib.sha256(content).hexdigest()
        (path / "index.json").write_text(json.dumps(told))


# What is wrong: its file, how it becomes so, and what is said of it.
WRONG: dict[str, tuple[str, Callable[[str], str], str]] = {
    "a space without a name": (
        "spaces/spaces.json",
        lambda text: text.replace('"name": "cordee"', '"name": null'),
        "name is not",
    ),
    "hours that are none": ("spaces/spaces.json", lambda t: t.replace("09:00", "25:00"), "week"),
    "a room of no kind": (
        "spaces/spaces.json",
        lambda t: t.replace('"meeting"', '"cellar"'),
        "rooms, 0, kind",
    ),
    "an id of two lines": ("spaces/spaces.json", lambda t: t.replace('"cordee"', '"a\\nb"'), "id"),
    "a file that is no list": ("events/events.json", lambda _: "[]", "cannot be read"),
    "an event without its space": (
        "events/events.json",
        lambda t: t.replace('"cordee"', '"elsewhere"'),
        "its space is not here",
    ),
    "an event that ends before": (
        "events/events.json",
        lambda t: t.replace('"ends_at": "2026', '"ends_at": "2025'),
        "database refuses",
    ),
    "a class that is none": (
        "members/plans.json",
        lambda t: t.replace('"plan_class": "nomad"', '"plan_class": "king"'),
        "plan_class",
    ),
    "an address that is none": (
        "members/members.csv",
        lambda t: t.replace("@cordee.example", ""),
        "line 2",
    ),
    "a plan that is not there": (
        "members/members.csv",
        lambda t: t.replace(";ticket;", ";gold;"),
        "gold",
    ),
    "a number beyond every database": (
        "members/plans.json",
        lambda t: t.replace('"half_days_per_month": null', '"half_days_per_month": 99999999999'),
        "half_days_per_month",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_in_an_export_is_named_and_nothing_is_imported(
    what: str, make_network: Callable[..., Network], tmp_path: Path
) -> None:
    network = make_network()
    origin, fresh = network.add_stranger("cordee"), network.add_stranger("nouveau")
    for plan_class in ("resident", "ticket"):
        origin.add_person(plan_class)
    furnish(origin)
    folder = export(origin, tmp_path / "export")
    name, change, said = WRONG[what]
    _change(folder, name, change)
    before = everything(fresh)
    with fresh.context() as (session, context), pytest.raises(ImportFault, match=said):
        take_in(session, context, read_export(folder), dry_run=False)
    assert everything(fresh) == before


def test_a_file_that_was_changed_or_leads_out_is_not_taken(
    network: Network, tmp_path: Path
) -> None:
    node = network.nodes["cordee"]
    folder = export(node, tmp_path / "export")
    _change(folder, "members/plans.json", lambda text: text + " ", index=False)
    with node.context() as (session, context):
        with pytest.raises(ImportFault, match="changed since"):
            take_in(session, context, read_export(folder), dry_run=False)
        index = json.loads((folder / "index.json").read_text())
        index["files"]["photos/../../node.env"] = {"sha256": "0"}
        (folder / "index.json").write_text(json.dumps(index))
        with pytest.raises(ImportFault, match="no name of a file"):
            read_export(folder).names("photos")
        (tmp_path / "no.zip").write_bytes(b"PK nothing")
        with pytest.raises(ImportFault):
            read_export(tmp_path / "no.zip")


def test_an_admin_downloads_it_from_the_console_and_nobody_else(
    furnished: LocalNode, tmp_path: Path
) -> None:
    assert "/console/export.zip" in furnished.get("/console/export", furnished.admin).text
    answer = furnished.get("/console/export.zip", furnished.admin)
    assert answer.headers["Content-Type"] == "application/zip"
    (tmp_path / "got.zip").write_bytes(answer.content)
    with zipfile.ZipFile(tmp_path / "got.zip") as archive:
        assert archive.testzip() is None
    found = read_export(tmp_path / "got.zip")
    assert found.rows("spaces/spaces.json", "spaces")[0]["id"] == "cordee"
    assert furnished.get("/console/export.zip", furnished.desk).status_code == 403
    assert furnished.get("/console/export.zip").headers["Content-Type"] != "application/zip"
