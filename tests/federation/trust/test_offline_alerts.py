"""E-mail about nodes that have gone silent, and that are back: once, and together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from federation.context import Hub
from federation.db import db as hub_db
from federation.mail.models import Mail
from federation.nodes import service as nodes
from federation.nodes.models import Invitation, Node
from federation.trust import offline_alerts
from federation.trust.offline_alerts import Watch
from shared.base.clock import Clock
from shared.base.mail_server import mail_server
from shared.store.db import begin_write
from tests.network import Network

MINUTE = timedelta(minutes=1)


def test_one_letter_waits_for_those_that_are_about_to_follow_but_not_for_ever() -> None:
    assert not offline_alerts.due([])
    assert not offline_alerts.due([MINUTE])
    assert offline_alerts.due([2 * MINUTE, 3 * MINUTE])
    assert not offline_alerts.due([5 * MINUTE, MINUTE])
    assert offline_alerts.due([16 * MINUTE, MINUTE])


class Story:
    """A hub with a mail server whose jobs look each minute, as time goes by."""

    def __init__(self, hub: Hub, folder: Path) -> None:
        settings = replace(
            hub.settings, smtp_url=mail_server(f"file://{folder}"), mail_from="hub@hub.example"
        )
        self.hub, self.watch, self.now = replace(hub, settings=settings), Watch(), hub.clock.now()

    def go_on(self, minutes: int, *heard: str) -> list[tuple[str, str]]:
        """Let time go by, the named nodes heard each minute; return whom what was written to."""
        session = hub_db.session()
        begin_write(session)
        session.execute(delete(Mail))
        session.commit()
        for _ in range(minutes):
            self.now += MINUTE
            for name in heard:
                nodes.seen(session, self.now, name)
            nodes.mark_silent(session, self.now, 5 * MINUTE, 60 * MINUTE)
            clock = Clock(still=self.now)
            settings = replace(self.hub.settings, clock=clock)
            offline_alerts.tell(session, replace(self.hub, settings=settings), self.watch)
        mails = session.scalars(select(Mail).order_by(Mail.id))
        return [(mail.to, mail.subject.partition(" / ")[2]) for mail in mails]


@pytest.fixture
def story(lasting_network: Network, tmp_path: Path) -> Iterator[Story]:
    with lasting_network.hub.app.app_context():
        found = Story(lasting_network.hub.app.extensions["hub"], tmp_path)
        start = found.now
        with _as_they_were(start):
            yield found


@contextmanager
def _as_they_were(at: datetime) -> Iterator[None]:
    session = hub_db.session()

    def put_back() -> None:
        begin_write(session)
        values = {"last_seen_at": at, "state": "connected", "silence_told_at": None}
        session.execute(update(Node).values(values))
        session.execute(update(Invitation).values(email=None))
        session.execute(delete(Mail))
        session.commit()

    put_back()
    yield
    put_back()


def test_a_silence_and_its_end_are_told_once_to_coordinators_and_to_the_nodes_own_people(
    story: Story,
) -> None:
    session = hub_db.session()
    begin_write(session)
    cordee = update(Invitation).where(Invitation.node_id == "cordee")
    session.execute(cordee.values(email="ada@cordee.example"))
    session.commit()
    assert story.go_on(61, "troquet", "filature") == []
    said = story.go_on(4, "troquet", "filature")
    assert [to for to, _ in said] == ["coord@hub.example", "ada@cordee.example"]
    assert said[0][1] == "cordee is silent"
    assert said[1][1].startswith("Your node cordee has not been heard of since 24")
    assert story.go_on(120, "troquet", "filature") == []
    assert story.go_on(5, "cordee", "troquet", "filature") == [
        ("coord@hub.example", "cordee is back")
    ]
    assert story.go_on(30, "cordee", "troquet", "filature") == []


def test_many_that_fall_silent_together_are_one_letter_and_their_people_are_left_alone(
    story: Story,
) -> None:
    session = hub_db.session()
    begin_write(session)
    session.execute(update(Invitation).values(email="somebody@cordee.example"))
    session.commit()
    story.go_on(1, "cordee")
    assert story.go_on(90) == [("coord@hub.example", "3 nodes are silent")]
    story.go_on(1, "cordee")
    assert story.go_on(9, "cordee", "troquet", "filature") == [
        ("coord@hub.example", "3 nodes are back")
    ]


def test_a_hub_that_was_away_itself_hears_the_nodes_first(story: Story) -> None:
    story.go_on(20, "cordee", "troquet", "filature")
    story.now += timedelta(hours=9)  # nobody was there to hear them
    assert story.go_on(1) == []
    assert story.go_on(30, "cordee", "troquet", "filature") == []
    story.watch = Watch()  # started anew, with what it last knew
    story.now += timedelta(hours=9)
    assert story.go_on(9) == []
    assert story.go_on(30, "cordee", "troquet", "filature") == []


def test_nothing_is_told_of_a_suspended_node_nor_where_the_setting_is_0(
    story: Story,
) -> None:
    session = hub_db.session()
    begin_write(session)
    session.execute(update(Node).where(Node.id == "cordee").values(state="suspended"))
    session.commit()
    assert story.go_on(90, "troquet", "filature") == []
    story.hub = replace(story.hub, settings=replace(story.hub.settings, silence_minutes=0))
    assert story.go_on(90) == []
