"""Booking at a partner space: the host decides, never double, and both know the same in the end."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, time
from time import time as time_now
from typing import Any

import pytest
import requests
from icalendar import Calendar

from charter.hours import read_schedule
from deploy.demo.processes import Processes
from node import jobs
from node.bookings import hosted, outgoing, telling
from node.bookings.forms import spans
from node.bookings.models import Booking, Trip
from node.mail.models import Mail
from node.spaces import service as spaces
from node.statements import network_figures
from shared.net.http import Unreachable
from shared.store.db import begin_write
from tests.e2e.processes import ROOT, free_port_base
from tests.network import LocalNode, Network, Person, at_once, codes
from tests.shared.browser import Browser, Page, forget_attempts

MakeNetwork = Callable[..., Network]
# Wednesday, of the week of the tests' Tuesday.
DAY = "2026-11-25"
MORNING = (f"{DAY}T09:00:00+01:00", f"{DAY}T13:00:00+01:00")
AFTERNOON = (f"{DAY}T13:00:00+01:00", f"{DAY}T18:00:00+01:00")


@pytest.fixture
def two(make_network: MakeNetwork) -> Network:
    return make_network(nodes={"cordee": {}, "troquet": {"guest_cap": 1}})


@pytest.fixture
def cordee(two: Network) -> LocalNode:
    return two.nodes["cordee"]


@pytest.fixture
def troquet(two: Network) -> LocalNode:
    return two.nodes["troquet"]


def book(
    person: Person, when: tuple[str, str] = MORNING, space: str = "troquet", **more: Any
) -> requests.Response:
    body = {"space": space, "starts_at": when[0], "ends_at": when[1], **more}
    return person.node.post("/api/v1/me/bookings", body, person.token)


def booked(person: Person, *args: Any, **more: Any) -> dict[str, Any]:
    answer = book(person, *args, **more)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def cancel(person: Person, booking: str) -> requests.Response:
    return person.node.delete(f"/api/v1/me/bookings/{booking}", person.token)


def mine(person: Person) -> dict[str, str]:
    items = person.node.get("/api/v1/me/bookings", person.token).json()["items"]
    return {item["id"]: item["state"] for item in items}


def at_host(node: LocalNode) -> dict[str, str]:
    with node.context() as (session, _):
        return {row.id: row.state for row in session.query(Booking)}


def tend(*nodes: LocalNode) -> None:
    """Do what the jobs do."""
    for node in nodes:
        with node.context() as (session, context):
            hosted.tend(session, context)
            telling.tell_homes(session, context)
            outgoing.settle_due(session, context)


def why(answer: requests.Response) -> list[str]:
    assert answer.status_code == 409, answer.text
    assert answer.json()["type"].endswith("/booking-refused")
    return [reason["code"] for reason in answer.json()["reasons"]]


@pytest.fixture
def silent(two: Network) -> Iterator[Callable[[str, int], None]]:
    """Let a home's requests, or their answers, be lost: ``silent("before", 1)``."""
    peers = two.nodes["cordee"].app.extensions["node"].peers
    ask = peers.request
    lost: dict[str, Any] = {"when": "", "left": 0}

    def request(method: str, url: str, **kwargs: Any) -> Any:
        loses = "/api/v1/bookings/" in url and lost["left"] > 0
        if loses:
            lost["left"] -= 1
        if loses and lost["when"] == "before":
            raise Unreachable("lost")
        answer = ask(method, url, **kwargs)
        if loses:
            raise Unreachable("lost")
        return answer

    def lose(when: str, times: int) -> None:
        lost.update(when=when, left=times)

    peers.request = request
    yield lose
    peers.request = ask


