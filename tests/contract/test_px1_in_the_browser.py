"""What a phone's browser packs a node reads, and the other way round; phones with P-256 alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from shared.crypto.px1 import pack, unpack
from tests.network import PASSWORD, Network
from tests.shared.crypto.test_px1 import random_pass
from tests.shared.crypto.test_wire_cases import PX1

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser: Any, lasting_network: Network) -> Iterator[Any]:
    context = browser.new_context()
    page = context.new_page()
    page.goto(lasting_network.nodes["cordee"].url + "/login")
    yield page
    context.close()


def test_the_browser_packs_and_unpacks_as_we_do(page: Any) -> None:
    rnd = random.Random(11)
    plain = [random_pass(rnd) for _ in range(100)] + [pair["plain"] for pair in PX1["pairs"]]
    packed, unpacked = page.evaluate(
        """async ([plain, short]) => {
          const { pack, unpack } = await import("/static/px1.js");
          const each = (make, texts) => Promise.all(texts.map(make));
          return [await each(pack, plain), await each(unpack, short)];
        }""",
        [plain, [pack(text) for text in plain]],
    )
    assert unpacked == plain
    assert [unpack(text) for text in packed] == plain
    assert max(len(text) for text in packed) <= 619


def test_the_browser_refuses_what_we_refuse(page: Any) -> None:
    refused = page.evaluate(
        """async (texts) => {
          const { unpack } = await import("/static/px1.js");
          return Promise.all(texts.map((text) => unpack(text).then(() => false, () => true)));
        }""",
        [case["px1"] for case in PX1["refused"]],
    )
    assert dict(zip((case["name"] for case in PX1["refused"]), refused, strict=True)) == {
        case["name"]: True for case in PX1["refused"]
    }


@pytest.mark.parametrize("ed25519", [True, False], ids=["Ed25519", "P-256 alone"])
def test_a_phone_makes_a_pass_and_digits_that_a_door_admits(
    browser: Any, lasting_network: Network, ed25519: bool
) -> None:
    cordee, troquet = lasting_network.nodes["cordee"], lasting_network.nodes["troquet"]
    person = cordee.add_person()
    context = browser.new_context()
    if not ed25519:
        context.add_init_script("""
          const make = SubtleCrypto.prototype.generateKey;
          SubtleCrypto.prototype.generateKey = function (kind, ...rest) {
            const fault = new DOMException("no Ed25519", "NotSupportedError");
            return kind.name === "Ed25519" ? Promise.reject(fault) : make.call(this, kind, ...rest);
          };""")
    page = context.new_page()
    page.goto(f"{cordee.url}/login?next=/pass")
    page.fill("#email", person.email)
    page.fill("#password", PASSWORD)
    page.locator("main button[type=submit]").click()
    page.click("#pass-make")
    page.locator("#pass-qr").wait_for()
    expect(page.locator("#pass-text")).not_to_have_value("")
    text = page.input_value("#pass-text")
    assert text.startswith("PX1:")
    answer = troquet.scan(text)
    assert answer.status_code == 201, answer.text
    page.click("#digits summary")
    page.select_option("#digits-space", "troquet")
    page.click("#digits-make")
    expect(page.locator("#digits-code")).not_to_be_empty()
    body = {"space": "troquet", "home": "cordee", "code": page.inner_text("#digits-code")}
    assert troquet.post("/api/v1/check-ins", body, troquet.desk).status_code == 200  # here already
    context.close()
