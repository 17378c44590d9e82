"""The trust list: the hub's signed word on who is in the network. It makes the door work alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from nacl.signing import VerifyKey

from shared.crypto import jose
from shared.crypto.passes import UnknownIssuer

TYP = "trust-list+jwt"


@dataclass(frozen=True)
class TrustList:
    """``nodes`` maps node id to its entry: name, url, state, keys, spaces, plans, charter."""

    issued_at: int
    expires_at: int
    charter_version: str
    charter_sha256: str
    nodes: Mapping[str, Mapping[str, Any]]

    @cached_property
    def _keys(self) -> dict[tuple[str, str], tuple[VerifyKey, datetime | None]]:
        return {
            (node_id, jwk["kid"]): (jose.import_public(jwk), _withdrawn_at(jwk))
            for node_id, node in self.nodes.items()
            for jwk in node["keys"]
        }

    def issuer_key(self, issuer: str, kid: str, at: datetime | None = None) -> VerifyKey:
        """Return a node's key. Raises UnknownIssuer, also for one that was withdrawn.

        Unless what it is to verify was known ``at`` an instant before that, to the hub or to
        ourselves: a time that the signature itself says proves nothing. ``EVER`` takes any key.
        """
        if issuer not in self.nodes:
            raise UnknownIssuer("issuer")
        if (issuer, kid) not in self._keys:
            raise UnknownIssuer("key")
        key, withdrawn_at = self._keys[issuer, kid]
        if withdrawn_at is not None and (at is None or (at > EVER and at >= withdrawn_at)):
            raise UnknownIssuer("withdrawn")
        return key

    def withdrawn(self, issuer: str, kid: str) -> bool:
        """Tell whether a node's key is known to have been withdrawn."""
        return self._keys.get((issuer, kid), (None, None))[1] is not None

    def find_key_of(self, issuer: str, at: datetime | None = None) -> jose.FindKey:
        """Return a finder that takes only this node's keys, for ``jose.verify``.

        ``at`` is as for ``issuer_key``.
        """

        def find(header: Mapping[str, Any], _claims: Mapping[str, Any]) -> VerifyKey:
            try:
                return self.issuer_key(issuer, str(header.get("kid")), at)
            except UnknownIssuer:
                raise jose.TokenFault("key") from None

        return find


# Where a list does not say since when: since ever.
EVER = datetime.min.replace(tzinfo=UTC)


def _withdrawn_at(jwk: Mapping[str, Any]) -> datetime | None:
    if not jwk.get("withdrawn"):
        return None
    said = jwk.get("withdrawn_at")
    return datetime.fromisoformat(said) if said else EVER


def read_trust_list(token: str, find_key: jose.FindKey, hub_url: str) -> TrustList:
    """Verify the hub's trust list. Raises TokenFault, KeyError, TypeError or ValueError."""
    claims = jose.verify(token, find_key, TYP).claims
    if claims["iss"] != hub_url:
        raise ValueError("this trust list is another hub's")
    return TrustList(
        issued_at=int(claims["iat"]),
        expires_at=int(claims["exp"]),
        charter_version=str(claims["charter"]["version"]),
        charter_sha256=str(claims["charter"]["sha256"]),
        nodes={node["id"]: node for node in claims["nodes"]},
    )
