"""Making the demonstration's databases: accounts, spaces, members, tokens."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flask import Flask

from charter.hours import WEEKDAYS, Schedule, read_schedule
from federation.app import create_new as create_hub
from federation.cli import found as found_hub
from federation.context import hub as hub_context
from federation.db import db as hub_db
from federation.identity.service import accounts as hub_accounts
from federation.nodes import enrolment
from federation.settings import HubSettings
from node.app import create_new as create_node
from node.context import node as node_context
from node.db import db as node_db
from node.host import operators
from node.identity.service import accounts as node_accounts
from node.members import service as members
from node.settings import NodeSettings
from node.spaces import service as spaces
from node.spaces.models import Price, Room
from shared.base.clock import Clock, parse_clock
from shared.base.env_file import write_env
from shared.base.names import slug
from shared.ops.command import migrate
from shared.store.db import write

PASSWORD = "passerelle-demo"  # noqa: S105 - shown on the demonstration's own log-in page
COORDINATOR = "coordination@passerelle.example"
PLAN_NAMES = {"resident": "Résident", "nomad": "Nomade", "ticket": "Carnet de tickets"}
MEMBER_FOR = timedelta(days=200)

with Path(__file__).with_name("network.toml").open("rb") as _file:
    NODES: list[dict[str, Any]] = tomllib.load(_file)["node"]


@dataclass
class Part:
    """One service: its application in this process, and the settings its own processes get."""

    id: str
    kind: str
    url: str
    app: Flask
    environ: dict[str, str]
    info: dict[str, Any] = field(default_factory=dict)


def founding_schedule() -> Schedule:
    """Return the hours of the space where the founding visit happens."""
    sheet = NODES[0]["space"][0]
    row = {"timezone": "Europe/Paris", "week": _week(sheet), "exceptions": {}}
    return read_schedule(row)


def _week(sheet: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    days = zip(WEEKDAYS, sheet.get("week", []), strict=False)
    return {name: [span.split("-") for span in text.split(",")] for name, text in days if text}


def _environ(
    prefix: str, values: Mapping[str, str], clock: str | None, mail: Path | None = None
) -> dict[str, str]:
    folder = mail or mail_folder(Path(values["DATA_DIR"]).parent)
    common = {
        "DEMO": "yes",
        "ALLOW_PRIVATE_PEERS": "yes",
        "HOST": "127.0.0.1",
        "SMTP_URL": f"file://{quote(str(folder))}",
        "MAIL_FROM": "Passerelle <ne-pas-repondre@passerelle.example>",
    }
    if clock:
        common["CLOCK"] = clock
    return {f"{prefix}_{name}": value for name, value in {**common, **values}.items()}


def mail_folder(folder: Path) -> Path:
    """Return where the demonstration's e-mail is written: none leaves the machine."""
    return folder / "mail"


def make_hub(
    folder: Path,
    port: int,
    clock: str | None,
    secret: str,
    rules: Path | None,
    database: str = "",
) -> Part:
    """Make the hub's database: charter in force, one coordinator with a token."""
    url = f"http://127.0.0.1:{port}"
    folder.mkdir(parents=True, mode=0o700)
    settings = HubSettings(
        url=url,
        secret_key=secret,
        data_dir=folder,
        database_url=database,
        port=port,
        demo=True,
        allow_private_peers=True,
        clock=parse_clock(clock) if clock else Clock(),
    )
    app = create_hub(settings)
    migrate(app)
    account_id = found_hub(app, COORDINATOR, "Coordination", PASSWORD, rules)
    with app.app_context():
        token = hub_accounts.add_token(
            hub_db.session(), hub_context().clock.now(), account_id, "demo", ["coordinator"]
        )
    values = {
        "URL": url,
        "SECRET_KEY": secret,
        "DATA_DIR": str(folder),
        "DATABASE_URL": database,
        "PORT": str(port),
        "WORKERS": "2",
        "THREADS": "4",
    }
    info = {
        "url": url,
        "coordinator": {"email": COORDINATOR, "password": PASSWORD, "token": token},
    }
    return Part("hub", "hub", url, app, _environ("HUB", values, clock), info)


