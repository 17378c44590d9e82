"""What a space's page is for programs."""

from __future__ import annotations

import orjson
from flask import Blueprint, Response

from node.context import node
from node.db import db
from node.publication.service import full_document
from node.spaces import hours, service
from node.spaces.spaceapi import space_api
from node.visits import presence
from shared.web import allow
from shared.web.open_data import open_data

pages = Blueprint("open_pages", __name__)


@pages.get("/spaces/<space_id>/spaceapi.json")
@allow("public")
def spaceapi(space_id: str) -> Response:
    session, now = db.session(), node().clock.now()
    row = service.space(session, space_id)
    found = space_api(
        full_document(session, node(), row),
        hours.schedule(row, service.today(row, now)),
        now,
        len(presence.presence(session, space_id)),
        node().url,
    )
    return open_data(orjson.dumps(found), "application/json", seconds=30)
