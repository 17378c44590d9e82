"""One-time addresses by which members and admins choose their password."""

from node.identity.models import WrongPassword
from node.identity.service import accounts
from node.mail.service import mailbox
from node.members.models import Link
from shared.accounts.failed_passwords import Passwords
from shared.accounts.password_links import Links

passwords = Passwords(accounts, WrongPassword, mailbox)
links = Links(accounts, Link, mailbox, "members/mail/welcome.txt", lambda settings: settings.name)
