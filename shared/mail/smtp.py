"""One e-mail as a message, and handing it to a mail server or a folder. No database here.

What leaves this machine is encrypted, and the server's certificate verified: plain SMTP is spoken
to a loopback address alone.
"""

from __future__ import annotations

import hashlib
import os
import re
import smtplib
import socket
import ssl
from contextlib import suppress
from datetime import datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from shared.base.mail_server import MailServer
from shared.net.authorities import for_mail

TIMEOUT_SECONDS = 15.0
# Log-in is wanted (RFC 4954, 6); the sender's address, or who may send (RFC 3463, 3.2 and 3.8).
_NOT_LOGGED_IN = (530, 534, 535, 538)
_OF_SENDER = re.compile(r"5\.(1\.[78]|7\.\d+)\b")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # spaces that French needs stay


class MailFault(Exception):
    """The message was not taken. ``reason`` is a code without anybody's address in it.

    ``words`` are the server's own, for a person who asks at once; they may hold addresses, and
    are neither kept nor logged. ``lasting``: trying again gives the same answer.
    ``of_server``: no other message would be taken either.
    """

    def __init__(
        self, reason: str, words: str = "", *, lasting: bool = False, of_server: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason, self.words = reason, words
        self.lasting, self.of_server = lasting, of_server


def _one_line(text: str) -> str:
    return re.sub(" +", " ", _CONTROLS.sub(" ", text)).strip(" ")


def compose(
    site: str, key: str, sender: str, to: str, subject: str, text: str, at: datetime
) -> EmailMessage:
    """Return the message: the same for the same ``site`` (a URL) and ``key``, whenever it is made.

    So a message that is sent again after a crash has the same Message-ID, by which mail programs
    recognise it. No header can be brought in by ``subject``, which becomes one line, nor by the
    addresses, which ``EmailMessage`` writes from their parts.
    """
    name, address = parseaddr(sender)
    message = EmailMessage(policy=policy.SMTP)
    message["From"] = Address(name, addr_spec=address)
    message["To"] = Address(addr_spec=to)
    message["Subject"] = _one_line(subject)
    message["Date"] = at
    message["Message-ID"] = f"<{_digest(site, key)}@{urlsplit(site).hostname or 'localhost'}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office replies
    lines = (_CONTROLS.sub(" ", line).rstrip() for line in text.splitlines())
    message.set_content("\n".join(lines) + "\n", charset="utf-8", cte="quoted-printable")
    return message


def _digest(site: str, key: str) -> str:
    return hashlib.sha256(f"{site}\n{key}".encode()).hexdigest()[:32]


def send(server: MailServer, message: EmailMessage, ca_file: Path | None = None) -> str:
    """Hand a message over; return what the server answered. Raises MailFault."""
    if server.scheme == "file":
        return _write(server.folder, message)
    try:
        smtp = _connect(server, ca_file)
        try:
            _begin(smtp, server, ca_file)
            smtp.send_message(message)
        finally:
            with suppress(OSError):  # what it says to our good-bye changes nothing
                smtp.quit()
    except (OSError, ValueError) as error:  # which SMTPException, ssl.SSLError are, too
        raise _fault(error) from None
    return smtp.answer


class _Smtp(smtplib.SMTP):
    """Keeps what the server answered to the message itself, which ``send_message`` does not."""

    answer = ""

    def data(self, msg: Any) -> tuple[int, bytes]:
        code, words = super().data(msg)
        self.answer = f"{code} {_told(words)}"
        return code, words


class _SmtpOverTls(_Smtp, smtplib.SMTP_SSL):
    pass


def _connect(server: MailServer, ca_file: Path | None) -> _Smtp:
    where = server.host, server.port, socket.gethostname()  # getfqdn() would ask the network
    if server.scheme == "smtps":
        tls = for_mail(ca_file)
        return _SmtpOverTls(*where, timeout=TIMEOUT_SECONDS, context=tls)
    return _Smtp(*where, timeout=TIMEOUT_SECONDS)


def _begin(smtp: smtplib.SMTP, server: MailServer, ca_file: Path | None) -> None:
    """Encrypt unless nothing leaves this machine, and log in where told to."""
    smtp.ehlo()
    if server.scheme == "smtp" and not server.plain:
        smtp.starttls(context=for_mail(ca_file))
        smtp.ehlo()
    if server.user:
        smtp.login(server.user, server.password)


def _fault(error: Exception) -> MailFault:
    """Return whose fault it is that a message was not taken: the message's own, or the server's.

    A 5xx to the recipient or to the text is a last word about this message, unless its enhanced
    code says that it is about who sends: many servers refuse a sender only at the recipient.
    """
    reason, words = "unreachable", str(error)
    match error:
        case smtplib.SMTPRecipientsRefused(recipients=refused):
            return _refused(*next(iter(refused.values())))
        case smtplib.SMTPDataError(smtp_code=code, smtp_error=said):
            return _refused(code, said)
        case smtplib.SMTPAuthenticationError(smtp_error=said):
            reason, words = "not-authenticated", _told(said)
        case smtplib.SMTPNotSupportedError():
            reason = "not-supported"
        case smtplib.SMTPResponseException(smtp_code=code, smtp_error=said):  # the sender's, too
            reason, words = f"smtp-{code}", f"{code} {_told(said)}"
        case ssl.SSLError():
            reason = "tls"
    return MailFault(reason, words, of_server=True)


def _refused(code: int, words: bytes | str) -> MailFault:
    told = _told(words)
    lasting = code >= 500 and code not in _NOT_LOGGED_IN and not _OF_SENDER.match(told)
    return MailFault(f"smtp-{code}", f"{code} {told}", lasting=lasting)


def _told(words: bytes | str) -> str:
    return words.decode(errors="replace") if isinstance(words, bytes) else words


def _write(folder: Path, message: EmailMessage) -> str:
    """Write a message as one .eml file, whole or not at all; the same message is the same file."""
    digest = str(message["Message-ID"]).strip("<>").partition("@")[0]
    path = folder / f"{message['Date'].datetime:%Y%m%d-%H%M%S}-{digest[:12]}.eml"
    partial = path.with_suffix(f".{os.getpid()}-{os.urandom(4).hex()}")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(message.as_bytes())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise MailFault("not-written", str(error), of_server=True) from None
    return f"written to {path}"
