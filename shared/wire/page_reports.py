"""What may be wrong on a space's page, as people report it and both services say it."""

from __future__ import annotations

from flask_babel import lazy_gettext

KINDS = {
    "hours": lazy_gettext("The hours are wrong"),
    "place": lazy_gettext("The address or the place on the map is wrong"),
    "closed": lazy_gettext("The space has closed for good"),
    "contact": lazy_gettext("The e-mail, web site or a name is wrong"),
    "offer": lazy_gettext("The prices or services are wrong"),
    "access": lazy_gettext("What is said about access is wrong"),
    "content": lazy_gettext("Something on the page should not be public"),
    "other": lazy_gettext("Something else"),
}
# What a space may say to a report.
ANSWERS = {
    "corrected": lazy_gettext("corrected"),
    "not_an_error": lazy_gettext("not an error"),
}
