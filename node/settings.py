"""A node's settings: ``NODE_*`` variables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shared.base.config import Settings, setting, text, url

KEYS = "node-keys.json"  # in the data folder
MIGRATIONS = Path(__file__).parent / "migrations"


@dataclass(frozen=True, kw_only=True)
class NodeSettings(Settings):
    hub_url: str = setting(url, "Public address of the network's hub")
    name: str = setting(text, "The operator's name, as people read it")
