"""Both applications, made as their commands make them, for tests on what they consist of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from flask import Flask

from federation.app import create_new as create_hub
from federation.settings import HubSettings
from node.app import create_new as create_node
from node.settings import NodeSettings

NOWHERE = "http://127.0.0.1:9"  # nobody listens on the discard port


def _common(folder: Path, database_url: str) -> dict[str, object]:
    return {
        "url": "http://127.0.0.1:8000",
        "secret_key": "s" * 32,
        "data_dir": folder,
        "database_url": database_url,
        "demo": True,
        "allow_private_peers": True,
    }


def hub_app(folder: Path, database_url: str = "") -> Flask:
    return create_hub(HubSettings(**_common(folder, database_url)))  # type: ignore[arg-type]


def node_app(folder: Path, database_url: str = "") -> Flask:
    settings = {**_common(folder, database_url), "hub_url": NOWHERE, "name": "Le Test"}
    return create_node(NodeSettings(**settings))  # type: ignore[arg-type]


APPLICATIONS: dict[str, Callable[..., Flask]] = {"hub": hub_app, "node": node_app}
