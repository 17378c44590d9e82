"""Paper cards, the poster, requests and notes: what stands beside the phone at the door."""

from __future__ import annotations

import io
import re
import secrets
import time
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pypdfium2
import pytest
import requests
from PIL.Image import Image
from sqlalchemy import func, select, update

from node import jobs
from node.desk import corrections, incidents, recording, service
from node.members import service as members
from node.members.models import Member
from node.passes import cards
from node.passes import service as passes
from node.passes.models import Card, DoorCode, Pass, WrongDoorCode
from node.spaces import service as spaces
from node.spaces.models import Space
from node.visits.models import Refusal
from shared.crypto import jose
from shared.crypto.passes import bind
from shared.store.db import begin_write
from tests.network import LocalNode, Network, Person, at_once, codes
from tests.shared.browser import Browser, forget_attempts


@pytest.fixture(autouse=True)
def _fresh() -> None:
    forget_attempts()


class PaperCard:
    """A member's card: what is printed on it, and its PIN."""

    def __init__(self, person: Person) -> None:
        self.node = person.node
        with self.node.context() as (session, context):
            member = members.member_of(session, person.account_id, context.clock.now().date())
            row, self.pin = cards.make(session, context, member)
            self.pass_id, self.text = row.id, cards.address(context, row.id)
        self.node.deliver()

    @property
    def wrong_pin(self) -> str:
        return f"{(int(self.pin) + 1) % 10**6:06}"

    def show(self, host: LocalNode, pin: str | None = None, **headers: str) -> requests.Response:
        body = {"space": host.id, "pass": self.text, "pin": self.pin if pin is None else pin}
        return host.post("/api/v1/check-ins", body, host.desk, **headers)

    def status(self) -> str:
        with self.node.context() as (session, _):
            return session.get_one(Pass, self.pass_id).status


@pytest.fixture
def cordee(lasting_network: Network) -> LocalNode:
    return lasting_network.nodes["cordee"]


@pytest.fixture
def troquet(lasting_network: Network) -> LocalNode:
    return lasting_network.nodes["troquet"]


@pytest.fixture
def person(cordee: LocalNode) -> Person:
    return cordee.add_person()


@pytest.fixture
def card(person: Person) -> PaperCard:
    return PaperCard(person)


def _details(answer: requests.Response) -> list[Any]:
    reasons = answer.json()["decision"]["reasons"]
    return [(reason["code"], reason["params"].get("detail")) for reason in reasons]


def _log_in(node: LocalNode, email: str) -> Browser:
    browser = Browser(node)
    browser.log_in(email)
    return browser


def _send(
    browser: Browser, page: str, path: str, form: dict[str, str] | None = None
) -> requests.Response:
    """Fill a form in on a page, send it, and go where it leads."""
    browser.get(page)
    answer = browser.post(path, form)
    return browser.get(answer.headers["Location"]) if answer.status_code == 302 else answer


# The card


def test_a_card_and_its_pin_open_a_partners_door_like_a_phone(
    troquet: LocalNode, card: PaperCard, person: Person
) -> None:
    answer = card.show(troquet)
    assert answer.status_code == 201, answer.text
    visit, decision = answer.json()["visit"], answer.json()["decision"]
    assert visit["given_name"].startswith("Ada")
    assert decision["terms"]["half_days_left"] == {"host": 5, "network": 3}
    assert card.show(troquet).status_code == 200  # she is here already
    assert troquet.scan(person.get_pass().show()).json()["visit"]["id"] == visit["id"]


def test_a_card_without_a_pin_asks_for_it_and_uses_no_key_up(
    troquet: LocalNode, card: PaperCard
) -> None:
    body = {"space": troquet.id, "pass": card.text}
    key = {"Idempotency-Key": "card-1"}
    answer = troquet.post("/api/v1/check-ins", body, troquet.desk, **key)
    assert answer.status_code == 422
    assert set(answer.json()["errors"]) == {"pin"}
    assert card.show(troquet, **key).status_code == 201
    assert card.show(troquet, **key).status_code == 200
    assert card.show(troquet, card.wrong_pin, **key).status_code == 409


