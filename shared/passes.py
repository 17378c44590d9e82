"""The reciprocity pass: an SD-JWT with key binding and no disclosures (RFC 9901).

What a phone shows is ``<credential>~<key-binding JWT>``: the home's signed statement, and the
phone's own signature, made anew every few seconds, that it holds the key named in it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from charter import PLAN_CLASSES, Fault
from shared import jose
from shared.clock import Clock
from shared.keys import KeyRing
from shared.schemas import unstorable

CREDENTIAL_TYP = "dc+sd-jwt"
KEY_BINDING_TYP = "kb+jwt"
VCT = "passerelle:pass"
CARD_VCT = "passerelle:card"  # shown by the home itself, for a card on paper
AUDIENCE = "passerelle:check-in"
MAX_BYTES = 4096
FRESH_SECONDS = 90
MAX_DAYS = 35
PASS_ID = re.compile("[A-Za-z0-9_-]{16,64}")
LAST = 1 << 33  # in the year 2242, where times are still times everywhere

UNREADABLE = "pass_malformed"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a shown pass proves. The claims are None unless the home's signature holds.

    ``proof`` is the showing; ``shown_at`` is when the phone says that it signed it. ``claims`` are
    the credential's without the name, and ``binding`` is the key binding: what a hub may keep.
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
    claims: Mapping[str, Any] = field(default_factory=dict)
    binding: str = ""


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
    so that a door without a network knows it without knowing since when she is a member.
    """
    jose.import_public(jwk)
    claims = {
        "iss": issuer,
        "sub": pass_id,
        "iat": int(issued_at.timestamp()),
        "exp": int(expires_at.timestamp()),
        "vct": vct,
        "plan": plan,
        "given_name": given_name,
        "cnf": {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": jwk["x"]}},
        "status": {"status_list": {"idx": status_index, "uri": status_uri}},
    }
    if usable_from is not None:
        claims["nbf"] = int(usable_from.timestamp())
    return ring.sign(claims, CREDENTIAL_TYP, jose.PASS_SIGN_WITH)


def bind(credential: str, key: Any, issued_at: float, nonce: str | None = None) -> str:
    """Return the text a phone shows: the credential and a fresh key binding.

    Phones do this themselves; a home does it for a card on paper.
    """
    claims = {
        "iat": int(issued_at),
        "aud": AUDIENCE,
        "nonce": nonce or secrets.token_urlsafe(12),
        "sd_hash": sd_hash(credential),
    }
    binding = jose.sign(claims, key, KEY_BINDING_TYP, jose.PASS_SIGN_WITH)
    return f"{credential}~{binding}"


def sd_hash(credential: str) -> str:
    """Return the hash over ``<credential>~`` (RFC 9901, 4.3.1)."""
    return jose.encode_b64(hashlib.sha256(f"{credential}~".encode()).digest())


def proof_of(text: str) -> str:
    """Return what identifies this very showing of a pass: SHA-256 in hex of what the phone signed.

    Without the signature, which could be spelled anew; of the whole text where nothing is signed.
    """
    signed, _, signature = text.partition("~")[2].rpartition(".")
    shown = signed if signed and signature else text
    return hashlib.sha256(shown.encode(errors="surrogatepass")).hexdigest()


def examine(text: str, issuer_key: IssuerKey, clock: Clock) -> Evidence:
    """Verify a scanned text. Never raises: everything wrong with it is among the faults."""
    text = text.strip()
    unread = Evidence((), proof_of(text))
    if len(text.encode(errors="surrogatepass")) > MAX_BYTES:
        return _faulty(unread, UNREADABLE, "too_long")
    credential, _, binding = text.partition("~")
    if "~" in binding:
        return _faulty(unread, UNREADABLE, "disclosures")
    try:
        token = jose.verify(credential, _finder(issuer_key), CREDENTIAL_TYP)
        evidence, phone_key, expires = _read_claims(unread, token)
    except UnknownIssuer as unknown:
        return _faulty(unread, "home_unknown", unknown.detail)
    except (jose.TokenFault, ValueError, TypeError, KeyError, OverflowError) as fault:
        return _faulty(unread, UNREADABLE, getattr(fault, "detail", "claims"))
    if expires <= clock.real().timestamp():
        evidence = _faulty(evidence, "pass_expired")
    return _check_binding(evidence, credential, binding, phone_key, clock)


def _finder(issuer_key: IssuerKey) -> jose.FindKey:
    def find(header: Mapping[str, Any], claims: Mapping[str, Any]) -> Any:
        return issuer_key(str(claims.get("iss")), str(header.get("kid")))

    return find


def _read_claims(unread: Evidence, token: jose.Token) -> tuple[Evidence, Any, float]:
    claims = token.claims
    if claims["vct"] not in (VCT, CARD_VCT) or claims["plan"] not in PLAN_CLASSES:
        raise ValueError("claims")
    issued, expires, usable = claims["iat"], claims["exp"], claims.get("nbf")
    times = (issued, expires) if usable is None else (issued, expires, usable)
    if any(isinstance(t, bool) or not isinstance(t, int) or not 0 <= t < LAST for t in times):
        raise ValueError("claims")
    if expires - issued > MAX_DAYS * 86400:
        raise ValueError("claims")
    entry = claims["status"]["status_list"]
    if not isinstance(entry["idx"], int) or entry["idx"] < 0:
        raise ValueError("claims")
    given_name = claims.get("given_name", "")
    pass_id = claims["sub"]
    if not PASS_ID.fullmatch(pass_id) or not isinstance(given_name, str) or unstorable(given_name):
        raise ValueError("claims")
    phone_key = jose.import_public(claims["cnf"]["jwk"])
    evidence = replace(
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
    return evidence, phone_key, expires


def _check_binding(
    evidence: Evidence, credential: str, binding: str, phone_key: Any, clock: Clock
) -> Evidence:
    if not binding:
        return _faulty(evidence, UNREADABLE, "key_binding_missing")
    try:
        claims = jose.verify(binding, lambda _header, _claims: phone_key, KEY_BINDING_TYP).claims
    except jose.TokenFault as fault:
        return _faulty(evidence, UNREADABLE, f"key_binding_{fault.detail}")
    if claims.get("aud") != AUDIENCE:
        evidence = _faulty(evidence, UNREADABLE, "key_binding_audience")
    if claims.get("sd_hash") != sd_hash(credential):
        evidence = _faulty(evidence, UNREADABLE, "key_binding_hash")
    if not isinstance(claims.get("nonce"), str) or not claims["nonce"]:
        evidence = _faulty(evidence, UNREADABLE, "key_binding_nonce")
    else:
        evidence = replace(evidence, nonce=claims["nonce"])
    issued = claims.get("iat")
    if isinstance(issued, bool) or not isinstance(issued, (int, float)):
        return _faulty(evidence, UNREADABLE, "key_binding_iat")
    if not clock.fresh(issued, FRESH_SECONDS):
        return _faulty(evidence, "pass_stale")
    shown_at = datetime.fromtimestamp(issued, UTC)
    return replace(evidence, shown_at=shown_at, binding=binding)


def _faulty(evidence: Evidence, code: str, detail: str = "") -> Evidence:
    return replace(evidence, faults=(*evidence.faults, Fault(code, detail)))
