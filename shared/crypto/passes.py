"""The reciprocity pass: an SD-JWT with key binding and no disclosures (RFC 9901).

What a phone shows is ``<credential>~<key-binding JWT>``: the home's signed statement, and the
phone's own signature, made anew every few seconds, that it holds the key named in it. A QR holds
it in the form of ``shared.px1``. The key binding names no verifier: whoever is shown a code could
pass it on within its 90 seconds, which is why one showing is good for one visit at one space.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from joserfc.jwk import ECKey, OKPKey

from charter import NOT_YET, PLAN_CLASSES, Fault
from shared.base.clock import Clock
from shared.base.schemas import unstorable
from shared.crypto import jose, px1
from shared.crypto.keys import KeyRing

CREDENTIAL_TYP = "dc+sd-jwt"
KEY_BINDING_TYP = "kb+jwt"
VCT = "passerelle:pass"
CARD_VCT = "passerelle:card"  # shown by the home itself, for a card on paper
AUDIENCE = "passerelle:check-in"
RIGHTS_AUDIENCE = "passerelle:rights"  # what a member may do, asked with a pass; opens no door
MAX_BYTES = 4096
FRESH_SECONDS = 90
MAX_DAYS = 35
PASS_ID = re.compile("[A-Za-z0-9_-]{16,64}")
LAST = 1 << 33  # in the year 2242, where times are still times everywhere

UNREADABLE = "pass_malformed"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a shown pass proves. What the home says is None unless its signature holds.

    ``proof`` is the showing: the SHA-256, in hex, of what the phone signed, so that another
    spelling of the signature is no other showing. ``text`` is the pass in its plain form.
    ``claims`` are the credential's without the first name, ``binding`` the key binding where it
    can be read, ``shown_at`` its time where its signature holds.
    """

    faults: tuple[Fault, ...]
    proof: str
    issuer: str | None = None
    kid: str | None = None
    pass_id: str | None = None
    plan: str | None = None
    given_name: str | None = None
    usable_from: datetime | None = None
    paper: bool = False
    status_index: int | None = None
    status_uri: str | None = None
    nonce: str | None = None
    shown_at: datetime | None = None
    binding: str | None = None
    claims: Mapping[str, Any] | None = None
    text: str = ""


IssuerKey = Callable[[str, str], Any]
"""(node id, kid) → the node's key; raises ``UnknownIssuer``."""


