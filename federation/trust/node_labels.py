"""What is amiss with a node, in words, and what to do about it."""

from __future__ import annotations

from datetime import datetime

from flask_babel import gettext, lazy_gettext, ngettext

from federation.trust.node_health import GRAVE, WEIGHTS, Condition
from shared.web.formats import day, moment

STATES = {
    "connected": ("yes", lazy_gettext("connected")),
    "late": ("warn", lazy_gettext("late")),
    "offline": ("unknown", lazy_gettext("offline")),
    "suspended": ("no", lazy_gettext("suspended")),
    "left": ("unknown", lazy_gettext("left")),
}

SHORT = {
    "copies": lazy_gettext("runs twice"),
    "offline": lazy_gettext("not heard of"),
    "harvest": lazy_gettext("cannot be reached"),
    "clock-wrong": lazy_gettext("wrong clock"),
    "refused": lazy_gettext("documents refused"),
    "nothing": lazy_gettext("nothing published"),
    "outbox-dead": lazy_gettext("messages refused"),
    "late": lazy_gettext("late"),
    "places": lazy_gettext("free places unknown"),
    "outbox-waiting": lazy_gettext("messages waiting"),
    "unsigned": lazy_gettext("charter not signed"),
    "clock-off": lazy_gettext("clock off"),
    "leaving": lazy_gettext("leaving"),
    "suspended": lazy_gettext("suspended"),
}

_TO_DO = {
    "copies": lazy_gettext(
        "Ask the operator to stop the copy that is not at the node’s address: an old server, or a"
        " test made from a backup. No visit counts twice meanwhile."
    ),
    "offline": lazy_gettext(
        "Its machine or its connection may be down. Write to the operator if this lasts; its desk"
        " goes on alone meanwhile, and tells its visits later."
    ),
    "late": lazy_gettext("Often a restart. Wait a little before you write to the operator."),
    "harvest": lazy_gettext(
        "It may speak to the hub and yet not be reached: look at its address and its certificate,"
        " and at what stands between. The operator’s page “Synchronisation” can check it."
    ),
    "clock-wrong": lazy_gettext(
        "Phones’ codes hold for 90 seconds: doors refuse people for a wrong clock. Ask the"
        " operator to turn on the time service of the machine (NTP)."
    ),
    "clock-off": lazy_gettext(
        "Still borne. Ask the operator to turn on the time service of the machine (NTP)."
    ),
    "refused": lazy_gettext(
        "The map shows what was last right. The operator sees the same faults in the node’s own"
        " console, and corrects them there."
    ),
    "nothing": lazy_gettext("The operator has a sheet to fill in before anything is on the map."),
    "outbox-dead": lazy_gettext(
        "The operator sees which and why on the page “Synchronisation” of the node’s console."
    ),
    "outbox-waiting": lazy_gettext("They are told by themselves; many of them may mean trouble."),
    "places": lazy_gettext(
        "The node answers, but its jobs process seems to be stopped: the operator starts it again."
    ),
    "unsigned": lazy_gettext(
        "Its members are admitted nowhere, and nobody at its spaces, until its operator signs."
    ),
    "leaving": lazy_gettext("Until that day everything goes on."),
    "suspended": lazy_gettext("Take it back below, once the reason is gone."),
}


# What a call that failed is called in code, as people say it.
_REASONS = {
    "unreachable": lazy_gettext("nobody answers at that address"),
    "address-not-public": lazy_gettext("the address is not one of the public internet"),
    "url-not-https": lazy_gettext("the address does not begin with https://"),
    "url-malformed": lazy_gettext("the address is not one"),
    "encoding-refused": lazy_gettext("the answer is compressed, which was not asked for"),
    "answer-too-large": lazy_gettext("the answer is too large"),
    "content-type": lazy_gettext("something else answers at that address"),
    "secret-unreadable": lazy_gettext("its secret cannot be read: give it another one"),
    "proof-invalid": lazy_gettext("it is not signed by a key that the hub knows of it"),
}


def reason(fault: str | None) -> str:
    """Return in words why a node could not be asked: a code, and perhaps a detail."""
    code, _, detail = (fault or "?").partition(" ")
    if code == "status":
        return gettext("it answers with status %(status)s", status=detail)
    words = _REASONS.get(code)
    return str(fault or "?") if words is None else f"{words} ({detail})" if detail else str(words)


def what(one: Condition, code: str) -> str:
    """Return a sentence that says what is amiss."""
    node = one.node
    if code in ("offline", "late"):
        return gettext("Not heard of since %(moment)s.", moment=moment(node.last_seen_at))
    if code == "harvest":
        return gettext(
            "The hub cannot fetch what it publishes: %(fault)s.", fault=reason(node.harvest_fault)
        )
    if code == "places":
        return _places(one.places_until)
    if code == "leaving" and node.leaving_on:
        return gettext("It leaves the network on %(day)s.", day=day(node.leaving_on))
    return _counted(one, code)


def _counted(one: Condition, code: str) -> str:
    mark = one.mark
    seconds = (mark.skew if mark else 0) or 0
    if code in ("clock-wrong", "clock-off"):
        return (
            ngettext(
                "Its clock is %(num)d second fast.", "Its clock is %(num)d seconds fast.", seconds
            )
            if seconds > 0
            else ngettext(
                "Its clock is %(num)d second slow.", "Its clock is %(num)d seconds slow.", -seconds
            )
        )
    if code == "refused":
        return ngettext(
            "%(num)d document was refused.",
            "%(num)d documents were refused.",
            one.refused,
        )
    if code == "outbox-dead":
        return ngettext(
            "%(num)d message was refused by the hub for good.",
            "%(num)d messages were refused by the hub for good.",
            (mark.outbox_dead if mark else 0) or 0,
        )
    if code == "outbox-waiting":
        return ngettext(
            "%(num)d message waits for the hub.",
            "%(num)d messages wait for the hub.",
            (mark.outbox_pending if mark else 0) or 0,
        )
    return {
        "copies": gettext("Two copies of it speak to the hub with the same key."),
        "nothing": gettext("It has published nothing yet."),
        "unsigned": gettext("It has not signed the charter in force."),
        "suspended": gettext("It was suspended by the coordination."),
    }[code]


def _places(until: datetime | None) -> str:
    if until is None:
        return gettext("It has never said how many places are free.")
    return gettext("How many places are free is not known since %(moment)s.", moment=moment(until))


def grave(code: str) -> bool:
    return WEIGHTS[code] >= GRAVE


def to_do(code: str) -> str:
    return str(_TO_DO[code])
