"""A phone whose browser threw its pass away makes it again with one tap, and the old one ends."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.network import PASSWORD, LocalNode, Network, Person

pytestmark = [
    pytest.mark.browser,
    pytest.mark.parametrize("databases", ["sqlite"], indirect=True),
]
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15"
    " (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
)
WIPE = """async () => {
  const { clear } = await import("/static/vendor/idb-keyval/index.js");
  await clear();
}"""


@pytest.fixture
def network(make_network: Callable[..., Network]) -> Network:
    return make_network(nodes=("cordee", "troquet"))


@pytest.fixture
def person(network: Network) -> Person:
    return network.nodes["cordee"].add_person()


@pytest.fixture
def phone(browser: Any, network: Network, person: Person) -> Iterator[Page]:
    context = browser.new_context(
        locale="en-GB", user_agent=IPHONE, viewport={"width": 360, "height": 740}
    )
    context.add_init_script(
        """window.asked = 0;
        navigator.storage.persist = async () => { window.asked += 1; return true; };"""
    )
    page = context.new_page()
    page.goto(f"{network.nodes['cordee'].url}/login?next=/pass")
    page.fill("#email", person.email)
    page.fill("#password", PASSWORD)
    page.locator("main button[type=submit]").click()
    expect(page.locator("#pass-make")).to_be_enabled()
    yield page
    context.close()


def passes(node: LocalNode, person: Person) -> list[tuple[str, str]]:
    items = node.get("/api/v1/me/passes", person.token).json()["items"]
    return [(each["device"], each["status"]) for each in items]


def make(phone: Page) -> None:
    phone.click("#pass-make")
    expect(phone.locator("#pass-qr")).to_be_visible()
    expect(phone.locator("#pass-text")).not_to_have_value("")


def test_one_tap_replaces_the_pass_that_the_browser_threw_away(
    network: Network, phone: Page, person: Person
) -> None:
    cordee, troquet = network.nodes["cordee"], network.nodes["troquet"]
    make(phone)
    phone.wait_for_function("() => window.asked >= 1")
    old = phone.input_value("#pass-text")
    assert passes(cordee, person) == [("Safari, iPhone", "valid")]
    phone.evaluate(WIPE)
    phone.reload()
    expect(phone.locator("#pass-lost")).to_contain_text("no longer has the pass")
    make(phone)
    assert passes(cordee, person) == [("Safari, iPhone", "valid"), ("Safari, iPhone", "revoked")]
    assert troquet.scan(phone.input_value("#pass-text")).status_code == 201
    assert troquet.scan(old).status_code == 403
    phone.reload()
    expect(phone.locator("[data-pass]")).to_have_count(1)
    expect(phone.locator("[data-pass]")).to_contain_text("Safari, iPhone")
    expect(phone.locator("[data-pass] .badge")).to_have_text("this one")


def test_another_device_is_added_unless_it_is_said_to_replace_one(
    network: Network, phone: Page, person: Person
) -> None:
    cordee = network.nodes["cordee"]
    other = person.other_phone().get_pass()
    phone.reload()
    expect(phone.locator("#pass-lost")).to_have_count(0)
    make(phone)
    assert [status for _, status in passes(cordee, person)] == ["valid", "valid"]
    body = {"jwk": person.key.as_dict(private=False), "replaces": other.pass_id}
    stranger = cordee.add_person()
    assert cordee.post("/api/v1/me/passes", body, stranger.token).status_code == 404
    assert cordee.post("/api/v1/me/passes", body, person.token).status_code == 201
    assert [status for _, status in passes(cordee, person)] == ["valid", "valid", "revoked"]


def test_the_pass_is_made_where_the_poster_leads_and_one_checks_in_with_a_clock_that_is_off(
    network: Network, phone: Page
) -> None:
    """The phone is five minutes slow: what it signs is in its home's time."""
    troquet = network.nodes["troquet"]
    with troquet.context() as (session, _):
        from node.spaces import service as spaces

        poster = spaces.space(session, "troquet").poster
    phone.context.add_init_script("const real = Date.now; Date.now = () => real() - 300_000;")
    phone.goto(f"{network.nodes['cordee'].url}/pass/at/troquet?code={poster}")
    expect(phone.locator("#check-phone")).to_contain_text("no pass on this phone")
    phone.click("#pass-make")
    expect(phone.locator("#check-phone")).to_contain_text(re.compile(r"(299|300|301) seconds off"))
    phone.click("#arrive")
    expect(phone.locator("#arrival.is-yes")).to_be_focused()
    assert phone.evaluate("document.querySelector('[aria-live] #arrival') !== null")
    assert len(troquet.presence()) == 1
