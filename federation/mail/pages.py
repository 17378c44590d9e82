"""The e-mail that was not sent, on a page."""

from federation.context import hub
from federation.db import db
from federation.mail.service import mailbox
from shared.web.letter_pages import letter_pages

pages = letter_pages(
    __name__, "/coordination/letters", "coordinator", mailbox, db.session, lambda: hub().settings
)
