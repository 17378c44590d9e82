"""A service's own keys: the current one signs, the past ones stay published."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joserfc.jwk import OKPKey
from nacl.signing import VerifyKey

from shared.crypto import jose

_KID_LENGTH = 12  # of the RFC 7638 thumbprint: 72 bits, short enough for the QR


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Keys in order, the current first. ``kid`` is the start of the RFC 7638 thumbprint."""

    keys: tuple[tuple[str, OKPKey], ...]

    @property
    def kid(self) -> str:
        return self.keys[0][0]

    @property
    def current(self) -> OKPKey:
        return self.keys[0][1]

    def sign(self, claims: Mapping[str, Any], typ: str, algorithm: str = jose.SIGN_WITH) -> str:
        return jose.sign(claims, self.current, typ, algorithm, self.kid)

    def sign_bytes(self, payload: bytes, typ: str) -> bytes:
        """Return the compact JWS of any payload, also one of hundreds of megabytes."""
        return jose.sign_bytes(payload, self.current, typ, self.kid)

    def public_jwks(self) -> list[dict[str, Any]]:
        """Return the public JWKs, the current first."""
        return [public_jwk(kid, key) for kid, key in self.keys]

    def find(self, header: Mapping[str, Any], _claims: Mapping[str, Any]) -> VerifyKey:
        """Find a key by a token's ``kid``, for ``jose.verify``."""
        key = self.public_key(header.get("kid"))
        if key is None:
            raise jose.TokenFault("key")
        return key

    def public_key(self, kid: object) -> VerifyKey | None:
        """Return the key of this number to verify with, if it is one of ours."""
        for ours, key in self.keys:
            if ours == kid:
                return jose.import_public(public_jwk(ours, key))
        return None


def public_jwk(kid: str, key: OKPKey) -> dict[str, Any]:
    values = key.as_dict(private=False)
    return {"kty": "OKP", "crv": "Ed25519", "x": values["x"], "kid": kid, "use": "sig"}


def key_id(key: OKPKey) -> str:
    return key.thumbprint()[:_KID_LENGTH]


def new_key_ring() -> KeyRing:
    key = OKPKey.generate_key("Ed25519")
    return KeyRing(((key_id(key), key),))


def make_key_ring(path: Path) -> KeyRing:
    """Make the private key file (mode 0600) unless it is there; for a service that is new.

    No other is given a key in place of one that is not found: nobody would trust what it signs.
    """
    if not path.exists():
        _write(path, new_key_ring())
    return load_key_ring(path)


def load_key_ring(path: Path) -> KeyRing:
    """Read the private key file. Raises FileNotFoundError."""
    document = json.loads(path.read_text(encoding="utf-8"))
    keys = [OKPKey.import_key(jwk) for jwk in document["keys"]]
    return KeyRing(tuple((key_id(key), key) for key in keys))


def add_key(path: Path) -> KeyRing:
    """Add a new key behind the others; it is published, and signs nothing yet."""
    ring = load_key_ring(path)
    key = OKPKey.generate_key("Ed25519")
    ring = KeyRing((*ring.keys, (key_id(key), key)))
    _replace(path, ring)
    return ring


def make_current(path: Path, kid: str) -> KeyRing:
    """Let a key of the file sign from now on; services notice when they are started again."""
    ring = load_key_ring(path)
    ring = KeyRing(tuple(sorted(ring.keys, key=lambda item: item[0] != kid)))
    _replace(path, ring)
    return ring


def remove_key(path: Path, kid: str) -> None:
    """Take back a key that was added and never used."""
    ring = load_key_ring(path)
    _replace(path, KeyRing(tuple(item for item in ring.keys if item[0] != kid)))


def _write(path: Path, ring: KeyRing) -> None:
    """Two processes starting at once make one file: the link fails for the second."""
    temporary = _temporary(path, ring)
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


def _replace(path: Path, ring: KeyRing) -> None:
    """Whoever reads meanwhile has the one file or the other, whole."""
    _temporary(path, ring).replace(path)


def _temporary(path: Path, ring: KeyRing) -> Path:
    # A name of its own (mode 0600): in a container every process has the same number, and a file
    # that one left behind would stop each start.
    descriptor, name = tempfile.mkstemp(".tmp", f"{path.stem}.", path.parent)
    temporary = Path(name)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"keys": [key.as_dict(private=True) for _, key in ring.keys]}, file)
        file.flush()
        os.fsync(file.fileno())
    return temporary
