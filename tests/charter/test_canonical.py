"""Canonical JSON: the same bytes from any program (RFC 8785)."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charter.canonical import MOST, canonical
from tests.charter.test_facts import unhurried

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-MOST, MOST) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("bits", "written"),  # RFC 8785, appendix B
    [
        ("0000000000000000", "0"),
        ("8000000000000000", "0"),
        ("0000000000000001", "5e-324"),
        ("8000000000000001", "-5e-324"),
        ("7fefffffffffffff", "1.7976931348623157e+308"),
        ("ffefffffffffffff", "-1.7976931348623157e+308"),
        ("4340000000000000", "9007199254740992"),
        ("c340000000000000", "-9007199254740992"),
        ("4430000000000000", "295147905179352830000"),
        ("44b52d02c7e14af5", "9.999999999999997e+22"),
        ("44b52d02c7e14af6", "1e+23"),
        ("44b52d02c7e14af7", "1.0000000000000001e+23"),
        ("444b1ae4d6e2ef4e", "999999999999999700000"),
        ("444b1ae4d6e2ef4f", "999999999999999900000"),
        ("444b1ae4d6e2ef50", "1e+21"),
        ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
        ("3eb0c6f7a0b5ed8d", "0.000001"),
        ("41b3de4355555553", "333333333.3333332"),
        ("41b3de4355555557", "333333333.33333343"),
        ("becbf647612f3696", "-0.0000033333333333333333"),
        ("43143ff3c1cb0959", "1424953923781206.2"),
    ],
)
def test_a_double_is_written_as_browsers_write_it(bits: str, written: str) -> None:
    (number,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical(number) == written.encode()
    assert canonical({"a": [number]}) == f'{{"a":[{written}]}}'.encode()


def test_names_are_sorted_by_their_utf_16_code_units() -> None:
    # RFC 8785, section 3.2.3: an emoji is two units from D800 on, and so comes before U+FB33
    given = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\u0080": 6, "\u00f6": 7}
    assert list(json.loads(canonical(given)).values()) == [2, 4, 6, 7, 1, 5, 3]


def test_nothing_is_escaped_that_json_does_not_require() -> None:
    text = '\u20ac$\x0f\nA\'B"\\\\"/\x7f\u2028'
    assert canonical(text) == '"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/\x7f\u2028"'.encode()


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), MOST + 1, -MOST - 1, 10**30, "\ud800", {"\udc00": 1}]
)
@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: {"a": [value]}])
def test_what_programs_do_not_read_alike_has_no_canonical_form(value: Any, wrap: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        canonical(wrap(value))


@unhurried
@given(PLAIN)
def test_a_value_is_read_back_and_its_text_stays_the_same(value: Any) -> None:
    written = canonical(value)
    assert json.loads(written) == value
    assert canonical(json.loads(written)) == written


@unhurried
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_double_is_read_back_exactly(value: float) -> None:
    assert float(json.loads(canonical([value]))[0]) == value


@pytest.mark.parametrize("text", ["at:12.5e3", "[1.0", ":1234567890123456", "\ue000:1.0"])
def test_a_text_that_looks_like_a_number_is_left_alone(text: str) -> None:
    assert canonical({"a": text, text: 1}) == canonical({text: 1, "a": text})
    assert json.loads(canonical([text])) == [text]
