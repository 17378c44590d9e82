"""E-mail that is owed to people."""

from node.db import db
from shared.mail.queue import MailColumns


class Mail(MailColumns, db.Model):
    pass
