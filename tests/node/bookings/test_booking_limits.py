"""What a booking may be, and what reaches it afterwards: quotas, last days, closings, one home."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from node.bookings import ending, hosted, messages, outgoing, telling
from node.bookings.models import Booking, Trip
from node.mail.models import Mail
from node.members import changes
from node.members import service as members
from node.members.models import Member
from node.spaces import service as spaces
from node.spaces.hours import special_day
from shared.wire.problems import Problem
from tests.network import WEEK, LocalNode, Network, Person, rules
from tests.node.bookings.test_bookings import at_host, book, booked, cancel, mine, tend, why
from tests.shared.browser import Browser, Page, forget_attempts

MakeNetwork = Callable[..., Network]
LUNCH = {day: [["09:00", "12:00"], ["14:00", "18:00"]] for day in WEEK}


@pytest.fixture
def three(make_network: MakeNetwork) -> Network:
    nodes = {"cordee": {}, "troquet": {"guest_cap": 4}, "usine": {"guest_cap": 4}}
    return make_network(nodes=nodes)


@pytest.fixture
def cordee(three: Network, tmp_path: Path) -> LocalNode:
    node = three.nodes["cordee"]
    with node.context() as (_, context):
        object.__setattr__(context.settings, "smtp_url", f"file://{tmp_path}")
    return node


@pytest.fixture
def usine(three: Network) -> LocalNode:
    return three.nodes["usine"]


@pytest.fixture
def admin(troquet: LocalNode) -> Browser:
    return log_in(troquet, "admin@troquet.example")


def log_in(node: LocalNode, email: str) -> Browser:
    forget_attempts()
    browser = Browser(node, "en")
    assert browser.log_in(email).status_code == 302
    return browser


@pytest.fixture
def troquet(three: Network) -> LocalNode:
    return three.nodes["troquet"]


def day(which: str, start: int = 9, end: int = 18) -> tuple[str, str]:
    offset = "+02:00" if "2026-03-29" <= which < "2026-10-25" else "+01:00"
    return f"{which}T{start:02}:00:00{offset}", f"{which}T{end:02}:00:00{offset}"


def told(person: Person) -> list[str]:
    with person.node.context() as (session, _):
        found = session.scalars(select(Mail).where(Mail.to == person.email))
        return [f"{mail.subject}\n{mail.text}" for mail in found.all()]


def save(node: LocalNode, **values: Any) -> None:
    with node.context() as (session, context):
        spaces.save(session, context, node.id, values)
        spaces.publish_now(session, context)


def member_id(person: Person) -> int:
    with person.node.context() as (session, _):
        found: int = session.query(Member.id).filter_by(account_id=person.account_id).scalar()
        return found


def end(person: Person, last: date) -> None:
    with person.node.context() as (session, context):
        changes.end(session, context, member_id(person), last)


def call_off_what_is_over(node: LocalNode) -> None:
    with node.context() as (session, context):
        ending.end_due(session, context)


# booking-beyond-quota


def test_ten_half_days_are_not_booked_where_six_are_left(
    cordee: LocalNode, troquet: LocalNode
) -> None:
    ada = cordee.add_person()
    week = ("2026-12-07T09:00:00+01:00", "2026-12-11T18:00:00+01:00")
    answer = book(ada, week)
    assert why(answer) == ["quota_host"]
    params = answer.json()["reasons"][0]["params"]
    assert (params["asked"], params["left"], params["limit"]) == (10, 6, 6)
    message = answer.json()["reasons"][0]["message"]
    assert message.startswith("Demi-journées de cette réservation")
    assert booked(ada, (week[0], "2026-12-09T18:00:00+01:00"))["state"] == "confirmed"


@pytest.mark.parametrize("language", ["fr", "en"])
def test_why_a_booking_is_refused_is_told_to_programs_in_their_language(
    cordee: LocalNode, troquet: LocalNode, language: str
) -> None:
    ada = cordee.add_person()
    starts_at, ends_at = day("2026-12-04", 17, 21)  # closed at 19:00
    body = {"space": "troquet", "starts_at": starts_at, "ends_at": ends_at}
    told = {"Accept-Language": language}
    answer = cordee.post("/api/v1/me/bookings", body, ada.token, **told)
    [reason] = answer.json()["reasons"]
    words = {"fr": "L’espace n’est pas ouvert tout ce temps.", "en": "The space is not open all"}
    assert (answer.status_code, reason["code"]) == (409, "booking_hours")
    assert reason["message"].startswith(words[language])


def test_a_space_that_does_not_answer_is_asked_on_and_the_booking_has_a_page(
    cordee: LocalNode, troquet: LocalNode
) -> None:
    ada = cordee.add_person()
    troquet.server.stop()
    answer = book(ada, day("2026-12-04"))
    assert (answer.status_code, mine(ada)) == (503, {answer.json()["booking"]: "asking"})
    browser = log_in(cordee, ada.email)
    browser.get("/bookings/at/troquet")
    page = browser.post("/bookings/at/troquet", {"day": "2026-12-03", "length": "day", "room": ""})
    assert page.status_code == 302, page.text
    assert "has not answered yet" in browser.get(page.headers["Location"]).text


def test_what_is_booked_already_counts_at_the_host_and_in_the_network(
    cordee: LocalNode, troquet: LocalNode
) -> None:
    ada = cordee.add_person()
    kept = [booked(ada, day(f"2026-12-{n:02}"))["id"] for n in (1, 2, 3)]
    assert why(book(ada, day("2026-12-04"))) == ["quota_host"]
    assert booked(ada, day("2027-01-04"))["state"] == "confirmed"  # another month
    for n in (7, 8, 9):
        booked(ada, day(f"2026-12-{n:02}"), "usine")
    assert cancel(ada, kept[0]).status_code == 200
    assert booked(ada, day("2026-12-04"))["state"] == "confirmed"


def test_a_weekend_in_the_middle_and_a_lunch_break_use_nothing(
    cordee: LocalNode, troquet: LocalNode
) -> None:
    save(troquet, week=LUNCH)
    friday_to_monday = ("2026-12-04T09:00:00+01:00", "2026-12-07T12:00:00+01:00")
    kept = booked(cordee.add_person(), friday_to_monday)["id"]
    with cordee.context() as (session, _):
        assert session.get(Trip, kept).half_days == [
            "2026-12-04-am",
            "2026-12-04-pm",
            "2026-12-07-am",
        ]


# booking-five-days-clock-change


def test_five_days_are_five_days_on_the_spaces_clock(make_network: MakeNetwork) -> None:
    many = rules(per_host=20, network=40)
    network = make_network(many, "2026-10-13T10:00:00+02:00", {"cordee": {}, "troquet": {}})
    ada, eve = (network.nodes["cordee"].add_person() for _ in range(2))
    start, end = "2026-10-21T10:00:00+02:00", "2026-10-26T10:00:00+01:00"
    assert booked(ada, (start, end))["state"] == "confirmed"
    assert "booking_span" in why(book(eve, (start, "2026-10-26T10:15:00+01:00")))


# booking-after-last-day


def test_nothing_is_booked_after_the_last_day_and_rights_say_so(
    cordee: LocalNode, troquet: LocalNode
) -> None:
    ada = cordee.add_person()
    before, after = booked(ada, day("2026-11-30"))["id"], booked(ada, day("2026-12-02"))["id"]
    end(ada, date(2026, 11, 30))
    answer = book(ada, day("2026-12-01"))
    assert why(answer) == ["subscription_ends"]
    assert answer.json()["reasons"][0]["params"] == {"last_day": "2026-11-30"}
    for moment, outcome in (("2026-11-30T10:00", "allowed"), ("2026-12-01T10:00", "refused")):
        path = f"/api/v1/me/rights?space=troquet&at={moment}:00%2B01:00"
        found = cordee.get(path, ada.token).json()["items"][0]["decision"]
        assert (found["outcome"], [r["code"] for r in found["reasons"]][:1]) == (
            outcome,
            ["pass_expired"] if outcome == "refused" else [],
        )
    call_off_what_is_over(cordee)
    call_off_what_is_over(cordee)
    assert mine(ada) == {before: "confirmed", after: "cancelled"} == at_host(troquet)
    letters = [text for text in told(ada) if "is called off" in text]
    assert len(letters) == 1
    assert "30 November 2026" in letters[0]
    page = Page(log_in(cordee, ada.email).get(f"/bookings/{after}").text).text
    assert "Your subscription ends on 30 November 2026" in page


def test_a_suspension_gives_the_places_back_though_the_host_is_silent_at_first(
    three: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    ada = cordee.add_person()
    kept = booked(ada, day("2026-12-02"))["id"]
    with cordee.context() as (session, context):
        changes.suspend(session, context, member_id(ada))
    with troquet.ended():
        call_off_what_is_over(cordee)
    with cordee.context() as (session, context):
        assert session.get(Trip, kept).state == "cancelling"
        session.get(Trip, kept).next_attempt_at = context.clock.real()
        session.commit()
    tend(cordee)
    assert at_host(troquet) == {kept: "cancelled"}
    assert any("suspended" in text for text in told(ada))


# closed-after-booking


def test_a_closing_is_told_to_who_has_booked_and_offered_to_be_called_off(
    cordee: LocalNode, troquet: LocalNode, admin: Browser
) -> None:
    ada, eve = cordee.add_person(), cordee.add_person()
    kept, other = booked(ada, day("2026-12-08", 9, 12))["id"], booked(eve, day("2026-12-09"))["id"]
    save(troquet, special_days=[special_day("2026-12-08", [], "inventaire")])
    tend(troquet, cordee)
    assert at_host(troquet) == {kept: "confirmed", other: "confirmed"}
    assert sum("has closed on a day that you booked" in text for text in told(ada)) == 1
    assert not any("closed" in text for text in told(eve))
    page = Page(log_in(cordee, ada.email).get(f"/bookings/{kept}").text).text
    assert "The space has closed since then" in page
    assert "1 booking is for a day that has closed since" in Page(admin.get("/console").text).text
    assert "closed since" in Page(admin.get("/console/bookings").text).text
    save(troquet, special_days=[])
    tend(troquet, cordee)
    assert sum("is open again" in text for text in told(ada)) == 1
    save(troquet, conditions={"closed": ["2026-12-08"]})
    tend(troquet)
    admin.get("/console/bookings")
    admin.post("/console/bookings/closed/cancel", {"reason": "Inventaire"})
    tend(troquet)
    assert mine(ada) == {kept: "cancelled"}
    assert mine(eve) == {other: "confirmed"}


def test_saving_the_hours_says_who_is_expected_then(
    cordee: LocalNode, troquet: LocalNode, admin: Browser
) -> None:
    booked(cordee.add_person(), day("2026-12-08", 9, 12))
    path = "/console/spaces/troquet/sheet/hours"
    typed = Page(admin.get(path).text).values
    assert admin.post(path, {**typed, "tu": ""}).status_code == 302
    assert "1 person has booked for a day" in Page(admin.get(path).text).text


# one home


def ask_as_home(troquet: LocalNode, member: str, when: tuple[str, str]) -> Any:
    """Ask without a member, as a home that invents them does."""
    with troquet.context() as (session, here):
        number = sha256(f"{member}{when}".encode()).hexdigest()[:32]
        span = [datetime.fromisoformat(each) for each in when]
        request = messages.Request(
            "cordee",
            number,
            "confirm",
            "troquet",
            None,
            span[0],
            span[1],
            member,
            "Ada",
            "resident",
            [],
            wait=False,
        )
        word = hosted.act(session, here, request)
        return word["state"], [reason["code"] for reason in word["reasons"]]


def test_one_home_books_no_more_than_half_the_places_and_its_members_no_more_than_theirs(
    cordee: LocalNode, troquet: LocalNode, usine: LocalNode
) -> None:
    found = [ask_as_home(troquet, f"m{n}", day("2026-12-01")) for n in range(3)]
    assert [state for state, _ in found] == ["confirmed", "confirmed", "refused"]
    assert found[2][1] == ["home_share"]
    for n in (2, 3):
        assert ask_as_home(troquet, "m0", day(f"2026-12-{n:02}"))[0] == "confirmed"
    assert ask_as_home(troquet, "m0", day("2026-12-04"))[1] == ["quota_host"]
    assert booked(usine.add_person(), day("2026-12-01"))["state"] == "confirmed"


def test_all_that_one_home_has_booked_is_called_off_at_once(
    cordee: LocalNode, troquet: LocalNode, usine: LocalNode, admin: Browser
) -> None:
    kept = [booked(cordee.add_person(), day(f"2026-12-{n:02}"))["id"] for n in (1, 2, 3)]
    stays = booked(usine.add_person(), day("2026-12-01"))["id"]
    assert "3 bookings to come" in Page(admin.get("/console/bookings").text).text
    admin.post("/console/bookings/homes/cordee/cancel", {"reason": "Nobody ever comes"})
    assert at_host(troquet) == {**dict.fromkeys(kept, "cancelled"), stays: "confirmed"}
    with troquet.context() as (session, _):
        assert {row.reason for row in session.query(Booking).filter_by(state="cancelled")} == {
            "Nobody ever comes"
        }


# words that cross, numbers used twice, two places at once


def test_an_answer_that_was_overtaken_changes_nothing(
    cordee: LocalNode, troquet: LocalNode
) -> None:
    ada = cordee.add_person()
    kept = booked(ada, day("2026-12-01"), confirm=False)["id"]
    with cordee.context() as (session, context):
        late = outgoing._word_of_host(session, context, session.get(Trip, kept), messages.CONFIRM)
        session.get(Trip, kept).state = "confirming"
        session.commit()
    with troquet.context() as (session, context):
        hosted.cancel_as_host(session, context, kept, "Burst pipe")
        telling.tell_homes(session, context)
    with cordee.context() as (session, context):
        outgoing.take(session, context, kept, late, answers="confirming")
        assert (session.get(Trip, kept).state, session.get(Trip, kept).reason) == (
            "cancelled",
            "Burst pipe",
        )


def test_a_host_that_was_restored_answers_later_than_what_its_home_knows(
    cordee: LocalNode, troquet: LocalNode
) -> None:
    ada = cordee.add_person()
    kept = booked(ada, day("2026-12-01"))["id"]
    with troquet.context() as (session, _):
        session.query(Booking).delete()
        session.commit()
    assert cancel(ada, kept).json()["state"] == "cancelled"


def test_a_number_that_lapsed_is_not_confirmed_for_another_time(
    three: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    ada = cordee.add_person()
    held = booked(ada, day("2026-12-01"), confirm=False)["id"]
    three.pass_time(minutes=11)
    with cordee.context() as (session, context):
        trip = session.get(Trip, held)
        trip.starts_at += timedelta(days=1)
        trip.ends_at += timedelta(days=1)
        session.flush()
        request = outgoing._request(session, context, trip, messages.CONFIRM)
        word = outgoing._ask_host(session, context, "troquet", "cordee", request)
        assert word["state"] == "refused"
    with troquet.context() as (session, _):
        row = session.get(Booking, held)
        assert (row.state, row.starts_at.day) == ("held", 1)


def test_an_offer_from_a_waiting_list_is_not_taken_by_who_is_elsewhere_then(
    cordee: LocalNode, troquet: LocalNode, usine: LocalNode
) -> None:
    save(troquet, guest_cap=1)
    eve, ada = usine.add_person(), cordee.add_person()
    kept = booked(eve, day("2026-12-01"))["id"]
    waits = booked(ada, day("2026-12-01"), wait=True)["id"]
    elsewhere = booked(ada, day("2026-12-01"), "usine")["id"]
    cancel(eve, kept)
    tend(troquet)
    assert mine(ada)[waits] == "held"
    answer = cordee.post(f"/api/v1/me/bookings/{waits}/confirm", None, ada.token)
    assert why(answer) == ["booked_elsewhere"]
    cancel(ada, elsewhere)
    answer = cordee.post(f"/api/v1/me/bookings/{waits}/confirm", None, ada.token)
    assert answer.json()["state"] == "confirmed"


def test_an_evening_is_no_arrival_of_the_next_morning(
    three: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    save(troquet, week={name: [["08:00", "22:00"]] for name in WEEK})
    ada = cordee.add_person().get_pass()
    three.move_to("2026-11-24T20:30:00+01:00")
    kept = booked(ada, day("2026-11-25", 8, 12))["id"]
    assert troquet.scan(ada.show()).status_code == 201
    three.move_to("2026-11-25T07:30:00+01:00")
    tend(troquet)
    assert at_host(troquet)[kept] == "confirmed"
    three.move_to("2026-11-25T09:01:00+01:00")
    tend(troquet)
    assert at_host(troquet)[kept] == "no_show"


def test_before_the_first_day_there_is_no_pass_and_no_check_in(
    cordee: LocalNode, troquet: LocalNode
) -> None:
    ada = cordee.add_person()
    with cordee.context() as (session, _):
        session.query(Member).filter_by(account_id=ada.account_id).update(
            {"joined_on": date(2026, 12, 1)}
        )
        session.commit()
    jwk = {"jwk": ada.key.as_dict(private=False)}
    assert cordee.post("/api/v1/me/passes", jwk, ada.token).status_code == 403
    with cordee.context() as (session, _):
        for today, found in ((date(2026, 11, 30), 0), (date(2026, 12, 1), 1)):
            assert len(members.find(session, "Ada", today)) == found
        with pytest.raises(Problem):
            members.member(session, member_id(ada), date(2026, 11, 30))


def test_lunch_is_between_a_morning_and_an_afternoon_that_can_be_booked(
    cordee: LocalNode, troquet: LocalNode
) -> None:
    save(troquet, week=LUNCH)
    reader = log_in(cordee, cordee.add_person().email)
    for length, hours in (("morning", "09:00 – 12:00"), ("afternoon", "14:00 – 18:00")):
        reader.get("/bookings/at/troquet")
        form = {"day": "2026-12-01", "length": length, "room": ""}
        asked = reader.post("/bookings/at/troquet", form)
        assert asked.status_code == 302, Page(asked.text).text
        assert hours in Page(reader.get(asked.headers["Location"]).text).text
