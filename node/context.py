"""What a request or a job of a node works with; made once, by ``app.create_app``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flask import current_app

from node.settings import KEYS, NodeSettings
from node.sync.hub import HubClient
from shared.clock import Clock
from shared.http import PeerSession
from shared.keys import KeyRing


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
