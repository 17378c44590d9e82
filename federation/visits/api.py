"""JSON of visits: nodes report, ask and correct; the coordination reads."""

from __future__ import annotations

from typing import Any

from flask import Response, request
from flask_babel import get_locale
from marshmallow import ValidationError

from charter import NOT_YET, localise
from federation.context import hub
from federation.db import db
from federation.identity.roles import STAFF
from federation.nodes import service as nodes
from federation.visits import (
    changes,
    corrections,
    daily_digests,
    passes,
    queries,
    rights,
    service,
    showings,
)
from federation.visits.schemas import (
    PASSES,
    VISITS,
    AnswerSchema,
    AskCorrectionSchema,
    DayQuerySchema,
    DaysSchema,
    DecidedSchema,
    DecideHeldSchema,
    MomentSchema,
    PassesQuerySchema,
    PassesSchema,
    PassSchema,
    RecordedSchema,
    RecordedVisitSchema,
    ReportedSchema,
    RightsAskedSchema,
    RightsQuerySchema,
    RightsSchema,
    ShowingsSchema,
    VisitsQuerySchema,
    VisitsSchema,
    VoidSchema,
)
from shared.base.schemas import PASS_ID
from shared.crypto.passes import RIGHTS_AUDIENCE, UNREADABLE, examine
from shared.web import allow, current
from shared.web.api import Blueprint
from shared.wire.problems import Problem, problem_response
from shared.wire.reports import sign_receipt

blp = Blueprint("visits", __name__, url_prefix="/api/v1", description="Visits and rights")


def to_dict(visit: Any) -> dict[str, Any]:
    """Return a visit's public JSON."""
    return {
        "id": visit.id,
        "space": visit.space_id,
        "home": visit.home_id,
        "host": visit.host_id,
        "plan": visit.plan,
        "started_at": visit.started_at.isoformat(),
        "ended_at": visit.ended_at.isoformat() if visit.ended_at else None,
        "state": visit.state,
        "held": visit.held,
        "timezone": visit.timezone,
        "day": visit.day,
        "online": visit.online,
        "flags": visit.flags,
        "charter": visit.charter,
        "changed_at": visit.changed_at.isoformat(),
    }


def _localised(decision: Any) -> dict[str, Any]:
    return localise(decision, str(get_locale())) if decision["reasons"] else dict(decision)


@blp.route("/visits", methods=["POST"])
@blp.arguments(ReportedSchema)
@blp.response(201, RecordedSchema)
@blp.alt_response(200, schema=RecordedSchema, description="This visit was recorded before")
@allow("node")
def record(data: dict[str, Any]) -> Any:
    """Authorise and record a visit.

    One that was admitted offline is never refused: it counts, with flags, for what the phone
    signed then; what proves nothing is held, and counts nothing.
    """
    session, here = db.session(), hub()
    told = service.read(session, here.clock, current().id, here.ring, here.url, data["report"])
    outcome = service.record(session, here.clock, told)
    decision = _localised(outcome.decision)
    if outcome.visit is None:
        return problem_response("visit-refused", decision=decision)
    status = 201 if outcome.kind == "recorded" else 200
    answer = {"visit": to_dict(outcome.visit), "decision": decision}
    return {**answer, "receipt": _receipt(outcome.visit)}, status


def _receipt(visit: Any) -> str:
    here = hub()
    return sign_receipt(here.ring, service.receipt_of(visit, here.url, here.clock.now()))


@blp.route("/visits/preview", methods=["POST"])
@blp.arguments(ReportedSchema)
@blp.response(200, DecidedSchema)
@allow("node")
def preview(data: dict[str, Any]) -> dict[str, Any]:
    """The decision that recording would take; nothing is recorded."""
    session, clock = db.session(), hub().clock
    told = service.read(session, clock, current().id, hub().ring, hub().url, data["report"])
    return {"decision": _localised(service.preview(session, clock, told))}


@blp.route("/showings", methods=["POST"])
@blp.arguments(ShowingsSchema)
@blp.response(204)
@allow("node")
def tell_showings(data: dict[str, Any]) -> None:
    """Showings that let somebody in and made no visit here: each is good nowhere else.

    By their hash alone (SHA-256, in hex, of what the phone signed), which says nothing of who.
    """
    session, now = db.session(), hub().clock.now()
    host = nodes.active_node(session, current().id).id
    for each in data["showings"]:
        showings.tell(session, now, host, each["showing"], each["space"], min(each["at"], now))


