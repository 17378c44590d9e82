"""What a command says when a peer could not be asked, or did not grant what was asked."""

from __future__ import annotations

from flask_babel import force_locale

from shared.net.causes import FOREIGN, PRIVATE, sentence
from shared.net.http import PeerError
from shared.wire.problems import KINDS, Problem

_REMEDIES = {
    "name": "Look whether it is spelt as it should be, and whether this machine looks names up.",
    "refused": "Look whether the server and its proxy run there.",
    "silent": "Look whether it runs, and whether a firewall is between.",
    "dropped": "Look into the log of its proxy.",
    "untrusted": "If it is of an authority of your own, name that authority's certificate in "
    "HUB_CA_FILE or NODE_CA_FILE; if not, the server there should send its whole chain.",
    "expired": "It is to be renewed there; look at this machine's clock, too.",
    "misnamed": "Use the name that it is for, or have one made for this name.",
    "no-tls": "Look whether the address and its port are those of the https proxy.",
    PRIVATE: "Peers are asked at public addresses alone. If this is a trial within one network, "
    "set HUB_ALLOW_PRIVATE_PEERS or NODE_ALLOW_PRIVATE_PEERS to yes.",
    FOREIGN: "Look whether the address is right, and what the proxy there sends on to whom.",
}
_CAUSES = {"not-json": FOREIGN, "foreign": FOREIGN, "late": "silent", "away": "silent"}
_OTHERS = {
    "not-enrolled": "This node is not in the network yet: run passerelle node enrol.",
    "answer-too-large": "{host} answers more than is accepted.",
    "url-not-https": "An address of the network begins with https://.",
    "url-malformed": "This is not an address that a service can have.",
}


def explain(error: Problem | PeerError, host: str) -> str:
    """Return what went wrong and what to do about it, in sentences; ``host`` is who was asked."""
    return _problem(error) if isinstance(error, Problem) else _peer(error, host)


def _peer(error: PeerError, host: str) -> str:
    host, cause = error.host or host, error.cause or _CAUSES.get(error.reason, "")
    said = sentence(cause, host)
    if said:
        begin = said if said.startswith(host) else f"{said[0].upper()}{said[1:]}"
        return f"{begin}. {_REMEDIES[cause]}"
    if error.reason in _OTHERS:
        return _OTHERS[error.reason].format(host=host)
    if error.reason == "status":
        return f"{host} answers with an error (status {error.detail}). Look into its log."
    if error.reason == "not-authenticated":
        return f"{host} does not know this node, or not by this key ({error.detail or 'refused'})."
    return f"{host} could not be asked, or not understood ({error})."


def _problem(error: Problem) -> str:
    with force_locale("en"):
        kind = KINDS[error.slug]
        said = str(error.detail or kind.title).rstrip(".")
        return f"{said[0].upper()}{said[1:]} ({error.slug})."
