"""What an admin says of conditions and values: bounded by the charter, published, executed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from node.db import db as node_db
from node.spaces import service as spaces
from tests.network import LocalNode, Network, codes
from tests.shared.browser import Browser, Page, forget_attempts

CONDITIONS = "/console/spaces/troquet/conditions"
VALUES = "/console/spaces/troquet/values"


@pytest.fixture
def troquet(lasting_network: Network) -> Iterator[LocalNode]:
    """The node; its conditions and values are put back after the test."""
    found = lasting_network.nodes["troquet"]
    yield found
    with found.context() as (session, node):
        spaces.save(session, node, "troquet", {"guest_cap": 1000, "conditions": {}})
        spaces.save_values(session, node, "troquet", {}, 2026, {})
        spaces.publish_now(session, node)


@pytest.fixture
def admin(troquet: LocalNode) -> Browser:
    forget_attempts()
    browser = Browser(troquet, "en")
    assert browser.log_in("admin@troquet.example").status_code == 302
    return browser


def fill(admin: Browser, path: str, **changes: Any) -> requests.Response:
    """Open a page's form, change some of it, and send it."""
    before = Page(admin.get(path).text).values
    typed = {name.replace("__", "-"): value for name, value in changes.items()}
    return admin.post(path, {**before, **typed})


def published(network: Network) -> dict[str, Any]:
    found: dict[str, Any] = network.hub.get("/api/v1/spaces/troquet").json()
    return found


def test_what_a_house_sets_is_seen_before_the_visit_and_done_at_the_door(
    admin: Browser, troquet: LocalNode, lasting_network: Network
) -> None:
    saved = fill(
        admin,
        CONDITIONS,
        guest_cap="3",
        tu__am="2",
        tu__pm="2",
        we__pm="1",
        release_pm="17:00",
        closed="2026-12-24\n2026-12-23\n2026-12-24",
        notice_hours="12",
        every_service=None,
        note_fr="Sonnez deux fois.",
    )
    assert saved.status_code == 302, saved.text
    space = published(lasting_network)
    assert space["guest_cap"] == 3
    assert space["conditions"] == {
        "guests": {"tu": 2, "we": [3, 1]},
        "release": [None, "17:00"],
        "closed": ["2026-12-23", "2026-12-24"],
        "notice_hours": 12,
        "cancel_hours": 2,
        "release_minutes": 60,
        "included": [],
        "note_fr": "Sonnez deux fois.",
        "note_en": "",
    }
    assert space["availability"]["guest_places"] == 2  # it is Tuesday
    for service in (troquet, lasting_network.hub):
        page = Page(requests.get(f"{service.url}/spaces/troquet?lang=en", timeout=20).text).text
        for words in (
            "tuesday: 2",
            "wednesday: 3, then 1",
            "12 hours before",
            "24 December 2026",
            "no other service",
        ):
            assert words in page, (service.url, words)
        assert "Sonnez deux fois." in page
    cordee = lasting_network.nodes["cordee"]
    guests = [cordee.add_person().show() for _ in range(3)]
    answers = [troquet.scan(shown) for shown in guests]
    assert [answer.status_code for answer in answers] == [201, 201, 403]
    assert codes(answers[2]) == ["guest_cap"]
    assert answers[0].json()["decision"]["terms"]["services"] == []
    for answer in answers[:2]:
        troquet.check_out(answer.json()["visit"]["id"])