@blp.route("/visits/<visit_id>/check-out", methods=["POST"])
@blp.arguments(MomentSchema)
@blp.response(200, RecordedVisitSchema)
@allow("node")
def check_out(data: dict[str, Any], visit_id: str) -> dict[str, Any]:
    """Close a visit at the time its host gives; closing it twice changes nothing."""
    nodes.settling_node(db.session(), current().id)
    visit = changes.check_out(db.session(), hub().clock, current().id, visit_id, data["at"])
    return to_dict(visit)


@blp.route("/visits/<visit_id>/void", methods=["POST"])
@blp.arguments(VoidSchema)
@blp.response(200, RecordedVisitSchema)
@allow("node")
def void(data: dict[str, Any], visit_id: str) -> dict[str, Any]:
    """Reverse a visit within the charter's delay."""
    nodes.settling_node(db.session(), current().id)
    visit = changes.void(
        db.session(), hub().clock, current().id, visit_id, data["reason"], data["at"]
    )
    return to_dict(visit)


@blp.route("/visits/<visit_id>/held", methods=["POST"])
@blp.arguments(DecideHeldSchema)
@blp.response(200, RecordedVisitSchema)
@allow("coordinator")
def decide_held(data: dict[str, Any], visit_id: str) -> dict[str, Any]:
    """Let a visit count that was held for want of proof, or undo it."""
    session, now, actor = db.session(), hub().clock.now(), f"account:{current().id}"
    return to_dict(changes.decide_held(session, now, visit_id, actor=actor, **data))


@blp.route("/visits/<visit_id>/correction", methods=["POST"])
@blp.arguments(AskCorrectionSchema)
@blp.response(200, RecordedVisitSchema)
@allow("node")
def ask_correction(data: dict[str, Any], visit_id: str) -> dict[str, Any]:
    """Say, for one of the home's own members, what is wrong with their visit; the host answers."""
    session, now = db.session(), hub().clock.now()
    home = nodes.active_node(session, current().id).id
    return to_dict(corrections.ask(session, now, home, data["member"], visit_id, data["reason"]))


@blp.route("/visits/<visit_id>/correction/answer", methods=["POST"])
@blp.arguments(AnswerSchema)
@blp.response(200, RecordedVisitSchema)
@allow("node")
def answer_correction(data: dict[str, Any], visit_id: str) -> dict[str, Any]:
    """Answer a request without undoing the visit: why it stands."""
    session, now = db.session(), hub().clock.now()
    host = nodes.active_node(session, current().id).id
    asked = (data["reason"], data["asked_at"]) if data.keys() >= {"reason", "asked_at"} else None
    return to_dict(corrections.answer(session, now, host, visit_id, data["answer"], asked))


@blp.route("/visits")
@blp.arguments(VisitsQuerySchema, location="query")
@blp.response(200, VisitsSchema)
@allow(*STAFF, "node")
def list_visits(query: dict[str, Any]) -> dict[str, Any]:
    """Visits, the latest change first: a node's own, or the network's for a coordinator."""
    principal = current()
    if principal.kind == "node":
        nodes.settling_node(db.session(), principal.id)
        nodes.seen(db.session(), hub().clock.now(), principal.id)
    found = queries.visits(
        db.session(),
        node_id=principal.id if principal.kind == "node" else None,
        side=query["side"],
        member=query.get("member") if principal.kind == "node" else None,
        changed_since=query.get("changed_since"),
        day=query.get("day"),
        held=query["held"],
        before=query["cursor"],
        limit=query["limit"] + 1,
    )
    page = VISITS.page(found, query["limit"])
    rows = page["items"]
    more_about = corrections.about(db.session(), [visit.id for visit in rows])
    items = [{**to_dict(visit), **more_about[visit.id]} for visit in rows]
    if query["receipts"] and principal.kind == "node":
        own = {visit.id: _receipt(visit) for visit in rows if visit.host_id == principal.id}
        items = [{**item, "receipt": own[item["id"]]} for item in items if item["id"] in own]
    return {**page, "items": items}


