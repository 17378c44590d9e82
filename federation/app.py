"""The hub's application, made of its rooms."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, Flask, Response, jsonify
from flask_babel import gettext
from flask_migrate import Migrate

from federation.console import account_pages, audit_pages, join_request_pages, key_pages, node_pages
from federation.console import pages as console
from federation.context import Hub, hub
from federation.db import db
from federation.feeds import api as feeds_api
from federation.feeds import service as feeds
from federation.identity.roles import STAFF
from federation.identity.service import accounts, links, passwords, two_factor
from federation.listings import draft_pages as listing_drafts
from federation.listings import pages as listing_pages
from federation.listings import space_pages as listed_pages
from federation.listings import spaces as listed
from federation.mail import models as _mail  # noqa: F401 - the table that jobs send from
from federation.mail import pages as letters
from federation.moderation import api as moderation_api
from federation.moderation import changes, report_pages
from federation.moderation import pages as moderation
from federation.nodes import notifications, oauth
from federation.nodes.access_tokens import node_principal
from federation.oversight import pages as oversight_pages
from federation.public import agenda_api, open_data_pages, search_page, space_pages
from federation.public import agenda_pages as agenda
from federation.public import pages as network_map
from federation.search import api as spaces_api
from federation.search import response_cache
from federation.settings import KEYS, MIGRATIONS, HubSettings
from federation.simulation import api as simulation_api
from federation.simulation import pages as simulation_pages
from federation.spaces import publications
from federation.spaces import queries as published
from federation.statements import api as statements_api
from federation.statements import disputes
from federation.statistics import api as statistics_api
from federation.statistics import page_views
from federation.statistics import pages as statistics
from federation.trust import api as trust_api
from federation.trust import leaving, own_api
from federation.visits import api as visits_api
from federation.visits import changes as visits
from federation.visits import passes
from federation.watch import service as watching
from federation.webhooks import events
from federation.webhooks import pages as webhook_pages
from shared.accounts.pages import account_room
from shared.accounts.people import People
from shared.crypto.keys import load_key_ring, make_key_ring
from shared.net.http import PeerSession
from shared.store.account_tables import TOKEN_PREFIX
from shared.store.db import configure, prepare_engine
from shared.store.revisions import Readiness, readiness
from shared.web import Principal, Service, allow, limits, new_app

# What follows above from what happens below, in the same transaction.
visits.ON_VOID.append(disputes.settle_voided)
leaving.ON_LEAVE.append(passes.end_all)
publications.ON_CHANGE.append(changes.note)
feeds.ON_CHANGES.append(events.enqueue_changes)
# What rooms below ask of those above.
notifications.CONTACTS.append(published.contacts)
spaces_api.SUCCESSORS.append(listed.now_at)

APIS = (
    spaces_api.blp,
    trust_api.blp,
    own_api.blp,
    feeds_api.blp,
    agenda_api.blp,
    moderation_api.blp,
    simulation_api.blp,
    visits_api.blp,
    statements_api.blp,
    statistics_api.blp,
)
PAGES = (
    search_page.pages,
    network_map.pages,
    space_pages.pages,
    agenda.pages,
    console.pages,
    audit_pages.pages,
    account_pages.pages,
    node_pages.pages,
    oversight_pages.pages,
    key_pages.pages,
    join_request_pages.pages,
    simulation_pages.pages,
    listing_pages.pages,
    listing_drafts.pages,
    listed_pages.pages,
    letters.pages,
    moderation.pages,
    report_pages.pages,
    statistics.pages,
    webhook_pages.pages,
    open_data_pages.pages,
)
OPEN_DATA = (
    spaces_api.blp.name,
    feeds_api.blp.name,
    agenda_api.blp.name,
)  # whose readers are limited


def create_new(settings: HubSettings) -> Flask:
    """Return a hub that is being made: it gets the keys that every later start must find."""
    make_key_ring(settings.data_dir / KEYS)
    return create_app(settings)


def create_app(settings: HubSettings) -> Flask:
    """Return the hub. Its database must be migrated and its data folder there."""
    service = Service(
        kind="hub",
        title="Passerelle hub",
        name=lambda: settings.network,
        nav=_nav,
        find_principal=_find_principal,
        ready=_readiness,
    )
    app, api = new_app("federation", settings, service)
    configure(app, settings.database)
    db.init_app(app)
    Migrate(app, db, directory=str(MIGRATIONS), render_as_batch=True)
    app.extensions["hub"] = Hub(
        settings,
        load_key_ring(settings.data_dir / KEYS),
        PeerSession(allow_private=settings.allow_private_peers, ca_file=settings.ca_file),
    )
    with app.app_context():
        prepare_engine(db.engine, settings.sqlite_synchronous)
    watching.install(app)
    oauth.install(app)
    page_views.install(app)
    for blp in APIS:
        api.register_blueprint(blp)
    readers = limits.RateLimiter(settings.public_per_minute)
    limits.install(app, OPEN_DATA, readers, _find_principal)
    for pages in (*PAGES, well_known, *account_room(app, _people())):
        app.register_blueprint(pages)
    app.context_processor(_footer)
    response_cache.install(app, settings.clock)
    return app


def _footer() -> dict[str, object]:
    return {"footer_links": [{"url": "/open-data", "label": gettext("Open data")}]}


def _people() -> People:
    return People(
        accounts,
        passwords,
        two_factor,
        links,
        db.session,
        hub,
        lambda _principal: "/coordination",
        _required,
    )


def _required(_account: object) -> bool:
    return hub().settings.require_two_factor


well_known = Blueprint("well_known", __name__)


@well_known.get("/.well-known/jwks.json")
@allow("public")
def jwks() -> Response:
    return jsonify(keys=hub().ring.public_jwks())


def _nav(principal: Principal | None) -> Sequence[tuple[str, str]]:
    links = [
        ("/", gettext("Map")),
        ("/agenda", gettext("Agenda")),
        ("/charter", gettext("Charter")),
    ]
    if principal is not None and principal.roles & set(STAFF):
        links.append(("/coordination", gettext("Coordination")))
    if principal is None:
        links.append(("/join", gettext("Join")))
    return links


def _find_principal(bearer: str | None) -> Principal | None:
    if bearer is None or bearer.startswith(TOKEN_PREFIX):
        return accounts.find(db.session(), hub().clock.now(), bearer)
    return node_principal(db.session(), hub().ring, hub().url, bearer)


def _readiness() -> Readiness:
    return readiness(db.engine, db.metadata, MIGRATIONS, "hub")
