"""The OAuth 2 server for nodes: client credentials with ``private_key_jwt`` (RFC 7523)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import (
    ClientCredentialsGrant,
    InvalidClientError,
    InvalidRequestError,
)
from authlib.oauth2.rfc6749.models import ClientMixin
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from flask import Blueprint, Flask, g, request
from joserfc.jwk import OKPKey

from federation.context import hub
from federation.db import db
from federation.nodes import access_tokens
from federation.nodes import service as nodes
from federation.nodes.models import Node
from shared.crypto import jose
from shared.web import allow

METHOD = "private_key_jwt"
SUSPENDED = "node-suspended"
LEEWAY_SECONDS = 60
MAX_LIFE_SECONDS = 300


@dataclass(frozen=True)
class NodeClient(ClientMixin):
    node_id: str
    suspended: bool = False

    def get_client_id(self) -> str:
        return self.node_id

    def get_default_redirect_uri(self) -> None:
        return None

    def get_allowed_scope(self, _scope: str) -> str:
        return ""

    def check_redirect_uri(self, _uri: str) -> bool:
        return False

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == METHOD and endpoint == "token"

    def check_response_type(self, _response_type: str) -> bool:
        return False

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "client_credentials"


class NodeAssertion(JWTBearerClientAssertion):
    CLIENT_AUTH_METHOD = METHOD

    def get_audiences(self) -> list[str]:
        return [hub().url, f"{hub().url}/oauth/token"]

    def resolve_client_public_key(self, client: NodeClient) -> OKPKey:
        """Any key will do here: ``process_assertion_claims`` looks the right one up by ``kid``."""
        del client
        return hub().ring.current

    def process_assertion_claims(self, assertion: str, _key: Any) -> Any:
        node_id = str(jose.read_unverified(assertion).claims.get("sub"))
        try:
            find_key = nodes.find_key_of(db.session(), node_id)
            token = jose.verify(assertion, find_key, "JWT", None)
        except jose.TokenFault as fault:
            raise InvalidClientError(description=f"assertion: {fault.detail}") from None
        claims = dict(token.claims)
        self._check_clock(claims)
        self.verify_claims(claims)
        g.assertion_kid = token.header["kid"]
        return claims

    def _check_clock(self, claims: dict[str, Any]) -> None:
        now = time.time()
        issued, expires = claims.get("iat"), claims.get("exp")
        if type(issued) is not int or type(expires) is not int:  # true and false are none
            raise InvalidClientError(description="assertion: iat and exp are needed")
        if expires - issued > MAX_LIFE_SECONDS:
            raise InvalidClientError(description="assertion: lives longer than five minutes")
        if issued > now + LEEWAY_SECONDS or expires < now - LEEWAY_SECONDS:
            seconds = round(issued - now)
            raise InvalidClientError(
                description=f"assertion: the node's clock is about {seconds:+d} s off the hub's"
            )

    def validate_jti(self, claims: dict[str, Any], jti: Any) -> bool:
        if not isinstance(jti, str) or not 8 <= len(jti) <= 128 or not _plain(jti):
            return False
        expires = claims["exp"] + LEEWAY_SECONDS + 1
        return access_tokens.use_assertion(db.session(), claims["sub"], jti, expires)


class NodeGrant(ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = [METHOD]  # noqa: RUF012 - Authlib's declaration

    def validate_token_request(self) -> None:
        super().validate_token_request()
        if self.request.client.suspended:  # told to nobody but itself: its key is proven
            raise InvalidClientError(description=SUSPENDED)


def _plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _query_client(client_id: str) -> NodeClient | None:
    session = db.session()
    node = session.get(Node, client_id) if _plain(client_id) else None
    # Who has left reads its account, and settles it; everything else asks whether it takes part.
    return None if node is None else NodeClient(node.id, node.state == "suspended")


def _generate(client: NodeClient, **_kwargs: Any) -> str:
    return access_tokens.access_token(hub().ring, hub().url, client.node_id, g.assertion_kid)


class _Server(AuthorizationServer):
    def get_error_uri(self, request: Any, error: Any) -> str:
        """Name the problem (RFC 6749, 5.2): so a node knows that it is the hub that refuses."""
        del request
        slug = SUSPENDED if error.description == SUSPENDED else "node-unknown"
        return f"{hub().url}/problems/{slug}"


pages = Blueprint("oauth", __name__)
server = _Server()


@pages.post("/oauth/token")
@allow("public")
def token() -> Any:
    if not request.form.get("grant_type"):  # RFC 6749, 5.2: a parameter that is missing
        fault = InvalidRequestError(description="grant_type is missing")
        return server.handle_error_response(None, fault)
    return server.create_token_response()


@pages.get("/.well-known/oauth-authorization-server")
@allow("public")
def metadata() -> dict[str, Any]:
    """How nodes get an access token (RFC 8414)."""
    return {
        "issuer": hub().url,
        "token_endpoint": f"{hub().url}/oauth/token",
        "jwks_uri": f"{hub().url}/.well-known/jwks.json",
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": [METHOD],
        "token_endpoint_auth_signing_alg_values_supported": list(jose.ALGORITHMS),
    }


def install(app: Flask) -> None:
    app.config["OAUTH2_ACCESS_TOKEN_GENERATOR"] = _generate
    app.config["OAUTH2_TOKEN_EXPIRES_IN"] = {
        "client_credentials": access_tokens.ACCESS_TOKEN_SECONDS
    }
    server.init_app(app, query_client=_query_client, save_token=lambda _token, _request: None)
    server.register_client_auth_method(METHOD, NodeAssertion())
    server.register_grant(NodeGrant)
    app.register_blueprint(pages)
