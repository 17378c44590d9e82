"""The hub's settings: ``HUB_*`` variables."""

from __future__ import annotations

from dataclasses import dataclass

from shared.config import Settings, number, setting, text


@dataclass(frozen=True, kw_only=True)
class HubSettings(Settings):
    network: str = setting(text, "The network's name, as people read it", default="Passerelle")
    silence_minutes: int = setting(
        number(0, 10_080),
        "After how many minutes without a word of a node e-mail says so, once; 0: never",
        default=60,
    )
