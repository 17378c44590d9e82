"""All pages about one's own account, as either service registers them."""

from flask import Blueprint, Flask

from shared.accounts import account_pages, login_pages, two_factor_pages, welcome_pages
from shared.accounts.people import People


def account_room(app: Flask, people: People) -> tuple[Blueprint, ...]:
    """Bind the pages to a service's accounts; return what its application registers."""
    app.extensions["people"] = people
    rooms = (account_pages, login_pages, two_factor_pages, welcome_pages)
    return tuple(room.pages for room in rooms)
