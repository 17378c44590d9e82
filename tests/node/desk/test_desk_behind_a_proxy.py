"""The desk's page in a browser, behind a proxy: what is an answer, what is kept, what is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from node.spaces import service as spaces
from shared.store.db import begin_write
from tests.browsing import hurry
from tests.network import PASSWORD, WEEK, LocalNode, Network, Person
from tests.proxy import Proxy

pytestmark = [
    pytest.mark.browser,
    pytest.mark.parametrize("databases", ["sqlite"], indirect=True),
]
LATE = "/api/v1/check-ins/late"
KEPT = """async () => {
  const { entries } = await import("/static/vendor/idb-keyval/index.js");
  return JSON.stringify(await entries());
}"""


def problem(slug: str, status: int, **more: Any) -> tuple[int, str, bytes]:
    """Return an answer of the node's own."""
    said = {"type": f"https://n.example/problems/{slug}", "title": "In its words", **more}
    return status, "application/problem+json", json.dumps({"status": status, **said}).encode()


@dataclass
class Desk:
    network: Network
    node: LocalNode
    proxy: Proxy
    context: BrowserContext
    errors: list[str]

    def open(self, space: str = "troquet") -> Page:
        """Open the desk of a space in a new tab, logged in, with what it needs to go on alone."""
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        with page.expect_response(lambda answer: "/desk-kit" in answer.url):
            page.goto(f"{self.proxy.url}/desk?space={space}")
            if page.locator("#password").count():
                page.fill("#email", "desk@troquet.example")
                page.fill("#password", PASSWORD)
                page.locator("main button[type=submit]").click()
        page.evaluate("navigator.serviceWorker.ready.then((ready) => ready.active.state)")
        page.wait_for_function(
            """async (name) => {
              const { get } = await import("/static/vendor/idb-keyval/index.js");
              return Boolean(await get(name));
            }""",
            arg=f"desk-bundle:{space}",
        )
        return page

    def visitor(self) -> Person:
        return self.network.nodes["cordee"].add_person().get_pass()

    def presence(self, space: str) -> list[str]:
        path = f"/api/v1/presence?space={space}"
        return [each["given_name"] for each in self.node.get(path, self.node.desk).json()["items"]]


def scan(page: Page, shown: str) -> None:
    page.locator("#scan").fill(shown)
    page.keyboard.press("Enter")


@pytest.fixture
def desk(browser: Any, make_network: Callable[..., Network]) -> Iterator[Desk]:
    network = make_network(nodes=("cordee", "troquet"))
    node = network.nodes["troquet"]
    with node.context() as (session, context):
        begin_write(session)
        now = context.clock.now()
        spaces.add(session, now, "Annexe", "Lyon", id="annexe", week=WEEK, guest_cap=5)
        session.commit()
        spaces.publish_now(session, context)
    context = browser.new_context(locale="en-GB", viewport={"width": 800, "height": 900})
    hurry(context)
    errors: list[str] = []
    with Proxy(node.server.port).running() as proxy:
        yield Desk(network, node, proxy, context, errors)
        context.close()
    assert errors == []


def test_with_the_node_dead_behind_its_proxy_two_desks_go_on_each_at_its_own_space(
    desk: Desk,
) -> None:
    tabs = {space: desk.open(space) for space in ("troquet", "annexe")}
    people = {space: desk.visitor() for space in tabs}
    desk.node.server.stop()
    for space, page in tabs.items():
        page.reload()
        expect(page.locator("h1")).to_have_text({"annexe": "Annexe"}.get(space, space))
        expect(page.locator("#desk-others a")).to_have_count(2)
        scan(page, people[space].show())
        expect(page.locator(".answer.is-yes")).to_contain_text("from cordee")
        expect(page.locator("#desk-queue")).to_contain_text("wait in this browser: 1")
        page.reload()
        expect(page.locator("#desk-queue")).to_contain_text("wait in this browser: 1")
    desk.node.server.start()
    for page in tabs.values():
        expect(page.locator("#presence tr[data-visit]")).to_have_count(1, timeout=30_000)
    assert all(len(desk.presence(space)) == 1 for space in tabs)
    told = [json.loads(body) for body in desk.proxy.told(LATE)]
    assert sorted(each["space"] for each in told) == ["annexe", "troquet"]


@pytest.mark.parametrize("status", [404, 403, 500, 502])
def test_a_proxys_page_is_no_answer_and_the_desk_goes_on(desk: Desk, status: int) -> None:
    page, person = desk.open(), desk.visitor()
    desk.proxy.instead["/desk"] = (status, "text/html", b"<h1>Not ours</h1>")
    desk.proxy.instead["/api"] = (status, "application/json", b'{"message": "no route"}')
    scan(page, person.show())
    expect(page.locator(".answer.is-yes")).to_contain_text("Admitted by this browser alone")
    expect(page.locator("#scan")).to_be_focused()
    if status >= 500:
        page.reload()
        expect(page.locator("#desk-queue")).to_contain_text("wait in this browser: 1")
    desk.proxy.instead.clear()
    expect(page.locator("#presence tr[data-visit]")).to_have_count(1, timeout=30_000)


