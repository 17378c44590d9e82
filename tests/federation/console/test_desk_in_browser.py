"""The pages about accounts in a browser: as axe sees them, and on a small screen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page
from sqlalchemy import select

from federation.db import db
from federation.identity.models import Account
from shared.crypto import totp
from tests.browsing import wrong_with
from tests.databases import Databases
from tests.network import PASSWORD, LocalHub, new_network
from tests.shared.browser import forget_attempts

pytestmark = pytest.mark.browser

EMAIL = "coord@hub.example"
SIZES = ({"width": 1280, "height": 900}, {"width": 360, "height": 740})


def _code(hub: LocalHub) -> str:
    with hub.app.app_context():
        row = db.session.scalars(select(Account).where(Account.email == EMAIL)).one()
        key = totp.unseal("h" * 32, row.id, row.totp_secret or "")
        db.session.rollback()
    assert key is not None
    return totp.code_of(key, totp.step_at(datetime.now(UTC)))


def _log_in(page: Page, hub: LocalHub) -> None:
    page.goto(f"{hub.url}/login")
    page.fill("#email", EMAIL)
    page.fill("#password", PASSWORD)
    page.click("main button")


def _wrong(page: Page) -> list[Any]:
    """Return what axe says of a page, and whether it is wider than the screen, at both sizes."""
    for detail in page.locator("main details > summary").all():
        detail.click()
    found: list[Any] = []
    for size in SIZES:
        page.set_viewport_size(size)  # type: ignore[arg-type]
        found += wrong_with(page)
    return found


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LocalHub]:
    forget_attempts()
    network = new_network(tmp_path, Databases(tmp_path, None))
    network.add_staff("reader", "Jeanne-Élisabeth de La Tour-Montgolfier")
    yield network.hub
    network.close()


def test_accounts_audit_log_and_second_step_are_accessible(browser: Any, hub: LocalHub) -> None:
    context, said = browser.new_context(locale="fr-FR"), list[str]()
    page = context.new_page()
    page.on("console", lambda message: said.append(message.text))
    _log_in(page, hub)
    found = {}
    for path in (
        "",
        "/hosts",
        "/hosts/held",
        "/accounts",
        "/accounts/2",
        "/audit",
        "/audit?q=nothing+at+all",
    ):
        page.goto(f"{hub.url}/coordination{path}")
        found[path] = _wrong(page)
    page.goto(f"{hub.url}/account")
    found["account"] = _wrong(page)
    page.fill("#begin-password", PASSWORD)
    page.click("form[action='/account/two-factor'] button")
    found["key"] = _wrong(page)
    page.fill("#code", _code(hub))
    page.click("main form button")
    assert page.locator(".recovery-codes li").count() == 10
    found["codes"] = _wrong(page)
    page.goto(f"{hub.url}/account")
    found["account, on"] = _wrong(page)
    context.clear_cookies()
    _log_in(page, hub)
    assert page.url == f"{hub.url}/login/code"
    found["code"] = _wrong(page)
    context.close()
    assert {name: wrong for name, wrong in found.items() if wrong} == {}
    assert said == []
