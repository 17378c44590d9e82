"""Token Status List: one signed, compressed list that says which passes still hold.

Two bits for each pass, the least significant first (IETF Token Status List, sections 4 and 5).
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.crypto import jose
from shared.crypto.keys import KeyRing

TYP = "statuslist+jwt"
VALID, INVALID, SUSPENDED = 0, 1, 2
BITS = 2
MAX_UNPACKED = 1 << 20  # four million passes
TTL_SECONDS = 60
LIFETIME_SECONDS = 72 * 3600


@dataclass(frozen=True, slots=True)
class StatusList:
    uri: str
    issued_at: int
    expires_at: int
    packed: bytes

    def status(self, index: int) -> int:
        """Return the status at an index. Raises IndexError beyond the list's end."""
        byte, place = divmod(index * BITS, 8)
        return (self.packed[byte] >> place) & ((1 << BITS) - 1)


def pack(statuses: Mapping[int, int], size: int) -> bytes:
    """Return ``size`` statuses in bytes; an index that is not named is VALID."""
    packed = bytearray((size * BITS + 7) // 8)
    for index, status in statuses.items():
        byte, place = divmod(index * BITS, 8)
        packed[byte] |= status << place
    return bytes(packed)


def sign_list(
    ring: KeyRing, *, issuer: str, uri: str, statuses: Mapping[int, int], size: int, now: datetime
) -> str:
    """Return the status list token. ``size`` is the number of passes ever issued."""
    issued = int(now.timestamp())
    claims = {
        "iss": issuer,
        "sub": uri,
        "iat": issued,
        "exp": issued + LIFETIME_SECONDS,
        "ttl": TTL_SECONDS,
        "status_list": {
            "bits": BITS,
            "lst": jose.encode_b64(zlib.compress(pack(statuses, size), 9)),
        },
    }
    return ring.sign(claims, TYP)


def read_list(token: str, find_key: jose.FindKey, uri: str) -> StatusList:
    """Verify a status list token fetched from ``uri``. Raises TokenFault or ValueError."""
    claims = jose.verify(token, find_key, TYP).claims
    body = claims.get("status_list")
    if claims.get("sub") != uri or not isinstance(body, dict) or body.get("bits") != BITS:
        raise ValueError("not the status list that was asked for")
    if not all(isinstance(claims.get(name), int) for name in ("iat", "exp")):
        raise ValueError("a status list needs iat and exp")
    unpacker = zlib.decompressobj()
    try:
        packed = unpacker.decompress(jose.decode_b64(str(body.get("lst"))), MAX_UNPACKED)
    except zlib.error as error:
        raise ValueError("the status list is not compressed data") from error
    if not unpacker.eof and not unpacker.unconsumed_tail:
        raise ValueError("the status list is cut short")
    if unpacker.unconsumed_tail:
        raise ValueError("the status list unpacks to more than is accepted")
    return StatusList(uri, claims["iat"], claims["exp"], packed)