def test_a_button_pressed_while_the_node_is_dead_leaves_the_desk_and_records_nothing(
    desk: Desk,
) -> None:
    page, person = desk.open(), desk.visitor()
    scan(page, person.show())
    rows = page.locator("#presence tr[data-visit]")
    expect(rows).to_have_count(1)
    desk.node.server.stop()
    rows.get_by_role("button", name="Check out").click()
    expect(page.locator(".answer.is-wait")).to_contain_text("then press the button again")
    expect(page.locator("#scan")).to_be_visible()
    desk.node.server.start()
    assert len(desk.presence("troquet")) == 1
    rows.get_by_role("button", name="Check out").click()
    expect(rows).to_have_count(0)
    assert desk.presence("troquet") == []


def test_after_one_silence_the_browser_waits_less_long(desk: Desk) -> None:
    page, one, two = desk.open(), desk.visitor(), desk.visitor()
    page.evaluate(
        """() => {
          const timeout = AbortSignal.timeout;
          window.waits = [];
          AbortSignal.timeout = (ms) => { window.waits.push(ms); return timeout(ms); };
          const fetched = window.fetch;
          window.fetch = (path, options) => options?.method === "POST"
            ? new Promise((_, no) => options.signal.addEventListener("abort", no))
            : fetched(path, options);
        }"""
    )
    desk.proxy.instead["/api"] = (502, "text/html", b"Bad gateway")
    for person in (one, two):
        scan(page, person.show())
        expect(page.locator(".answer.is-yes")).to_contain_text("by this browser", timeout=15_000)
        page.evaluate("document.getElementById('answer').replaceChildren()")
    waits = page.evaluate("window.waits")
    assert (6_000 in waits, 1_500 in waits) == (True, True)


def test_six_digits_typed_into_the_field_go_to_their_own_form(desk: Desk) -> None:
    page = desk.open()
    scan(page, "123 456")
    expect(page.locator("#digits")).to_have_value("123 456")
    expect(page.locator("#digits-home")).to_be_focused()


@pytest.mark.parametrize(("slug", "status"), [("hub-unreachable", 503), ("node-unknown", 409)])
def test_that_the_hub_does_not_know_this_node_is_an_answer_and_admits_nobody(
    desk: Desk, slug: str, status: int
) -> None:
    page, person = desk.open(), desk.visitor()
    words = '<h1>The hub knows us not</h1><p class="lead">Call.</p>'
    text = f'<div data-problem="{slug}">{words}</div>'
    desk.proxy.instead["/desk"] = (status, "text/html", text.encode())
    scan(page, person.show())
    expect(page.locator(".answer.is-no .answer-who")).to_have_text("The hub knows us not")
    expect(page.locator(".answer.is-no .answer-next")).to_have_text("Call.")
    assert person.pass_id not in page.evaluate(KEPT)


def test_what_the_node_would_not_have_is_shown_with_its_words_and_holds_nobody_up(
    desk: Desk,
) -> None:
    page, one, two = desk.open(), desk.visitor(), desk.visitor()
    desk.proxy.instead["/desk"] = desk.proxy.instead["/api"] = (502, "text/html", b"Bad gateway")
    for count, person in enumerate((one, two), 1):
        scan(page, person.show())
        expect(page.locator("#desk-queue")).to_contain_text(f"wait in this browser: {count}")
    refused = problem("validation", 422, errors={"at": ["Not a time of the last two days."]})
    desk.proxy.instead.clear()
    desk.proxy.instead[LATE] = refused
    stuck = page.locator("#desk-stuck li")
    expect(stuck).to_have_count(2, timeout=30_000)
    expect(stuck.first).to_contain_text("In its words: Not a time of the last two days.")
    expect(stuck.first.locator(".stuck-when")).to_contain_text("/20")
    desk.proxy.instead.clear()
    stuck.first.get_by_role("button", name="Send again").click()
    expect(page.locator("#presence tr[data-visit]")).to_have_count(1)
    expect(stuck).to_have_count(1)
    stuck.get_by_text("Remove", exact=True).click()
    stuck.get_by_role("button", name="Remove for good").click()
    expect(page.locator("#desk-stuck")).to_be_hidden()
    assert len(desk.presence("troquet")) == 1


