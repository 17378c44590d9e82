"""Asking a node at its address to prove a key: whoever only stole one cannot answer there."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from shared.crypto import jose
from shared.crypto.keys import KeyRing
from shared.net.causes import sentence
from shared.net.http import PeerError, PeerSession
from shared.wire.problems import Problem

CHALLENGE_TYP = "passerelle-challenge+jwt"
ANSWER_TYP = "passerelle-challenge-answer+jwt"
CHALLENGE_SECONDS = 60
CALL_BACK_SECONDS = 5.0
# How old, in seconds, a proof may be that a node signs before it asks for something.
PROOF_SECONDS = 300


def call_back(
    peers: PeerSession,
    ring: KeyRing,
    hub_url: str,
    url: str,
    find_key: jose.FindKey,
    kid: str | None = None,
    moves_to: str | None = None,
) -> Mapping[str, Any]:
    """Return what a node of these keys answers at an address. Raises Problem("peer-refused").

    ``kid`` is the key that it is to answer with, where it has several. ``moves_to`` asks whether
    the node at this address is the one that goes there: it says so in its answer.
    """
    nonce, issued = secrets.token_urlsafe(24), int(datetime.now(UTC).timestamp())
    claims: dict[str, Any] = {
        "iss": hub_url,
        "aud": url,
        "nonce": nonce,
        "iat": issued,
        "exp": issued + CHALLENGE_SECONDS,
        **({"kid": kid} if kid else {}),
        **({"moves_to": moves_to} if moves_to else {}),
    }
    try:
        answer = peers.request(
            "POST",
            f"{url}/api/v1/enrolment/challenge",
            json={"challenge": ring.sign(claims, CHALLENGE_TYP)},
            timeout=CALL_BACK_SECONDS,
        )
        signed = answer.json().get("answer", "") if answer.status == 200 else ""
        told = jose.verify(str(signed), find_key, ANSWER_TYP).claims
    except PeerError as error:
        said = sentence(error.cause, error.host) or error.reason
        raise Problem("peer-refused", said) from None
    except (jose.TokenFault, AttributeError):
        raise Problem("peer-refused", "the node at that address does not hold the key") from None
    if told.get("nonce") != nonce or told.get("aud") != hub_url:
        raise Problem("peer-refused", "the node answered another challenge")
    return told


def check_fresh(claims: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise Problem("proof-invalid") unless a proof says this, and was signed just now."""
    issued = claims.get("iat")
    fresh = isinstance(issued, int) and abs(datetime.now(UTC).timestamp() - issued) <= PROOF_SECONDS
    if any(claims.get(name) != value for name, value in wanted.items()) or not fresh:
        raise Problem("proof-invalid", "iss, aud, url or iat are not right")
