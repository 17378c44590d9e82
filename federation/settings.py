"""The hub's settings: ``HUB_*`` variables."""

from __future__ import annotations

from dataclasses import dataclass

from shared.config import Settings, setting, text


@dataclass(frozen=True, kw_only=True)
class HubSettings(Settings):
    network: str = setting(text, "The network's name, as people read it", default="Passerelle")
