"""What the audit log's lines say, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flask_babel import lazy_gettext

from shared.accounts.forms import ROLE_NAMES

# A line whose action is not here is shown by its code.
ACTIONS = {
    "found": lazy_gettext("founded the network"),
    "invite": lazy_gettext("invited an operator"),
    "enrol": lazy_gettext("joined the network"),
    "suspended": lazy_gettext("suspended a node"),
    "connected": lazy_gettext("took a node back"),
    "left": lazy_gettext("left the network"),
    "leaving": lazy_gettext("gave notice"),
    "leaving-withdrawn": lazy_gettext("took the notice back"),
    "move": lazy_gettext("moved to another address"),
    "add-key": lazy_gettext("added a key"),
    "withdraw-key": lazy_gettext("withdrew a key"),
    "invite-again": lazy_gettext("invited a node to register another key"),
    "enrol-again": lazy_gettext("came back with another key"),
    "move-asked": lazy_gettext("asked for another address"),
    "move-refused": lazy_gettext("refused another address"),
    "rotate-key": lazy_gettext("changed the hub’s key"),
    "mark-differs": lazy_gettext("remembers something else than the hub"),
    "propose": lazy_gettext("proposed a charter"),
    "edit-proposal": lazy_gettext("changed a proposal"),
    "withdraw-proposal": lazy_gettext("withdrew a proposal"),
    "vote": lazy_gettext("voted"),
    "vote-closed": lazy_gettext("closed a vote"),
    "in-force": lazy_gettext("put a charter in force"),
    "sign": lazy_gettext("signed the charter"),
    "closing": lazy_gettext("began to issue a month"),
    "issue": lazy_gettext("issued a month"),
    "final": lazy_gettext("made a month final"),
    "dispute": lazy_gettext("contested a visit"),
    "dispute-upheld": lazy_gettext("settled a dispute: the visit does not count"),
    "dispute-rejected": lazy_gettext("settled a dispute: the visit counts"),
    "dispute-withdrawn": lazy_gettext("withdrew a dispute"),
    "correction": lazy_gettext("asked for a correction"),
    "correction-answered": lazy_gettext("answered a correction"),
    "void": lazy_gettext("undid a visit"),
    "held-visit": lazy_gettext("decided about a held visit"),
    "host-held": lazy_gettext("held what a suspended host counts"),
    "host-upheld": lazy_gettext("decided about a host: what was held does not count"),
    "host-rejected": lazy_gettext("decided about a host: what was held counts"),
    "account-invited": lazy_gettext("invited somebody to the desk"),
    "link-sent": lazy_gettext("sent another link"),
    "password": lazy_gettext("chose a password"),
    "roles": lazy_gettext("changed roles"),
    "disable": lazy_gettext("closed an account"),
    "enable": lazy_gettext("opened an account again"),
    "join-admitted": lazy_gettext("admitted an operator that asked to join"),
    "join-declined": lazy_gettext("declined an operator that asked to join"),
    "reply": lazy_gettext("replied to its figures"),
    "change-seen": lazy_gettext("looked at a change"),
    "space-hidden": lazy_gettext("took a space off the map"),
    "space-shown": lazy_gettext("put a space back on the map"),
    "space-reply": lazy_gettext("replied to why its space is off the map"),
    "report-answered": lazy_gettext("answered a report"),
    "report-closed": lazy_gettext("closed a report"),
    "webhook-added": lazy_gettext("added a webhook"),
    "webhook-secret-changed": lazy_gettext("gave a webhook another secret"),
    "webhook-state": lazy_gettext("paused or resumed a webhook"),
    "webhook-removed": lazy_gettext("removed a webhook"),
    "listing-source": lazy_gettext("changed a source of listed spaces"),
    "listing-import": lazy_gettext("imported listed spaces"),
    "listing-reconsider": lazy_gettext("reconsidered the doubles of a source"),
    "listing-edit": lazy_gettext("corrected a listed space"),
    "listing-remove": lazy_gettext("removed a listed space"),
    "listing-restore": lazy_gettext("put a listed space back"),
    "listing-became": lazy_gettext("noted which space a listed one has become"),
    "listing-apart": lazy_gettext("noted that two spaces are not the same"),
    "log-in": lazy_gettext("logged in"),
    "code-refused": lazy_gettext("gave a wrong code after the right password"),
    "log-ins-ended": lazy_gettext("ended log-ins"),
    "two-factor-on": lazy_gettext("turned two-step log-in on"),
    "two-factor-off": lazy_gettext("turned two-step log-in off"),
    "two-factor-reset": lazy_gettext("took two-step log-in off an account"),
    "recovery-codes": lazy_gettext("made new recovery codes"),
    "recovery-code-used": lazy_gettext("used a recovery code"),
    "token": lazy_gettext("made a personal token"),
    "token-revoked": lazy_gettext("revoked a personal token"),
}

VALUES = {
    "open": lazy_gettext("open"),
    "closed": lazy_gettext("closed"),
    "on": lazy_gettext("on"),
    "off": lazy_gettext("off"),
    "connected": lazy_gettext("connected"),
    "late": lazy_gettext("late"),
    "offline": lazy_gettext("offline"),
    "suspended": lazy_gettext("suspended"),
    "left": lazy_gettext("left"),
    "counted": lazy_gettext("counted"),
    "void": lazy_gettext("undone"),
    "closing": lazy_gettext("being issued"),
    "issued": lazy_gettext("issued"),
    "final": lazy_gettext("final"),
    "adopted": lazy_gettext("adopted"),
    "rejected": lazy_gettext("rejected"),
    "withdrawn": lazy_gettext("withdrawn"),
    "upheld": lazy_gettext("upheld"),
    "yes": lazy_gettext("yes"),
    "no": lazy_gettext("no"),
    "abstain": lazy_gettext("abstain"),
    "link": lazy_gettext("by a link"),
    "old-password": lazy_gettext("with the old one"),
    **ROLE_NAMES,
}
LABELS = {
    "before": lazy_gettext("before"),
    "reason": lazy_gettext("reason"),
    "operator": lazy_gettext("operator"),
    "last_day": lazy_gettext("last day"),
    "last_day_before": lazy_gettext("last day before"),
    "url": lazy_gettext("address"),
    "way": lazy_gettext("how"),
    "in_a_row": lazy_gettext("times in a row"),
    "choice": lazy_gettext("vote"),
    "argument": lazy_gettext("argument"),
    "month": lazy_gettext("month"),
    "name": lazy_gettext("name"),
    "roles": lazy_gettext("roles"),
    "ended": lazy_gettext("log-ins ended"),
    "left": lazy_gettext("codes left"),
    "kid": lazy_gettext("key"),
    "since": lazy_gettext("from when on"),
}


def changes(detail: Mapping[str, Any]) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield (name, before, after) of what a line says; what was not noted is None.

    Of values by name, those that differ; the name is empty where there is but one value.
    """
    before, after = detail.get("before"), detail.get("after")
    if isinstance(before, dict) or isinstance(after, dict):
        old, new = before or {}, after or {}
        for name in sorted({*old, *new}):
            if old.get(name) != new.get(name):
                yield name, _plain(old.get(name)), _plain(new.get(name))
    elif "after" in detail:
        yield "", _plain(before), _plain(after)
    elif before is not None:
        yield "before", None, _plain(before)
    for name, value in detail.items():
        if name not in ("before", "after") and value not in (None, "", [], {}):
            yield name, None, _plain(value)


def _plain(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, list):
        return ", ".join(_plain(each) or "–" for each in value) or "–"
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_plain(each)}" for name, each in value.items()) or "–"
    return str(VALUES.get(value, value)) if isinstance(value, str) else str(value)
