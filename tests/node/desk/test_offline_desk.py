"""The desk of a browser alone, as a state machine: what it keeps and tells, what time it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.node.modules import modules

pytestmark = pytest.mark.browser

RUN = """async ([start, events]) => {
  const { due, reduce } = await import("/static/desk/offline_desk.js");
  let state = start;
  const answers = [];
  for (const event of events) {
    const done = reduce(state, event);
    state = done.state;
    answers.push(done.answer);
  }
  const at = events.at(-1).at;
  return { state, answers, due: at ? due(state, at).map(({ id }) => id) : [] };
}"""
TIME = """async ([clock, at]) => {
  const { timeOf } = await import("/static/desk/offline_desk.js");
  return timeOf(clock, at);
}"""
NOW = 1_795_000_000.0
HOUR = 3600.0


def at(wall: float, mono: float | None = None, page: str = "one") -> dict[str, Any]:
    """Return a moment of a tablet whose clock is right, unless said otherwise."""
    return {"wall": wall, "mono": wall if mono is None else mono, "page": page}


@pytest.fixture(scope="module")
def page(browser: Any) -> Iterator[Any]:
    with modules(browser) as found:
        yield found


def run(page: Any, *events: dict[str, Any], start: Any = None) -> Any:
    return page.evaluate(RUN, [start, [{"space": "here", **event} for event in events]])


def waiting(*ids: str, **more: Any) -> dict[str, Any]:
    entries = [
        {
            "id": name,
            "state": "waiting",
            "tries": 0,
            "text": "signed",
            "at": NOW,
            "name": "Ada",
            "holder": f"home {name}",
            **more,
        }
        for name in ids
    ]
    clock = {"node": NOW, **at(NOW), "jump": 0}
    return {"space": "here", "bundle": None, "clock": clock, "entries": entries}


def test_an_entry_that_the_node_fails_at_steps_aside_and_is_tried_again_by_the_hour(
    page: Any,
) -> None:
    fails = [{"type": "unanswered", "id": "a", "at": at(NOW)}] * 3
    twice = run(page, *fails[:2], start=waiting("a", "b"))
    assert twice["due"] == ["a", "b"]
    found = run(page, *fails, start=waiting("a", "b"))
    assert found["due"] == ["b"]
    (stuck, _) = found["state"]["entries"]
    assert (stuck["state"], stuck["since"], stuck["text"]) == ("stuck", NOW, "signed")
    later = run(page, {"type": "clock", "at": at(NOW + HOUR + 1)}, start=found["state"])
    assert later["due"] == ["a", "b"]


def test_a_refused_entry_is_kept_with_the_words_and_sent_again_or_removed_by_a_person(
    page: Any,
) -> None:
    refused = {"type": "refused", "id": "a", "why": "Already used", "at": at(NOW)}
    month = {"type": "clock", "at": at(NOW + 31 * 24 * HOUR)}
    found = run(page, refused, month, start=waiting("a"))
    (entry,) = found["state"]["entries"]
    assert (entry["state"], entry["why"], entry["since"]) == ("stuck", "Already used", NOW)
    assert found["due"] == []
    again = run(page, {"type": "again", "id": "a"}, month, start=found["state"])
    assert again["due"] == ["a"]
    gone = run(page, {"type": "remove", "id": "a"}, start=found["state"])
    assert gone["state"]["entries"] == []
    (kept,) = run(page, {"type": "remove", "id": "a"}, start=waiting("a"))["state"]["entries"]
    assert kept["state"] == "waiting", "what waits to be told is not removed"


def test_nothing_that_waits_is_given_up_however_long_it_takes(page: Any) -> None:
    found = run(page, {"type": "clock", "at": at(NOW + 90 * 24 * HOUR)}, start=waiting("a"))
    assert found["due"] == ["a"]


def test_what_was_told_keeps_no_name_and_no_code(page: Any) -> None:
    told = {"type": "told", "id": "a", "at": at(NOW)}
    (entry,) = run(page, told, start=waiting("a"))["state"]["entries"]
    assert (entry["state"], "name" in entry, "text" in entry) == ("told", False, False)


def test_at_log_out_only_what_it_takes_to_tell_is_kept(page: Any) -> None:
    start = {**waiting("a", "b", "c"), "bundle": {"welcome": "Wi-Fi: 42"}}
    told = {"type": "told", "id": "a", "at": at(NOW)}
    refused = {"type": "refused", "id": "b", "why": "No", "at": at(NOW)}
    left = run(page, told, refused, {"type": "left", "at": at(NOW)}, start=start)["state"]
    assert left["bundle"] is None
    assert [(entry["id"], entry["text"]) for entry in left["entries"]] == [
        ("b", "signed"),
        ("c", "signed"),
    ]
    assert "Ada" not in str(left)


@pytest.mark.parametrize(
    ("name", "clock", "moment", "now", "also", "jumped"),
    [
        ("a slow tablet", {}, at(NOW - 120 + 60, NOW + 60), NOW + 60, NOW + 60, 0),
        ("after a reload", {}, at(NOW - 60, 5, "two"), NOW + 60, NOW + 60, 0),
        ("set ahead, or slept", {}, at(NOW - 120 + 3600, NOW + 60), NOW + 60, NOW + 3600, 3540),
        ("set back", {}, at(NOW - 3720, NOW + 60), NOW + 60, NOW + 60, -3660),
        ("set back unseen", {}, at(NOW - 9120, 5, "two"), NOW, NOW, -9000),
        ("jumped before", {"jump": 500}, at(NOW - 60, 5, "two"), NOW + 60, NOW + 560, 500),
    ],
)
def test_the_time_is_the_nodes_and_a_jump_of_the_tablets_clock_shows(
    page: Any,
    name: str,
    clock: dict[str, Any],
    moment: dict[str, Any],
    now: float,
    also: float,
    jumped: float,
) -> None:
    """The bundle came when this tablet, two minutes slow, showed NOW - 120."""
    anchor = {"node": NOW, "wall": NOW - 120, "mono": NOW, "page": "one", "jump": 0, **clock}
    found = page.evaluate(TIME, [anchor, moment])
    assert (found["now"], found["also"], found["jumped"]) == (now, also, jumped), name


def test_a_clock_that_was_set_is_followed_from_then_on(page: Any) -> None:
    start = waiting()
    jump = {"type": "clock", "at": at(NOW + 3660, NOW + 60)}
    later = {"type": "clock", "at": at(NOW + 3720, 5, "two")}
    clock = run(page, jump, later, start=start)["state"]["clock"]
    assert (clock["node"], clock["jump"]) == (NOW + 120, 3600)
