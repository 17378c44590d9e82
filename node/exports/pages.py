"""The admin's page of what the operator owns, and its download."""

from __future__ import annotations

from flask import Blueprint, Response, render_template, stream_with_context

from node.context import node
from node.db import db
from node.exports import service
from shared.web import allow

pages = Blueprint("exports_pages", __name__, template_folder="templates")


@pages.get("/console/export")
@allow("admin")
def export_page() -> str:
    return render_template("exports/export.html")


@pages.get("/console/export.zip")
@allow("admin")
def download() -> Response:
    """Everything the operator owns, sent while it is gathered."""
    now = node().clock.now()
    found = service.zip_of(service.parts(db.session(), node()), now.timetuple()[:6])
    name = f"passerelle-{now:%Y-%m-%d}.zip"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "X-Accel-Buffering": "no",
        "Cache-Control": "no-store",
    }
    return Response(stream_with_context(found), mimetype="application/zip", headers=headers)