def test_on_a_closed_date_visitors_are_refused_and_members_of_the_house_are_not(
    admin: Browser, troquet: LocalNode, lasting_network: Network
) -> None:
    today = lasting_network.clock.now().date()
    late = fill(admin, CONDITIONS, closed=today.isoformat())
    assert late.status_code == 422
    assert "tomorrow at the earliest" in Page(late.text).text
    with troquet.context() as (session, node):  # as it was saved the day before
        conditions = {"closed": [today.isoformat()]}
        spaces.save(session, node, "troquet", {"conditions": conditions})
        spaces.publish_now(session, node)
    assert fill(admin, CONDITIONS).status_code == 302
    cordee = lasting_network.nodes["cordee"]
    guest = cordee.add_person()
    refused = troquet.scan(guest.show())
    assert codes(refused) == ["paused"]
    reason = refused.json()["decision"]["reasons"][0]
    assert (reason["article"], reason["params"]["detail"]) == (6, "date")
    rights = cordee.get("/api/v1/me/rights?space=troquet", guest.token).json()
    assert [r["code"] for r in rights["items"][0]["decision"]["reasons"]] == ["paused"]
    assert published(lasting_network)["availability"]["guest_places_free"] == 0
    own = troquet.scan(troquet.add_person().show())
    assert own.status_code == 201
    troquet.check_out(own.json()["visit"]["id"])


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"guest_cap": "0"}, "guest_cap", "Article 6 asks for at least 1."),
        ({"sa__am": "0"}, "sa-am", "Article 6 asks for at least 1."),
        ({"notice_hours": "25"}, "notice_hours", "Article 6 lets a house ask for 24 hours"),
        (
            {"closed": "\n".join(f"2026-12-0{n}" for n in range(1, 6))},
            "closed",
            "Article 6 lets a house choose 4 dates a month",
        ),
        ({"closed": "Christmas"}, "closed", "is not a date"),
        ({"mo__pm": "many"}, "mo-pm", "A whole number from 0 to 1000."),
        ({"notice_hours": "9999"}, "notice_hours", "A whole number from 0 to 720."),
        ({"note_en": "x" * 1001}, "note_en", "At most 1000 characters."),
        ({"guest_cap": ""}, "guest_cap", "A whole number"),
        ({"release_am": "14:00"}, "release_am", "Before 13:00."),
        ({"release_pm": "12:59"}, "release_pm", "13:00 or later."),
    ],
)
def test_what_the_charter_does_not_allow_is_named_with_its_article_and_not_saved(
    admin: Browser, troquet: LocalNode, changes: dict[str, str], field: str, words: str
) -> None:
    before = troquet.get("/.well-known/passerelle").headers["ETag"]
    answer = fill(admin, CONDITIONS, **changes)
    assert answer.status_code == 422
    page = Page(answer.text)
    assert page.with_id(f"{field}-error")
    assert words in page.text
    assert troquet.get("/.well-known/passerelle").headers["ETag"] == before


def test_a_value_is_shown_with_what_proves_it_and_compared_on_the_map(
    admin: Browser, troquet: LocalNode, lasting_network: Network
) -> None:
    story = "Une SCOP depuis le premier jour."
    answer = fill(
        admin,
        VALUES,
        own__0__name="Coopération",
        own__0__story=story,
        shared__3__level="4",
        shared__3__evidence="Dix associés, une voix chacun.",
    )
    assert answer.status_code == 302, answer.text
    space = published(lasting_network)
    assert space["values"] == ["Coopération"]
    assert space["stories"] == [{"value": "Coopération", "text": story}]
    assert space["assessments"] == [
        {
            "year": 2026,
            "value": "cooperation",
            "level": 4,
            "evidence": "Dix associés, une voix chacun.",
        }
    ]
    for service in (troquet, lasting_network.hub):
        page = Page(requests.get(f"{service.url}/spaces/troquet?lang=en", timeout=20).text).text
        assert story in page
        assert "ready to share" in page
    hub = lasting_network.hub
    table = Page(hub.get("/values?lang=en").text).text
    assert "Dix associés, une voix chacun." in table
    ranked = hub.get("/?by_value=cooperation&lang=en").text
    assert ranked.index('data-space="troquet"') < ranked.index('data-space="cordee"')
    assert "ready to share" in Page(ranked).text
    assert hub.get("/?by_value=nonsense").status_code == 200
    # Said again in the same year, it takes the place of what was said; left out, it is unsaid.
    fill(admin, VALUES, shared__3__level="2")
    assert [each["level"] for each in published(lasting_network)["assessments"]] == [2]
    assert fill(admin, VALUES, shared__3__level="").status_code == 422
    fill(admin, VALUES, shared__3__level="", shared__3__evidence="")
    assert published(lasting_network)["assessments"] == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"own__0__story": "An anecdote without a value."}, "own-0-name"),
        ({"own__0__name": "x" * 121}, "own-0-name"),
        ({"shared__0__level": "3", "shared__0__evidence": " "}, "shared-0-evidence"),
        ({"shared__0__level": "5", "shared__0__evidence": "much"}, "shared-0-level"),
    ],
)
def test_a_value_without_its_fact_is_not_saved(
    admin: Browser, troquet: LocalNode, changes: dict[str, str], field: str
) -> None:
    before = troquet.get("/.well-known/passerelle").headers["ETag"]
    answer = fill(admin, VALUES, **changes)
    assert answer.status_code == 422
    assert Page(answer.text).with_id(f"{field}-error")
    assert troquet.get("/.well-known/passerelle").headers["ETag"] == before


def test_a_value_that_the_charter_does_not_share_is_not_taken(
    admin: Browser, troquet: LocalNode, lasting_network: Network
) -> None:
    given = {"shared__0__value": "wealth", "shared__0__level": "4", "shared__0__evidence": "gold"}
    fill(admin, VALUES, **given)
    assert published(lasting_network)["assessments"] == []
    with troquet.context():
        assert node_db.session().scalar(node_db.text("SELECT count(*) FROM assessment")) == 0
