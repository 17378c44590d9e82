"""Sentences that people read although no page and no gettext call holds them.

Libraries and this code raise them in English; ``translate`` says them in the reader's language.
``{name}`` stands for what varies.
"""

from __future__ import annotations

import re
from typing import Any

from flask_babel import gettext


def _(sentence: str) -> str:
    """Mark a sentence for the catalogue."""
    return sentence


# Where one sentence begins as another does, the longer one comes first.
LIBRARIES = (  # what they say of a value
    _("Missing data for required field."),
    _("Field may not be null."),
    _("Invalid value."),
    _("Invalid input."),
    _("Invalid input type."),
    _("Invalid type."),
    _("Unknown field."),
    _("Invalid JSON body."),
    _("Not a valid string."),
    _("Not a valid utf-8 string."),
    _("Not a valid integer."),
    _("Not a valid number."),
    _("Number too large."),
    _("Special numeric values (nan or infinity) are not permitted."),
    _("Not a valid boolean."),
    _("Not a valid date."),
    _("Not a valid datetime."),
    _("Not a valid aware datetime."),
    _("Not a valid time."),
    _("Not a valid list."),
    _("Not a valid mapping type."),
    _("Not a valid UUID."),
    _("Not a valid URL."),
    _("Not a valid email address."),
    _("String does not match expected pattern."),
    _("Shorter than minimum length {min}."),
    _("Longer than maximum length {max}."),
    _("Length must be between {min} and {max}."),
    _("Length must be {equal}."),
    _("Must be greater than or equal to {min} and less than or equal to {max}."),
    _("Must be greater than or equal to {min}."),
    _("Must be less than or equal to {max}."),
    _("Must be equal to {other}."),
    _("Must be one of: {choices}."),
)
OURS = (
    # of a value
    _("Lower-case letters, digits and single dashes."),
    _("The end is not after the beginning."),
    _("Not a pass number."),
    _("This space already belongs to another node."),
    _("Another operator goes by this name."),
    _("From when the key was added until now."),
    _("Ids that begin with listed- are those of spaces without a node."),
    _("This space is in the list twice."),
    _("The document’s name says another space."),
    _("This is not the document that the index has."),
    _("This day is over already."),
    _("this space has left the network"),
    _("Bookings are confirmed after this day."),
    _("This is more than two years ahead."),
    _("Not a booking’s number."),
    _("Two numbers are expected: latitude,longitude."),
    _("This contains characters that cannot be stored."),
    _("A web address starting with https:// is expected."),
    _('pairs of times like ["09:00", "19:00"] are expected'),
    _("a table is expected"),
    _("a name like Europe/Paris is expected"),
    _("A time zone like Europe/Paris is expected."),
    _("a date like 2026-12-24 is expected"),
    _("A date like 2026-12-24 is expected."),
    _("These come to more than 100 %."),
    _("a number, or the morning's and the afternoon's, is expected"),
    _("two times like 10:00, or null, are expected"),
    _("the first is before 13:00, the second is not"),
    _("unknown day {day}"),
    _("A report without its receipt shows the pass."),
    _("A visit admitted offline comes with its decision."),
    _("This moment is still to come."),
    _("Not an address a node can have ({reason})."),
    _("a JWK is an object"),
    _("an Ed25519 key is expected (kty OKP, crv Ed25519)"),
    _("this is a private key: send the public part alone"),
    _("a P-256 key is expected (kty EC, crv P-256)"),
    _("{name} must be 32 bytes in base64url"),
    _("x is no point of an Ed25519 key"),
    _("x and y are no point of P-256"),
    _("Four numbers are expected: west,south,east,north."),
    _("These are not degrees in the order west,south,east,north."),
    _("This node has no such space."),
    _("No space of the network has this id."),
    _("This is no fresh code by one of your passes."),
    _("Six digits are expected."),
    _("Not together with a pass."),
    _("This may not be blank."),
    _("This is a paper card: ask for its PIN."),
    _("this visit has a request already"),
    _("this node still answers at its old address"),
    _("iss, aud, url or iat are not right"),
    _("this month is not over yet"),
    _("these months have not begun"),
    _("there is nothing to draw in this period"),
    _("an earlier month is to be issued first"),
    _("the month before is not final yet"),
    _("its lines can be contested yet"),
    _("its lines are final"),
    _("this month has no line of this visit"),
    _("this dispute is settled"),
    _("this node is not suspended"),
    _("the receipt is not one of ours"),
    _("this visit is not held"),
    _("your operator has an open proposal: edit it, or withdraw it"),
    _("a proposal is changed {number} times at most"),
    _("your operator withdrew a proposal: it proposes again from {moment} UTC"),
    _("only who had signed when this vote opened takes part in it"),
    _("this is the charter in force, word for word"),
    _("only who proposed it may change it"),
    _("its vote is closed"),
    _("only who signed the charter in force takes part"),
    _("A “no” gives its reason."),
    _("The end is before the beginning."),
    _("only the version in force or adopted can be signed"),
    _("Not a cursor of this list."),
    _("1 to 200 printable ASCII characters."),
    # of a request that cannot be granted
    _("this e-mail address already has an account"),
    _("a token cannot do more than its owner"),
    _("at most {number} passes at once: revoke one first"),
    _("passes were made too often today"),
    _("five wrong codes: wait ten minutes"),
    _("this account has no subscription in force"),
    _("this subscription has not begun"),
    _("the hub does not know this node, or not by this key: nobody was checked in"),
    _("this subscription is suspended"),
    _("This is the only admin: give somebody else the role first."),
    _("This is the only coordinator: give somebody else the role first."),
    _("Your own second step is turned off on your account page, with a code."),
    _("this account is closed"),
    _("another plan has this name"),
    _("another source has this name"),
    _("there is no such space on the map"),
    _("members have this plan: give them another first"),
    _("this is not a pass of the network"),
    _("this code was not made to ask for rights"),
    _("show a fresh code"),
    _("a month is written 2026-11"),
    _("no charter is in force: run passerelle hub init"),
    _("the network's trust list was never fetched"),
    _("this node is not enrolled yet: run passerelle node enrol"),
    _("this node is not enrolled yet"),
    _("this node has left the network"),
    _("many are being invited under this name"),
    _("too many requests wait to be looked at"),
    _("decided already"),
    _("the node's clock is more than five minutes off"),
    _("the node at that address does not hold the key"),
    _("the name {host} is not found"),
    _("{host} refuses the connection: nothing listens there"),
    _("{host} does not answer in time"),
    _("{host} ends the connection without an answer"),
    _("the certificate of {host} is signed by no authority that we trust"),
    _("the certificate of {host} has expired, or is not good yet"),
    _("the certificate of {host} is for another name"),
    _("{host} does not speak TLS as we do"),
    _("{host} is at an address of a private network, which we do not ask"),
    _("what answers at {host} is not this service"),
    _("the node answered another challenge"),
    _("iss is another node"),
    _("iat or aud is not what it should be"),
    _("this node has many keys already"),
    _("this is the last key: add another first"),
    _("this key was withdrawn: make another"),
    _("this key signs: rotate first, and start the services again"),
    _("this node has no such key"),
    _("the node does not ask for this address any more"),
    _("the space does not answer"),
    _("this number is another booking’s"),
    _("iss or aud is another"),
    _("iss, aud or exp are not right"),
    _("aud, url or invitation differ"),
    _("iss, version or sha256 differ from what is to be signed"),
    _("the text has changed since it was read"),
    _("there was no visit yet in this month"),
    _("this month is not issued yet"),
    _("a space has at most 12 sources: remove one first"),
    _("this address is a source of this space already"),
    _("this event is read from a source: change it there"),
    _("a space has at most 12 photos: remove one first"),
    _("the pictures cannot be stored: is the disk full?"),
    _("this report was answered or closed before"),
    _("this space is off the map already"),
    _("this space is on the map"),
    # of a picture
    _("It is larger than 12 MB."),
    _("It is not a JPEG, PNG or WebP picture."),
    _("It has more than 50 million pixels."),
    _("It is damaged, and cannot be read."),
    _("It is too small: at least 200 pixels a side are needed."),
    # of what is read from another tool
    _("Entry {number} ({name}): its times cannot be understood."),
    _("Its entries recur too often to be worked out."),
    _("A web page came in place of a calendar."),
    _("What came is not a calendar (iCalendar, .ics)."),
    _("What came is not a SpaceAPI document."),
    _("The calendar is cut off: its end is missing."),
    _("The calendar has more than 5,000 entries: choose a smaller one."),
    _("The calendar has more than 2,000 closings in a year."),
    _("An event without a title was left out."),
    _("“{title}” ends before it begins."),
    _("“{title}” lasts more than a year."),
    _("The price “{label}” cannot be used: {why}"),
    _("The adapter of this source is not installed any more."),
    _("The adapter failed: what it reads is not as it expects."),
    _("The address must start with https://."),
    _("This is not an address of the web."),
    _("The address is inside a private network: it is not asked."),
    _("The answer is compressed, although that was not asked for."),
    _("The answer is larger than 4 MB."),
    _("The answer is larger than 10 MB."),
    _("The address does not answer."),
    _("Too many addresses, or too slow ones, are asked."),
    _("The address sends on to another; give that one: {address}"),
    _("The address sends on to another page."),
    _("The address is not open to everybody: share the calendar by a public or secret link."),
    _("There is nothing at this address any more."),
    _("The address answers with an error (status {status})."),
)

