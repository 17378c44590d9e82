"""What a process remembers is one application's own."""

from __future__ import annotations

from flask import Flask

from shared.base.memory import Memory, forget_all


def test_what_one_application_remembers_no_other_sees() -> None:
    names: Memory[str, str] = Memory()
    one, other = Flask("one"), Flask("other")
    with one.app_context():
        names.here()["who"] = "Ada"
    with other.app_context():
        assert names.here() == {}
    with one.app_context():
        assert names.here() == {"who": "Ada"}


def test_an_application_forgets_everything_at_once_and_others_nothing() -> None:
    names, ages = Memory[str, str](), Memory[str, int]()
    apps = Flask("one"), Flask("other")
    for app in apps:
        with app.app_context():
            names.here()["who"], ages.here()["who"] = "Ada", 36
    forget_all(apps[0])
    with apps[0].app_context():
        assert (names.here(), ages.here()) == ({}, {})
    with apps[1].app_context():
        assert (names.here(), ages.here()) == ({"who": "Ada"}, {"who": 36})
