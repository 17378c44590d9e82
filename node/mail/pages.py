"""The e-mail that was not sent, on a page."""

from node.context import node
from node.db import db
from node.mail.service import mailbox
from shared.web.letter_pages import letter_pages

pages = letter_pages(
    __name__, "/console/letters", "admin", mailbox, db.session, lambda: node().settings
)