CHARTER = (  # what is wrong with a charter that was proposed
    _("{where}: unknown rule kind"),
    _("{where}: missing"),
    _("{where}: unknown key"),
    _("{where}: a table is expected"),
    _("{where}: a whole number from 0 to 1000000 is expected"),
    _("{where}: an article number from 1 is expected"),
    _("{where}: a list of {choices} is expected"),
    _('{where}: a time like "13:00" is expected'),
    _('{where}: a share like "2/3" is expected'),
    _('{where}: a share above 0 and up to 1, like "2/3", is expected'),
    _('{where}: "barter" or "compensate" is expected'),
    _('{where}: an ISO 4217 code like "EUR" is expected'),
    _("{where}: at least 1 is expected"),
    _("{where}: at least one is expected"),
    _("{where}: it is not written in a way that can be changed here"),
    _("not TOML: {detail}"),
    _("the first line must be a title: # …"),
    _("articles must be numbered 1, 2, 3… without a gap"),
    _("article {number} is cited by a rule, and missing from {file}"),
    _("values.article: article {number} lists no values, or one twice"),
    _("values.article: article {number} lists others in fr and en"),
)


def _pattern(sentence: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", sentence)
    return re.compile(
        "".join(f"(?P<{part}>.*)" if n % 2 else re.escape(part) for n, part in enumerate(parts)),
        re.DOTALL,
    )


_PATTERNS = tuple(
    (sentence, _pattern(sentence)) for sentence in LIBRARIES + OURS + CHARTER if "{" in sentence
)


def translate(messages: Any) -> Any:
    """Translate what was found wrong, at whatever depth the sentences are."""
    if isinstance(messages, dict):
        return {str(key): translate(value) for key, value in messages.items()}
    if isinstance(messages, list):
        return [translate(value) for value in messages]
    return _translate(str(messages))


def _translate(text: str) -> str:
    for sentence, pattern in _PATTERNS:
        if found := pattern.fullmatch(text):
            return str(gettext(sentence)).format(**found.groupdict())
    return str(gettext(text)) if text else ""
