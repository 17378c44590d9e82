"""A node's application, made of its rooms."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Flask, Response, request_started
from flask_babel import gettext
from flask_migrate import Migrate

from node.bookings import api as bookings_api
from node.bookings import pages as bookings_pages
from node.bookings.reserved import reserved
from node.console import (
    conditions_pages,
    key_pages,
    list_pages,
    member_import_pages,
    plan_pages,
    prefill_pages,
    requeue_pages,
    sheet_pages,
    values_pages,
)
from node.console import event_pages as events_pages
from node.console import hub_pages as sync_pages
from node.console import member_pages as members_pages
from node.console import pages as spaces_pages
from node.console import photo_pages as photos_pages
from node.console import source_pages as sources_pages
from node.context import Node, node
from node.db import db
from node.desk import api as desk_api
from node.desk import pages as desk_pages
from node.desk import poster_api, poster_pages
from node.exports import pages as exports_pages
from node.governance import pages as governance_pages
from node.hub import outbox
from node.hub import service as sync
from node.hub_client import HubClient
from node.identity.service import accounts, two_factor
from node.leaving import pages as leaving_pages
from node.mail import pages as letters
from node.members.password_links import links, passwords
from node.passes import api as passes_api
from node.passes import lifecycle
from node.public import machine_pages
from node.public import network_api as sync_api
from node.reports import pages as reports_pages
from node.settings import KEYS, MIGRATIONS, NodeSettings
from node.spaces.service import own_zone
from node.statements import pages as statements_pages
from node.visits import pages as visits_pages
from node.watch import service as watching
from shared.accounts.pages import account_room
from shared.accounts.people import People
from shared.crypto.keys import load_key_ring, make_key_ring
from shared.net.http import PeerSession
from shared.store.db import be_brief, configure, prepare_engine
from shared.store.revisions import Readiness, readiness
from shared.web import Principal, Service, new_app


def create_new(settings: NodeSettings) -> Flask:
    """Return a node that is being made: it gets the keys that every later start must find."""
    make_key_ring(settings.data_dir / KEYS)
    return create_app(settings)


# How long whoever waits at a door or a page does so for a locked database.
RECORD_SECONDS = 2.0


def _be_brief(_app: Flask) -> None:
    be_brief(RECORD_SECONDS)


def _be_patient(_error: BaseException | None) -> None:
    be_brief()


def _tell_soon(response: Response) -> Response:
    outbox.tell_soon(db.session(), node())
    return response


def _attend(app: Flask) -> None:
    """Let whoever waits for an answer wait for no lock for long, and find the hub told."""
    request_started.connect(_be_brief, app)
    app.teardown_request(_be_patient)
    app.after_request(_tell_soon)


def _introduce(app: Flask) -> None:
    """Tell rooms what those above them do in their transactions."""
    app.extensions["passes_of_members"] = lifecycle
    app.extensions["reserved_places"] = reserved
    watching.install(app)


def create_app(settings: NodeSettings) -> Flask:
    """Return a node. Its database must be migrated and its data folder there."""
    service = Service(
        kind="node",
        title="Passerelle node",
        name=lambda: settings.name,
        nav=_nav,
        find_principal=_find_principal,
        ready=_readiness,
    )
    app, api = new_app("node", settings, service)
    configure(app, settings.database)
    db.init_app(app)
    Migrate(app, db, directory=str(MIGRATIONS), render_as_batch=True)
    ring = load_key_ring(settings.data_dir / KEYS)
    peers = PeerSession(allow_private=settings.allow_private_peers, ca_file=settings.ca_file)

    def node_id() -> str | None:
        row = sync.enrolment(db.session())
        return row.node_id if row else None

    app.extensions["node"] = Node(
        settings, ring, peers, HubClient(settings.hub_url, ring, peers, node_id)
    )
    app.extensions["zone_here"] = lambda: str(own_zone(db.session()))
    _introduce(app)
    _attend(app)
    with app.app_context():
        prepare_engine(db.engine, settings.sqlite_synchronous)
    for blueprint in (desk_api.blp, poster_api.blp, passes_api.blp, bookings_api.blp, sync_api.blp):
        api.register_blueprint(blueprint)
    for pages in (
        sync_api.well_known,
        sync_pages.pages,
        requeue_pages.pages,
        key_pages.pages,
        spaces_pages.pages,
        sheet_pages.pages,
        conditions_pages.pages,
        values_pages.pages,
        machine_pages.pages,
        events_pages.pages,
        sources_pages.pages,
        list_pages.pages,
        prefill_pages.pages,
        photos_pages.pages,
        members_pages.pages,
        plan_pages.pages,
        member_import_pages.pages,
        visits_pages.pages,
        bookings_pages.pages,
        desk_pages.pages,
        poster_pages.pages,
        statements_pages.pages,
        governance_pages.pages,
        exports_pages.pages,
        leaving_pages.pages,
        reports_pages.pages,
        letters.pages,
        *account_room(app, _people()),
    ):
        app.register_blueprint(pages)
    return app


def _people() -> People:
    return People(
        accounts, passwords, two_factor, links, db.session, node, _home_for, lambda _account: False
    )


def _home_for(principal: Principal) -> str:
    for role, path in (("admin", "/console"), ("desk", "/desk"), ("member", "/pass")):
        if role in principal.roles:
            return path
    return "/"


def _nav(principal: Principal | None) -> Sequence[tuple[str, str]]:
    links = [("/", gettext("Spaces"))]
    if principal is not None:
        for role, path, label in (
            ("member", "/pass", gettext("My pass")),
            ("member", "/bookings", gettext("My bookings")),
            ("desk", "/desk", gettext("Desk")),
            ("admin", "/console", gettext("Console")),
        ):
            if role in principal.roles:
                links.append((path, label))
    return links


def _find_principal(bearer: str | None) -> Principal | None:
    return accounts.find(db.session(), node().clock.now(), bearer)


def _readiness() -> Readiness:
    return readiness(db.engine, db.metadata, MIGRATIONS, "node")
