"""What a request or a job of a node works with; made once, by ``app.create_app``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flask import current_app

from node.hub_client import HubClient
from node.settings import KEYS, NodeSettings
from shared.base.clock import Clock
from shared.crypto.keys import KeyRing
from shared.net.http import PeerSession


@dataclass(frozen=True)
class Node:
    settings: NodeSettings
    ring: KeyRing
    peers: PeerSession
    hub: HubClient

    @property
    def clock(self) -> Clock:
        return self.settings.clock

    @property
    def url(self) -> str:
        return self.settings.url

    @property
    def key_file(self) -> Path:
        return self.settings.data_dir / KEYS


def node() -> Node:
    found: Node = current_app.extensions["node"]
    return found
