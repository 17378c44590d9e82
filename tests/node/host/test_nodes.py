"""Nodes are made when asked for, held so many at once, and let go without hurting anybody."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest
from flask import Flask

from node.app import create_app, create_new
from node.host import nodes as nodes_module
from node.host import operators
from node.host.nodes import Nodes, Ready
from node.host.operators import Operator, Place
from node.host.settings import HostSettings
from node.settings import NodeSettings
from tests.node.host.hosting import make_host, write_operator


@pytest.fixture
def host(tmp_path: Path) -> HostSettings:
    return make_host(tmp_path, kept=2)


def add(host: HostSettings, operator_id: str) -> Operator:
    """Add an operator with keys, and no database."""
    one = write_operator(host, operator_id)
    create_new(operators.settings_of(one, host))
    return one


def place_of(nodes: Nodes, operator_id: str) -> Place:
    nodes.look()
    found = nodes.find(f"{operator_id}.example")
    assert found
    return found


def use(nodes: Nodes, operator_id: str) -> Ready:
    ready = nodes.enter(place_of(nodes, operator_id))
    assert ready
    return ready


def used(nodes: Nodes, operator_id: str) -> Flask:
    ready = use(nodes, operator_id)
    nodes.leave(ready)
    return ready.app


def is_held(one: Operator) -> bool:
    return not operators.wait_until_free(one, 0)


def test_so_many_are_held_and_those_asked_for_least_lately_go(host: HostSettings) -> None:
    nodes = Nodes(host, create_app)
    one, *_ = [add(host, each) for each in ("aaa", "bbb", "ccc")]
    first = {each: used(nodes, each) for each in ("aaa", "bbb")}
    assert used(nodes, "aaa") is first["aaa"]
    used(nodes, "ccc")
    assert used(nodes, "aaa") is first["aaa"]
    assert used(nodes, "bbb") is not first["bbb"]
    assert is_held(one)
    nodes.close()
    assert not is_held(one)


def test_one_that_is_let_go_is_used_to_its_end(host: HostSettings) -> None:
    nodes = Nodes(host, create_app)
    one, *_ = [add(host, each) for each in ("aaa", "bbb", "ccc")]
    ready = use(nodes, "aaa")
    for each in ("bbb", "ccc"):
        used(nodes, each)
    assert is_held(one)
    nodes.leave(ready)
    assert not is_held(one)
    nodes.close()


def test_one_that_cannot_be_made_hurts_nobody_and_is_tried_again(
    host: HostSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = add(host, "aaa"), add(host, "bbb")
    keys = one.folder / "node-keys.json"
    saved = keys.read_bytes()
    keys.write_text("{")
    nodes = Nodes(host, create_app)
    assert nodes.enter(place_of(nodes, "aaa")) is None
    used(nodes, "bbb")
    made = list[str]()
    monkeypatch.setattr(nodes, "_make_app", lambda s: made.append(s.url) or create_app(s))
    assert nodes.enter(place_of(nodes, "aaa")) is None
    assert made == []  # just now it could not be
    keys.write_bytes(saved)  # what changed is tried at once
    used(nodes, "aaa")
    nodes.close()


def test_other_settings_or_keys_make_it_anew(host: HostSettings) -> None:
    one = add(host, "aaa")
    nodes = Nodes(host, create_app)
    app = used(nodes, "aaa")
    one.env_file.write_text(one.env_file.read_text() + 'NODE_TILES_ATTRIBUTION="x"\n')
    changed = used(nodes, "aaa")
    assert changed is not app
    assert changed.extensions["settings"].tiles_attribution == "x"
    os.utime(one.folder / "node-keys.json", ns=(1, 1))
    assert used(nodes, "aaa") is not changed
    nodes.close()


def test_who_comes_is_found_and_who_goes_is_not(
    host: HostSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes_module, "LOOK_SECONDS", 0)
    nodes = Nodes(host, create_app)
    assert nodes.find("aaa.example") is None
    one = add(host, "aaa")
    assert nodes.find("aaa.example")  # at once, though nobody told
    used(nodes, "aaa")
    operators.stop_serving(one)
    nodes.look()
    assert nodes.find("aaa.example") is None
    assert not is_held(one)


def test_a_folder_that_a_backup_is_restored_into_is_left_alone(
    host: HostSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes_module, "LOOK_SECONDS", 0)
    one = add(host, "aaa")
    nodes = Nodes(host, create_app)
    with (one.folder / operators.SERVE_LOCK).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert nodes.enter(place_of(nodes, "aaa")) is None
    used(nodes, "aaa")
    nodes.close()


def test_what_is_made_before_the_fork_is_what_is_used(host: HostSettings) -> None:
    made = list[str]()

    def make(settings: NodeSettings) -> Flask:
        made.append(settings.url)
        return create_app(settings)

    for each in ("aaa", "bbb", "ccc"):
        one = add(host, each)
    nodes = Nodes(host, make)
    nodes.make_all()
    assert made == ["http://aaa.example", "http://bbb.example"]  # two are kept
    assert not is_held(one)
    used(nodes, "bbb")
    assert len(made) == 2
    nodes.close()
