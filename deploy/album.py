"""``python -m deploy.album INFO``: take the guide's pictures of a demonstration that is running.

INFO is the file of ``passerelle demo --info``. Needs the development requirements and Chromium.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

PICTURES = Path(__file__).parent / "pictures"
WIDE, NARROW = (1280, 800), (360, 740)
SPACE = "/console/spaces/sceaux-smart"
# name: (service, who logs in, path)
PAGES: dict[str, tuple[str, str, str]] = {
    "console": ("troquet-numerique", "admin", "/console"),
    "overview": ("sceaux-smart", "admin", SPACE),
    **{
        section: ("sceaux-smart", "admin", f"{SPACE}/sheet/{section}")
        for section in ("identity", "place", "people", "rooms", "users")
    },
    "hours": ("troquet-numerique", "admin", "/console/spaces/troquet-numerique/sheet/hours"),
    "prices": ("troquet-numerique", "admin", "/console/spaces/troquet-numerique/sheet/prices"),
    "conditions": ("sceaux-smart", "admin", f"{SPACE}/conditions"),
    "values": ("troquet-numerique", "admin", "/console/spaces/troquet-numerique/values"),
    "events": ("sceaux-smart", "admin", f"{SPACE}/events"),
    "photos": ("sceaux-smart", "admin", f"{SPACE}/photos"),
    "sources": ("sceaux-smart", "admin", f"{SPACE}/sources"),
    "members": ("la-cordee", "admin", "/console/members"),
    "plans": ("la-cordee", "admin", "/console/plans"),
    "import": ("la-cordee", "admin", "/console/members/import"),
    "expected": ("sceaux-smart", "admin", "/console/bookings"),
    "sync": ("sceaux-smart", "admin", "/console/sync"),
    "export": ("sceaux-smart", "admin", "/console/export"),
    "leave": ("sceaux-smart", "admin", "/console/leave"),
    "booking": ("la-cordee", "members", "/bookings/at/sceaux-smart"),
    "public": ("sceaux-smart", "", "/spaces/sceaux-smart"),
}
# Those that are also shown as on a telephone.
ON_A_PHONE = ("console", "overview", "place", "hours", "rooms", "sync", "booking", "public")


def main(info: Path) -> None:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - of development alone

    told = json.loads(info.read_text())
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for size in (WIDE, NARROW):
            for name, (service, who, path) in PAGES.items():
                if size == WIDE or name in ON_A_PHONE:
                    take(browser, told["nodes"][service], who, path, size, name)
        browser.close()


def take(
    browser: Any, node: dict[str, Any], who: str, path: str, size: tuple[int, int], name: str
) -> None:
    """Write one page's picture, in few colours; the reader is French."""
    from PIL import Image  # noqa: PLC0415 - slow to import

    view = {"width": size[0], "height": size[1]}
    context = browser.new_context(
        locale="fr-FR", timezone_id="Europe/Paris", viewport=view, bypass_csp=True
    )
    page = context.new_page()
    if who:
        person = node[who][0] if who == "members" else node[who]
        page.goto(f"{node['url']}/login?next={path}")
        page.fill("#email", person["email"])
        page.fill("#password", person["password"])
        page.click("main form button")
        page.wait_for_url(f"{node['url']}{path}")
    else:
        page.goto(node["url"] + path)
    page.wait_for_load_state("networkidle")
    page.add_style_tag(content=".save-bar { position: static !important; }")
    shot = page.screenshot(full_page=True, clip=None)
    context.close()
    picture = Image.open(io.BytesIO(shot)).convert("RGB")
    picture = picture.crop((0, 0, picture.width, min(picture.height, size[0] * 3 // 2 + 400)))
    target = PICTURES / f"{name}{'' if size == WIDE else '-phone'}.png"
    picture.quantize(64).save(target, optimize=True)
    print(target.name, picture.size)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
