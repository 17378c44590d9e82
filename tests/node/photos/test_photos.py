"""Photos of a space: made anew from their pixels, shown by node and hub, and gone when removed."""

from __future__ import annotations

import io
import os
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image, ImageCms
from sqlalchemy import delete, select

from node import jobs
from node.photos import files, service
from node.photos.models import Photo
from node.photos.pictures import PictureFault, prepare
from node.spaces import service as spaces
from shared.store.db import begin_write
from shared.web.application import origin_of
from shared.wire.problems import Problem
from shared.wire.spaces import photos_at
from tests.network import PASSWORD, LocalNode, Network, at_once
from tests.shared.browser import Browser, Page, forget_attempts

CONSOLE = "/console/spaces/troquet/photos"
GPS = {1: "N", 2: (45.0, 35.0, 11.0), 3: "E", 4: (5.0, 16.0, 25.0)}


def picture(
    kind: str = "JPEG", size: tuple[int, int] = (2000, 1200), mode: str = "RGB", **save: Any
) -> bytes:
    """Return a picture: red above, blue below."""
    image = Image.new(mode, size, "blue")
    image.paste("red", (0, 0, size[0], size[1] // 2))
    out = io.BytesIO()
    image.save(out, kind, **save)
    return out.getvalue()


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def with_place(orientation: int = 1, profile: bytes = SRGB) -> bytes:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112], exif[0x8825] = "Ada’s telephone", orientation, GPS
    return picture(exif=exif, comment=b"secret comment", icc_profile=profile)


@pytest.fixture
def troquet(lasting_network: Network) -> Iterator[LocalNode]:
    found = lasting_network.nodes["troquet"]
    yield found
    with found.context() as (session, node):
        begin_write(session)
        ids = list(session.scalars(select(Photo.id)))
        session.execute(delete(Photo))
        session.commit()
        for photo_id in ids:
            files.remove(node.settings.data_dir, photo_id)
        spaces.publish_now(session, node)


@pytest.fixture
def admin(troquet: LocalNode) -> Browser:
    forget_attempts()
    browser = Browser(troquet, "en")
    assert browser.log_in("admin@troquet.example").status_code == 302
    browser.get(CONSOLE)
    return browser


def send(admin: Browser, *contents: bytes, name: str = "photo.jpg") -> requests.Response:
    return admin.session.post(
        admin.url + CONSOLE,
        data={"csrf_token": admin.token},
        files=[("files", (name, content)) for content in contents],
        allow_redirects=False,
        timeout=60,
    )


def add(admin: Browser, troquet: LocalNode, *alts: str) -> list[str]:
    """Add a photo for each text; return their ids."""
    assert send(admin, *[picture()] * len(alts)).status_code == 302
    added = ids(troquet)[-len(alts) :]
    for photo_id, alt in zip(added, alts, strict=True):
        if alt:
            assert describe(admin, photo_id, alt_fr=alt).status_code == 302
    return added


def describe(admin: Browser, photo_id: str, **texts: str) -> requests.Response:
    return admin.post(f"{CONSOLE}/{photo_id}", {f"{photo_id}-{k}": v for k, v in texts.items()})


def ids(troquet: LocalNode) -> list[str]:
    with troquet.context() as (session, _):
        return list(session.scalars(select(Photo.id).order_by(Photo.place, Photo.id)))


def stored(troquet: LocalNode) -> set[str]:
    where = files.folder(troquet.app.extensions["settings"].data_dir)
    return {file.name for file in where.iterdir()} if where.is_dir() else set()


def at_hub(network: Network) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = network.hub.get("/api/v1/spaces/troquet").json()["photos"]
    return found


# Made anew


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        *(("JPEG", mode) for mode in ("RGB", "CMYK", "L")),
        *(("PNG", mode) for mode in ("RGB", "RGBA", "P", "LA", "1")),
        *(("WEBP", mode) for mode in ("RGB", "RGBA")),
    ],
)
def test_pictures_of_each_kind_come_out_in_two_sizes(kind: str, mode: str) -> None:
    image = Image.new(mode, (2000, 1200))
    out = io.BytesIO()
    image.save(out, kind)
    found = prepare(out.getvalue())
    large, small = Image.open(io.BytesIO(found.large)), Image.open(io.BytesIO(found.small))
    assert (large.format, large.size, small.size) == ("WEBP", (1600, 960), (480, 288))
    assert (found.width, found.height) == large.size
    assert large.mode == "RGB"


def test_a_small_picture_stays_as_small() -> None:
    found = prepare(picture(size=(300, 200)))
    assert (found.width, found.height) == (300, 200)
    assert Image.open(io.BytesIO(found.small)).size == (300, 200)


