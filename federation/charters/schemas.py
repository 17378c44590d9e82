"""What the charter's interface takes and gives."""

from __future__ import annotations

from marshmallow import fields, validate

from shared.base.schemas import WireSchema, text
from shared.web.paging import Paging, number, page_limit, page_of

STATES = ("open", "rejected", "withdrawn", "adopted", "in_force", "past")
PAGE = 100  # votes and signatures with a version; the others are read page by page


class CharterSummarySchema(WireSchema):
    version = fields.String(required=True)
    sha256 = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf(STATES))
    adopted_at = fields.AwareDateTime(required=True, allow_none=True)
    effective_at = fields.AwareDateTime(required=True, allow_none=True)
    proposed_by = fields.String(required=True, allow_none=True)
    opened_at = fields.AwareDateTime(required=True, allow_none=True)
    closes_at = fields.AwareDateTime(
        required=True,
        allow_none=True,
        metadata={"description": "The vote's deadline, fixed when it opened."},
    )
    closed_at = fields.AwareDateTime(required=True, allow_none=True)


class SignatureSchema(WireSchema):
    node = fields.String(required=True, attribute="node_id")
    jws = fields.String(required=True)
    signed_at = fields.AwareDateTime(required=True)


class VoteSchema(WireSchema):
    node = fields.String(required=True)
    choice = fields.String(
        metadata={"description": "Public once the vote is closed; one's own before, too."}
    )
    reason = fields.String()
    at = fields.AwareDateTime(required=True)
    suspended = fields.Boolean(
        required=True,
        metadata={"description": "Not counted: its operator is out of the network."},
    )


class VoteRuleSchema(WireSchema):
    days = fields.Integer(required=True)
    quorum = fields.String(required=True)
    majority = fields.String(required=True)


class OwnSchema(WireSchema):
    elector = fields.Boolean(required=True)
    signed = fields.Boolean(required=True)
    vote = fields.Nested(VoteSchema, required=True, allow_none=True)


class CharterSchema(CharterSummarySchema):
    sources = fields.Dict(
        required=True,
        metadata={"description": "rules.toml, fr.md, en.md: exactly what the hash is over."},
    )
    rules = fields.Dict(required=True)
    text = fields.Dict(required=True, metadata={"description": "Articles by language."})
    argument = fields.String(required=True)
    proposal_sha256 = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Over all that voters read: the sources and the argument."},
    )
    base = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The version that was in force when the vote opened."},
    )
    vote_rule = fields.Nested(
        VoteRuleSchema,
        required=True,
        allow_none=True,
        metadata={"description": "As it was in force when the vote opened."},
    )
    electors = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "How many operators had a voice when the vote opened."},
    )
    edits = fields.Integer(required=True)
    edits_left = fields.Integer(required=True)
    withdrawn_because = fields.String(
        required=True,
        allow_none=True,
        validate=validate.OneOf(["proposer", "suspended", "left"]),
    )
    votes = fields.List(
        fields.Nested(VoteSchema),
        required=True,
        metadata={"description": f"The first {PAGE}; all are at …/votes."},
    )
    votes_total = fields.Integer(required=True)
    votes_suspended = fields.Integer(required=True)
    outcome = fields.Dict(
        required=True, allow_none=True, metadata={"description": "The count, once it is closed."}
    )
    signatures = fields.List(
        fields.Nested(SignatureSchema),
        required=True,
        metadata={"description": f"The first {PAGE}; all are at …/signatures."},
    )
    signatures_total = fields.Integer(required=True)
    own = fields.Nested(
        OwnSchema,
        required=True,
        allow_none=True,
        metadata={"description": "For a node: what it may do, and has done."},
    )


class ElectorSchema(WireSchema):
    node = fields.String(required=True)


CHARTERS = Paging("charters", lambda row: str(row.number), number, 0)
ELECTORATE = Paging("electorate", str)
VOTES = Paging("votes", lambda ballot: str(ballot.node_id))
SIGNATURES = Paging("signatures", lambda signature: str(signature.node_id))


class ChartersQuerySchema(WireSchema):
    state = fields.List(
        fields.String(validate=validate.OneOf(STATES)),
        load_default=[],
        metadata={"description": "Those in one of these states; else all."},
    )
    limit = page_limit(PAGE)
    cursor = CHARTERS.field


class ElectorateQuerySchema(WireSchema):
    limit = page_limit(PAGE)
    cursor = ELECTORATE.field


class VotesQuerySchema(WireSchema):
    limit = page_limit(PAGE)
    cursor = VOTES.field


class SignaturesQuerySchema(WireSchema):
    limit = page_limit(PAGE)
    cursor = SIGNATURES.field


ChartersSchema = page_of("Charters", CharterSummarySchema)
VotesSchema = page_of("Votes", VoteSchema)
SignaturesSchema = page_of("Signatures", SignatureSchema)
ElectorateSchema = page_of("Electorate", ElectorSchema)


class FormerTextSchema(WireSchema):
    number = fields.Integer(required=True)
    sources = fields.Dict(required=True)
    argument = fields.String(required=True)
    sha256 = fields.String(required=True)
    proposal_sha256 = fields.String(required=True)
    opened_at = fields.AwareDateTime(required=True)
    edited_at = fields.AwareDateTime(required=True)
    edited_by = fields.String(required=True)


# At most as many as a proposal may be edited: one page.
FormerTextsSchema = page_of("FormerTexts", FormerTextSchema)


class SignSchema(WireSchema):
    jws = text(4096, metadata={"description": "JWS by the node's key: iss, version, sha256."})


class SourcesSchema(WireSchema):
    fr = fields.String(required=True, data_key="fr.md", validate=validate.Length(1, 200_000))
    en = fields.String(required=True, data_key="en.md", validate=validate.Length(1, 200_000))
    rules = fields.String(required=True, data_key="rules.toml", validate=validate.Length(1, 50_000))


class ProposalSchema(WireSchema):
    sources = fields.Nested(SourcesSchema, required=True)
    argument = text(4000, metadata={"description": "Why: the operators read it before they vote."})


class BallotSchema(WireSchema):
    choice = fields.String(required=True, validate=validate.OneOf(["yes", "no", "abstain"]))
    reason = fields.String(load_default="", validate=validate.Length(max=2000))
    proposal_sha256 = fields.String(
        load_default=None,
        validate=validate.Length(equal=64),
        metadata={"description": "Of what was read: refused once it is something else."},
    )


class DiffSchema(WireSchema):
    before = fields.String(required=True, data_key="from")
    after = fields.String(required=True, data_key="to")
    rules = fields.List(fields.Dict(), required=True)
    texts = fields.Dict(
        required=True,
        metadata={"description": "By language, the articles that differ, word by word."},
    )
