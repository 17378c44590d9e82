"""A host's folder with operators, made without commands, and its answers without a server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask import Flask
from werkzeug.test import Client, TestResponse

from node.app import create_app, create_new
from node.cli import found
from node.host import operators
from node.host.dispatch import Dispatcher
from node.host.nodes import Nodes
from node.host.operators import Operator
from node.host.settings import HostSettings
from shared.base.env_file import write_env
from shared.ops.command import migrate
from tests.network import PASSWORD
from tests.shared.browser import TOKEN

HUB = "http://127.0.0.1:9"  # nobody listens on the discard port


def make_host(folder: Path, **values: object) -> HostSettings:
    (folder / operators.FOLDERS).mkdir(parents=True)
    return HostSettings(data_dir=folder, **values)  # type: ignore[arg-type]


def write_operator(host: HostSettings, operator_id: str, **values: str) -> Operator:
    """Write the settings of an operator that is served, and nothing else of it."""
    one = operators.operator(host.data_dir, operator_id)
    one.folder.mkdir(mode=0o700)
    own = {
        "NODE_URL": f"http://{operator_id}.example",
        "NODE_HUB_URL": HUB,
        "NODE_NAME": f"Tiers-lieu {operator_id}",
        "NODE_SECRET_KEY": operator_id * 40,
        "NODE_DATA_DIR": str(one.folder),
        "NODE_DEMO": "yes",
        "NODE_ALLOW_PRIVATE_PEERS": "yes",
    }
    write_env(one.env_file, {**own, **{f"NODE_{name}": value for name, value in values.items()}})
    operators.serve(one)
    return one


def make_operator(host: HostSettings, operator_id: str, **values: str) -> Operator:
    """Make an operator as ``host add`` does: everything that is theirs says their id."""
    one = write_operator(host, operator_id, **values)
    app = create_new(operators.settings_of(one, host))
    migrate(app)
    found(app, operator_id, email_of(operator_id), PASSWORD, f"Espace {operator_id}", "Lyon")
    return one


def email_of(operator_id: str) -> str:
    return f"admin@{operator_id}.example"


@contextmanager
def dispatching(host: HostSettings) -> Iterator[Dispatcher]:
    nodes = Nodes(host, create_app)
    yield Dispatcher(nodes, host.trusted_proxies, host.status_name)
    nodes.close()


class Visitor:
    """A reader with cookies, at any of the host names."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.client = Client(dispatcher, TestResponse)

    def get(self, operator_id: str, path: str, **kwargs: object) -> TestResponse:
        base_url = f"http://{operator_id}.example"
        return self.client.get(path, base_url=base_url, buffered=True, **kwargs)

    def post(self, operator_id: str, path: str, **kwargs: object) -> TestResponse:
        base_url = f"http://{operator_id}.example"
        return self.client.post(path, base_url=base_url, buffered=True, **kwargs)

    def log_in(self, operator_id: str) -> None:
        token = TOKEN.search(self.get(operator_id, "/login").text)
        assert token
        form = {"csrf_token": token[1], "email": email_of(operator_id), "password": PASSWORD}
        assert self.post(operator_id, "/login", data=form).status_code == 302


def app_of(dispatcher: Dispatcher, operator_id: str) -> Flask:
    """Return an operator's application, as the dispatcher holds it."""
    nodes = dispatcher._nodes
    place = nodes.find(f"{operator_id}.example")
    assert place
    ready = nodes.enter(place)
    assert ready
    nodes.leave(ready)
    return ready.app