@pytest.mark.parametrize("profile", [SRGB, b"a secret profile"], ids=["sRGB", "broken"])
def test_where_and_with_what_it_was_taken_is_gone(profile: bytes) -> None:
    content = with_place(profile=profile)
    assert b"telephone" in content
    assert b"secret comment" in content
    found = prepare(content)
    for part in (found.large, found.small):
        image = Image.open(io.BytesIO(part))
        assert not image.getexif()
        assert not {"exif", "icc_profile", "xmp", "comment"} & set(image.info)
        assert b"telephone" not in part
        assert b"secret" not in part
        assert set(_chunks(part)) == {b"VP8 "}


def _chunks(webp: bytes) -> Iterator[bytes]:
    place = 12
    while place < len(webp):
        (length,) = struct.unpack("<I", webp[place + 4 : place + 8])
        yield webp[place : place + 4]
        place += 8 + length + length % 2


def test_it_is_turned_before_what_says_so_is_removed() -> None:
    found = prepare(with_place(orientation=6))  # to be turned by a quarter
    image = Image.open(io.BytesIO(found.large))
    assert image.size == (960, 1600)
    left, right = image.getpixel((100, 800)), image.getpixel((860, 800))
    assert left[2] > 200 > right[2]  # type: ignore[index]
    assert right[0] > 200 > left[0]  # type: ignore[index]


def test_what_hides_behind_a_picture_is_gone() -> None:
    page = b"<script>alert(1)</script><?php system($_GET['c']); ?>PK\x03\x04"
    found = prepare(picture() + page)
    assert b"script" not in found.large
    assert b"PK\x03\x04" not in found.large + found.small


def test_transparent_places_are_white() -> None:
    found = prepare(picture("PNG", mode="RGBA"))
    assert Image.open(io.BytesIO(found.large)).mode == "RGB"
    clear = io.BytesIO()
    Image.new("RGBA", (300, 300), (0, 0, 0, 0)).save(clear, "PNG")
    image = Image.open(io.BytesIO(prepare(clear.getvalue()).large))
    assert min(image.getpixel((150, 150))) > 250  # type: ignore[arg-type, type-var]


