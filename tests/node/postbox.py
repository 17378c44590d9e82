"""Reading what a node sends by e-mail: its messages go into a folder."""

from __future__ import annotations

from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from node import jobs
from shared.base.mail_server import mail_server
from tests.network import LocalNode


class Postbox:
    """From here on a node has a mail server: a folder."""

    def __init__(self, node: LocalNode, folder: Path) -> None:
        self.node, self.folder = node, folder
        context = node.app.extensions["node"]
        settings = replace(
            context.settings,
            smtp_url=mail_server(f"file://{folder}"),
            mail_from="Réseau <mail@hub.example>",
        )
        node.app.extensions["node"] = replace(context, settings=settings)

    def come(self) -> list[EmailMessage]:
        """Do what the jobs process does; return the messages that this brought, by subject."""
        with self.node.app.app_context():
            jobs.remind()
            jobs.warn()
            jobs.send_mail()
        found = []
        for path in self.folder.glob("*.eml"):
            message = message_from_bytes(path.read_bytes(), policy=policy.default)
            assert isinstance(message, EmailMessage)
            found.append(message)
            path.unlink()
        return sorted(found, key=lambda message: str(message["Subject"]))

    def subjects(self) -> list[str]:
        """Return the English halves of the subjects that came."""
        return [str(message["Subject"]).rpartition(" / ")[2] for message in self.come()]
