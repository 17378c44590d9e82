"""What a request or a job of the hub works with; made once, by ``app.create_app``."""

from __future__ import annotations

from dataclasses import dataclass

from flask import current_app

from federation.settings import HubSettings
from shared.base.clock import Clock
from shared.crypto.keys import KeyRing
from shared.net.http import PeerSession


@dataclass(frozen=True)
class Hub:
    settings: HubSettings
    ring: KeyRing
    peers: PeerSession

    @property
    def clock(self) -> Clock:
        return self.settings.clock

    @property
    def url(self) -> str:
        return self.settings.url


def hub() -> Hub:
    found: Hub = current_app.extensions["hub"]
    return found
