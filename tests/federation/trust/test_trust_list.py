"""The trust list is signed anew when something in it changes, and else stays the same bytes."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from federation import jobs
from federation.context import hub as hub_context
from federation.db import db as hub_db
from federation.nodes.models import Node, SignedTrustList, TrustChange
from federation.trust import notices as trust_notices
from federation.trust import trust_list
from node import jobs as node_jobs
from node.hub import callbacks
from node.hub import service as sync
from node.hub.models import Cached
from shared.base.memory import forget_all
from shared.store.db import begin_write
from shared.wire.problems import Problem
from tests.contract.speaking import claims_of
from tests.network import LocalNode, Network, at_once
from tests.node.hub.test_rotation import rotate

pytestmark = pytest.mark.both_databases

PATH = "/api/v1/trust-list"


@pytest.fixture
def troquet(network: Network) -> LocalNode:
    return network.nodes["troquet"]


def etag(network: Network) -> str:
    answer = network.hub.get(PATH)
    assert answer.status_code == 200
    return answer.headers["ETag"]


def entry(network: Network, node_id: str = "troquet") -> dict[str, Any]:
    nodes = claims_of(network.hub.get(PATH).text)["nodes"]
    found: dict[str, Any] = next(node for node in nodes if node["id"] == node_id)
    return found


def age(network: Network, **delta: float) -> None:
    """Let the stored list have been signed so long ago."""
    with network.hub.app.app_context():
        begin_write(hub_db.session())
        row = hub_db.session.get_one(SignedTrustList, 1)
        row.signed_at = hub_context().clock.real() - timedelta(**delta)
        hub_db.session.commit()


def is_whole(network: Network) -> bool:
    """Tell whether what is stored says what a list made now would say."""
    stored = claims_of(network.hub.get(PATH).text)
    with network.hub.app.app_context():
        made = claims_of(trust_list._make(hub_db.session(), hub_context()))
    times = ("iat", "exp")
    return {k: v for k, v in stored.items() if k not in times} == {
        k: v for k, v in made.items() if k not in times
    }


def test_the_same_bytes_are_served_until_something_changes(network: Network) -> None:
    first, second = network.hub.get(PATH), network.hub.get(PATH)
    assert first.content == second.content
    tag = first.headers["ETag"]
    assert tag == f'"{hashlib.sha256(first.content).hexdigest()}"', "strong, and of the bytes"
    for given in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        answer = network.hub.get(PATH, **{"If-None-Match": given})
        assert (answer.status_code, answer.content) == (304, b""), given
        assert answer.headers["ETag"] == tag
    assert network.hub.get(PATH, **{"If-None-Match": '"x"'}).content == first.content


def test_each_change_of_standing_keys_charter_plans_and_spaces_is_in_the_next_answer(
    network: Network, troquet: LocalNode
) -> None:
    seen = {etag(network)}

    def changed(what: str) -> None:
        tag = etag(network)
        assert tag not in seen, what
        assert is_whole(network), what
        assert etag(network) == tag, what
        seen.add(tag)

    network.set_state("troquet", "suspended")
    assert entry(network)["state"] == "suspended"
    changed("suspended")
    network.set_state("troquet", "connected")
    changed("taken back")
    rotate(troquet)
    changed("a key")
    newcomer = network.add_node("newcomer", signs=False)
    changed("enrolled, with a space")
    assert entry(network, "newcomer")["charter"] is None
    with newcomer.context() as (session, context):
        sync.sign_charter(session, context)
    changed("a signature")
    with newcomer.context() as (session, context):
        from node.leaving import service as leaving

        leaving.announce(session, context, context.clock.now().date() + timedelta(30), "We close")
        changed("notice")
        leaving.withdraw(session, context)
    assert "leaving_on" not in entry(network, "newcomer")
    assert is_whole(network)
    network.set_state("newcomer", "left")
    changed("left")


def test_what_is_not_in_the_list_does_not_make_it_be_signed_anew(
    network: Network, troquet: LocalNode
) -> None:
    before = etag(network)
    with troquet.context() as (session, context):
        from node.spaces import service as spaces

        spaces.publish_now(session, context)
    network.refresh()
    troquet.scan(network.nodes["cordee"].add_person().show())
    assert etag(network) == before
    assert is_whole(network)


def test_it_is_signed_anew_after_twelve_hours_and_with_a_new_key_or_address(
    network: Network,
) -> None:
    before = etag(network)
    age(network, hours=11, minutes=59)
    assert etag(network) == before
    age(network, hours=12)
    again = etag(network)
    claims = claims_of(network.hub.get(PATH).text)
    assert again == before or claims["iat"] > 0
    with network.hub.app.app_context():
        signed = hub_db.session.get_one(SignedTrustList, 1).signed_at
        assert hub_context().clock.real() - signed < timedelta(minutes=1)
        charter_hours = 72
        assert claims["exp"] - claims["iat"] == (charter_hours + 12) * 3600
        held = hub_context()
        settings = replace(held.settings, url="https://elsewhere.example")
        trust_list.current(hub_db.session(), replace(held, settings=settings))
        assert hub_db.session.get_one(SignedTrustList, 1).hub_url == "https://elsewhere.example"


def test_who_is_late_enters_it_at_most_once_a_minute(network: Network, troquet: LocalNode) -> None:
    before = etag(network)
    age(network, seconds=1)
    with network.hub.app.app_context():
        begin_write(hub_db.session())
        long_ago = hub_context().clock.now() - timedelta(minutes=10)
        hub_db.session.execute(
            update(Node).where(Node.id == "troquet").values(last_seen_at=long_ago)
        )
        hub_db.session.commit()
        jobs.mark_silent()
    assert etag(network) == before, "signed less than a minute ago"
    age(network, minutes=1)
    with network.hub.app.app_context():
        jobs.mark_silent()
        head = hub_db.session.get_one(SignedTrustList, 1).changed_at
    assert entry(network)["state"] == "late"
    with network.hub.app.app_context():
        assert hub_db.session.get_one(SignedTrustList, 1).changed_at == head, "no news for nodes"


def test_many_ask_and_change_at_once_and_nothing_is_missed(network: Network) -> None:
    etag(network)

    def suspend() -> None:
        network.set_state("troquet", "suspended")

    def ask() -> None:
        assert network.hub.get(PATH).status_code == 200

    at_once([suspend, ask, ask, ask, ask])
    assert entry(network)["state"] == "suspended"
    assert is_whole(network)
    with network.hub.app.app_context():
        assert hub_db.session.scalar(select(func.count()).select_from(TrustChange)) == 0


def fetched(node: LocalNode) -> Any:
    with node.context() as (session, _):
        return session.get_one(Cached, "trust-list").fetched_at


def test_a_node_that_hears_it_is_still_good_counts_from_then(
    network: Network, troquet: LocalNode
) -> None:
    troquet.learn()
    troquet.age("trust-list", hours=60)
    old = fetched(troquet)
    with troquet.calls() as asked, troquet.context() as (session, context):
        body = session.get_one(Cached, "trust-list").body
        sync.refresh(session, context)
        assert session.get_one(Cached, "trust-list").body == body
    assert asked == [f"{network.hub.url}{PATH}"]
    assert fetched(troquet) - old > timedelta(hours=59)
    with troquet.context() as (session, _):  # what cannot be read any more is fetched whole
        begin_write(session)
        kept = session.get_one(Cached, "trust-list")
        kept.body = "x.y.z"
        session.commit()
    forget_all(troquet.app)
    troquet.learn()
    with troquet.context() as (session, context):
        assert sync.network(session, context) is not None


def test_nodes_are_told_of_a_change_and_ask_at_once(network: Network, troquet: LocalNode) -> None:
    notices = trust_notices.Notices()

    def tell() -> int:
        with network.hub.app.app_context():
            return notices.tell(hub_db.session(), hub_context())

    assert tell() == 0, "what was before it started is known"
    network.refresh()
    network.set_state("cordee", "suspended")
    assert tell() == 1
    assert tell() == 0
    with troquet.app.app_context():
        node_jobs.learn_if_told()
    with troquet.context() as (session, context):
        known = sync.network(session, context)
        assert known is not None
        assert known.trust.nodes["cordee"]["state"] == "suspended"
    with troquet.calls() as asked, troquet.app.app_context():
        node_jobs.learn_if_told()
    assert asked == []
    network.nodes["troquet"].server.stop()
    network.set_state("cordee", "connected")
    assert tell() == 2, "one of them does not answer: it asks by itself"
    network.nodes["troquet"].server.start()


def test_a_notice_is_the_hubs_alone(network: Network, troquet: LocalNode) -> None:
    with network.hub.app.app_context():
        hub = hub_context()
    good = {"iss": hub.url, "exp": 9_999_999_999, "changed": "trust-list", "etag": "0" * 64}
    for claims, ring, typ in (
        ({**good, "iss": "https://x.example"}, hub.ring, trust_notices.NOTICE_TYP),
        ({**good, "exp": 1}, hub.ring, trust_notices.NOTICE_TYP),
        (good, hub.ring, "trust-list+jwt"),
        (good, network.nodes["cordee"].app.extensions["node"].ring, trust_notices.NOTICE_TYP),
    ):
        with troquet.context() as (session, context), pytest.raises(Problem):
            callbacks.hear_notice(session, context, ring.sign(claims, typ))
    notice = hub.ring.sign(good, trust_notices.NOTICE_TYP)
    assert troquet.post("/api/v1/hub/notices", {"notice": notice}).status_code == 204
    with troquet.context() as (session, context):
        assert callbacks.is_told(session, context)
        troquet.age(callbacks.TOLD, minutes=2)
        session.rollback()
        assert not callbacks.is_told(session, context)
