"""E-mail that is owed to people."""

from federation.db import Model
from shared.mail.queue import MailColumns


class Mail(MailColumns, Model):
    pass