def make_node(
    sheet: Mapping[str, Any],
    folder: Path,
    port: int,
    clock: str | None,
    secret: str,
    hub_url: str,
    database: str = "",
    mail: Path | None = None,
) -> Part:
    """Make a node's database: spaces, admin, desk and members, each with a token."""
    url = f"http://127.0.0.1:{port}"
    name = sheet.get("name", sheet["operator"])
    folder.mkdir(parents=True, mode=0o700)
    settings = NodeSettings(
        url=url,
        hub_url=hub_url,
        name=name,
        secret_key=secret,
        data_dir=folder,
        database_url=database,
        port=port,
        demo=True,
        allow_private_peers=True,
        clock=parse_clock(clock) if clock else Clock(),
    )
    app = create_node(settings)
    migrate(app)
    with app.app_context():
        info = _fill(sheet, url)
    values = {
        "URL": url,
        "HUB_URL": hub_url,
        "NAME": name,
        "SECRET_KEY": secret,
        "DATA_DIR": str(folder),
        "DATABASE_URL": database,
        "PORT": str(port),
        "WORKERS": "1",
        "THREADS": "8",
    }
    return Part(sheet["id"], "node", url, app, _environ("NODE", values, clock, mail), info)


def host_environ(folder: Path, ports: Iterable[int]) -> dict[str, str]:
    """Return the settings of the service that holds all nodes, each at a port of its own."""
    (folder / operators.FOLDERS).mkdir(parents=True, mode=0o700)
    return {
        "HOST_DATA_DIR": str(folder),
        "HOST_LISTEN": ",".join(f"127.0.0.1:{port}" for port in ports),
        "HOST_WORKERS": "2",
        "HOST_THREADS": "12",
    }


def hand_over(node: Part, folder: Path) -> None:
    """Have the service that holds all nodes serve this one, too."""
    one = operators.operator(folder, node.id)
    write_env(one.env_file, node.environ)
    operators.serve(one)


def _fill(sheet: Mapping[str, Any], url: str) -> dict[str, Any]:
    session, now = node_db.session(), node_context().clock.now()
    with write(session):
        for space in sheet["space"]:
            _add_space(session, now, space)
        domain = f"{sheet['id']}.example"
        admin = _account(session, now, f"admin@{domain}", "Admin", ["admin", "desk"])
        desk = _account(session, now, f"accueil@{domain}", "Accueil", ["desk"])
    people = []
    plans = {
        plan_class: members.add_plan(session, name, plan_class, None).id
        for plan_class, name in PLAN_NAMES.items()
    }
    for given_name, family_name, plan_class in sheet["members"]:
        email = f"{slug(given_name)}@{domain}"
        member = members.add_member(
            session,
            now,
            email=email,
            given_name=given_name,
            family_name=family_name,
            password=PASSWORD,
            plan_id=plans[plan_class],
            joined_on=(now - MEMBER_FOR).date(),
        )
        token = node_accounts.add_token(session, now, member.account_id, "demo", ["member"])
        people.append(
            {"email": email, "password": PASSWORD, "token": token, "plan_class": plan_class}
        )
    return {
        "url": url,
        "spaces": [space["id"] for space in sheet["space"]],
        "admin": {
            "email": f"admin@{domain}",
            "password": PASSWORD,
            "token": node_accounts.add_token(session, now, admin, "demo", ["admin", "desk"]),
        },
        "desk": {
            "email": f"accueil@{domain}",
            "password": PASSWORD,
            "token": node_accounts.add_token(session, now, desk, "demo", ["desk"]),
        },
        "members": people,
    }


def _account(session: Any, now: Any, email: str, name: str, roles: list[str]) -> int:
    row = node_accounts.create(session, now, email=email, name=name, password=PASSWORD, roles=roles)
    account_id: int = row.id
    return account_id


def _add_space(session: Any, now: Any, sheet: Mapping[str, Any]) -> None:
    plain = {
        name: value
        for name, value in sheet.items()
        if name not in ("name", "town", "week", "rooms", "prices")
    }
    row = spaces.add(session, now, sheet["name"], sheet["town"], week=_week(sheet), **plain)
    row.rooms = [Room(place=n, **room) for n, room in enumerate(sheet.get("rooms", []))]
    row.prices = [Price(place=n, **price) for n, price in enumerate(sheet.get("prices", []))]


def invitation(hub: Part, operator: str) -> str:
    """Return a one-time invitation, as a coordinator would make it."""
    with hub.app.app_context():
        token, _ = enrolment.invite(hub_db.session(), hub_context().clock.now(), operator, None)
        return token
