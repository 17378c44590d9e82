"""The pass on a phone and the desk that reads it, in a browser: offline, and by camera."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
import requests
import zxingcpp
from PIL import Image, ImageEnhance, ImageFilter
from playwright.sync_api import BrowserContext, Page, expect

from shared.crypto.px1 import unpack
from tests.browsing import hurry, wrong_with
from tests.conftest import CHROMIUM_FLAGS

pytestmark = [pytest.mark.browser, pytest.mark.processes]

PASSWORD = "passerelle-demo"
Json = dict[str, Any]


def log_in(page: Page, url: str, email: str, path: str) -> None:
    page.goto(f"{url}/login?next={path}")
    page.fill("#email", email)
    page.fill("#password", PASSWORD)
    page.locator("main button[type=submit]").click()
    expect(page).to_have_url(f"{url}{path}")


@pytest.fixture
def phone(browser: Any, demo: Json) -> Iterator[Page]:
    """Another member's phone, logged in at home; its page says no error."""
    with _phone(browser, demo["nodes"]["la-cordee"], 1) as page:
        yield page


class _phone:  # noqa: N801 - used as a function
    def __init__(self, browser: Any, home: Json, member: int) -> None:
        self.context: BrowserContext = browser.new_context(
            locale="fr-FR", viewport={"width": 360, "height": 740}, timezone_id="Europe/Paris"
        )
        hurry(self.context)
        self.home, self.member = home, home["members"][member]

    def __enter__(self) -> Page:
        page = self.context.new_page()
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        log_in(page, self.home["url"], self.member["email"], "/pass")
        if page.locator("#pass-make").is_visible():
            page.click("#pass-make")
        expect(page.locator("#pass-qr")).to_be_visible()
        page.evaluate("navigator.serviceWorker.ready.then((ready) => ready.active.state)")
        return page

    def __exit__(self, *_: object) -> None:
        self.context.close()
        assert self.errors == []


def scan(host: Json, space: str, shown: str) -> requests.Response:
    return requests.post(
        f"{host['url']}/api/v1/check-ins",
        json={"space": space, "pass": shown},
        headers={"Authorization": f"Bearer {host['desk']['token']}"},
        timeout=20,
    )


