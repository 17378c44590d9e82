"""The hub's settings: ``HUB_*`` variables."""

from __future__ import annotations

from dataclasses import dataclass

from shared.config import Settings, number, setting, text


@dataclass(frozen=True, kw_only=True)
class HubSettings(Settings):
    network: str = setting(text, "The network's name, as people read it", default="Passerelle")
    public_per_minute: int = setting(
        number(0, 1_000_000),
        "Requests of open data in a minute for each address, ten times as many with a token, in "
        "each server process; 0: no limit",
        default=1200,
    )
