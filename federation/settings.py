"""The hub's settings: ``HUB_*`` variables."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from shared.config import Settings, setting, text


@dataclass(frozen=True, kw_only=True)
class HubSettings(Settings):
    network: str = setting(text, "The network's name, as people read it", default="Passerelle")
    tiles_url: str = setting(
        text,
        "Tile server for the map, as https://…/{z}/{x}/{y}.png; empty: the outline alone",
        default="",
    )
    tiles_attribution: str = setting(text, "What the tile server asks to be shown", default="")

    @property
    def tiles_origin(self) -> str:
        parts = urlsplit(self.tiles_url)
        return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