def _png_bomb(side: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(200_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _gif() -> bytes:
    return picture("GIF")


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
WRONG = {
    "nothing": (b"", "not a JPEG"),
    "text": (b"hello", "not a JPEG"),
    "a page": (b"<!doctype html><script>alert(1)</script>", "not a JPEG"),
    "svg": (SVG, "not a JPEG"),
    "gif": (_gif(), "not a JPEG"),
    "a zip": (b"PK\x03\x04" + bytes(100), "not a JPEG"),
    "a page that begins like a picture": (b"GIF89a/*<script>*/=1;", "not a JPEG"),
    "cut off": (picture()[:5000], "damaged"),
    "cut off early": (picture()[:10], "damaged"),
    "a wrong body": (picture("PNG")[:60] + bytes(5000), "damaged"),
    "a bomb": (_png_bomb(50_000), "50 million pixels"),
    "a smaller bomb": (_png_bomb(9_000), "50 million pixels"),
    "too small": (picture(size=(400, 100)), "too small"),
    "13 MB": (picture() + bytes(13 << 20), "larger than 12 MB"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_no_usable_picture_is_said_so_in_time(kind: str) -> None:
    content, words = WRONG[kind]
    began = time.monotonic()
    with pytest.raises(PictureFault, match=words):
        prepare(content)
    assert time.monotonic() - began < 2


# The console


def test_a_photo_is_published_once_it_is_said_what_it_shows(
    admin: Browser, troquet: LocalNode, lasting_network: Network
) -> None:
    (photo,) = add(admin, troquet, "")
    assert "not published: say what it shows" in Page(admin.get(CONSOLE).text).text
    assert at_hub(lasting_network) == []
    refused = describe(admin, photo, alt_fr=" ", alt_en="x")
    assert refused.status_code == 422
    assert "This is needed." in Page(refused.text).text
    texts = {"alt_fr": "La grande table", "alt_en": "The large table", "credit": "Ada"}
    assert describe(admin, photo, **texts).status_code == 302
    (published,) = at_hub(lasting_network)
    assert published == {
        **texts,
        "url": f"{troquet.url}/photos/{photo}-1600.webp",
        "thumbnail": f"{troquet.url}/photos/{photo}-480.webp",
        "width": 1600,
        "height": 960,
    }
    for service_, language, alt in (
        (troquet, "en", "The large table"),
        (lasting_network.hub, "fr", "La grande table"),
    ):
        answer = requests.get(f"{service_.url}/spaces/troquet?lang={language}", timeout=20)
        (image,) = [attrs for tag, attrs in Page(answer.text).elements if tag == "img"]
        assert image["src"] == published["thumbnail"]
        assert (image["alt"], image["loading"]) == (alt, "lazy")
        assert (image["width"], image["height"]) == ("1600", "960")
        assert f'"contentUrl": "{published["url"]}"' in answer.text
        assert "Photo" in Page(answer.text).text


def test_the_hubs_page_opens_its_policy_to_that_node_alone(
    admin: Browser, troquet: LocalNode, lasting_network: Network
) -> None:
    def images() -> str:
        answer = requests.get(f"{lasting_network.hub.url}/spaces/troquet", timeout=20)
        return answer.headers["Content-Security-Policy"].partition("img-src ")[2].partition(";")[0]

    assert images() == "'self' data:"
    add(admin, troquet, "La table")
    assert images() == f"'self' data: {troquet.url}"


def test_photos_elsewhere_than_at_their_node_are_not_shown() -> None:
    here = {"url": "https://a.example/x", "thumbnail": "https://a.example/y"}
    others = [
        {**here, "thumbnail": "https://tracker.example/y"},
        {**here, "url": "https://a.example.evil.example/x"},
    ]
    found = photos_at({"photos": [here, *others]}, "https://a.example")
    assert found == [here]


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://a.example", "https://a.example"),
        ("https://a.example:8443/node", "https://a.example:8443"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("https://a.example;script-src *", ""),
        ("https://a.example 'unsafe-inline'", ""),
        ("https://*.example", ""),
    ],
)
def test_only_a_plain_origin_gets_into_a_policy(url: str, origin: str) -> None:
    assert origin_of(url) == origin


def test_files_are_served_to_be_kept_and_as_pictures_alone(
    admin: Browser, troquet: LocalNode
) -> None:
    (photo,) = add(admin, troquet, "La table")
    answer = requests.get(f"{troquet.url}/photos/{photo}-480.webp", timeout=20)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "image/webp"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "public, max-age=2592000, immutable"
    assert Image.open(io.BytesIO(answer.content)).size == (480, 288)
    for wrong in (
        f"{photo}-481.webp",
        f"{photo}-480.jpg",
        f"{'0' * 32}-480.webp",
        "node-keys.json",
        "..%2fnode-keys.json",
        f"%2e%2e/photos/{photo}-480.webp%00",
    ):
        found = requests.get(f"{troquet.url}/photos/{wrong}", timeout=20)
        assert found.status_code == 404, wrong


def test_several_are_added_at_once_all_or_none(admin: Browser, troquet: LocalNode) -> None:
    refused = send(admin, picture(), b"hello", picture("GIF"), name="<b>x</b>.jpg")
    assert refused.status_code == 422
    assert refused.text.count("&lt;b&gt;x&lt;/b&gt;.jpg") == 2
    assert (ids(troquet), stored(troquet)) == ([], set())
    assert send(admin, picture(), picture("PNG"), picture("WEBP")).status_code == 302
    assert (len(ids(troquet)), len(stored(troquet))) == (3, 6)
    assert "Choose a picture." in Page(send(admin).text).text


def test_twelve_are_enough(admin: Browser, troquet: LocalNode) -> None:
    small = picture(size=(300, 300))
    assert send(admin, *[small] * 11).status_code == 302
    refused = send(admin, small, small)
    assert refused.status_code == 422
    assert "at most 12 photos" in Page(refused.text).text
    assert (len(ids(troquet)), len(stored(troquet))) == (11, 22)
    assert send(admin, small).status_code == 302
    assert "remove one to add another" in Page(admin.get(CONSOLE).text).text


def test_two_that_add_at_once_do_not_add_too_many(admin: Browser, troquet: LocalNode) -> None:
    small = prepare(picture(size=(300, 300)))

    def go() -> bool:
        with troquet.context() as (session, node):
            try:
                service.add(session, node, "troquet", [small] * 5)
            except Problem:
                return False
            return True

    assert sorted(at_once([go] * 4)) == [False, False, True, True]
    assert (len(ids(troquet)), len(stored(troquet))) == (10, 20)


def test_the_order_is_changed_by_buttons(
    admin: Browser, troquet: LocalNode, lasting_network: Network
) -> None:
    one, two, three = add(admin, troquet, "un", "deux", "trois")
    forms = [a.get("action") for t, a in Page(admin.get(CONSOLE).text).elements if t == "form"]
    assert f"{CONSOLE}/{three}/place" in forms
    assert f"{CONSOLE}/{three}/remove" in forms
    assert f"{CONSOLE}/{three}" in forms
    assert admin.post(f"{CONSOLE}/{three}/place", to="up").status_code == 302
    assert ids(troquet) == [one, three, two]
    admin.post(f"{CONSOLE}/{one}/place", to="down")
    admin.post(f"{CONSOLE}/{two}/place", to="down")  # the last stays the last
    admin.post(f"{CONSOLE}/{three}/place", to="up")
    assert ids(troquet) == [three, one, two]
    assert [photo["alt_fr"] for photo in at_hub(lasting_network)] == ["trois", "un", "deux"]


def test_removing_a_photo_removes_its_files(
    admin: Browser, troquet: LocalNode, lasting_network: Network
) -> None:
    one, two = add(admin, troquet, "un", "deux")
    assert admin.post(f"{CONSOLE}/{one}/remove").status_code == 302
    assert stored(troquet) == {f"{two}-1600.webp", f"{two}-480.webp"}
    assert len(at_hub(lasting_network)) == 1
    assert admin.post(f"{CONSOLE}/{one}/remove").status_code == 404


def test_what_a_crash_left_is_swept_away_and_nothing_else(
    admin: Browser, troquet: LocalNode
) -> None:
    (photo,) = add(admin, troquet, "La table")
    where = files.folder(troquet.app.extensions["settings"].data_dir)
    old, fresh = where / f"{'a' * 32}-480.webp", where / f"{'b' * 32}-480.webp"
    foreign = where / "notes.txt"
    for file in (old, fresh, foreign):
        file.write_bytes(b"x")
    for file in (old, foreign, where / f"{photo}-480.webp"):
        os.utime(file, (0, 0))
    with troquet.context():
        jobs.tidy()
    left = stored(troquet)
    fresh.unlink()
    foreign.unlink()
    own = {f"{photo}-1600.webp", f"{photo}-480.webp"}
    assert left == own | {fresh.name, "notes.txt"}


def test_a_full_disk_is_said_and_leaves_nothing(
    admin: Browser, troquet: LocalNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, count = Path.replace, iter(range(10))

    def fail(self: Path, target: Path) -> Path:
        if next(count) == 2:
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    refused = send(admin, picture(), picture())
    assert refused.status_code == 503
    assert "is the disk full?" in Page(refused.text).text
    assert (ids(troquet), stored(troquet)) == ([], set())


def test_fifty_megabytes_are_refused_and_two_are_taken_from_an_admin_alone(
    admin: Browser, troquet: LocalNode
) -> None:
    assert send(admin, bytes(51 << 20)).status_code == 413
    assert "larger than 12 MB" in Page(send(admin, bytes(13 << 20)).text).text
    stranger = Browser(troquet, "en")
    stranger.get("/login")
    refused = send(stranger, bytes(2 << 20))
    assert refused.status_code == 413, "who is not known sends no more than to any other page"


def test_photos_are_their_own_spaces_alone(admin: Browser, troquet: LocalNode) -> None:
    (photo,) = add(admin, troquet, "La table")
    for wrong in (f"{CONSOLE}/{'0' * 32}", f"/console/spaces/nobody/photos/{photo}"):
        for verb in ("", "/place", "/remove"):
            assert admin.post(f"{wrong}{verb}").status_code == 404, wrong
    assert ids(troquet) == [photo]


@pytest.mark.browser
def test_at_360_pixels_by_keyboard_a_photo_is_described_moved_and_seen_at_the_hub(
    admin: Browser, troquet: LocalNode, lasting_network: Network, browser: Any
) -> None:
    from tests.browsing import wrong_with

    one, two = add(admin, troquet, "", "deux")
    context = browser.new_context(viewport={"width": 360, "height": 800}, locale="fr-FR")
    page, said = context.new_page(), list[str]()
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"{troquet.url}/login")
    page.fill("[name=email]", "admin@troquet.example")
    page.fill("[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/console")
    page.goto(troquet.url + CONSOLE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.focus(f"[name='{one}-alt_fr']")
    page.keyboard.type("La grande table")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**#photo-{one}")
    page.focus(f"#photo-{one} button[value=down]")
    page.keyboard.press("Space")
    page.locator(f"li:last-child#photo-{one}").wait_for()
    assert ids(troquet) == [two, one]
    page.goto(f"{lasting_network.hub.url}/spaces/troquet")
    found = wrong_with(page)
    image = page.locator("img[alt='La grande table']")
    image.scroll_into_view_if_needed()
    page.wait_for_function("e => e.complete", arg=image.element_handle())
    assert image.evaluate("e => e.naturalWidth") > 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for path in ("photos", "sources", "import/events", "spaceapi", "events"):
        page.goto(f"{troquet.url}/console/spaces/troquet/{path}")
        found += wrong_with(page)
    context.close()
    assert found == []
    assert said == []
