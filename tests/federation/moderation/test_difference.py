"""What changed in a document is said fact by fact, and a day's passing is no change."""

from __future__ import annotations

from datetime import date

from hypothesis import given, settings
from hypothesis import strategies as st

from federation.moderation.difference import MOST_LINES, differing, lasting, lines

Document = dict[str, object]
TODAY = date(2026, 11, 24)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)
documents = st.dictionaries(st.sampled_from("abcdef"), plain, max_size=4)


def test_a_text_is_compared_by_words_and_a_list_by_its_items_names() -> None:
    before = {
        "description": "A quiet place",
        "prices": [{"label": "Month", "cents": 100}, {"label": "Day", "cents": 20}],
        "services": ["Wi-Fi"],
        "week": {"mo": [["09:00", "12:00"]]},
    }
    after = {
        "description": "A lively place",
        "prices": [{"label": "Day", "cents": 25}, {"label": "Month", "cents": 100}],
        "services": ["Wi-Fi", "Printer"],
        "week": {"mo": [["09:00", "19:00"]]},
        "paused": True,
    }
    found = {line.path: (line.before, line.after) for line in lines(before, after)}
    assert found == {
        ("description",): ("A quiet place", "A lively place"),
        ("prices", "Day", "cents"): (20, 25),
        ("services",): ("Wi-Fi", "Wi-Fi, Printer"),
        ("week", "mo"): ("09:00–12:00", "09:00–19:00"),
        ("paused",): (None, True),
    }
    (runs,) = [line.runs for line in lines(before, after) if line.path == ("description",)]
    assert [state for state, _ in runs] == ["same", "removed", "added", "same"]


def test_what_only_the_day_takes_out_is_no_change() -> None:
    def event(day: str) -> dict[str, str]:
        return {"id": day, "ends_at": f"{day}T10:00:00+01:00"}

    yesterday = {
        "exceptions": {"2026-11-23": [], "2026-12-25": []},
        "occasions": {"2026-11-23": "x"},
        "events": [event("2026-11-23"), event("2026-11-24")],
        "conditions": {"closed": ["2026-11-23", "2026-12-24"]},
        "opening_hours": "Mo-Fr",
    }
    today = {
        "exceptions": {"2026-12-25": []},
        "occasions": {},
        "events": [event("2026-11-24")],
        "conditions": {"closed": ["2026-12-24"]},
        "opening_hours": "Mo-Fr; Dec 25 off",
    }
    assert differing(lasting(yesterday, TODAY), lasting(today, TODAY)) == ({}, {})
    called_off = {**today, "events": []}
    assert differing(lasting(today, TODAY), lasting(called_off, TODAY)) != ({}, {})


@settings(deadline=None)
@given(documents, documents)
def test_any_two_documents_are_compared(
    before: dict[str, object], after: dict[str, object]
) -> None:
    found = lines(before, after)
    assert len(found) <= MOST_LINES
    assert all(line.before != line.after for line in found)
    assert {line.path for line in lines(after, before)} == {line.path for line in found}
    assert lines(before, before) == []
    for line in found:
        if line.runs:
            assert "".join(t for s, t in line.runs if s != "added") == line.before
            assert "".join(t for s, t in line.runs if s != "removed") == line.after
    was, is_now = differing(before, after)
    for name in {**before, **after}:
        told = name in was or name in is_now
        empty = not before.get(name) and not after.get(name)
        assert told or empty or before.get(name) == after.get(name)
