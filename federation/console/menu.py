"""The rooms of the coordinator's desk, as its menu shows them."""

from __future__ import annotations

from collections.abc import Iterator

from flask import g, request
from flask_babel import lazy_gettext

from federation.identity.roles import STAFF

# address, name, and whom it is open to
ROOMS = (
    ("/coordination", lazy_gettext("Overview"), STAFF),
    ("/coordination/nodes", lazy_gettext("Nodes"), STAFF),
    ("/coordination/hosts", lazy_gettext("Hosts"), STAFF),
    ("/coordination/join", lazy_gettext("Joining"), STAFF),
    ("/coordination/pictures", lazy_gettext("The network in pictures"), STAFF),
    ("/coordination/moderation", lazy_gettext("Moderation"), STAFF),
    ("/coordination/listings", lazy_gettext("Listed spaces"), STAFF),
    ("/coordination/webhooks", lazy_gettext("Webhooks"), STAFF),
    ("/coordination/letters", lazy_gettext("E-mail"), ("coordinator",)),
    ("/coordination/accounts", lazy_gettext("Accounts"), ("coordinator",)),
    ("/coordination/audit", lazy_gettext("Audit log"), ("coordinator", "reader")),
)


def menu() -> Iterator[tuple[str, str, bool]]:
    """Yield address, name and "is it this page" of each room that is open to who is asking."""
    for address, name, roles in ROOMS:
        if g.principal.roles & set(roles):
            inside = request.path.startswith(f"{address}/") and address != ROOMS[0][0]
            yield address, str(name), request.path == address or inside
