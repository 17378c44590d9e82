"""The hub's settings: ``HUB_*`` variables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shared.base.config import Settings, number, setting, text, yes_no
from shared.base.mail_server import is_address

KEYS = "hub-keys.json"  # in the data folder
MIGRATIONS = Path(__file__).parent / "migrations"


def address(value: str) -> str:
    if not is_address(value):
        raise ValueError("an address like contact@example.org is expected")
    return value


@dataclass(frozen=True, kw_only=True)
class HubSettings(Settings):
    network: str = setting(text, "The network's name, as people read it", default="Passerelle")
    contact: str = setting(
        address, "E-mail address of the coordination, shown to everybody; empty: none", default=""
    )
    require_two_factor: bool = setting(
        yes_no, "Everybody at the desk logs in in two steps, from the next log-in on", default=False
    )
    silence_minutes: int = setting(
        number(0, 10_080),
        "After how many minutes without a word of a node e-mail says so, once; 0: never",
        default=60,
    )
    public_per_minute: int = setting(
        number(0, 1_000_000),
        "Requests of open data in a minute for each address, ten times as many with a token, in "
        "each server process; 0: no limit",
        default=1200,
    )