def test_a_wrong_pin_is_refused_and_the_fifth_blocks_the_card(
    troquet: LocalNode, card: PaperCard
) -> None:
    for _ in range(4):
        assert _details(card.show(troquet, card.wrong_pin)) == [("pass_malformed", "pin")]
    right = card.show(troquet)
    assert right.status_code == 201  # and tries begin anew
    for _ in range(5):
        assert _details(card.show(troquet, card.wrong_pin)) == [("pass_malformed", "pin")]
    assert card.status() == "suspended"
    assert codes(card.show(troquet)) == ["pass_suspended"]


def test_many_guesses_at_once_are_no_more_than_one_by_one(
    troquet: LocalNode, card: PaperCard
) -> None:
    pins = [f"{(int(card.pin) + n) % 10**6:06}" for n in range(1, 13)]
    answers = at_once([lambda pin=pin: card.show(troquet, pin) for pin in pins])  # type: ignore[misc]
    assert all(answer.status_code == 403 for answer in answers)
    with card.node.context() as (session, _):
        assert session.get_one(Card, card.pass_id).tries == cards.TRIES
    assert codes(card.show(troquet)) == ["pass_suspended"]


def test_a_card_ends_with_a_new_one_and_a_phone_does_not(
    troquet: LocalNode, card: PaperCard, person: Person
) -> None:
    phone = person.get_pass()
    other = PaperCard(person)
    assert codes(card.show(troquet)) == ["pass_revoked"]
    assert other.show(troquet).status_code == 201
    assert troquet.scan(phone.show()).status_code == 200


def test_a_card_of_nobody_and_of_another_site_is_no_pass(
    troquet: LocalNode, cordee: LocalNode, card: PaperCard
) -> None:
    body = {"space": troquet.id, "pin": "123456"}
    elsewhere = card.text.replace(cordee.url, "https://example.org")
    answer = troquet.post("/api/v1/check-ins", {**body, "pass": elsewhere}, troquet.desk)
    assert codes(answer) == ["pass_malformed"]
    nobody = f"{cordee.url}{cards.PATH}{'x' * 16}"
    answer = troquet.post("/api/v1/check-ins", {**body, "pass": nobody}, troquet.desk)
    assert codes(answer) == ["pass_revoked"]


def test_a_card_is_not_admitted_while_its_home_does_not_answer(
    network: Network,
) -> None:
    cordee, troquet = network.nodes["cordee"], network.nodes["troquet"]
    card = PaperCard(cordee.add_person())
    network.refresh()
    cordee.server.stop()
    answer = card.show(troquet)
    assert _details(answer) == [("offline_budget", "paper")]
    assert troquet.presence() == []
    cordee.server.start()
    assert card.show(troquet).status_code == 201


def test_a_card_is_not_admitted_while_the_hub_does_not_answer(network: Network) -> None:
    cordee, troquet = network.nodes["cordee"], network.nodes["troquet"]
    card = PaperCard(cordee.add_person())
    network.refresh()
    network.hub_goes()
    assert ("offline_budget", "paper") in _details(card.show(troquet))
    assert card.show(cordee).status_code == 201  # at home all is known
    network.hub_returns()
    assert card.show(troquet).status_code == 201


def test_a_card_opens_four_half_days_a_month(network: Network) -> None:
    cordee, troquet = network.nodes["cordee"], network.nodes["troquet"]
    card = PaperCard(cordee.add_person())
    for day in (24, 25, 26, 27):
        network.move_to(f"2026-11-{day}T10:00:00+01:00")
        network.refresh()
        answer = card.show(troquet)
        assert answer.status_code == 201, answer.text
        assert troquet.check_out(answer.json()["visit"]["id"]).status_code == 200
    network.move_to("2026-11-30T10:00:00+01:00")
    network.refresh()
    answer = card.show(troquet)
    (reason,) = answer.json()["decision"]["reasons"]
    assert (reason["code"], reason["article"]) == ("quota_network", 8)
    assert reason["params"] == {"used": 4, "limit": 4, "detail": "paper"}