def test_a_place_is_booked_shown_at_the_desk_and_kept_until_she_comes(
    two: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    ada, other = cordee.add_person().get_pass(), cordee.add_person().get_pass()
    found = booked(ada)
    assert (found["state"], found["space"]) == ("confirmed", "troquet")
    assert at_host(troquet) == {found["id"]: "confirmed"} == mine(ada)
    listed = troquet.get(f"/api/v1/bookings?space=troquet&day={DAY}", troquet.desk).json()["items"]
    assert [(b["given_name"], b["home"], b["state"]) for b in listed] == [
        (other_name(ada), "cordee", "confirmed")
    ]
    two.move_to(f"{DAY}T09:30:00+01:00")
    assert codes(troquet.scan(other.show())) == ["guest_cap"]
    admitted = troquet.scan(ada.show())
    assert admitted.status_code == 201, admitted.text
    tend(troquet)
    assert at_host(troquet)[found["id"]] == "arrived" == mine(ada)[found["id"]]


def other_name(person: Person) -> str:
    with person.node.context() as (session, _):
        from node.members.models import Member

        name: str = session.query(Member).filter_by(account_id=person.account_id).one().given_name
        return name


def test_a_booking_is_in_the_time_of_the_place(make_network: MakeNetwork) -> None:
    network = make_network()
    cordee = network.add_node("cordee")
    network.add_node("reunion", timezone="Indian/Reunion")
    ada = cordee.add_person()
    when = (f"{DAY}T09:00:00+04:00", f"{DAY}T12:00:00+04:00")
    found = booked(ada, when, "reunion")
    with cordee.context() as (session, _):
        assert session.get(Trip, found["id"]).timezone == "Indian/Reunion"


def test_a_full_space_refuses_and_the_waiting_list_is_offered_what_is_freed(
    two: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    first, second, third = (cordee.add_person() for _ in range(3))
    kept = booked(first)
    assert why(book(second)) == ["booking_full"]
    assert booked(second, AFTERNOON)["state"] == "confirmed"
    waits = booked(third, wait=True)
    assert waits["state"] == "waiting"
    assert cancel(first, kept["id"]).json()["state"] == "cancelled"
    tend(troquet)
    assert mine(third)[waits["id"]] == "held"
    assert (
        cordee.post(f"/api/v1/me/bookings/{waits['id']}/confirm", None, third.token).json()["state"]
        == "confirmed"
    )
    assert at_host(troquet)[waits["id"]] == "confirmed"


def test_an_offer_that_nobody_takes_goes_to_the_next(
    two: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    people = [cordee.add_person() for _ in range(3)]
    kept = booked(people[0])
    waiting = [booked(person, wait=True)["id"] for person in people[1:]]
    cancel(people[0], kept["id"])
    two.pass_time(hours=3)
    tend(troquet)
    assert [at_host(troquet)[each] for each in waiting] == ["lapsed", "held"]


def test_the_last_place_is_given_once_however_many_ask_at_once(
    two: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    people = [cordee.add_person() for _ in range(12)]
    answers = at_once([lambda p=p: book(p) for p in people])  # type: ignore[misc]
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 11
    assert {code for a in answers if a.status_code == 409 for code in why(a)} == {"booking_full"}
    assert list(at_host(troquet).values()) == ["confirmed"]


def test_one_request_sent_by_two_is_one_booking(cordee: LocalNode, troquet: LocalNode) -> None:
    ada, number = cordee.add_person(), secrets.token_hex(16)
    answers = at_once([lambda: book(ada, id=number) for _ in range(2)])
    assert [answer.status_code for answer in answers] == [201, 201]
    assert {answer.json()["id"] for answer in answers} == {number}
    assert at_host(troquet) == {number: "confirmed"} == mine(ada)


@pytest.mark.parametrize("lost", ["before", "after"])
def test_a_lost_request_leaves_a_booking_that_both_know_or_none(
    two: Network,
    cordee: LocalNode,
    troquet: LocalNode,
    silent: Callable[[str, int], None],
    lost: str,
) -> None:
    ada = cordee.add_person()
    silent(lost, 1)
    assert book(ada).status_code == 503
    assert list(mine(ada).values()) == ["asking"]
    two.pass_time(minutes=3)
    _make_due(cordee)
    tend(cordee, troquet)
    assert list(mine(ada).values()) == ["cancelled"]
    assert list(at_host(troquet).values()) == ["cancelled"]
    assert booked(ada, id=secrets.token_hex(16))["state"] == "confirmed"
    # The hub is told of it in numbers, as often as one likes; the host sees its own.
    for _ in range(2):
        with cordee.app.app_context():
            jobs.tell_asked()
    with troquet.context() as (_, node):
        told = network_figures.own(node, "2026-11")
    assert told is not None
    assert (told["kept"], told["refused"], told["unanswered"]) == (1, 0, 1)


@pytest.mark.parametrize("lost", ["before", "after"])
def test_a_confirmation_that_was_lost_is_made_again(
    cordee: LocalNode, troquet: LocalNode, silent: Callable[[str, int], None], lost: str
) -> None:
    ada = cordee.add_person()
    held = booked(ada, confirm=False)
    assert held["state"] == "held"
    silent(lost, 1)
    path = f"/api/v1/me/bookings/{held['id']}/confirm"
    assert cordee.post(path, None, ada.token).json()["state"] == "confirming"
    _make_due(cordee)
    tend(cordee)
    assert mine(ada) == {held["id"]: "confirmed"} == at_host(troquet)


def _make_due(node: LocalNode) -> None:
    with node.context() as (session, context):
        begin_write(session)
        session.query(Trip).update({"next_attempt_at": context.clock.real()})
        session.commit()


def test_a_hold_lapses_and_a_late_confirmation_takes_the_place_if_it_is_free(
    two: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    ada, other = cordee.add_person(), cordee.add_person()
    held = booked(ada, confirm=False)["id"]
    two.pass_time(minutes=11)
    late = cordee.post(f"/api/v1/me/bookings/{held}/confirm", None, ada.token)
    assert late.json()["state"] == "confirmed"
    cancel(ada, held)
    again = booked(ada, confirm=False)["id"]
    two.pass_time(minutes=11)
    booked(other)
    refused = cordee.post(f"/api/v1/me/bookings/{again}/confirm", None, ada.token)
    assert refused.json()["state"] == "lapsed"


def test_a_booking_lost_with_the_hosts_database_is_back_when_it_is_confirmed(
    cordee: LocalNode, troquet: LocalNode
) -> None:
    ada = cordee.add_person()
    held = booked(ada, confirm=False)["id"]
    with troquet.context() as (session, _):
        begin_write(session)
        session.query(Booking).delete()
        session.commit()
    answer = cordee.post(f"/api/v1/me/bookings/{held}/confirm", None, ada.token)
    assert answer.json()["state"] == "confirmed"
    assert at_host(troquet) == {held: "confirmed"}


def test_a_place_that_nobody_came_for_is_given_back(
    two: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    ada, other = cordee.add_person(), cordee.add_person().get_pass()
    kept = booked(ada)["id"]
    two.move_to(f"{DAY}T09:59:00+01:00")
    tend(troquet)
    assert codes(troquet.scan(other.show())) == ["guest_cap"]
    two.move_to(f"{DAY}T10:01:00+01:00")
    tend(troquet)
    assert mine(ada)[kept] == "no_show"
    assert troquet.scan(other.show()).status_code == 201


def test_a_host_calls_a_booking_off_and_the_member_reads_why(
    two: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    ada = cordee.add_person()
    kept = booked(ada)["id"]
    with troquet.context() as (session, context):
        hosted.cancel_as_host(session, context, kept, "Burst pipe")
    two.nodes["cordee"].server.stop()
    tend(troquet)  # her home does not answer: it is told later
    two.nodes["cordee"].server.start()
    assert mine(ada)[kept] == "confirmed"
    with troquet.context() as (session, _):
        begin_write(session)
        session.query(Booking).update({"next_attempt_at": None})
        session.commit()
    tend(troquet)
    assert mine(ada)[kept] == "cancelled"
    with cordee.context() as (session, _):
        assert session.get(Trip, kept).reason == "Burst pipe"


def test_three_days_from_a_friday_on_go_over_the_weekend(cordee: LocalNode) -> None:
    friday_to_monday = ("2026-11-27T09:00:00+01:00", "2026-11-30T19:00:00+01:00")
    assert booked(cordee.add_person(), friday_to_monday)["state"] == "confirmed"


@pytest.mark.parametrize(
    ("when", "code"),
    [
        ((f"{DAY}T12:00:00+01:00", f"{DAY}T12:00:01+01:00"), "booking_span"),
        ((f"{DAY}T13:00:00+01:00", f"{DAY}T09:00:00+01:00"), "booking_span"),
        (("2026-11-20T09:00:00+01:00", "2026-11-20T10:00:00+01:00"), "booking_span"),
        (("2027-03-01T09:00:00+01:00", "2027-03-01T10:00:00+01:00"), "booking_span"),
        (("2026-11-25T09:00:00+01:00", "2026-12-03T10:00:00+01:00"), "booking_span"),
        ((f"{DAY}T05:00:00+01:00", f"{DAY}T06:00:00+01:00"), "space_closed"),
        ((f"{DAY}T09:00:00+01:00", f"{DAY}T23:30:00+01:00"), "booking_hours"),
        (("2026-11-27T15:00:00+01:00", "2026-11-29T10:00:00+01:00"), "booking_hours"),
    ],
)
def test_a_time_that_cannot_be_is_refused(
    cordee: LocalNode, troquet: LocalNode, when: tuple[str, str], code: str
) -> None:
    assert code in why(book(cordee.add_person(), when))
    assert at_host(troquet) == {}


def test_the_charter_is_asked_before_a_place_is_kept(
    two: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    assert "plan_not_eligible" in why(book(cordee.add_person("ticket")))
    with troquet.context() as (session, context):
        spaces.save(session, context, "troquet", {"conditions": {"closed": [DAY]}})
        spaces.publish_now(session, context)
    assert "paused" in why(book(cordee.add_person()))
    two.set_state("cordee", "suspended")
    two.refresh()
    assert "home_suspended" in why(book(cordee.add_person(), AFTERNOON))


def test_a_room_is_one_at_a_time_and_our_own_members_book_it_too(
    make_network: MakeNetwork,
) -> None:
    network = make_network()
    cordee, troquet = network.add_node("cordee"), network.add_node("troquet")
    with troquet.context() as (session, context):
        spaces.save(session, context, "troquet", {}, rooms=[{"name": "Atelier", "kind": "meeting"}])
    guest, own = cordee.add_person(), troquet.add_person()
    assert booked(guest, room="Atelier")["room"] == "Atelier"
    assert why(book(own, room="Atelier")) == ["room_taken"]
    assert booked(own, AFTERNOON, room="Atelier")["state"] == "confirmed"
    assert why(book(own, room="Cave")) == ["no_such_room"]
    assert why(book(own)) == ["own_house"]


def test_nobody_is_at_two_places_at_once_nor_sees_anothers_bookings(
    cordee: LocalNode, troquet: LocalNode
) -> None:
    ada, eve = cordee.add_person(), cordee.add_person()
    kept = booked(ada)["id"]
    assert why(book(ada, (f"{DAY}T12:00:00+01:00", f"{DAY}T14:00:00+01:00"))) == [
        "booked_elsewhere"
    ]
    assert cancel(eve, kept).status_code == 404
    assert cordee.post(f"/api/v1/me/bookings/{kept}/confirm", None, eve.token).status_code == 404
    assert mine(eve) == {}
    assert book(eve, id=kept).status_code == 404


def test_what_is_not_a_homes_own_fresh_request_is_refused(
    two: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    kept = booked(cordee.add_person())["id"]
    with cordee.context() as (session, context):
        trip = session.get(Trip, kept)
        request = outgoing._request(session, context, trip, "cancel")
        plain = {
            **request,
            "starts_at": request["starts_at"].isoformat(),
            "ends_at": request["ends_at"].isoformat(),
        }
        ring, url = context.ring, troquet.url
        now = int(context.clock.real().timestamp())

    def send(typ: str = "passerelle-booking+jwt", **changed: Any) -> int:
        claims = {"iss": "cordee", "aud": url, "iat": now, **plain, **changed}
        body = {"request": ring.sign(claims, typ)}
        return troquet.put(f"/api/v1/bookings/{kept}", body).status_code

    assert send(typ="passerelle-card+jwt") == 403
    assert send(iss="troquet") == 403
    assert send(aud=cordee.url) == 403
    assert send(iat=now - 100) == 403
    assert send(id="0" * 32) == 403
    assert send(starts_at="yesterday") == 422
    assert send(ends_at=MORNING[0]) == 422
    assert troquet.put(f"/api/v1/bookings/{kept}", {"request": "x.y.z"}).status_code == 403
    assert at_host(troquet) == {kept: "confirmed"}
    assert send() == 200
    assert at_host(troquet) == {kept: "cancelled"}


def test_a_host_speaks_of_its_own_bookings_alone(
    make_network: MakeNetwork,
) -> None:
    network = make_network()
    cordee, troquet, eve = (network.add_node(n) for n in ("cordee", "troquet", "eve"))
    kept = booked(cordee.add_person())["id"]
    word = {
        "id": kept,
        "state": "cancelled",
        "revision": 99,
        "held_until": None,
        "reason": "no",
        "late": False,
        "reasons": [],
    }
    with eve.context() as (_, context):
        claims = {"iss": "eve", "aud": cordee.url, "iat": int(context.clock.real().timestamp())}
        token = context.ring.sign({**claims, **word}, "passerelle-booking-word+jwt")
    assert cordee.put(f"/api/v1/trips/{kept}", {"word": token}).status_code == 404
    tend(troquet)
    with cordee.context() as (session, _):
        assert session.get(Trip, kept).state == "confirmed"


def test_the_member_is_written_to_when_the_host_has_news(
    two: Network, cordee: LocalNode, troquet: LocalNode, tmp_path: Any
) -> None:
    with cordee.context() as (_, context):
        object.__setattr__(context.settings, "smtp_url", f"file://{tmp_path}")
    ada = cordee.add_person()
    kept = booked(ada)["id"]
    with troquet.context() as (session, context):
        hosted.cancel_as_host(session, context, kept, "Burst pipe")
    tend(troquet)
    tend(troquet)
    with cordee.context() as (session, _):
        letters = session.query(Mail).order_by(Mail.id).all()
        assert [letter.to for letter in letters] == [ada.email] * 2
        assert "Burst pipe" in letters[1].text


def test_a_member_books_by_pages_and_the_admin_calls_it_off(
    two: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    forget_attempts()
    ada = cordee.add_person()
    reader, admin = Browser(cordee, "en"), Browser(troquet, "en")
    assert reader.log_in(ada.email).status_code == 302
    assert admin.log_in("admin@troquet.example").status_code == 302
    assert reader.get("/bookings?at=troquet").headers["Location"] == "/bookings/at/troquet"
    page = Page(reader.get("/bookings/at/troquet").text)
    assert "Places at once" in page.text
    form = {"day": DAY, "length": "morning", "room": ""}
    asked = reader.post("/bookings/at/troquet", form)
    assert asked.status_code == 302, Page(asked.text).text
    where = asked.headers["Location"]
    assert "to confirm" in Page(reader.get(where).text).text
    assert reader.post(f"{where}/confirm").status_code == 302
    assert "confirmed" in Page(reader.get(where).text).text
    event = Calendar.from_ical(reader.get(f"{where}.ics").content).walk("VEVENT")[0]
    assert event.decoded("dtstart") == datetime.fromisoformat(MORNING[0])
    assert str(event["status"]) == "CONFIRMED"
    again = reader.post("/bookings/at/troquet", form)
    assert again.status_code == 422
    assert "another booking" in Page(again.text).text
    for wrong in ({"day": ""}, {"length": "1h"}, {"room": "Cave"}, {"length": "year"}):
        reader.get("/bookings/at/troquet")
        assert reader.post("/bookings/at/troquet", {**form, **wrong}).status_code == 422, wrong
    assert reader.get("/bookings/at/nowhere").status_code == 404
    assert reader.get("/bookings/" + "0" * 32).status_code == 404
    expected = admin.get(f"/console/bookings?from={DAY}")
    assert other_name(ada) in Page(expected.text).text
    path = f"/console{where}/cancel"
    admin.post(path, {"reason": " "})
    assert at_host(troquet)[where.rpartition("/")[2]] == "confirmed"
    admin.get("/console/bookings")
    with troquet.calls() as asked_of:
        admin.post(path, {"reason": "A leak"})
    assert not [url for url in asked_of if "/trips/" in url]  # homes are told by the jobs
    tend(troquet)
    text = Page(reader.get(where).text).text
    assert "cancelled" in text
    assert "A leak" in text


@pytest.mark.parametrize(
    ("length", "start", "expected"),
    [
        ("day", None, ("2026-11-25T09:00+01:00", "2026-11-25T19:00+01:00")),
        ("morning", None, ("2026-11-25T09:00+01:00", "2026-11-25T12:00+01:00")),
        ("afternoon", None, ("2026-11-25T14:00+01:00", "2026-11-25T19:00+01:00")),
        ("2h", time(10, 30), ("2026-11-25T10:30+01:00", "2026-11-25T12:30+01:00")),
        ("3days", None, ("2026-11-25T09:00+01:00", "2026-11-27T19:00+01:00")),
    ],
)
def test_a_length_is_read_by_the_spaces_hours(
    length: str, start: time | None, expected: tuple[str, str]
) -> None:
    week = {day: [["09:00", "12:00"], ["14:00", "19:00"]] for day in ("mo", "tu", "we", "th", "fr")}
    schedule = read_schedule({"timezone": "Europe/Paris", "week": week})
    found = spans(schedule, time(13), date(2026, 11, 25), length, start)
    assert found is not None
    assert tuple(each.isoformat(timespec="minutes") for each in found) == expected
    assert spans(schedule, time(13), date(2026, 11, 28), "day", None) is None


@pytest.mark.processes
def test_two_hundred_at_once_through_two_workers_get_the_last_place_once(
    cordee: LocalNode, troquet: LocalNode, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with troquet.context() as (_, context):
        settings = context.settings
    base = free_port_base(1)
    environ = {
        "NODE_URL": troquet.url,
        "NODE_HUB_URL": settings.hub_url,
        "NODE_NAME": "troquet",
        "NODE_SECRET_KEY": settings.secret_key,
        "NODE_DATA_DIR": str(settings.data_dir),
        "NODE_DATABASE_URL": settings.database_url,
        "NODE_PORT": str(base),
        "NODE_HOST": "127.0.0.1",
        "NODE_WORKERS": "2",
        "NODE_DEMO": "yes",
        "NODE_ALLOW_PRIVATE_PEERS": "yes",
        "NODE_CLOCK": "2026-11-24T10:00:00+01:00",
    }
    monkeypatch.chdir(ROOT)
    processes = Processes(tmp_path / "logs")
    with cordee.context() as (_, context):
        ring = context.ring
    issued = int(time_now())

    def ask(number: int) -> str:
        booking = f"{number:032x}"
        claims = {
            "iss": "cordee",
            "aud": troquet.url,
            "iat": issued,
            "id": booking,
            "action": "ask",
            "space": "troquet",
            "starts_at": MORNING[0],
            "ends_at": MORNING[1],
            "member": f"m{number}",
            "given_name": "Ada",
            "plan": "resident",
            "passes": [],
        }
        url = f"http://127.0.0.1:{base}/api/v1/bookings/{booking}"
        body = {"request": ring.sign(claims, "passerelle-booking+jwt")}
        answer = requests.put(url, json=body, timeout=60)
        assert answer.status_code == 200, answer.text
        state: str = answer.json()["state"]
        return state

    processes.start("host", ["node", "serve"], environ)
    try:
        processes.wait_ready({"host": f"http://127.0.0.1:{base}"})
        with ThreadPoolExecutor(40) as pool:
            states = list(pool.map(ask, range(200)))
    finally:
        processes.stop()
    assert sorted(states) == ["held"] + ["refused"] * 199
    assert list(at_host(troquet).values()) == ["held"]
