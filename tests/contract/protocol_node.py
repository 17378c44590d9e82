"""A node written from ``deploy/protocol.md`` alone: it shares no code with the product.

It needs ``cryptography`` and ``requests``. Names of its parts are the page's sections.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

Json = dict[str, Any]


# 1. Conventions


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Key:
    private: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def jwk(self) -> Json:
        x = b64(self.private.public_key().public_bytes_raw())
        return {"kty": "OKP", "crv": "Ed25519", "x": x}

    @property
    def kid(self) -> str:
        return b64(hashlib.sha256(canonical(self.jwk)).digest())[:12]

    def sign(self, typ: str, claims: Json, alg: str = "Ed25519", **header: str) -> str:
        head = {"alg": alg, "typ": typ, "kid": self.kid, **header}
        signed = f"{b64(canonical(head))}.{b64(json.dumps(claims).encode())}"
        return f"{signed}.{b64(self.private.sign(signed.encode()))}"


def read(token: str, keys: list[Json], typ: str) -> Json:
    """Return the claims of a token that one of these keys signed. Raises for any other."""
    head, payload, signature = token.split(".")
    header = json.loads(unb64(head))
    assert header["alg"] in ("Ed25519", "EdDSA"), header
    assert header["typ"] == typ, header
    jwk = next(key for key in keys if key["kid"] == header["kid"])
    public = Ed25519PublicKey.from_public_bytes(unb64(jwk["x"]))
    public.verify(unb64(signature), f"{head}.{payload}".encode())
    claims: Json = json.loads(unb64(payload))
    return claims


class Node:
    """A node at a port of its own, with one space; ``close`` ends it."""

    def __init__(self, hub: str, space: str) -> None:
        self.hub, self.space = hub, space
        self.id, self.revision = "", 1
        self.keys = [Key()]
        self.notices: list[Json] = []
        node = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                paths = {
                    "/.well-known/jwks.json": node.jwks,
                    "/.well-known/passerelle": node.publication,
                    "/status-lists/1": node.status_list,
                }
                self._say(*paths[self.path]() if self.path in paths else (404, "", b""))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path == "/api/v1/enrolment/challenge":
                    self._say(*node.answer(body["challenge"]))
                elif self.path == "/api/v1/hub/notices":
                    claims = read(body["notice"], node.hub_keys(), "passerelle-notice+jwt")
                    node.notices.append(claims)
                    self._say(204, "", b"")

            def _say(self, status: int, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def key(self) -> Key:
        return self.keys[0]

    def hub_keys(self) -> list[Json]:
        keys: list[Json] = requests.get(f"{self.hub}/.well-known/jwks.json", timeout=20).json()[
            "keys"
        ]
        return keys

    def jwks(self) -> tuple[int, str, bytes]:
        keys = [{**key.jwk, "kid": key.kid, "use": "sig"} for key in self.keys]
        return 200, "application/json", json.dumps({"keys": keys}).encode()

    # 2. Enrolment

    def enrol(self, invitation: str) -> requests.Response:
        claims = {
            "aud": self.hub,
            "url": self.url,
            "invitation": sha256(invitation.encode()),
            "iat": int(time.time()),
        }
        proof = self.key.sign("passerelle-enrolment+jwt", claims)
        jwk = {**self.key.jwk, "kid": "a number of my own"}
        body = {"invitation": invitation, "url": self.url, "jwk": jwk, "proof": proof}
        answer = requests.post(f"{self.hub}/api/v1/enrolments", json=body, timeout=20)
        if answer.status_code == 201:
            self.id = answer.json()["node_id"]
        return answer

    def answer(self, challenge: str) -> tuple[int, str, bytes]:
        asked = read(challenge, self.hub_keys(), "passerelle-challenge+jwt")
        assert asked["iss"] == self.hub
        assert asked["aud"] == self.url
        assert asked["exp"] > time.time()
        key = next((key for key in self.keys if key.kid == asked.get("kid", self.key.kid)), None)
        if key is None:
            return 403, "application/problem+json", b"{}"
        told = {"iss": self.url, "aud": self.hub, "nonce": asked["nonce"]}
        answer = key.sign("passerelle-challenge-answer+jwt", told)
        return 200, "application/json", json.dumps({"answer": answer}).encode()

    # 3. Access tokens

    def token(self, key: Key | None = None) -> requests.Response:
        now = int(time.time())
        claims = {
            "iss": self.id,
            "sub": self.id,
            "aud": f"{self.hub}/oauth/token",
            "iat": now,
            "exp": now + 60,
            "jti": secrets.token_urlsafe(16),
        }
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": (key or self.key).sign("JWT", claims),
        }
        return requests.post(f"{self.hub}/oauth/token", data=form, timeout=20)

    def call(self, method: str, path: str, body: Any = None, **query: str) -> requests.Response:
        bearer = {"Authorization": f"Bearer {self.token().json()['access_token']}"}
        url = f"{self.hub}/api/v1{path}"
        return requests.request(method, url, json=body, params=query, headers=bearer, timeout=20)

    # 4. The charter

    def sign_charter(self) -> requests.Response:
        charter = requests.get(f"{self.hub}/api/v1/charters/current", timeout=20).json()
        document = {"version": charter["version"], "sources": charter["sources"]}
        assert sha256(canonical(document)) == charter["sha256"]
        claims = {
            "iss": self.id,
            "version": charter["version"],
            "sha256": charter["sha256"],
            "iat": int(time.time()),
        }
        jws = self.key.sign("charter-signature+jwt", claims)
        return self.call("POST", f"/charters/{charter['version']}/signatures", {"jws": jws})

    # 5. The publication

    def _documents(self) -> dict[str, Json]:
        week = {day: [["09:00", "19:00"]] for day in ("mo", "tu", "we", "th", "fr")}
        return {
            "operator": {"name": "Le Tiers", "plans": {"resident": None, "nomad": 4}},
            f"{self.space}/sheet": {
                "id": self.space,
                "name": "Le Tiers",
                "address": {"town": "Vienne", "country": "FR"},
            },
            f"{self.space}/hours": {"timezone": "Europe/Paris", "week": week},
            f"{self.space}/conditions": {"guest_cap": 5, "paused": False},
            f"{self.space}/rooms": {"rooms": []},
            f"{self.space}/prices": {"prices": []},
            f"{self.space}/events": {"events": []},
            f"{self.space}/offer": {"services": ["Fibre"], "values": []},
        }

    def _claims(self) -> Json:
        index = {
            name: {"sha256": sha256(canonical(body)), "version": 1}
            for name, body in self._documents().items()
        }
        now = int(time.time())
        return {"iss": self.id, "iat": now, "revision": self.revision, "documents": index}

    def publication(self) -> tuple[int, str, bytes]:
        documents = self._documents()
        operator = documents.pop("operator")
        space: Json = {}
        for body in documents.values():
            space |= body
        claims = {**self._claims(), **operator, "spaces": [space]}
        token = self.key.sign("passerelle-publication+jwt", claims)
        return 200, "application/jwt", token.encode()

    def publish(self) -> requests.Response:
        claims = {**self._claims(), "bodies": self._documents()}
        token = self.key.sign("passerelle-documents+jwt", claims)
        return self.call("POST", "/publications", {"documents": token})

    def publish_whole(self) -> requests.Response:
        return self.call("POST", "/publications", {"publication": self.publication()[2].decode()})

    # 6. The trust list

    def trust_list(self, etag: str = "") -> requests.Response:
        headers = {"If-None-Match": etag} if etag else {}
        return requests.get(f"{self.hub}/api/v1/trust-list", headers=headers, timeout=20)

    # 7. Passes

    def issue(self, phone: Phone, index: int) -> str:
        pass_id = secrets.token_urlsafe(12)
        now = datetime.now(UTC)
        claims = {
            "iss": self.id,
            "sub": pass_id,
            "iat": int(now.timestamp()),
            "exp": int((now + timedelta(days=30)).timestamp()),
            "vct": "passerelle:pass",
            "plan": "resident",
            "given_name": "Ada",
            "cnf": {"jwk": phone.jwk},
            "status": {"status_list": {"idx": index, "uri": f"{self.url}/status-lists/1"}},
        }
        word = {
            "member": f"member-{index}",
            "member_since": "2026-01-05",
            "status": "valid",
            "changes": 0,
            "number": index,
            "expires_at": (now + timedelta(days=30)).isoformat(),
        }
        told = self.call("PUT", f"/passes/{pass_id}", word)
        assert told.status_code == 204, told.text
        return self.key.sign("dc+sd-jwt", claims, "EdDSA")

    def status_list(self) -> tuple[int, str, bytes]:
        now = int(time.time())
        claims = {
            "iss": self.id,
            "sub": f"{self.url}/status-lists/1",
            "iat": now,
            "exp": now + 72 * 3600,
            "ttl": 60,
            "status_list": {"bits": 2, "lst": b64(zlib.compress(bytes(64)))},
        }
        token = self.key.sign("statuslist+jwt", claims)
        return 200, "application/statuslist+jwt", token.encode()

    # 10. Visits

    def report(self, shown: str, at: datetime, **claims: Any) -> requests.Response:
        opening = [at.replace(hour=h, minute=0, second=0, microsecond=0) for h in (9, 19)]
        said = {
            "iss": self.id,
            "aud": self.hub,
            "iat": int(time.time()),
            "space": self.space,
            "pass": shown,
            "at": at.isoformat(),
            "online": True,
            "host": {
                "paused": False,
                "closed_date": None,
                "hours_known": True,
                "opening": [instant.isoformat() for instant in opening],
                "next_opening": None,
                "timezone": "Europe/Paris",
                "guest_cap": 5,
                "capacity": None,
                "guests_present": 0,
                "people_present": 0,
                "services": ["Fibre"],
            },
            **claims,
        }
        jws = self.key.sign("passerelle-visit+jwt", said)
        return self.call("POST", "/visits", {"report": jws})

    # 13. Keys

    def rotate(self) -> requests.Response:
        """Add a key, let it sign, and return what the hub answered."""
        new = Key()
        self.keys.append(new)
        claims = {"iss": self.id, "aud": self.hub, "iat": int(time.time())}
        proof = new.sign("passerelle-key+jwt", claims)
        answer = self.call("POST", "/nodes/me/keys", {"jwk": new.jwk, "proof": proof})
        self.keys.reverse()
        return answer


@dataclass
class Phone:
    """What a pass is bound to (7)."""

    key: Key = field(default_factory=Key)

    @property
    def jwk(self) -> Json:
        return self.key.jwk

    algorithm = "EdDSA"

    def sign(self, data: bytes) -> bytes:
        return self.key.private.sign(data)

    def show(self, credential: str, audience: str = "passerelle:check-in") -> str:
        claims = {
            "iat": int(time.time()),
            "aud": audience,
            "nonce": secrets.token_urlsafe(12),
            "sd_hash": b64(hashlib.sha256(f"{credential}~".encode()).digest()),
        }
        head = canonical({"alg": self.algorithm, "typ": "kb+jwt"})
        signed = f"{b64(head)}.{b64(canonical(claims))}"
        return f"{credential}~{signed}.{b64(self.sign(signed.encode()))}"


@dataclass
class P256Phone(Phone):
    """A phone whose browser has no Ed25519: ES256, r and s in 32 octets each."""

    private: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    algorithm = "ES256"

    @property
    def jwk(self) -> Json:
        numbers = self.private.public_key().public_numbers()
        point = {name: b64(getattr(numbers, name).to_bytes(32, "big")) for name in ("x", "y")}
        return {"kty": "EC", "crv": "P-256", **point}

    def sign(self, data: bytes) -> bytes:
        r, s = decode_dss_signature(self.private.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
