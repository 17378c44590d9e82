"""The hub's e-mail."""

from federation.mail.models import Mail
from shared.mail.queue import Mailbox

mailbox = Mailbox(Mail)