class UnknownIssuer(Exception):
    """No such node (``issuer``), no such key of that node (``key``), or ``withdrawn``."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


def new_pass_id() -> str:
    """Return 96 random bits in base64url."""
    return secrets.token_urlsafe(12)


def issue(
    ring: KeyRing,
    *,
    issuer: str,
    pass_id: str,
    jwk: Mapping[str, Any],
    plan: str,
    given_name: str,
    status_index: int,
    status_uri: str,
    issued_at: datetime,
    expires_at: datetime,
    usable_from: datetime | None = None,
    vct: str = VCT,
) -> str:
    """Return a credential bound to the phone's public key. Raises ValueError for a bad key.

    ``usable_from`` becomes ``nbf``: the first instant at which the charter's seniority is reached,
    so that a door without a network knows it without knowing since when its owner is a member.
    """
    claims = {
        "iss": issuer,
        "sub": pass_id,
        "iat": int(issued_at.timestamp()),
        "exp": int(expires_at.timestamp()),
        "vct": vct,
        "plan": plan,
        "given_name": given_name,
        "cnf": {"jwk": jose.phone_jwk(jwk)},
        "status": {"status_list": {"idx": status_index, "uri": status_uri}},
    }
    if usable_from is not None:
        claims["nbf"] = int(usable_from.timestamp())
    return ring.sign(claims, CREDENTIAL_TYP, jose.PASS_SIGN_WITH)


def bind(
    credential: str,
    key: OKPKey | ECKey,
    issued_at: float,
    nonce: str | None = None,
    audience: str = AUDIENCE,
) -> str:
    """Return the text a phone shows: the credential and a fresh key binding.

    Phones do this themselves; a home does it for a card on paper.
    """
    claims = {
        "iat": int(issued_at),
        "aud": audience,
        "nonce": nonce or secrets.token_urlsafe(12),
        "sd_hash": sd_hash(credential),
    }
    algorithm = jose.ES256 if isinstance(key, ECKey) else jose.PASS_SIGN_WITH
    binding = jose.sign(claims, key, KEY_BINDING_TYP, algorithm)
    return f"{credential}~{binding}"


def sd_hash(credential: str) -> str:
    """Return the hash over ``<credential>~`` (RFC 9901, 4.3.1)."""
    return jose.encode_b64(hashlib.sha256(f"{credential}~".encode()).digest())


def showing_of(text: str) -> str:
    """Return what identifies this very showing of a pass, in its plain form (``Evidence.proof``).

    Of what has no readable key binding, and so never counts, it is the hash of the whole text.
    """
    return _unread(text)[0].proof


def _unread(text: str) -> tuple[Evidence, jose.Token | None]:
    """Return the evidence that a text is before anything is verified, and its key binding."""
    binding = text.partition("~")[2]
    try:
        token = jose.read_unverified(binding)
    except jose.TokenFault:
        return Evidence((), _sha256(text.encode(errors="surrogatepass")), text=text), None
    return Evidence((), _sha256(token.signed), binding=binding, text=text), token


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def examine(text: str, issuer_key: IssuerKey, clock: Clock, audience: str = AUDIENCE) -> Evidence:
    """Verify a scanned text, plain or PX1, as of the clock's time; ``audience`` is its use.

    Never raises: everything wrong with it is among the faults.
    """
    unread, bound, detail = _read_text(text.strip())
    if detail:
        return _faulty(unread, UNREADABLE, detail)
    credential = unread.text.partition("~")[0]
    try:
        token = jose.verify(credential, _finder(issuer_key), CREDENTIAL_TYP)
        evidence = _read_claims(unread, token, clock)
        phone_key = jose.import_phone(token.claims["cnf"]["jwk"])
    except UnknownIssuer as unknown:
        return _faulty(unread, "home_unknown", unknown.detail)
    except (jose.TokenFault, ValueError, TypeError, KeyError, OverflowError) as fault:
        return _faulty(unread, UNREADABLE, getattr(fault, "detail", "claims"))
    if evidence.usable_from is not None and evidence.usable_from > clock.now():
        evidence = replace(evidence, faults=(*evidence.faults, NOT_YET))
    if token.claims["exp"] <= clock.real().timestamp():
        evidence = _faulty(evidence, "pass_expired")
    if bound is None:
        stripped = unread.text.rstrip("~") == credential
        detail = "key_binding_missing" if stripped else "key_binding_malformed"
        return _faulty(evidence, UNREADABLE, detail)
    return _check_binding(evidence, bound, sd_hash(credential), phone_key, clock, audience)


def _read_text(text: str) -> tuple[Evidence, jose.Token | None, str]:
    """Return ``_unread`` of the plain form of a text, and why it can be no pass, or ""."""
    try:
        plain = px1.unpack(text)
    except ValueError:
        return *_unread(text), "px1"
    detail = ""
    if len(plain.encode(errors="surrogatepass")) > MAX_BYTES:
        detail = "too_long"
    elif plain.count("~") > 1:
        detail = "disclosures"
    return *_unread(plain), detail


def _finder(issuer_key: IssuerKey) -> jose.FindKey:
    def find(header: Mapping[str, Any], claims: Mapping[str, Any]) -> Any:
        return issuer_key(str(claims.get("iss")), str(header.get("kid")))

    return find


def _read_claims(unread: Evidence, token: jose.Token, clock: Clock) -> Evidence:
    claims = token.claims
    if claims["vct"] not in (VCT, CARD_VCT) or claims["plan"] not in PLAN_CLASSES:
        raise ValueError("claims")
    _check_dates(claims, clock)
    entry = claims["status"]["status_list"]
    if type(entry["idx"]) is not int or entry["idx"] < 0:
        raise ValueError("claims")
    given_name = claims.get("given_name", "")
    pass_id = claims["sub"]
    if not PASS_ID.fullmatch(pass_id) or not isinstance(given_name, str) or unstorable(given_name):
        raise ValueError("claims")
    usable = claims.get("nbf")
    return replace(
        unread,
        issuer=str(claims["iss"]),
        kid=str(token.header.get("kid")),
        pass_id=pass_id,
        plan=claims["plan"],
        given_name=given_name[:60],
        usable_from=None if usable is None else datetime.fromtimestamp(usable, UTC),
        paper=claims["vct"] == CARD_VCT,
        status_index=entry["idx"],
        status_uri=str(entry["uri"]),
        claims={name: value for name, value in claims.items() if name != "given_name"},
    )


def _check_dates(claims: Mapping[str, Any], clock: Clock) -> None:
    """Raise TokenFault or ValueError unless the dates are dates, in their order, and begun."""
    issued, expires, usable = claims["iat"], claims["exp"], claims.get("nbf", 0)
    if not all(_is_time(each) for each in (issued, expires, usable)):
        raise ValueError("claims")
    if issued > clock.real().timestamp() + FRESH_SECONDS:
        raise jose.TokenFault("iat_ahead")
    if expires <= issued:
        raise jose.TokenFault("exp_before_iat")
    if expires - issued > MAX_DAYS * 86400:
        raise jose.TokenFault("exp_too_late")


def _is_time(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < LAST


def _check_binding(
    evidence: Evidence,
    bound: jose.Token,
    hashed: str,
    phone_key: tuple[jose.Verifier, Sequence[str]],
    clock: Clock,
    audience: str,
) -> Evidence:
    key, algorithms = phone_key
    try:
        jose.verify(bound, lambda *_: key, KEY_BINDING_TYP, algorithms=algorithms)
    except jose.TokenFault as fault:
        return _faulty(evidence, UNREADABLE, f"key_binding_{fault.detail}")
    claims = bound.claims
    if claims.get("aud") != audience:
        evidence = _faulty(evidence, UNREADABLE, "key_binding_audience")
    if claims.get("sd_hash") != hashed:
        evidence = _faulty(evidence, UNREADABLE, "key_binding_hash")
    nonce, issued = claims.get("nonce"), claims.get("iat")
    if not isinstance(nonce, str) or not nonce:
        nonce, evidence = None, _faulty(evidence, UNREADABLE, "key_binding_nonce")
    shown_at = None
    if type(issued) is int and 0 <= issued < LAST:
        shown_at = datetime.fromtimestamp(issued, UTC)
    evidence = replace(evidence, nonce=nonce, shown_at=shown_at)
    if type(issued) is not int:
        return _faulty(evidence, UNREADABLE, "key_binding_iat")
    if not clock.fresh(issued, FRESH_SECONDS):
        evidence = _faulty(evidence, "pass_stale")
    return evidence


def _faulty(evidence: Evidence, code: str, detail: str = "") -> Evidence:
    return replace(evidence, faults=(*evidence.faults, Fault(code, detail)))