def test_only_a_host_of_the_network_may_ask_for_a_showing(
    cordee: LocalNode, troquet: LocalNode, lasting_network: Network, card: PaperCard
) -> None:
    url = f"/api/v1/cards/{card.pass_id}/showings"

    def ask(
        node: LocalNode, host: str, home_url: str, pass_id: str, space: str = ""
    ) -> requests.Response:
        with node.context() as (_, context):
            request = cards.ask_to_show(context, host, space or host, home_url, pass_id, card.pin)
        return cordee.post(url, {"request": request})

    assert ask(troquet, "troquet", cordee.url, card.pass_id, "filature").status_code == 403
    assert ask(troquet, "troquet", cordee.url, card.pass_id).status_code == 200
    assert ask(troquet, "filature", cordee.url, card.pass_id).status_code == 403
    assert ask(troquet, "troquet", troquet.url, card.pass_id).status_code == 403
    assert ask(troquet, "troquet", cordee.url, "x" * 16).status_code == 403
    lasting_network.set_state("filature", "suspended")
    cordee.refresh()
    assert (
        ask(lasting_network.nodes["filature"], "filature", cordee.url, card.pass_id).status_code
        == 403
    )
    lasting_network.set_state("filature", "connected")
    cordee.refresh()


def test_a_request_for_a_showing_is_good_for_ninety_seconds(
    cordee: LocalNode, troquet: LocalNode, card: PaperCard
) -> None:
    with troquet.context() as (_, context):
        claims = {"iss": "troquet", "aud": cordee.url, "card": card.pass_id, "pin": card.pin}
        claims |= {"space": "troquet", "jti": "j"}
        old = context.ring.sign({**claims, "iat": int(time.time()) - 200}, cards.TYP)
    answer = cordee.post(f"/api/v1/cards/{card.pass_id}/showings", {"request": old})
    assert answer.status_code == 403


def test_a_request_for_a_showing_is_good_once_and_reaches_the_member(
    cordee: LocalNode, troquet: LocalNode, card: PaperCard, person: Person
) -> None:
    with troquet.context() as (_, context):
        request = cards.ask_to_show(
            context, "troquet", "troquet", cordee.url, card.pass_id, card.pin
        )
    url, browser = f"/api/v1/cards/{card.pass_id}/showings", _log_in(cordee, person.email)
    assert "Where your card was shown" not in browser.get("/pass?lang=en").text
    assert cordee.post(url, {"request": request}).status_code == 200
    again = cordee.post(url, {"request": request})
    assert (again.status_code, again.json()["detail"]) == (403, "jti")
    with troquet.context() as (_, context):
        claims = dict(jose.read_unverified(request).claims)
        del claims["jti"]
        without = context.ring.sign(claims, cards.TYP)
    assert cordee.post(url, {"request": without}).status_code == 403
    page = browser.get("/pass?lang=en").text
    assert page.count("<li><time") == 1
    assert "Where your card was shown" in page


# How many passes


