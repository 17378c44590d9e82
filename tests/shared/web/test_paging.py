"""A cursor leads on in its own list, as long as it is whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from shared.web.paging import Paging, number

NAMES = Paging("names", str)
NUMBERS = Paging("numbers", str, number, 0)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_a_cursor_is_read_as_the_key_it_was_made_of(key: str) -> None:
    cursor = NAMES.cursor(key)
    assert cursor is not None
    assert cursor.isascii()
    assert NAMES.read(cursor) == key


@given(st.data())
def test_a_cursor_of_which_one_character_is_not_right_is_none(data: st.DataObject) -> None:
    cursor = NAMES.cursor("troquet-numerique")
    assert cursor is not None
    place = data.draw(st.integers(0, len(cursor) - 1))
    other = data.draw(st.sampled_from(["", "A", "b", "-", "=", " ", "é", "\0", cursor[place] * 2]))
    damaged = cursor[:place] + other + cursor[place + 1 :]
    if damaged != cursor:
        with pytest.raises(ValidationError, match="Not a cursor"):
            NAMES.read(damaged)


@pytest.mark.parametrize("key", ["", "x", "-1", "1\n", "9" * 40])
def test_what_the_list_cannot_be_asked_from_is_no_cursor(key: str) -> None:
    made = NUMBERS.cursor(key)
    assert made is not None
    with pytest.raises(ValidationError, match="Not a cursor"):
        NUMBERS.read(made)


def test_another_lists_cursor_is_none_of_this_one() -> None:
    other = Paging("others", str).cursor("troquet")
    assert other is not None
    with pytest.raises(ValidationError, match="Not a cursor"):
        NAMES.read(other)


def test_a_page_says_where_the_next_one_begins() -> None:
    first = NUMBERS.page([1, 2, 3], 2)
    assert first["items"] == [1, 2]
    assert NUMBERS.read(first["next_cursor"]) == 2
    assert NUMBERS.page([3], 2) == {"items": [3], "next_cursor": None}
    assert NUMBERS.read("") == 0
