"""The hub's e-mail."""

from federation.mail.models import Mail
from shared.mail import Mailbox

mailbox = Mailbox(Mail)
