"""The ``passerelle`` command. Each part is imported only when it is asked for."""

from __future__ import annotations

import importlib
from typing import Any

import click

from shared.base.version import VERSION

_PARTS = {
    "hub": ("federation.cli", "hub"),
    "node": ("node.cli", "node"),
    "host": ("node.host.cli", "host"),
    "demo": ("deploy.demo.command", "demo"),
}
# What comes from above hub and node, as it knows how the project is deployed.
_MORE = {
    "hub": ("deploy.setup.command", "hub_setup"),
    "node": ("deploy.setup.command", "node_setup"),
}


class LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_PARTS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _PARTS:
            return None
        found = _imported(*_PARTS[cmd_name])
        if cmd_name in _MORE and isinstance(found, click.Group):
            found.add_command(_imported(*_MORE[cmd_name]), "setup")
        return found


def _imported(module: str, name: str) -> click.Command:
    found: click.Command = getattr(importlib.import_module(module), name)
    return found


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION)
def main(**_kwargs: Any) -> None:
    """Passerelle: the open network of coworking spaces."""


if __name__ == "__main__":
    main()
