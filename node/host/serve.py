"""One server for all operators' nodes."""

from __future__ import annotations

from node.host.dispatch import Dispatcher
from node.host.nodes import MakeApp, Nodes
from node.host.settings import HostSettings
from shared.ops.metrics_folder import MetricsFolder
from shared.ops.server import Server


def server(host: HostSettings, make_app: MakeApp, folder: MetricsFolder) -> Server:
    """Return the server: its processes share the nodes that were there when it started."""
    made: list[Nodes] = []

    def make() -> Dispatcher:
        nodes = Nodes(host, make_app)
        nodes.make_all()
        made[:] = [nodes]  # the last one: SIGHUP makes another
        return Dispatcher(nodes, host.trusted_proxies, host.status_name)

    def look_on() -> None:
        made[0].watch()

    return Server(
        make,
        listen=host.listen.split(","),
        workers=host.workers,
        threads=host.threads,
        log_level=host.log_level,
        in_worker=look_on,
        at_end=folder.remove,
    )