def test_a_member_has_five_passes_at_once_and_makes_twenty_a_day(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A phone that renews its own has two for a moment."""
    monkeypatch.setattr(passes, "MAX_VALID_OF_DEMO", passes.MAX_VALID)
    monkeypatch.setattr(passes, "MAX_A_DAY_OF_DEMO", passes.MAX_A_DAY)
    cordee = network.nodes["cordee"]
    person = cordee.add_person()
    phones = [person.other_phone() for _ in range(5)]
    public = [{"jwk": phone.key.as_dict(private=False)} for phone in [*phones, person]]

    def make(jwk: Any) -> requests.Response:
        return cordee.post("/api/v1/me/passes", jwk, person.token)

    made = [make(jwk) for jwk in public[:5]]
    assert [answer.status_code for answer in made] == [201] * 5
    sixth = make(public[5])
    assert (sixth.status_code, sixth.json()["type"].rpartition("/")[2]) == (409, "conflict")
    assert "5" in sixth.json()["detail"]
    renewed = make(public[0])
    assert renewed.status_code == 201
    assert make(public[0]).status_code == 409
    PaperCard(person)  # which is no phone's
    ids = [answer.json()["pass_id"] for answer in [*made, renewed]]
    count = 7
    while count < 20:
        cordee.delete(f"/api/v1/me/passes/{ids.pop()}", person.token)
        cordee.delete(f"/api/v1/me/passes/{ids.pop()}", person.token)
        for _ in range(2 if count < 19 else 1):
            answer = make(public[5])
            assert answer.status_code == 201, answer.text
            ids.append(answer.json()["pass_id"])
            count += 1
    cordee.delete(f"/api/v1/me/passes/{ids.pop()}", person.token)
    enough = make(public[5])
    assert (enough.status_code, enough.headers["Retry-After"]) == (429, "3600")


def test_a_key_that_anybody_has_gets_no_pass(person: Person) -> None:
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": jose.encode_b64(b"\1" + bytes(31))}
    answer = person.node.post("/api/v1/me/passes", {"jwk": jwk}, person.token)
    assert answer.status_code == 422
    assert set(answer.json()["errors"]) == {"jwk"}
    off = {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43}
    assert person.node.post("/api/v1/me/passes", {"jwk": off}, person.token).status_code == 422


# Six digits in place of a camera


def _digits(person: Person, space: str = "troquet", binding: str | None = None) -> Any:
    shown = person.show().partition("~")[2] if binding is None else binding
    body = {"space": space, "binding": shown}
    return person.node.post("/api/v1/me/codes", body, person.token)


def _type(host: LocalNode, home: str, code: str, **headers: str) -> requests.Response:
    body = {"space": host.id, "home": home, "code": code}
    return host.post("/api/v1/check-ins", body, host.desk, **headers)


def test_six_digits_open_the_door_they_were_made_for_once(
    troquet: LocalNode, lasting_network: Network, person: Person
) -> None:
    made = _digits(person)
    assert made.status_code == 201, made.text
    code = made.json()["code"]
    left = datetime.fromisoformat(made.json()["expires_at"]).timestamp() - time.time()
    assert re.fullmatch("[0-9]{6}", code)
    assert 60 < left <= 91
    filature = lasting_network.nodes["filature"]
    assert _details(_type(filature, "cordee", code)) == [("pass_malformed", "digits")]
    key = {"Idempotency-Key": secrets.token_hex(8)}
    answer = _type(troquet, "cordee", f"{code[:3]} {code[3:]}", **key)
    assert answer.status_code == 201, answer.text
    assert _type(troquet, "cordee", f"{code[:3]} {code[3:]}", **key).json() == answer.json()
    assert answer.json()["visit"]["given_name"].startswith("Ada")
    assert _details(_type(troquet, "cordee", code)) == [("pass_malformed", "digits")]


def test_digits_are_made_for_a_fresh_binding_of_ones_own_alone(
    troquet: LocalNode, cordee: LocalNode, person: Person
) -> None:
    person.get_pass()
    other = cordee.add_person().get_pass()
    for binding in (
        "x",
        other.show().partition("~")[2],
        person.show(time.time() - 200).partition("~")[2],
        person.show(audience="passerelle:rights").partition("~")[2],
    ):
        assert set(_digits(person, binding=binding).json()["errors"]) == {"binding"}
    assert set(_digits(person, "nowhere").json()["errors"]) == {"space"}
    assert _digits(person, "cordee").status_code == 201  # for one's own house, too
    revoked = f"/api/v1/me/passes/{person.pass_id}"
    binding = person.show().partition("~")[2]
    assert cordee.delete(revoked, person.token).status_code == 204
    assert set(_digits(person, binding=binding).json()["errors"]) == {"binding"}


def test_digits_are_hashed_and_the_pass_is_gone_once_handed_over(
    troquet: LocalNode, cordee: LocalNode, person: Person
) -> None:
    first = _digits(person).json()["code"]
    code = _digits(person).json()["code"]  # one at a time
    with cordee.context() as (session, _):
        rows = session.scalars(select(DoorCode).where(DoorCode.pass_id == person.pass_id)).all()
        assert [code in row.code_hash for row in rows] == [False]
    assert _details(_type(troquet, "cordee", first)) == [("pass_malformed", "digits")]
    assert _type(troquet, "cordee", code).status_code == 201
    with cordee.context() as (session, _):
        assert not session.scalars(select(DoorCode).where(DoorCode.pass_id == person.pass_id)).all()


def test_digits_are_forgotten_when_their_binding_is_old(
    network: Network,
) -> None:
    cordee, troquet = network.nodes["cordee"], network.nodes["troquet"]
    person = cordee.add_person()
    code = _digits(person).json()["code"]
    with cordee.context() as (session, context):
        begin_write(session)
        session.execute(update(DoorCode).values(until=context.clock.real() - timedelta(seconds=1)))
        session.commit()
    assert _details(_type(troquet, "cordee", code)) == [("pass_malformed", "digits")]
    with cordee.app.app_context():
        jobs.tidy()
    with cordee.context() as (session, _):
        assert session.scalars(select(DoorCode)).all() == []


def test_five_wrong_digits_of_a_host_close_its_mouth_for_ten_minutes(network: Network) -> None:
    cordee, troquet = network.nodes["cordee"], network.nodes["troquet"]
    right = _digits(cordee.add_person()).json()["code"]
    wrong = [f"{(int(right) + n) % 10**6:06}" for n in range(1, 9)]
    answers = at_once([lambda code=code: _type(troquet, "cordee", code) for code in wrong])  # type: ignore[misc]
    assert sorted(answer.status_code for answer in answers) == [403] * 5 + [429] * 3
    closed = _type(troquet, "cordee", right)
    assert (closed.status_code, closed.headers["Retry-After"]) == (429, "600")
    filature = network.add_node("filature")
    other = _digits(cordee.add_person(), "filature").json()["code"]
    assert _type(filature, "cordee", other).status_code == 201
    with cordee.context() as (session, context):
        begin_write(session)
        earlier = context.clock.real() - timedelta(minutes=11)
        session.execute(update(WrongDoorCode).values(at=earlier))
        session.commit()
    again = _digits(cordee.add_person()).json()["code"]
    assert _type(troquet, "cordee", again).status_code == 201


def test_digits_need_the_home_to_answer(network: Network) -> None:
    cordee, troquet = network.nodes["cordee"], network.nodes["troquet"]
    code = _digits(cordee.add_person()).json()["code"]
    cordee.server.stop()
    assert _details(_type(troquet, "cordee", code)) == [("offline_budget", "digits")]
    cordee.server.start()
    assert _type(troquet, "cordee", code).status_code == 201
    own = troquet.add_person()
    mine = _digits(own, "troquet").json()["code"]
    assert _type(troquet, "troquet", mine).json()["visit"]["local"] is True


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "pass"),
        ({"home": "cordee"}, "code"),
        ({"code": "123456"}, "home"),
        ({"home": "nobody", "code": "123456"}, "home"),
        ({"home": "cordee", "code": "12345"}, "code"),
        ({"home": "cordee", "code": "12345x"}, "code"),
        ({"pass": "x", "home": "cordee", "code": "123456"}, "home"),
    ],
    ids=str,
)
def test_a_check_in_has_a_pass_or_a_home_and_digits(
    troquet: LocalNode, body: dict[str, str], field: str
) -> None:
    answer = troquet.post("/api/v1/check-ins", {"space": "troquet", **body}, troquet.desk)
    assert answer.status_code == 422
    assert field in answer.json()["errors"]


def test_the_desk_types_digits_on_its_page(troquet: LocalNode, person: Person) -> None:
    code = _digits(person).json()["code"]
    desk = _log_in(troquet, "desk@troquet.example")
    page = desk.get("/desk?lang=en").text
    assert 'id="digits-home"' in page
    form = {"space": "troquet", "home": "cordee", "code": code}
    assert 'class="answer is-yes"' in _send(desk, "/desk", "/desk", form).text
    assert (
        "type the six digits" in _send(desk, "/desk?lang=en", "/desk", {**form, "code": "1"}).text
    )


def test_the_preview_of_a_card_is_what_the_door_says(troquet: LocalNode, card: PaperCard) -> None:
    body = {"space": troquet.id, "pass": card.text, "pin": card.pin}
    preview = troquet.post("/api/v1/check-ins/preview", body, troquet.desk)
    assert preview.status_code == 200
    assert preview.json()["decision"]["terms"] == card.show(troquet).json()["decision"]["terms"]


def test_the_pin_is_kept_nowhere(troquet: LocalNode, card: PaperCard, cordee: LocalNode) -> None:
    card.show(troquet, Idempotency_Key="k")
    for node in (troquet, cordee):
        with node.context() as (session, _):
            tables = node.app.extensions["sqlalchemy"].metadata.sorted_tables
            for table in tables:
                for row in session.execute(select(table)):
                    assert card.pin not in [str(value) for value in row]
                    assert f'"{card.pin}"' not in str(tuple(row))


# What is printed


def _page(pdf: bytes) -> tuple[str, Image]:
    document = pypdfium2.PdfDocument(io.BytesIO(pdf))
    page = document[0]
    text = page.get_textpage().get_text_range()
    picture = page.render(scale=2).to_pil()
    document.close()
    return text, picture


def _read(picture: Image) -> str:
    import zxingcpp

    found = zxingcpp.read_barcodes(picture)
    return str(found[0].text) if found else ""


@pytest.mark.parametrize(("language", "word"), [("fr", "Ma carte papier"), ("en", "My paper card")])
def test_the_printed_card_names_its_owner_and_its_code_is_the_cards(
    person: Person, language: str, word: str
) -> None:
    browser = _log_in(person.node, person.email)
    made = _send(browser, "/pass", "/pass/card")
    assert made.status_code == 200
    pdf = browser.get(f"/pass/card.pdf?lang={language}")
    assert pdf.headers["Content-Type"] == "application/pdf"
    text, picture = _page(pdf.content)
    assert word in text
    assert f"Ada{person.email[1:].partition('@')[0]}" in text
    assert _read(picture).startswith(f"{person.node.url}{cards.PATH}")


def test_the_poster_leads_to_the_page_of_this_space(troquet: LocalNode) -> None:
    admin = _log_in(troquet, "admin@troquet.example")
    for language, word in (("fr", "Ici, vous êtes chez vous"), ("en", "Here you are at home")):
        pdf = admin.get(f"/console/spaces/troquet/poster.pdf?lang={language}")
        text, picture = _page(pdf.content)
        assert word in text
        link = _read(picture)
        assert link.startswith(f"{troquet.url}/spaces/troquet/here?code=")
        page = requests.get(link, timeout=20)
        assert page.status_code == 200
        assert "/pass/at/troquet?code=" in page.text


# The poster


def _code(node: LocalNode) -> str:
    with node.context() as (session, _):
        return session.get_one(Space, node.id).poster


def _arrive(host: LocalNode, person: Person, code: str) -> requests.Response:
    shown = bind(person.credential, person.key, time.time(), code)
    return host.post("/api/v1/arrivals", {"space": host.id, "pass": shown})


def test_whoever_scans_the_poster_comes_in_by_herself(troquet: LocalNode, person: Person) -> None:
    answer = _arrive(troquet, person.get_pass(), _code(troquet))
    assert answer.status_code == 201, answer.text
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.json()["visit"]["id"] in [visit["id"] for visit in troquet.presence()]
    assert _arrive(troquet, person, _code(troquet)).status_code == 200
    asked = requests.options(f"{troquet.url}/api/v1/arrivals", timeout=20)
    assert "Content-Type" in asked.headers["Access-Control-Allow-Headers"]


def test_a_code_of_another_poster_and_a_phones_own_open_nothing(
    troquet: LocalNode, lasting_network: Network, person: Person
) -> None:
    person.get_pass()
    for code in (_code(lasting_network.nodes["filature"]), "x", "é"):
        answer = _arrive(troquet, person, code)
        assert _details(answer) == [("pass_malformed", "poster")]
    old = _code(troquet)
    with troquet.context() as (session, _):
        spaces.renew_poster(session, "troquet")
    assert _details(_arrive(troquet, person, old)) == [("pass_malformed", "poster")]


def test_what_anybody_sends_to_the_poster_is_noted_so_often_and_for_a_year(
    troquet: LocalNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "REFUSALS_A_DAY", 3)

    def noted() -> int:
        with troquet.context() as (session, _):
            return session.scalar(select(func.count()).select_from(Refusal)) or 0

    with troquet.context() as (session, node):
        recording.forget_refusals(session, node.clock.now() + timedelta(days=366))
    for _ in range(5):
        troquet.post("/api/v1/arrivals", {"space": troquet.id, "pass": "rubbish"})
    assert noted() == 3
    with troquet.context() as (session, node):
        recording.forget_refusals(session, node.clock.now() + timedelta(days=364))
        assert noted() == 3
        recording.forget_refusals(session, node.clock.now() + timedelta(days=366))
        assert noted() == 0


def test_the_door_does_not_take_what_was_signed_for_a_poster_twice(
    troquet: LocalNode, person: Person
) -> None:
    person.get_pass()
    shown = bind(person.credential, person.key, time.time(), _code(troquet))
    body = {"space": "troquet", "pass": shown}
    first, second = at_once([lambda: troquet.post("/api/v1/arrivals", body)] * 2)
    assert sorted([first.status_code, second.status_code]) == [200, 201]


def test_one_who_may_not_come_is_told_why_by_the_poster_too(
    troquet: LocalNode, cordee: LocalNode
) -> None:
    ticket = cordee.add_person("ticket").get_pass()
    assert codes(_arrive(troquet, ticket, _code(troquet))) == ["plan_not_eligible"]


# Of the house, without a phone


def test_the_desk_finds_its_own_people_and_checks_them_in_once(
    troquet: LocalNode,
) -> None:
    person = troquet.add_person()
    desk = _log_in(troquet, "desk@troquet.example")
    for wanted in (person.email, person.email.upper(), person.get_pass().pass_id):
        page = desk.get("/desk?" + urlencode({"q": wanted})).text
        assert page.count("/desk/members/") == 1, wanted
    for wanted in ("%", "_", "\\", "nobody at all", "\x00"):
        assert "/desk/members/" not in desk.get("/desk?" + urlencode({"q": wanted})).text
    with troquet.context() as (session, _):
        member = session.scalars(select(Member).where(Member.account_id == person.account_id)).one()
        path = f"/desk/members/{member.id}/check-in"
    before = len(troquet.presence())
    for _ in range(2):
        assert _send(desk, "/desk", path).ok
    assert len(troquet.presence()) == before + 1
    assert troquet.scan(person.show()).status_code == 200  # her phone says the same person
    assert _send(desk, "/desk", "/desk/members/999999/check-in").status_code == 404


def test_two_desks_check_one_person_in_once(troquet: LocalNode) -> None:
    person = troquet.add_person()
    with troquet.context() as (session, context):
        today = context.clock.now().date()
        member_id = members.member_of(session, person.account_id, today).id

    def check_in() -> str:
        with troquet.context() as (session, context):
            member = members.member(session, member_id, today)
            return service.check_in_member(session, context, "troquet", member).kind

    assert sorted(at_once([check_in] * 4)) == ["admitted", "already", "already", "already"]


# Requests


def _ask(person: Person, visit: str, reason: str) -> requests.Response:
    browser = _log_in(person.node, person.email)
    path = f"/pass/visits/{visit}/correction"
    return _send(browser, "/pass/visits", path, {"reason": reason})


def test_a_visitor_asks_and_the_host_answers_or_undoes(network: Network) -> None:
    cordee, troquet = network.nodes["cordee"], network.nodes["troquet"]
    person, other = cordee.add_person().get_pass(), cordee.add_person().get_pass()
    kept = troquet.scan(person.show()).json()["visit"]["id"]
    undone = troquet.scan(other.show()).json()["visit"]["id"]
    assert "is with the host" in _ask(person, kept, "I left at eleven").text
    assert _ask(other, undone, "I never came <b>").ok
    assert "already" in _ask(person, kept, "something else").text
    troquet.refresh()
    with troquet.context() as (session, context):
        asked = corrections.waiting(session, "troquet")
        assert [row.visit_id for row in asked] == [kept, undone]
        corrections.answer(session, context, kept, "You were seen at noon")
    assert troquet.void(undone).status_code == 200
    troquet.deliver()
    with troquet.context() as (session, _):
        assert corrections.waiting(session, "troquet") == []
    browser = _log_in(cordee, person.email)
    assert "You were seen at noon" in browser.get("/pass/visits").text
    assert network.hub.lines(undone) == [1, -1]
    assert network.hub.lines(kept) == [1]  # an answer changes nothing in the account


def test_nobody_asks_about_anothers_visit(network: Network) -> None:
    cordee, troquet = network.nodes["cordee"], network.nodes["troquet"]
    person, other = cordee.add_person().get_pass(), cordee.add_person().get_pass()
    visit = troquet.scan(person.show()).json()["visit"]["id"]
    assert _ask(other, visit, "mine").status_code == 404
    assert _ask(other, "0" * 26, "mine").status_code == 404
    assert _ask(other, "..", "mine").status_code == 404
    stranger = troquet.add_person()
    assert _ask(stranger, visit, "mine").status_code == 404


# Notes and pauses


def test_a_note_of_the_desk_is_for_the_admin_and_forgotten_after_a_year(network: Network) -> None:
    cordee, troquet = network.nodes["cordee"], network.nodes["troquet"]
    visit = troquet.scan(cordee.add_person().show()).json()["visit"]["id"]
    desk = _log_in(troquet, "desk@troquet.example")
    note = {"space": "troquet", "visit": visit, "text": "A cup <i>broke</i>"}
    assert _send(desk, "/desk", "/desk/incidents", note).ok
    refused = _send(desk, "/desk", "/desk/incidents", {**note, "text": " "})
    assert "1 to 1,000" in refused.text
    assert _send(desk, "/desk", "/desk/incidents", {**note, "visit": "x"}).status_code == 404
    admin = _log_in(troquet, "admin@troquet.example")
    assert "A cup &lt;i&gt;broke" in admin.get("/console").text
    network.pass_time(days=366)
    with troquet.context() as (session, context):
        incidents.purge_expired(session, context.clock.now())
        assert incidents.latest(session) == []


def test_a_pause_for_today_is_over_tomorrow(network: Network) -> None:
    cordee, troquet = network.nodes["cordee"], network.nodes["troquet"]
    person = cordee.add_person().get_pass()
    desk = _log_in(troquet, "desk@troquet.example")
    assert _send(desk, "/desk", "/desk/pause", {"paused": "yes"}).ok
    assert codes(troquet.scan(person.show())) == ["paused"]
    assert troquet.scan(troquet.add_person().show()).status_code == 201  # the house comes as always
    network.move_to("2026-11-24T23:59:00+01:00")
    with troquet.app.app_context():
        jobs.end_pauses()
    with troquet.context() as (session, _):
        assert session.get_one(Space, "troquet").paused
    network.move_to("2026-11-25T09:30:00+01:00")
    with troquet.app.app_context():
        jobs.end_pauses()
    network.refresh()
    answer = troquet.scan(person.show())
    assert answer.status_code == 201, answer.text


def test_a_pause_is_lifted_by_hand_as_well(network: Network) -> None:
    cordee, troquet = network.nodes["cordee"], network.nodes["troquet"]
    desk = _log_in(troquet, "desk@troquet.example")
    for paused in ("yes", "no"):
        assert _send(desk, "/desk", "/desk/pause", {"paused": paused}).ok
    assert troquet.scan(cordee.add_person().show()).status_code == 201


# The member's files


def test_visits_are_given_as_a_calendar_and_a_receipt(network: Network) -> None:
    from icalendar import Calendar

    cordee, troquet = network.nodes["cordee"], network.nodes["troquet"]
    person = cordee.add_person().get_pass()
    visit = troquet.scan(person.show()).json()["visit"]["id"]
    network.pass_time(hours=1)
    troquet.check_out(visit)
    browser = _log_in(cordee, person.email)
    events = Calendar.from_ical(browser.get("/pass/visits.ics").content).walk("VEVENT")
    assert len(events) == 1
    lasted = events[0]["dtend"].dt - events[0]["dtstart"].dt
    assert 3600 <= lasted.total_seconds() < 3660
    receipt = browser.get(f"/pass/visits/{visit}/receipt.pdf?lang=en")
    text, _ = _page(receipt.content)
    for part in ("troquet", "24 November 2026", "1 half-day", "article 3", visit):
        assert part in text, part
    other = _log_in(cordee, cordee.add_person().email)
    assert other.get(f"/pass/visits/{visit}/receipt.pdf").status_code == 404


def test_the_test_of_a_pass_says_whose_fault_it_is(network: Network) -> None:
    cordee = network.nodes["cordee"]
    browser = _log_in(cordee, cordee.add_person().email)

    def states() -> list[str]:
        import re

        page = browser.get("/pass/at/troquet").text
        return re.findall(r'data-part="\w+"><span class="badge is-(\w+)"', page)

    assert states() == ["yes", "yes", "yes"]
    network.set_state("troquet", "suspended")
    network.refresh()
    assert states() == ["yes", "yes", "no"]
    network.set_state("troquet", "connected")
    network.refresh()
    network.hub_goes()
    assert states() == ["yes", "warn", "yes"]
    network.hub_returns()
    assert browser.get("/pass/at/nowhere").status_code == 404