def test_the_desk_goes_on_meeting_its_node_whatever_fails_in_between(desk: Desk) -> None:
    page, one, two = desk.open(), desk.visitor(), desk.visitor()
    desk.proxy.instead["/desk"] = desk.proxy.instead["/api"] = (502, "text/html", b"Bad gateway")
    scan(page, one.show())
    expect(page.locator("#desk-queue")).to_contain_text("wait in this browser: 1")
    del desk.proxy.instead["/api"]  # told, and then the page itself cannot be fetched
    expect(page.locator("#desk-queue")).not_to_contain_text("wait", timeout=30_000)
    desk.proxy.instead["/api"] = desk.proxy.instead["/desk"]
    scan(page, two.show())
    expect(page.locator("#desk-queue")).to_contain_text("wait in this browser: 1")
    desk.proxy.instead.clear()
    expect(page.locator("#presence tr[data-visit]")).to_have_count(2, timeout=90_000)


def test_after_a_log_out_no_name_is_left_and_what_waits_is_told_at_the_next_log_in(
    desk: Desk,
) -> None:
    page, person = desk.open(), desk.visitor()
    desk.proxy.instead["/desk"] = desk.proxy.instead["/api"] = (502, "text/html", b"Bad gateway")
    scan(page, person.show())
    expect(page.locator(".answer.is-yes")).to_contain_text("Ada")
    assert "Ada" in page.evaluate(KEPT)
    desk.proxy.instead["/api"] = problem("internal", 500)
    del desk.proxy.instead["/desk"]
    page.goto(f"{desk.proxy.url}/account")
    page.locator(".account summary").click()
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(f"{desk.proxy.url}/")
    page.wait_for_function(f"async () => !(await ({KEPT})()).includes('Ada')")
    kept = page.evaluate(KEPT)
    assert ("desk-bundle" in kept, '"waiting"' in kept) == (False, True)
    desk.proxy.instead.clear()
    page = desk.open()
    expect(page.locator("#presence tr[data-visit]")).to_have_count(1, timeout=30_000)


def test_a_browser_that_cannot_check_says_so_at_once_and_at_the_scan(desk: Desk) -> None:
    desk.context.add_init_script(
        """const read = SubtleCrypto.prototype.importKey;
        SubtleCrypto.prototype.importKey = function (form, key, kind, ...rest) {
          const fault = new DOMException("no Ed25519", "NotSupportedError");
          if (kind.name === "Ed25519") return Promise.reject(fault);
          return read.call(this, form, key, kind, ...rest);
        };"""
    )
    page, person = desk.open(), desk.visitor()
    expect(page.locator("#desk-queue")).to_contain_text("cannot check a pass by itself")
    desk.node.server.stop()
    scan(page, person.show())
    expect(page.locator(".answer.is-wait")).to_contain_text("This browser cannot check this pass")
    assert "not a readable" not in page.inner_text("main")
    desk.node.server.start()
    scan(page, person.show())
    expect(page.locator(".answer.is-yes")).to_contain_text("from cordee")


def test_what_is_spoken_stays_in_its_place_and_the_focus_where_work_goes_on(desk: Desk) -> None:
    page, one, two = desk.open(), desk.visitor(), desk.visitor()
    page.evaluate("window.spoken = document.getElementById('answer')")
    rows = page.locator("#presence tr[data-visit]")
    for count, person in enumerate((one, two), 1):
        scan(page, person.show())
        expect(rows).to_have_count(count)
        expect(page.locator("#scan")).to_be_focused()
    assert page.evaluate("window.spoken.isConnected && window.spoken.childElementCount === 1")
    first, last = (rows.nth(n).get_attribute("data-visit") for n in (0, 1))
    rows.nth(1).locator("form[action$=check-out] button").focus()
    assert desk.node.check_out(str(first)).status_code == 200
    expect(rows).to_have_count(1)
    stays = f'[data-visit="{last}"] form[action$=check-out] button'
    expect(page.locator(stays)).to_be_focused()
    assert desk.node.check_out(str(last)).status_code == 200
    expect(rows).to_have_count(0)
    expect(page.locator("#scan")).to_be_focused()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.type("abc")  # as a reader does
    expect(page.locator("#scan")).to_have_value("abc")


def test_the_screen_stays_lit_where_it_cannot_be_filled_and_after_a_reload(desk: Desk) -> None:
    desk.context.add_init_script(
        """window.lit = 0;
        navigator.wakeLock.request = async () => { window.lit += 1; return { release() {} }; };
        Element.prototype.requestFullscreen = undefined;"""
    )
    page = desk.open()
    page.click("#kiosk")
    page.wait_for_function("() => window.lit === 1")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_function("() => window.lit === 2")
    page.reload()
    page.wait_for_function("() => window.lit === 1")
    assert (
        page.evaluate("getComputedStyle(document.querySelector('main')).overflowWrap") != "anywhere"
    )
