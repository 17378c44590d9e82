"""What the page of the synchronisation says: documents, messages and findings, in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson
from flask_babel import gettext, lazy_gettext

from shared.wire.documents import OPERATOR, space_of
from shared.wire.error_messages import translate

DOCUMENTS = {
    OPERATOR: lazy_gettext("Operator and plans"),
    "sheet": lazy_gettext("Identity sheet"),
    "hours": lazy_gettext("Opening hours and closings"),
    "conditions": lazy_gettext("House conditions"),
    "rooms": lazy_gettext("Rooms"),
    "prices": lazy_gettext("Prices"),
    "offer": lazy_gettext("Services and values"),
    "events": lazy_gettext("Events"),
}
TOPICS = {
    "publication": lazy_gettext("the publication"),
    "visit": lazy_gettext("a visit admitted without the hub"),
    "check-out": lazy_gettext("the end of a visit"),
    "void": lazy_gettext("a visit that was undone"),
    "showing": lazy_gettext("a code that was good here, without a name"),
    "correction/answer": lazy_gettext("an answer to a visitor’s request"),
    "pass": lazy_gettext("a pass"),
}
# What a call that failed is called here (shared.http), as people say it.
REASONS = {
    "unreachable": lazy_gettext("nobody answers at that address"),
    "away": lazy_gettext("the hub does not answer"),
    "address-not-public": lazy_gettext("the address is not one of the public internet"),
    "url-not-https": lazy_gettext("the address does not begin with https://"),
    "url-malformed": lazy_gettext("the address is not one"),
    "encoding-refused": lazy_gettext("the answer is compressed, which was not asked for"),
    "answer-too-large": lazy_gettext("the answer is too large"),
    "not-json": lazy_gettext("something else answers at that address"),
    "foreign": lazy_gettext("something else answers at that address"),
    "late": lazy_gettext("the answer did not come in time"),
    "not-authenticated": lazy_gettext("the hub does not know this node, or not by this key"),
    "clock": lazy_gettext("this machine’s clock and the hub’s are not the same"),
    "trust-list-invalid": lazy_gettext("the hub’s trust list cannot be read"),
}
# Of these, what came is told too: whoever looks for the cause needs it.
_TELLING = ("unreachable", "foreign", "clock")
CHECKS = {
    "reachable": lazy_gettext("Your address, seen from the hub"),
    "certificate": lazy_gettext("Certificate"),
    "clock": lazy_gettext("Clock"),
    "key": lazy_gettext("Signing key"),
    "publication": lazy_gettext("Publication"),
    "cors": lazy_gettext("Open to other sites (CORS)"),
    "spaceapi": lazy_gettext("SpaceAPI"),
    "jobs": lazy_gettext("Jobs process"),
}
_UNREACHABLE = lazy_gettext(
    "The hub could not reach it: %(why)s. See that the node runs, that NODE_URL is its public"
    " address, and that the firewall and the proxy in front let it through."
)
_SKIPPED = lazy_gettext("Not looked at, as long as the line above is not put right.")
# (check, code) → what was found, and what to do.
FINDINGS = {
    ("reachable", "ok"): lazy_gettext("The hub reaches it."),
    ("reachable", "unreachable"): _UNREACHABLE,
    ("reachable", "redirect"): lazy_gettext(
        "It sends the hub elsewhere (status %(status)s), and the hub follows nobody. Have the proxy"
        " serve this very address."
    ),
    ("reachable", "status"): lazy_gettext(
        "It answers with status %(status)s. See the node’s log, or whether another site answers"
        " there."
    ),
    ("certificate", "ok"): lazy_gettext("Good for %(days)s more days."),
    ("certificate", "ends-soon"): lazy_gettext(
        "It ends in %(days)s days. See that it is renewed by itself: certbot, or the proxy."
    ),
    ("certificate", "invalid"): lazy_gettext(
        "It is not good (%(detail)s): expired, of another name, or without its chain. Renew it, and"
        " install it with the chain."
    ),
    ("certificate", "plain-http"): lazy_gettext(
        "Without encryption: good for a trial alone. For real, put a proxy with a certificate in"
        " front, and set NODE_URL to https://…"
    ),
    ("clock", "ok"): lazy_gettext("It agrees with the hub’s to %(seconds)s s."),
    ("clock", "wrong"): lazy_gettext(
        "It differs from the hub’s by %(seconds)s seconds. Let the machine set its clock by itself"
        " (timedatectl set-ntp true): signatures that are off by more than a minute are refused."
    ),
    ("clock", "unreadable"): lazy_gettext("The publication does not say when it was made."),
    ("key", "ok"): lazy_gettext("The hub knows it, and it signs the publication."),
    ("key", "unreadable"): lazy_gettext(
        "What is at /.well-known/passerelle is not a publication: another program may answer there."
    ),
    ("key", "wrong"): lazy_gettext(
        "The publication is signed by a key that the hub does not know. Was the data folder"
        " replaced? Put the file of keys back from a backup, or ask the coordination for a new"
        " invitation."
    ),
    ("key", "another-node"): lazy_gettext(
        "Another node, “%(id)s”, answers at your address. See to which machine the address leads."
    ),
    ("key", "not-shown"): lazy_gettext(
        "The key that signs is not at /.well-known/jwks.json. Start the node again."
    ),
    ("publication", "ok"): lazy_gettext("Read, and its %(documents)s documents are accepted."),
    ("publication", "refused"): lazy_gettext(
        "Read; not accepted: %(documents)s. The faults are named above, field by field."
    ),
    ("publication", "unreadable"): lazy_gettext("It is not as it should be: %(errors)s."),
    ("publication", "not-signed"): lazy_gettext("Its signature does not hold: see the key above."),
    ("cors", "ok"): lazy_gettext("Other sites may read what is public."),
    ("cors", "closed"): lazy_gettext(
        "Not readable from other sites: %(paths)s. See that the proxy passes these paths on, and"
        " leaves the header Access-Control-Allow-Origin as it is."
    ),
    ("spaceapi", "ok"): lazy_gettext("As version 15 wants it."),
    ("spaceapi", "invalid"): lazy_gettext(
        "Not as version 15 wants it: %(spaces)s. Complete the identity sheet."
    ),
    ("jobs", "ok"): lazy_gettext("At work: the hub hears how many places are free."),
    ("jobs", "never"): lazy_gettext(
        "Never heard of. Start it beside the server: passerelle node jobs."
    ),
    ("jobs", "silent"): lazy_gettext(
        "Silent. Start it again (passerelle node jobs): without it nothing is delivered, and the"
        " map does not know your free places."
    ),
}


def finding(found: Mapping[str, Any]) -> str:
    """Return what the hub found, in words; a code that is not known yet is given as it is."""
    known = FINDINGS.get((found["name"], found["code"]))
    if found["state"] == "skipped":
        known = _SKIPPED
    if known is None:
        return str(found["code"])
    params = {name: _said(value) for name, value in found["params"].items()}
    if found["code"] == "refused":
        params["documents"] = ", ".join(map(titled, found["params"].get("documents", [])))
    if "reason" in found["params"]:
        params["why"] = reason(f"{found['params']['reason']} {found['params'].get('detail', '')}")
    try:
        return str(known) % params
    except KeyError:
        return str(found["code"])


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(": ".join(line) for line in lines(value))
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def titled(name: str) -> str:
    """Return what a document is about, with the id of its space."""
    space = space_of(name)
    return f"{document(name)} ({space})" if space else document(name)


def lines(errors: Any, where: str = "") -> list[tuple[str, str]]:
    """Return faults as (field, what is wrong), translated; a field in a list has its number.

    Numbers are those that people count with, from one.
    """
    if isinstance(errors, Mapping):
        return [
            line
            for name, found in errors.items()
            for line in lines(found, " › ".join(filter(None, (where, _place(name)))))
        ]
    found = errors if isinstance(errors, list) else [errors]
    return [(where, str(translate(each))) for each in found]


def _place(name: Any) -> str:
    return str(int(name) + 1) if str(name).isdecimal() else str(name)


def document(name: str) -> str:
    """Return what a document is about, in words."""
    subject = name.rpartition("/")[2]
    return str(DOCUMENTS.get(subject, subject))


def _unquoted(text: str) -> str:
    try:
        return str(orjson.loads(f'"{text}"'))
    except orjson.JSONDecodeError:
        return text


_QUOTED = re.compile(r'"(?:detail|title)":"((?:[^"\\]|\\.)*)"')


def reason(error: str | None) -> str:
    """Return in words why a message was not taken: a problem document, whole or cut off, or a code.

    The more telling one of a problem’s title and detail comes last in it.
    """
    error = (error or "").strip()
    said = _QUOTED.findall(error)
    if said:
        return str(translate(_unquoted(said[-1]))).rstrip(".")
    code, _, detail = error.partition(" ")
    if code == "status":
        return gettext("it answers with status %(status)s", status=detail)
    words = REASONS.get(code)
    if words is None:
        return error or gettext("not tried yet")
    return f"{words} ({detail})" if detail and code in _TELLING else str(words)
