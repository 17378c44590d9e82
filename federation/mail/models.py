"""E-mail that is owed to people."""

from federation.db import db
from shared.mail.queue import MailColumns


class Mail(MailColumns, db.Model):
    pass
