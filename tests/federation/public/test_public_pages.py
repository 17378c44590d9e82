"""The public pages and the moderators' in a browser: small screen, axe, and what refreshes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from federation.charters.models import Signature
from federation.moderation import changes, reports
from federation.spaces.models import Availability
from tests.browsing import wrong_with
from tests.databases import Databases
from tests.federation.places import event, inside, put_space
from tests.network import PASSWORD, WEEK, Network, new_network

pytestmark = pytest.mark.browser


@pytest.fixture
def hub(tmp_path: Path) -> Any:
    found = new_network(tmp_path, Databases(tmp_path, None))
    talk = event("talk", "2026-11-25T18:00:00+01:00", "2026-11-25T19:00:00+01:00")
    put_space(found, "cordee", week=WEEK, latitude=45.75, longitude=4.85, events=[talk])
    with inside(found) as (session, hub):
        now = hub.clock.now()
        session.add(Signature(version="1", node_id="cordee", jws="x", signed_at=now))
        ends = {"as_of": now, "expires_at": now + timedelta(seconds=300)}
        places = {"guest_places": 5, "guest_places_free": 3, "paused": False}
        session.add(Availability(space_id="cordee", **places, **ends))
        changes.note(session, now, "cordee", "cordee/sheet", {"name": "A b"}, {"name": "A c"}, 2)
        session.commit()
        reports.file(session, hub, "cordee", "key", "hours", "Closed on Mondays", None)
    yield found
    found.close()


def test_axe_finds_nothing_the_page_refreshes_and_fits_a_small_screen(
    browser: Any, hub: Network
) -> None:
    context = browser.new_context(locale="en-GB", viewport={"width": 360, "height": 740})
    page, url, told = context.new_page(), hub.hub.url, list[str]()
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.goto(f"{url}/login")
    page.fill("#email", "coord@hub.example")
    page.fill("#password", PASSWORD)
    page.press("#password", "Enter")
    expect(page).to_have_url(f"{url}/coordination")
    wrong = {}
    for path in (
        "/coordination/moderation",
        "/coordination/moderation/spaces/cordee",
        "/agenda",
        "/spaces/cordee/report",
        "/spaces/cordee",
    ):
        page.goto(url + path)
        page.wait_for_load_state("networkidle")
        wrong[path] = wrong_with(page)
    assert {path: found for path, found in wrong.items() if found} == {}
    expect(page.locator("#live-places")).to_contain_text("3 places")
    with inside(hub) as (session, _):
        session.get_one(Availability, "cordee").guest_places_free = 1
        session.commit()
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("#live-places")).to_have_text("1 place for roaming members at 10:00")
    expect(page.locator("#live-state")).to_have_text("Open until 19:00")
    expect(page.get_by_role("button", name="Print")).to_be_visible()
    assert told == []
    context.close()
