"""The node's e-mail."""

from node.mail.models import Mail
from shared.mail.queue import Mailbox

mailbox = Mailbox(Mail)
