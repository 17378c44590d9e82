"""E-mail that is owed to people."""

from node.db import Model
from shared.mail.queue import MailColumns


class Mail(MailColumns, Model):
    pass