def leave(host: Json, visit: str) -> None:
    requests.post(
        f"{host['url']}/api/v1/check-ins/{visit}/check-out",
        headers={"Authorization": f"Bearer {host['desk']['token']}"},
        timeout=20,
    ).raise_for_status()


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "as shown": lambda shown: shown,
    "half as bright": lambda shown: ImageEnhance.Brightness(shown).enhance(0.5),
    "tilted by 5 degrees": lambda shown: shown.rotate(
        5, resample=Image.Resampling.BICUBIC, expand=True, fillcolor=200
    ),
    "both": lambda shown: (
        ImageEnhance.Brightness(shown)
        .enhance(0.5)
        .rotate(5, resample=Image.Resampling.BICUBIC, expand=True, fillcolor=100)
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_two_decoders_read_the_code_of_a_narrow_screen(phone: Page, change: str) -> None:
    try:
        from pyzbar.pyzbar import ZBarSymbol, decode
    except ImportError:
        pytest.skip("with a second decoder (apt-get install libzbar0)")

    expect(phone.locator("#pass-text")).not_to_have_value("")  # the code is drawn
    picture = Image.open(io.BytesIO(phone.screenshot())).convert("L")
    shown = CHANGES[change](picture)
    text = phone.input_value("#pass-text")
    codes = zxingcpp.read_barcodes(shown, zxingcpp.BarcodeFormat.QRCode)
    assert [code.text for code in codes] == [text]
    # Bars are no part of a pass: zbar at times sees a Codabar in a few letters of the page.
    found = decode(shown, symbols=[ZBarSymbol.QRCODE])
    assert [each.data.decode() for each in found] == [text]


def test_the_pass_opens_without_a_network_and_goes_on(phone: Page, demo: Json) -> None:
    before = phone.input_value("#pass-text")
    phone.context.set_offline(True)
    phone.reload()
    expect(phone.locator("#pass-qr")).to_be_visible()
    expect(phone.locator(".pass-notice")).to_contain_text("Sans réseau")
    expect(phone.locator("#pass-until")).to_contain_text("Valable jusqu’au")
    expect(phone.locator("#rights-list .right.is-yes")).not_to_have_count(0)
    after = phone.input_value("#pass-text")
    assert unpack(after).split("~")[0] == unpack(before).split("~")[0]
    assert after != before, "a code is signed anew"
    host = demo["nodes"]["troquet-numerique"]
    admitted = scan(host, "troquet-numerique", after)
    assert admitted.status_code == 201, admitted.text
    leave(host, admitted.json()["visit"]["id"])
    phone.context.set_offline(False)  # and the page comes back by itself
    expect(phone.locator("#devices")).to_be_visible(timeout=30_000)
    expect(phone.locator("#pass-qr")).to_be_visible()
    assert unpack(phone.input_value("#pass-text")).split("~")[0] == unpack(before).split("~")[0]


def test_a_phone_that_never_made_a_pass_says_so_without_a_network(browser: Any, demo: Json) -> None:
    context = browser.new_context(locale="en-GB", viewport={"width": 360, "height": 740})
    page = context.new_page()
    page.goto(f"{demo['nodes']['la-cordee']['url']}/pass/offline?lang=en")
    expect(page.locator("#pass-fault")).to_contain_text("There is no pass on this phone yet")
    context.close()


def test_a_credential_past_half_its_time_is_replaced_and_the_old_one_ended(
    phone: Page, demo: Json
) -> None:
    before = phone.input_value("#pass-text")
    age = """async () => {
      const { entries, set } = await import("/static/vendor/idb-keyval/index.js");
      const [[name, pass]] = await entries();
      await set(name, { ...pass, expiresAt: new Date(Date.now() + 864e5).toISOString() });
    }"""
    phone.evaluate(age)
    with phone.expect_response(lambda answer: answer.request.method == "DELETE") as ended:
        phone.reload()
    assert ended.value.status == 204
    expect(phone.locator("#pass-qr")).to_be_visible()
    after = phone.input_value("#pass-text")
    assert unpack(after).split("~")[0] != unpack(before).split("~")[0]
    host = demo["nodes"]["troquet-numerique"]
    refused = scan(host, "troquet-numerique", before)
    assert [r["code"] for r in refused.json()["decision"]["reasons"]] == ["pass_revoked"]
    admitted = scan(host, "troquet-numerique", after)
    assert admitted.status_code == 201, admitted.text
    leave(host, admitted.json()["visit"]["id"])


def test_the_pass_can_be_installed(demo: Json) -> None:
    home = demo["nodes"]["la-cordee"]["url"]
    manifest = requests.get(f"{home}/pass/manifest.webmanifest?lang=fr", timeout=10).json()
    assert (manifest["start_url"], manifest["display"]) == ("/pass", "standalone")
    assert "La Cordée" in manifest["name"]
    sizes = {}
    for icon in manifest["icons"]:
        picture = Image.open(io.BytesIO(requests.get(home + icon["src"], timeout=10).content))
        sizes[icon["sizes"], icon["purpose"]] = f"{picture.width}x{picture.height}"
    assert sizes == {
        ("192x192", "any"): "192x192",
        ("512x512", "any"): "512x512",
        ("512x512", "maskable"): "512x512",
    }


def film(shown: bytes, target: Path) -> None:
    """Write what a camera sees of a phone held before it: a little soft, a little dark, tilted."""
    code = Image.open(io.BytesIO(shown)).convert("RGB").resize((620, 620))
    frame = Image.new("RGB", (1280, 720), (96, 90, 84))
    held = code.rotate(2, resample=Image.Resampling.BICUBIC, fillcolor=(60, 60, 60), expand=True)
    frame.paste(held, (330, 40))
    frame = ImageEnhance.Brightness(frame.filter(ImageFilter.GaussianBlur(0.7))).enhance(0.85)
    luma, blue, red = frame.convert("YCbCr").split()
    half = (640, 360)
    picture = luma.tobytes() + blue.resize(half).tobytes() + red.resize(half).tobytes()
    head = b"YUV4MPEG2 W1280 H720 F10:1 Ip A1:1 C420jpeg\n"
    target.write_bytes(head + (b"FRAME\n" + picture) * 10)


def test_the_desk_reads_a_phone_with_its_camera(
    phone: Page, demo: Json, chromium: str, tmp_path: Path
) -> None:
    from playwright.sync_api import Playwright  # noqa: F401

    host, film_file = demo["nodes"]["troquet-numerique"], tmp_path / "phone.y4m"
    phone.reload()  # a fresh code
    expect(phone.locator("#pass-qr")).to_be_visible()
    film(phone.locator(".pass-qr").screenshot(), film_file)
    flags = [
        *CHROMIUM_FLAGS,
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={film_file}",
    ]
    kind = phone.context.browser.browser_type  # type: ignore[union-attr]
    seeing = kind.launch(executable_path=chromium, args=flags)
    try:
        desk = seeing.new_context(locale="fr-FR", permissions=["camera"]).new_page()
        errors: list[str] = []
        desk.on("pageerror", lambda error: errors.append(str(error)))
        desk.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
        log_in(desk, host["url"], host["desk"]["email"], "/desk")
        desk.click("#camera-open")
        expect(desk.locator(".answer-word")).to_have_text("Oui", timeout=30_000)
        row = desk.locator("tr[data-visit]", has_text=phone.inner_text("#pass-name"))
        visit = str(row.get_attribute("data-visit"))
        expect(desk.locator("#camera")).to_be_visible()
        expect(desk.locator("#presence h2")).to_be_visible()
        leave(host, visit)
        assert errors == []
    finally:
        seeing.close()


PAGES = ["pass", "pass offline", "at a space", "visits", "poster", "desk", "console", "sheet"]
PAGES += ["map", "space"]


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("what", PAGES)
def test_axe_finds_nothing(browser: Any, demo: Json, what: str, width: int) -> None:
    node, hub = demo["nodes"]["troquet-numerique"], demo["hub"]["url"]
    people = {
        "pass": (node["members"][0]["email"], "/pass"),
        "desk": (node["desk"]["email"], "/desk"),
        "at a space": (node["members"][0]["email"], "/pass/at/sceaux-smart?code=x"),
        "visits": (node["members"][0]["email"], "/pass/visits"),
        "console": (node["admin"]["email"], "/console"),
        "sheet": (node["admin"]["email"], "/console/spaces/troquet-numerique"),
    }
    public = {
        "map": f"{hub}/",
        "space": f"{hub}/spaces/troquet-numerique",
        "pass offline": f"{node['url']}/pass/offline",
        "poster": f"{node['url']}/spaces/troquet-numerique/here?code=x",
    }
    context = browser.new_context(locale="fr-FR", viewport={"width": width, "height": 800})
    page = context.new_page()
    if what in public:
        page.goto(public[what])
    else:
        log_in(page, node["url"], *people[what])
    page.wait_for_load_state("networkidle")
    found = wrong_with(page)
    context.close()
    assert found == []


def test_phone_and_desk_both_alone_make_one_visit(phone: Page, browser: Any, demo: Json) -> None:
    """Neither has a network: the browser of the desk decides, keeps, and tells once."""
    host, space = demo["nodes"]["troquet-numerique"], "troquet-numerique"
    context = browser.new_context(locale="fr-FR", viewport={"width": 800, "height": 900})
    desk = context.new_page()
    errors: list[str] = []
    desk.on("pageerror", lambda error: errors.append(str(error)))
    with desk.expect_response(lambda answer: "/desk-kit" in answer.url):
        log_in(desk, host["url"], host["desk"]["email"], "/desk")
    desk.evaluate("navigator.serviceWorker.ready.then((ready) => ready.active.state)")
    phone.context.set_offline(True)
    phone.reload()
    expect(phone.locator("#pass-qr")).to_be_visible()

    context.set_offline(True)
    desk.reload()  # a power cut, too
    expect(desk.locator("#desk-queue")).to_contain_text("ce navigateur décide seul")
    shown = phone.input_value("#pass-text")
    desk.locator("#scan").fill(shown)
    desk.keyboard.press("Enter")
    expect(desk.locator(".answer.is-yes")).to_contain_text("de La Cordée")
    expect(desk.locator(".answer-until")).to_contain_text("jusqu’à 19:00")
    assert "Accueil" not in desk.inner_text("header"), "the kept page is nobody's"
    expect(desk.locator("#desk-queue")).to_contain_text("Entrées en attente dans ce navigateur")
    desk.locator("#scan").fill(shown)  # shown again, and after a reload: the same visit
    desk.keyboard.press("Enter")
    expect(desk.locator(".answer-again")).to_contain_text("Déjà sur place depuis")
    desk.locator("#scan").fill(shown[:-8] + "AAAAAAAA")
    desk.keyboard.press("Enter")
    expect(desk.locator(".answer.is-no [data-code=pass_malformed]")).to_be_visible()

    headers = {"Authorization": f"Bearer {host['desk']['token']}"}
    listing = f"{host['url']}/api/v1/presence?space={space}"
    before = {
        item["id"] for item in requests.get(listing, headers=headers, timeout=20).json()["items"]
    }
    context.set_offline(False)
    expect(desk.locator("#presence")).to_be_visible(timeout=30_000)  # the node's own page is back
    now = requests.get(listing, headers=headers, timeout=20).json()["items"]
    came = [item for item in now if item["id"] not in before]
    assert len(came) == 1
    assert (came[0]["home"], came[0]["online"]) == ("la-cordee", False)
    again = scan(host, space, shown)
    assert (again.status_code, again.json()["visit"]["id"]) == (200, came[0]["id"])
    hub, coordinator = demo["hub"]["url"], demo["hub"]["coordinator"]
    listed = requests.get(
        f"{hub}/api/v1/visits?limit=500",
        headers={"Authorization": f"Bearer {coordinator['token']}"},
        timeout=20,
    ).json()["items"]
    assert [item["state"] for item in listed if item["id"] == came[0]["id"]] == ["open"]
    leave(host, came[0]["id"])
    context.close()
    assert errors == []


def tab_to(page: Page, selector: str) -> None:
    """Move by the Tab key alone, and see that the place is marked."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("(wanted) => document.activeElement.matches(wanted)", selector):
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", selector
            return
    pytest.fail(f"{selector} cannot be reached by keyboard")


def test_pass_and_desk_are_worked_by_keyboard_alone(browser: Any, demo: Json) -> None:
    home, host = demo["nodes"]["la-cordee"], demo["nodes"]["troquet-numerique"]

    def enter(url: str, email: str, path: str) -> Page:
        context = browser.new_context(locale="fr-FR", viewport={"width": 360, "height": 740})
        page: Page = context.new_page()
        page.goto(f"{url}/login?next={path}")
        tab_to(page, "#email")
        page.keyboard.type(email)
        tab_to(page, "#password")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{url}{path}")
        return page

    phone = enter(home["url"], home["members"][0]["email"], "/pass")
    expect(phone.locator("#pass-make")).to_be_enabled()
    tab_to(phone, "#pass-make")
    phone.keyboard.press("Enter")
    expect(phone.locator("#pass-qr")).to_be_visible()
    tab_to(phone, "#pass summary")
    phone.keyboard.press("Enter")
    tab_to(phone, "#pass-text")

    desk = enter(host["url"], host["desk"]["email"], "/desk")
    tab_to(desk, "#scan")
    desk.keyboard.insert_text(phone.input_value("#pass-text"))
    desk.keyboard.press("Enter")
    expect(desk.locator(".answer-word")).to_have_text("Oui")
    name = phone.inner_text("#pass-name")
    row = desk.locator("tr[data-visit]", has_text=name)
    visit = row.get_attribute("data-visit")
    tab_to(desk, f'tr[data-visit="{visit}"] form[action$="check-out"] button')
    desk.keyboard.press("Enter")
    expect(desk.locator("#flash")).to_contain_text(name)
    expect(desk.locator(f'tr[data-visit="{visit}"]')).to_have_count(0)
    for page in (phone, desk):
        page.context.close()


def test_full_screen_survives_a_reload_and_can_be_left(browser: Any, demo: Json) -> None:
    host = demo["nodes"]["troquet-numerique"]
    context = browser.new_context(locale="fr-FR", viewport={"width": 1024, "height": 768})
    desk = context.new_page()
    log_in(desk, host["url"], host["desk"]["email"], "/desk")
    desk.click("#kiosk")
    expect(desk.locator("header.site-header")).to_be_hidden()
    desk.reload()
    expect(desk.locator("header.site-header")).to_be_hidden()
    desk.get_by_role("button", name="Quitter le plein écran").click()
    expect(desk.locator("header.site-header")).to_be_visible()
    context.close()


def _codes_of(pdf: bytes) -> list[str]:
    document = pypdfium2.PdfDocument(io.BytesIO(pdf))
    picture = document[0].render(scale=2).to_pil()
    document.close()
    return [found.text for found in zxingcpp.read_barcodes(picture)]


def test_a_visitor_checks_herself_in_by_the_poster_and_the_desk_sees_it(
    browser: Any, demo: Json
) -> None:
    home, host = demo["nodes"]["la-cordee"], demo["nodes"]["troquet-numerique"]
    context = browser.new_context(locale="fr-FR", viewport={"width": 1024, "height": 768})
    desk = context.new_page()
    log_in(desk, host["url"], host["desk"]["email"], "/desk")
    pdf = context.request.get(f"{host['url']}/console/spaces/troquet-numerique/poster.pdf?lang=fr")
    (link,) = _codes_of(pdf.body())
    with _phone(browser, home, 2) as phone:
        phone.goto(link)
        phone.get_by_role("link", name="La Cordée").click()
        expect(phone.locator("#check-phone .badge")).to_have_text("Oui")
        expect(phone.locator("[data-part] .badge.is-yes")).to_have_count(3)
        phone.click("#arrive")
        expect(phone.locator("#arrival.is-yes")).to_contain_text("L’accueil la voit")
    row = desk.locator("[data-by-poster]")
    expect(row).to_contain_text("par l’affiche")
    expect(desk.locator("#flash")).to_contain_text("par l’affiche")
    leave(host, str(row.get_attribute("data-visit")))
    context.close()


def test_a_paper_card_is_asked_for_its_pin_and_needs_the_node(browser: Any, demo: Json) -> None:
    home, host = demo["nodes"]["la-cordee"], demo["nodes"]["troquet-numerique"]
    context = browser.new_context(locale="fr-FR", viewport={"width": 360, "height": 740})
    page = context.new_page()
    log_in(page, home["url"], home["members"][2]["email"], "/pass")
    page.get_by_role("button", name="Faire une carte papier").click()
    pin = page.inner_text("#card-pin")
    (card,) = _codes_of(context.request.get(f"{home['url']}/pass/card.pdf").body())
    desk = context.new_page()
    with desk.expect_response(lambda answer: "/desk-kit" in answer.url):
        log_in(desk, host["url"], host["desk"]["email"], "/desk")
    desk.evaluate("navigator.serviceWorker.ready.then((ready) => ready.active.state)")

    def show() -> None:
        desk.locator("#scan").fill(card)
        desk.keyboard.press("Enter")

    def say(digits: str) -> None:
        expect(desk.locator("#pin")).to_be_focused()
        desk.keyboard.type(digits)
        desk.keyboard.press("Enter")

    show()
    say(f"{(int(pin) + 1) % 10**6:06}")
    expect(desk.locator(".answer.is-no")).to_contain_text("pas le code de cette carte")
    show()
    say(pin)
    expect(desk.locator(".answer.is-yes .answer-who")).to_contain_text("de La Cordée")
    leave(host, str(desk.locator("tr[data-visit]").first.get_attribute("data-visit")))
    context.set_offline(True)
    desk.reload()
    show()
    expect(desk.locator(".answer.is-no [data-code=offline_budget]")).to_contain_text("carte papier")
    context.close()
