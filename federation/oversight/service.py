"""Looking at hosts: who stands out in a month, and telling the coordinators of it.

Nothing here changes what counts: a coordinator decides about held visits, and about the lines of
a host that is suspended.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from sqlalchemy.orm import Session

from federation.context import Hub
from federation.mail.service import mailbox
from federation.nodes import notifications
from federation.nodes import service as directory
from federation.nodes.models import Node
from federation.oversight import comparing, labels, queries
from federation.oversight.comparing import Figures, Finding
from federation.statements.statement_lines import neighbour
from federation.visits import queries as visits
from shared.store.db import release, write
from shared.web.formats import local_day

PAGE = "/coordination/hosts"


@dataclass(frozen=True, slots=True)
class Host:
    """A host in a month: its figures, those of its three months before, what stands out."""

    node: Node
    here: Figures
    before: Figures | None
    findings: tuple[Finding, ...]


def hosts(session: Session, month: str) -> tuple[list[Host], Mapping[str, Fraction | None]]:
    """Return the hosts of a month, those out of line first, and the median of each measure."""
    here, before = queries.figures(session, month)
    found = comparing.findings(here, before)
    nodes = {node.id: node for node in directory.nodes(session)}
    shown = [
        Host(nodes[name], figures, before.get(name), tuple(found.get(name, ())))
        for name, figures in here.items()
    ]
    shown.sort(key=lambda host: (not host.findings, -host.here.visits, host.node.id))
    return shown, comparing.medians(here)


# Telling the coordinators


def tell(session: Session, hub: Hub) -> None:
    """Write of hosts that stand out, once for each and month; and of held visits that wait.

    Those of the month before are looked at too: what a door let in alone is told later.
    """
    if hub.settings.smtp_url is None:
        return
    today = local_day(hub.clock.now())
    for month in (neighbour(f"{today:%Y-%m}", -1), f"{today:%Y-%m}"):
        _tell_out_of_line(session, hub, month)
    _tell_held(session, hub, today)


def _tell_out_of_line(session: Session, hub: Hub, month: str) -> None:
    told = mailbox.keys(session, f"out-of-line:{month}:")
    found, _ = hosts(session, month)
    release(session)
    for host in found:
        key = f"out-of-line:{month}:{host.node.id}"
        if not host.findings or any(each.startswith(f"{key}:") for each in told):
            continue
        with write(session):
            notifications.write_to_coordinators(
                *(session, hub, key, "oversight/mail/out_of_line.txt"),
                name=host.node.name,
                month=month,
                findings=host.findings,
                sentence=labels.sentence,
                url=f"{hub.url}{PAGE}?month={month}",
            )


def _tell_held(session: Session, hub: Hub, today: date) -> None:
    """Write once a day at most, and only when another one waits than when it was last written."""
    latest = visits.visits(session, held=True, limit=1)
    waiting, told = queries.waiting(session), mailbox.keys(session, "held:")
    names = {node.id: node.name for node in directory.nodes(session)}
    release(session)
    if not latest or any({str(today), latest[0].id} & {*key.split(":")} for key in told):
        return
    key = f"held:{today}:{latest[0].id}"
    with write(session):
        notifications.write_to_coordinators(
            *(session, hub, key, "oversight/mail/held.txt"),
            waiting=[(names[host], count) for host, count in waiting],
            count=sum(count for _, count in waiting),
            url=f"{hub.url}{PAGE}/held",
        )
