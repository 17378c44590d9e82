"""Why the hub holds a visit that a host told of: in words, for the host and the coordination."""

from __future__ import annotations

from flask_babel import lazy_gettext

WORDS = {
    "pass_malformed": lazy_gettext("the phone’s signature does not hold"),
    "pass_stale": lazy_gettext("the code was not signed at that time"),
    "pass_expired": lazy_gettext("the pass had expired"),
    "pass_replayed": lazy_gettext("the same code was shown elsewhere too"),
    "refused_live": lazy_gettext("the network had refused the same code"),
    "home_unknown": lazy_gettext("the home space, or the key of its passes, is not known"),
    "home_left": lazy_gettext("the home space had left the network"),
    "key_withdrawn": lazy_gettext("the pass is signed with a key that was withdrawn"),
    "before_enrolment": lazy_gettext("the host had not joined the network yet"),
    "not_published": lazy_gettext("the space was not published yet"),
    "too_old": lazy_gettext("it was told more than 35 days later"),
}


def why(code: str) -> str:
    """Return the reason in words; a code that is not known yet is given as it is."""
    return str(WORDS.get(code, code))