@blp.route("/visits/days")
@blp.arguments(DayQuerySchema, location="query")
@blp.response(200, DaysSchema)
@allow("node")
def list_days(query: dict[str, Any]) -> dict[str, Any]:
    """A hash of what the hub has of the node's own visits, by day: where to look for differences.

    SHA-256 of a line for each visit, sorted: its id, its state, and ``asked`` or ``answered``
    where its visitor asked for a correction, parted by spaces.
    """
    node_id = nodes.active_node(db.session(), current().id).id
    found = daily_digests.days(db.session(), node_id, query["since"])
    items = [{"day": day, "sha256": found[day]} for day in sorted(found)]
    return {"items": items, "next_cursor": None}


@blp.route("/passes/<pass_id>", methods=["PUT"])
@blp.arguments(PassSchema)
@blp.response(204)
@allow("node")
def register_pass(data: dict[str, Any], pass_id: str) -> None:
    """A home's word on one of its passes: whose it is, and whether it holds.

    A revoked one stays revoked, and a word that is older than the one held changes nothing.
    """
    node_id = nodes.active_node(db.session(), current().id).id
    try:
        PASS_ID(pass_id)
    except ValidationError:
        raise Problem("not-found") from None
    passes.register_pass(
        db.session(),
        hub().clock.now(),
        node_id,
        pass_id,
        passes.PassUpdate(**data),
    )


@blp.route("/passes")
@blp.arguments(PassesQuerySchema, location="query")
@blp.response(200, PassesSchema)
@allow("node")
def list_passes(query: dict[str, Any]) -> dict[str, Any]:
    """What the hub was told of the node's own passes that may still be in use, by id."""
    node_id = nodes.active_node(db.session(), current().id).id
    found = passes.known(db.session(), hub().clock.real(), node_id, query["cursor"])
    return PASSES.page(found, passes.PAGE)


@blp.route("/rights", methods=["POST"])
@blp.arguments(RightsAskedSchema)
@blp.response(200, RightsSchema)
@allow("node")
def ask_rights(data: dict[str, Any]) -> dict[str, Any]:
    """What one of the node's own members would be told at each partner space."""
    node_id = nodes.active_node(db.session(), current().id).id
    found = rights.rights(
        db.session(),
        data["at"] or hub().clock.now(),
        node_id,
        data["member"],
        data["plan"],
        data["member_since"],
        space_id=data["space"],
    )
    return _rights(found, data["space"])


def _rights(found: list[dict[str, Any]], space_id: str | None) -> dict[str, Any]:
    items = [{**item, "decision": _localised(item["decision"])} for item in found]
    one = {"decision": items[0]["decision"]} if space_id and items else {}
    return {"items": items, "next_cursor": None, **one}


@blp.route("/me/rights")
@blp.arguments(RightsQuerySchema, location="query")
@blp.response(200, RightsSchema)
@blp.doc(security=[{"pass": []}])
@allow("public")
def my_rights(query: dict[str, Any]) -> Any:
    """The same for whoever shows a pass: ``Authorization: Bearer <text of the pass>``.

    Its key binding is made for this use, ``aud`` ``passerelle:rights``: a code for a door is none.
    """
    scheme, _, shown_text = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not shown_text:
        raise Problem("unauthenticated")

    def key(issuer: str, kid: str) -> Any:
        return nodes.node_key(db.session(), issuer, kid)

    evidence = examine(shown_text, key, hub().clock, RIGHTS_AUDIENCE)
    odd = [f for f in evidence.faults if f.code == UNREADABLE and f != NOT_YET]
    if any(fault.detail == "key_binding_audience" for fault in odd):
        raise Problem("unauthenticated", "this code was not made to ask for rights")
    if evidence.pass_id is None or odd:
        raise Problem("unauthenticated", "this is not a pass of the network")
    if any(fault.code == "pass_stale" for fault in evidence.faults):
        raise Problem("unauthenticated", "show a fresh code")
    row, member = passes.find(db.session(), str(evidence.issuer), evidence.pass_id)
    faults = list(evidence.faults)
    if row is not None:
        faults += passes.faults(row.status, row.number, evidence)
    found = rights.rights(
        db.session(),
        query["at"] or hub().clock.now(),
        str(evidence.issuer),
        member.reference if member else "",
        str(evidence.plan),
        member.member_since if member else None,
        faults,
        query["space"],
        evidence.usable_from,
    )
    response: dict[str, Any] | Response = _rights(found, query["space"])
    return response
