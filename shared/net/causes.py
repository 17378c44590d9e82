"""Why nobody was reached: a cause by its code, and a sentence of it for whoever is to mend it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

PRIVATE, FOREIGN = "private", "foreign"

# What is the matter with a host. Each is in ``shared.wire.error_messages``, to be translated.
SENTENCES = {
    "name": "the name {host} is not found",
    "refused": "{host} refuses the connection: nothing listens there",
    "silent": "{host} does not answer in time",
    "dropped": "{host} ends the connection without an answer",
    "untrusted": "the certificate of {host} is signed by no authority that we trust",
    "expired": "the certificate of {host} has expired, or is not good yet",
    "misnamed": "the certificate of {host} is for another name",
    "no-tls": "{host} does not speak TLS as we do",
    PRIVATE: "{host} is at an address of a private network, which we do not ask",
    FOREIGN: "what answers at {host} is not this service",
}
# X509_V_ERR_* of OpenSSL: dates, and names.
_VERIFYING = {9: "expired", 10: "expired", 62: "misnamed", 64: "misnamed"}
_KINDS: tuple[tuple[type[Exception], str], ...] = (
    (ssl.SSLError, "no-tls"),
    (socket.gaierror, "name"),
    (UnicodeError, "name"),
    (ConnectionRefusedError, "refused"),
    (TimeoutError, "silent"),
    (ConnectionError, "dropped"),
    (OSError, "silent"),  # no way there
)


def cause_of(error: BaseException) -> str:
    """Return the code of what made a call fail; empty where it is nothing of these."""
    found = next(_chain(error), None)
    if isinstance(found, ssl.SSLCertVerificationError):
        return _VERIFYING.get(found.verify_code, "untrusted")
    return next((code for kind, code in _KINDS if isinstance(found, kind)), "")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield what caused an error before the error itself: libraries wrap what they catch."""
    seen = [error]
    for each in seen:
        inner = [each.__cause__, each.__context__, *each.args]
        seen += [one for one in inner if isinstance(one, BaseException) and one not in seen]
    yield from (each for each in seen if isinstance(each, OSError | UnicodeError))


def sentence(cause: str, host: str) -> str:
    """Return what is the matter with a host; empty where the cause is not known."""
    return SENTENCES[cause].format(host=host) if cause in SENTENCES else ""
