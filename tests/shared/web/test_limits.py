"""Each reader gets so much a minute, and is told when there is more."""

from __future__ import annotations

import pytest

from shared.web.limits import UNITS, RateLimiter, address_of


def test_what_was_asked_for_is_forgotten_with_its_minute() -> None:
    now = [100.0]
    readers = RateLimiter(2, clock=lambda: now[0])
    assert readers.spend("a", UNITS) == (10, 20)
    assert readers.spend("a", UNITS)[0] == 20
    assert readers.spend("b", UNITS)[0] == 10
    now[0] = 119.9
    assert readers.spend("a", 0) == (20, 1)
    now[0] = 120.0
    assert readers.spend("a", 0) == (0, 60)


@pytest.mark.parametrize(
    ("remote", "reader"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:9:9:9:9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_a_reader_is_an_address_or_a_network_of_ipv6(remote: str | None, reader: str) -> None:
    assert address_of(remote) == reader
