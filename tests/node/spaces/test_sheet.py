"""The sheet in sections: what an admin says once is shown, published and executed at the door."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
import requests

from node.bookings import outgoing
from node.members.models import Member
from node.spaces import service as spaces
from node.spaces.hours import special_day
from node.spaces.sections import PeopleForm
from tests.network import WEEK, LocalNode, Network, at_once, codes, rules
from tests.node.bookings.test_bookings import AFTERNOON, DAY, MORNING, booked, why
from tests.node.bookings.test_bookings import book as ask
from tests.shared.browser import Browser, Page, forget_attempts

MakeNetwork = Callable[..., Network]
SHEET = "/console/spaces/troquet"


@pytest.fixture
def two(make_network: MakeNetwork) -> Network:
    return make_network(rules=rules(), nodes={"cordee": {}, "troquet": {"guest_cap": 3}})


@pytest.fixture
def troquet(two: Network) -> LocalNode:
    return two.nodes["troquet"]


@pytest.fixture
def admin(troquet: LocalNode) -> Browser:
    forget_attempts()
    browser = Browser(troquet, "en")
    assert browser.log_in("admin@troquet.example").status_code == 302
    return browser


def fill(admin: Browser, section: str, **changes: Any) -> requests.Response:
    path = f"{SHEET}/sheet/{section}"
    values = Page(admin.get(path).text).values
    typed = {name.replace("__", "-"): value for name, value in changes.items()}
    return admin.post(path, {**values, **typed})


def saved(admin: Browser, section: str, **changes: Any) -> None:
    answer = fill(admin, section, **changes)
    assert answer.status_code == 302, Page(answer.text).text


def on_the_map(two: Network, space: str = "troquet") -> dict[str, Any]:
    answer = two.hub.get(f"/api/v1/spaces/{space}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_every_kind_of_fact_is_published_and_shown_at_the_node_and_on_the_map(
    two: Network, troquet: LocalNode, admin: Browser
) -> None:
    saved(admin, "identity", kind="both", opened_year="2015")
    saved(admin, "place", features=["step_free", "toilet"], access_note="Sonnez en bas.")
    saved(
        admin,
        "people",
        owner="La Ville",
        manager="Claire et Sami",
        team="6",
        governance="Une voix chacun",
        partners="Fablab voisin\nMédiathèque",
        virtual_visit="https://visite.example/",
    )
    saved(admin, "offer", fibre="yes", services="Wi-Fi")
    profile = "Indépendants : 49\nTélétravailleurs: 22 %"
    saved(admin, "users", average_age="42", by_profile=profile, audience="1 083 actifs")
    saved(admin, "prices", prices__0__label="Étudiants", prices__0__amount="90")
    saved(admin, "prices", prices__0__audience="student")
    shown = on_the_map(two)
    assert shown["about"] == {
        "kind": "both",
        "opened_year": 2015,
        "owner": "La Ville",
        "manager": "Claire et Sami",
        "team": 6,
        "governance": "Une voix chacun",
        "partners": ["Fablab voisin", "Médiathèque"],
        "virtual_visit": "https://visite.example/",
        "fibre": True,
        "average_age": 42,
        "by_profile": [
            {"label": "Indépendants", "percent": 49},
            {"label": "Télétravailleurs", "percent": 22},
        ],
        "by_town": [],
        "audience": "1 083 actifs",
    }
    assert shown["access"] == {"features": ["step_free", "toilet"], "note": "Sonnez en bas."}
    assert shown["prices"][0]["audience"] == "student"
    for service in (troquet, two.hub):
        page = Page(requests.get(f"{service.url}/spaces/troquet?lang=en", timeout=20).text).text
        for words in ("coworking and telework", "2015", "step-free entrance, accessible toilet"):
            assert words in page, words
        for words in ("La Ville", "Fablab voisin, Médiathèque", "Indépendants", "49 %", "students"):
            assert words in page, words
    overview = Page(admin.get(SHEET).text).text
    assert "What it is 3 of 4" in overview  # no description yet


def test_two_sections_saved_at_once_keep_each_others_answers(two: Network, admin: Browser) -> None:
    """Both pages were open before either was saved."""
    paths = [f"{SHEET}/sheet/{section}" for section in ("people", "users")]
    forms = [Page(admin.get(path).text).values for path in paths]
    changes = ({"manager": "Claire"}, {"average_age": "42"})
    for path, form, change in zip(paths, forms, changes, strict=True):
        assert admin.post(path, {**form, **change}).status_code == 302
    about = on_the_map(two)["about"]
    assert (about["manager"], about["average_age"]) == ("Claire", 42)


def test_a_day_with_other_hours_and_more_people_is_so_at_the_door(
    two: Network, troquet: LocalNode, admin: Browser
) -> None:
    today = two.clock.now().date().isoformat()
    saved(admin, "rooms", capacity="1")
    cordee = two.nodes["cordee"]
    first, second = cordee.add_person().show(), cordee.add_person()
    assert troquet.scan(first).status_code == 201
    assert codes(troquet.scan(second.show())) == ["space_full"]
    fair = {"what": "usual", "capacity": "100", "label": "Marché de Noël"}
    filled = {f"special-0-{name}": value for name, value in fair.items()}
    saved(admin, "hours", **{"special-0-first": today, **filled})
    assert on_the_map(two)["capacities"] == {today: 100}
    assert "Marché de Noël" in admin.get("/spaces/troquet").text
    assert troquet.scan(second.show()).status_code == 201
    saved(admin, "hours", **{"special-0-what": "closed"})
    assert codes(troquet.scan(cordee.add_person().show())) == ["space_closed"]


def test_openstreetmaps_text_fills_the_form_and_is_saved_only_when_the_admin_says_so(
    two: Network, admin: Browser
) -> None:
    before = on_the_map(two)["week"]
    path = f"{SHEET}/sheet/hours"
    form = Page(admin.get(path).text).values
    read = admin.post(path, {**form, "osm": "Tu 10:00-12:00; PH off", "read": "1"})
    values = Page(read.text).values
    assert (values["tu"], values["mo"]) == ("10:00–12:00", "")
    assert on_the_map(two)["week"] == before
    wrong = admin.post(path, {**form, "osm": "mardi", "read": "1"})
    assert wrong.status_code == 422
    assert Page(wrong.text).with_id("osm-error")
    assert admin.post(path, {**values, "csrf_token": admin.token}).status_code == 302
    shown = on_the_map(two)
    assert shown["week"] == {"tu": [["10:00", "12:00"]]}
    assert shown["opening_hours"] == "Tu 10:00-12:00; PH off"


def test_places_given_back_to_the_house_are_kept_for_who_has_booked(
    two: Network, troquet: LocalNode
) -> None:
    cordee = two.nodes["cordee"]
    two.move_to(f"{DAY}T08:30:00+01:00")
    ada, bob, eve = (cordee.add_person().get_pass() for _ in range(3))
    with troquet.context() as (session, node):
        conditions = {"release": ["09:30", None]}
        spaces.save(session, node, "troquet", {"conditions": conditions})
        spaces.publish_now(session, node)
    assert booked(ada, MORNING)["state"] == "confirmed"
    two.move_to(f"{DAY}T09:20:00+01:00")
    assert troquet.scan(bob.show()).status_code == 201
    two.move_to(f"{DAY}T09:40:00+01:00")
    assert codes(troquet.scan(eve.show())) == ["guest_cap"]
    came = troquet.scan(ada.show())
    assert came.status_code == 201, came.text
    two.move_to(f"{DAY}T13:10:00+01:00")
    assert troquet.scan(eve.show()).status_code == 201


def test_who_has_another_telephone_since_she_booked_is_still_known_at_the_door(
    two: Network, troquet: LocalNode
) -> None:
    cordee = two.nodes["cordee"]
    two.move_to(f"{DAY}T08:30:00+01:00")
    ada = cordee.add_person()
    assert booked(ada, MORNING)["state"] == "confirmed"  # before she made any pass
    with troquet.context() as (session, node):
        spaces.save(session, node, "troquet", {"guest_cap": 1})
        spaces.publish_now(session, node)
    two.move_to(f"{DAY}T09:20:00+01:00")
    eve = cordee.add_person().get_pass()
    ada.get_pass(days_ago=0)
    assert codes(troquet.scan(ada.show())) == ["guest_cap"]
    with cordee.context() as (session, node):
        outgoing.tell_new_passes(session, node)
    two.pass_time(minutes=1)
    assert codes(troquet.scan(eve.show())) == ["guest_cap"]
    came = troquet.scan(ada.show())
    assert came.status_code == 201, came.text
    with cordee.context() as (session, node), cordee.calls() as asked:
        outgoing.tell_new_passes(session, node)
        assert not asked  # once is enough


def test_a_half_day_without_visitors_takes_no_bookings_and_the_other_does(
    two: Network, troquet: LocalNode
) -> None:
    cordee = two.nodes["cordee"]
    with troquet.context() as (session, node):
        conditions = {"guests": {"we": [1, 2]}}
        spaces.save(session, node, "troquet", {"conditions": conditions})
        spaces.publish_now(session, node)
    whole = (MORNING[0], AFTERNOON[1])
    booked(cordee.add_person(), whole)
    assert why(ask(cordee.add_person(), whole)) == ["booking_full"]
    assert why(ask(cordee.add_person(), MORNING)) == ["booking_full"]
    assert booked(cordee.add_person(), AFTERNOON)["state"] == "confirmed"
    assert why(ask(cordee.add_person(), AFTERNOON)) == ["booking_full"]


def test_a_room_is_booked_by_visitors_on_the_half_days_that_it_says(
    two: Network, admin: Browser
) -> None:
    room = {"rooms__0__name": "Bureau", "rooms__0__kind": "office"}
    saved(admin, "rooms", **room)
    guest = two.nodes["cordee"].add_person()
    assert why(ask(guest, MORNING, room="Bureau")) == ["no_such_room"]
    assert fill(admin, "rooms", rooms__0__visitors="some").status_code == 422
    half_days = ["we-pm", "th-am"]
    saved(admin, "rooms", rooms__0__visitors="some", rooms__0__half_days=half_days)
    assert on_the_map(two)["rooms"][0]["half_days"] == half_days
    assert why(ask(guest, MORNING, room="Bureau")) == ["room_not_then"]
    assert why(ask(guest, (MORNING[0], AFTERNOON[1]), room="Bureau")) == ["room_not_then"]
    assert booked(guest, AFTERNOON, room="Bureau")["room"] == "Bureau"
    saved(admin, "rooms", rooms__0__visitors="never")
    assert why(ask(guest, MORNING, room="Bureau")) == ["no_such_room"]


def test_a_second_temporary_site_comes_and_goes(
    two: Network, troquet: LocalNode, admin: Browser
) -> None:
    admin.get("/console/new-space")
    wrong = admin.post("/console/new-space", name="", town="Sceaux")
    assert wrong.status_code == 422
    made = admin.post("/console/new-space", name="Cordee", town="Sceaux")
    # "cordee" is another's, in the network: ids are never given twice
    assert made.headers["Location"] == "/console/spaces/cordee-sceaux/sheet/identity"
    assert on_the_map(two, "cordee-sceaux")["node"]["id"] == "troquet"
    path = made.headers["Location"]
    last = two.clock.now().date().isoformat()
    form = Page(admin.get(path).text).values
    assert admin.post(path, {**form, "until": last}).status_code == 302
    assert on_the_map(two, "cordee-sceaux")["until"] == last
    assert "its last day is" in Page(admin.get("/console").text).text
    two.pass_time(days=1)
    with troquet.context() as (session, node):
        spaces.publish_now(session, node)
    assert two.hub.get("/api/v1/spaces/cordee-sceaux").status_code == 404
    assert two.hub.get("/api/v1/spaces/troquet").status_code == 200


def test_a_pause_is_one_button_and_so_is_its_end(
    two: Network, troquet: LocalNode, admin: Browser
) -> None:
    guest = two.nodes["cordee"].add_person()
    admin.get(SHEET)
    assert admin.post(f"{SHEET}/pause", paused="yes").status_code == 302
    assert codes(troquet.scan(guest.show())) == ["paused"]
    assert "Roaming is paused." in Page(admin.get("/console").text).text
    desk = Browser(troquet, "en")
    assert desk.log_in("desk@troquet.example").status_code == 302
    for paused in ("no", "yes"):  # it is not the desk's to end, or to shorten
        assert "only an admin ends that" in desk.get("/desk").text
        assert desk.post("/desk/pause", space="troquet", paused=paused).status_code == 302
        assert codes(troquet.scan(guest.show())) == ["paused"]
    admin.get(SHEET)
    assert admin.post(f"{SHEET}/pause", paused="no").status_code == 302
    assert troquet.scan(guest.show()).status_code == 201


def test_the_console_says_what_today_is_like(
    two: Network, troquet: LocalNode, admin: Browser
) -> None:
    cordee = two.nodes["cordee"]
    assert troquet.scan(cordee.add_person().show()).status_code == 201
    assert troquet.scan(troquet.add_person().show()).status_code == 201
    later = two.clock.now().date().isoformat()
    booked(cordee.add_person(), (f"{later}T15:00:00+01:00", f"{later}T18:00:00+01:00"))
    said = Page(admin.get("/console").text).text
    assert re.search("2 here ?1 expected ?2 free for visitors", said), said


def test_nobody_is_let_in_where_it_is_over_nor_books_where_it_is_not_open_yet(
    two: Network, troquet: LocalNode
) -> None:
    cordee = two.nodes["cordee"]
    yesterday = (two.clock.now() - timedelta(days=1)).date()
    for values in ({"until": yesterday, "week": {}}, {"until": None, "project": True}):
        with troquet.context() as (session, node):
            spaces.save(session, node, "troquet", values)
            spaces.publish_now(session, node)
        guest = cordee.add_person()
        asked = ask(guest)
        if "project" in values:
            assert why(asked) == ["booking_hours"]
        else:
            assert asked.status_code == 404  # what is over is in no list any more
            assert codes(troquet.scan(guest.show())) == ["space_closed"]


def test_the_capacity_of_a_day_bounds_its_bookings(two: Network, troquet: LocalNode) -> None:
    cordee = two.nodes["cordee"]
    fair = {**special_day(DAY, []), "hours": None, "capacity": 1}
    with troquet.context() as (session, node):
        spaces.save(session, node, "troquet", {"special_days": [fair]})
        spaces.publish_now(session, node)
    booked(cordee.add_person())
    assert why(ask(cordee.add_person())) == ["booking_full"]


def test_an_hour_without_its_beginning_is_asked_for_it(two: Network) -> None:
    cordee = two.nodes["cordee"]
    member = cordee.add_person()
    forget_attempts()
    browser = Browser(cordee, "en")
    browser.log_in(member.email)
    browser.get("/bookings/at/troquet")
    answer = browser.post("/bookings/at/troquet", day=DAY, length="1h", start="", room="")
    assert answer.status_code == 422
    assert "Say from when." in Page(answer.text).text


def test_two_tabs_undo_nothing_of_each_other(two: Network, admin: Browser) -> None:
    path = f"{SHEET}/sheet/people"
    first, second = (Page(admin.get(path).text).values for _ in range(2))
    assert admin.post(path, {**first, "legal_form": "SCIC"}).status_code == 302
    late = admin.post(path, {**second, "owner": "Mairie"})
    assert late.status_code == 422
    assert "Somebody saved this section meanwhile" in Page(late.text).text
    assert on_the_map(two)["legal_form"] == "SCIC"
    again = Page(late.text).values  # knowing it, she may
    assert admin.post(path, {**again, "legal_form": "SCIC"}).status_code == 302
    shown = on_the_map(two)
    assert (shown["legal_form"], shown["about"]["owner"]) == ("SCIC", "Mairie")


def test_a_row_is_removed_by_its_box_and_the_others_stay(two: Network, admin: Browser) -> None:
    for n, name in enumerate(("Bleue", "Verte")):
        saved(admin, "rooms", **{f"rooms-{n}-name": name, f"rooms-{n}-seats": "4"})
    saved(admin, "rooms", rooms__0__remove="y")
    assert [room["name"] for room in on_the_map(two)["rooms"]] == ["Verte"]


def test_what_openstreetmaps_text_says_and_the_form_cannot_is_told(
    two: Network, admin: Browser
) -> None:
    path = f"{SHEET}/sheet/hours"
    for text, whole in (
        ("Apr-Sep: Mo-Fr 09:00-20:00; Oct-Mar: Mo-Fr 09:00-18:00", False),
        ("Mo-Fr 09:00-19:00; PH 10:00-12:00", False),
        ("Mo-Fr 09:00-19:00; PH off", True),
    ):
        form = Page(admin.get(path).text).values
        # By any button: what was pasted is never thrown away.
        said = Page(admin.post(path, {**form, "osm": text}).text).text
        assert "not saved yet" in said
        assert ("Not all of it can be said here" in said) != whole, text


def test_sections_saved_at_the_very_same_moment_lose_nothing(
    two: Network, troquet: LocalNode
) -> None:
    facts = ("owner", "manager", "governance", "audience", "virtual_visit", "team")

    def save(name: str) -> Callable[[], bool]:
        def once() -> bool:
            with troquet.context() as (session, node):
                assert spaces.space(session, "troquet")  # as a page does, before it saves
                return spaces.save(session, node, "troquet", {}, about={name: name})

        return once

    assert all(at_once([save(name) for name in facts]))
    with troquet.context() as (session, _):
        assert spaces.space(session, "troquet").about == {name: name for name in facts}


def test_of_two_tabs_that_save_at_the_very_same_moment_one_is_told(
    two: Network, troquet: LocalNode
) -> None:
    with troquet.context() as (session, _):
        seen = PeopleForm.stamp(spaces.space(session, "troquet"))

    def save(owner: str) -> Callable[[], bool]:
        def once() -> bool:
            with troquet.context() as (session, node):
                return spaces.save(
                    session,
                    node,
                    "troquet",
                    {},
                    about={"owner": owner},
                    still=lambda now: PeopleForm.stamp(now) == seen,
                )

        return once

    assert sorted(at_once([save("Mairie"), save("Région"), save("SCI")])) == [False, False, True]


# Where a space is, and what its hours follow from


def column(node: LocalNode, name: str) -> Any:
    with node.context() as (session, _):
        return getattr(spaces.space(session, "troquet"), name)


def test_the_zone_and_the_public_holidays_follow_the_postcode_and_may_be_set(
    two: Network, troquet: LocalNode, admin: Browser
) -> None:
    saved(admin, "place", postcode="67000", town="Strasbourg")
    assert (column(troquet, "timezone"), column(troquet, "holidays_region")) == (
        "Europe/Paris",
        "6AE",
    )
    assert on_the_map(two)["exceptions"]["2026-12-26"] == []
    saved(
        admin, "place", postcode="97400", town="Saint-Denis", latitude="-20.88", longitude="55.45"
    )
    assert (column(troquet, "timezone"), column(troquet, "holidays_region")) == (
        "Indian/Reunion",
        "974",
    )
    assert "The time zone follows the place" in Page(admin.get(f"{SHEET}/sheet/place").text).text
    saved(admin, "hours", holidays_region="")
    saved(admin, "place", timezone="Indian/Mayotte", transport="Bus 3")
    saved(admin, "place", transport="Bus 4")
    assert (column(troquet, "timezone"), column(troquet, "holidays_region")) == (
        "Indian/Mayotte",
        "",
    )
    assert "La Réunion" in Page(admin.get(f"{SHEET}/sheet/hours").text).text


def test_every_page_is_by_the_clock_of_the_space(two: Network, troquet: LocalNode) -> None:
    with troquet.context() as (session, context):
        values = {"timezone": "Indian/Reunion", "week": WEEK}
        spaces.save(session, context, "troquet", values)
        spaces.publish_now(session, context)
    two.move_to("2026-11-24T14:30:00+04:00")
    ada = two.nodes["cordee"].add_person().get_pass()
    assert troquet.scan(ada.show()).status_code == 201
    reader = Browser(two.nodes["cordee"], "en")
    forget_attempts()
    assert reader.log_in(ada.email).status_code == 302
    for path, words in (
        ("/pass", "until 19:00"),
        ("/pass/at/troquet", "until 19:00"),
        ("/pass/visits", ", 14:30"),
    ):
        assert words in Page(reader.get(path).text).text, path


def test_a_last_day_ends_by_the_clock_of_the_house(two: Network, troquet: LocalNode) -> None:
    with troquet.context() as (session, context):
        spaces.save(session, context, "troquet", {"timezone": "America/Guadeloupe"})
    ada = troquet.add_person()
    with troquet.context() as (session, _):
        session.query(Member).update({"ended_on": date(2026, 11, 24)})
        session.commit()
    two.move_to("2026-11-24T20:00:00-04:00")
    answer = troquet.post("/api/v1/me/passes", {"jwk": ada.key.as_dict(private=False)}, ada.token)
    assert answer.status_code == 201
    assert answer.json()["expires_at"].startswith("2026-11-25T03:59:59")


def test_words_without_times_fill_in_no_hours(admin: Browser) -> None:
    for text, said in (
        ('"sur rendez-vous"', "No hours can be taken from it"),
        ('"sur rendez-vous"', "sur rendez-vous"),
        ("Mo-Fr 09:00-18:00; SH off", "school holidays"),
    ):
        page = Page(fill(admin, "hours", osm=text, read="1").text)
        assert said in page.text
        assert page.values["su"] == ""


def test_eighty_special_days_are_all_kept_when_the_hours_are_saved(
    troquet: LocalNode, admin: Browser
) -> None:
    first = date(2027, 1, 4)
    days = [special_day((first + timedelta(2 * n)).isoformat(), []) for n in range(80)]
    with troquet.context() as (session, context):
        spaces.save(session, context, "troquet", {"special_days": days})
    saved(admin, "hours", mo="9:00-18:00")
    assert len(column(troquet, "special_days")) == 80
