"""One-time addresses by which members and admins choose their password."""

from node.identity.models import WrongPassword
from node.identity.service import accounts
from node.mail.service import mailbox
from node.members.models import Link
from shared.links import Links
from shared.passwords import Passwords

passwords = Passwords(accounts, WrongPassword, mailbox)
links = Links(accounts, Link, mailbox, "members/mail/welcome.txt", lambda settings: settings.name)
