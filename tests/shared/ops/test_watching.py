"""What must not stay unseen: in the measures, as an alert, and on the page of whoever runs it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import delete, event, insert, update

from node.hub.models import Cached, Outbox
from shared.mail.queue import Mailbox
from shared.net.http import PeerError, Unreachable
from shared.ops import measures
from shared.ops.concerns import DAYS_AHEAD
from shared.ops.watch import Tally, Watch
from shared.store.db import begin_write, table_of, write
from tests.architecture.sources import ROOT
from tests.network import LocalService, Network
from tests.shared.browser import Browser, forget_attempts

FOLDER = ROOT / "deploy" / "watch"
NEEDS_PROMTOOL = pytest.mark.skipif(
    not shutil.which("promtool"), reason="promtool, of Debian's prometheus: .ci/prepare"
)
Usage = namedtuple("Usage", "total used free")
MUST_BE_SEEN = {
    "PasserelleJobsDead",
    "PasserelleLettersDead",
    "PasserelleCertificateEndsSoon",
    "PasserelleDiskNearlyFull",
}


@dataclass
class Watched:
    """A service, and what its rooms call themselves."""

    service: LocalService
    kind: str

    @property
    def watch(self) -> Watch:
        from federation.watch.service import watch as hub_watch
        from node.watch.service import watch as node_watch

        return hub_watch if self.kind == "hub" else node_watch

    @property
    def mailbox(self) -> Mailbox:
        from federation.mail.service import mailbox as hub_mailbox
        from node.mail.service import mailbox as node_mailbox

        return hub_mailbox if self.kind == "hub" else node_mailbox

    def session(self) -> Any:
        return self.service.app.extensions["sqlalchemy"].session()

    def page(self, language: str = "en") -> str:
        forget_attempts()
        email = "coord@hub.example" if self.kind == "hub" else f"admin@{_id(self.service)}.example"
        browser = Browser(self.service, language)
        assert browser.log_in(email).status_code == 302
        page = browser.get("/coordination" if self.kind == "hub" else "/console").text
        return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))

    def told(self) -> str:
        return measures.exposition(self.service.app)[0].decode()

    def see_certificate(self, days: float) -> None:
        class Peers:
            def certificate_end(self, _url: str, *, timeout: float) -> datetime:
                assert timeout <= 10
                return datetime.now(UTC) + timedelta(days=days, hours=1)

        with self.service.app.app_context():
            peers: Any = Peers()
            now = datetime.now(UTC)
            self.watch.observe_certificate(self.session(), now, peers, "https://a.example")

    def lose_letter(self) -> None:
        mail: Any = self.mailbox.mail
        with self.service.app.app_context(), write(self.session()) as connection:
            now = datetime.now(UTC)
            row = {"key": "lost", "to": "a@b.example", "subject": "s", "text": "t", "attempts": 9}
            times = {"next_attempt_at": now, "created_at": now}
            connection.execute(insert(table_of(mail)).values(state="dead", **row, **times))

    def make_well(self) -> None:
        mail: Any = self.mailbox.mail
        self.service.jobs_at_work()
        with self.service.app.app_context(), write(self.session()) as connection:
            connection.execute(delete(table_of(mail)))
            connection.execute(delete(table_of(self.watch.record)))
            seen = table_of(self.watch.observation)
            connection.execute(delete(seen).where(seen.c.name == "certificate"))


def _id(service: LocalService) -> str:
    return str(getattr(service, "id", ""))


@pytest.fixture(params=["hub", "node"])
def watched(
    request: pytest.FixtureRequest, lasting_network: Network, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Watched]:
    kind = request.param
    found = Watched(lasting_network.hub if kind == "hub" else lasting_network.nodes["cordee"], kind)
    found.make_well()
    has(monkeypatch, 50e9)
    yield found
    found.make_well()


def has(monkeypatch: pytest.MonkeyPatch, free: float, total: float = 100e9) -> None:
    """Let the disk have so much room."""
    usage = Usage(int(total), int(total - free), int(free))
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)


def value(told: str, name: str, **labels: str) -> float:
    found = [
        sample.value
        for family in text_string_to_metric_families(told)
        for sample in family.samples
        if sample.name == f"passerelle_{name}" and labels.items() <= sample.labels.items()
    ]
    assert len(found) == 1, (name, labels, found)
    return found[0]


MINUTES = 30
_COUNT = 'count(ALERTS{alertstate="firing",alertname="%s"}) or vector(0)'


def fired(told: str, folder: Path) -> set[str]:
    """Return which alerts half an hour of these measures would fire, by promtool itself."""
    now, at = time.time(), MINUTES * 60.0
    series = []
    for family in text_string_to_metric_families(told):
        for sample in family.samples:
            of_time = sample.name.endswith("_timestamp_seconds")
            number = sample.value - now + at if of_time else sample.value
            labels = ",".join(f"{name}={json.dumps(v)}" for name, v in sample.labels.items())
            name = f'{sample.name}{{{labels}{"," if labels else ""}instance="here"}}'
            series.append({"series": name, "values": f"{number:f}x{MINUTES + 1}"})
    alerts = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"][0]["rules"]
    queries = [
        {
            "expr": _COUNT % each["alert"],
            "eval_time": f"{MINUTES}m",
            "exp_samples": [{"labels": "{}", "value": -1}],  # never so: what it is, is said
        }
        for each in alerts
    ]
    test = {
        "rule_files": [str(FOLDER / "alerts.yml")],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": queries}],
    }
    file = folder / "test.yml"
    file.write_text(yaml.safe_dump(test))
    said = subprocess.run(
        ["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False
    )
    output = said.stdout + said.stderr
    got = re.findall(r'alertname=\\"(\w+)\\".*\n.*exp: .*\n.*got: \{\} (\S+)', output)
    assert len(got) == len(alerts), output
    return {name for name, count in got if float(count) > 0}


@NEEDS_PROMTOOL
def test_what_must_be_seen_fires_and_stands_on_the_page_and_else_nothing_does(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    watched.see_certificate(60)
    well = watched.told()
    assert fired(well, tmp_path) == set()
    page = watched.page()
    for words in ("not been at work", "certificate", "disk is nearly", "not sent", "has not come"):
        assert words not in page
    if watched.kind == "hub":
        assert "Nothing needs your attention." in page

    watched.service.jobs_at_work(timedelta(minutes=10))
    watched.lose_letter()
    watched.see_certificate(5)
    has(monkeypatch, 1e9)
    told = watched.told()
    assert fired(told, tmp_path) == MUST_BE_SEEN
    assert time.time() - value(told, "jobs_alive_timestamp_seconds") > 180
    assert value(told, "jobs_leader") == 0
    assert value(told, "letters", state="dead") == 1
    assert 4 < (value(told, "certificate_expiry_timestamp_seconds") - time.time()) / 86400 < 6
    assert value(told, "data_disk_free_bytes") == 1e9
    page = watched.page()
    assert "The jobs process has not been at work since" in page
    assert f"passerelle {watched.kind} jobs" in page
    assert "1 letter was not sent." in page
    assert "ends in 5 days" in page
    assert "The disk is nearly full: 1,000 MB are left" in page
    assert "Nothing needs your attention." not in page
    french = watched.page("fr")
    assert "Les tâches de fond ne tournent plus depuis le" in french
    assert "expire dans 5 jours" in french
    assert "Le disque est presque plein" in french
    assert "1 courriel n’est pas parti." in french
    assert "Rien ne demande votre attention" not in french


@pytest.mark.parametrize(
    ("free", "total", "full"),
    [(6e9, 1e12, False), (4.9e9, 1e12, True), (3e9, 20e9, False), (1.9e9, 20e9, True)],
)
@NEEDS_PROMTOOL
def test_page_and_alert_agree_on_what_a_full_disk_is(
    watched: Watched,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    free: float,
    total: float,
    full: bool,
) -> None:
    has(monkeypatch, free, total)
    assert ("PasserelleDiskNearlyFull" in fired(watched.told(), tmp_path)) == full
    assert ("disk is nearly full" in watched.page()) == full


def test_a_job_that_fails_or_hangs_is_named(watched: Watched, tmp_path: Path) -> None:
    tally, now = Tally(), datetime.now(UTC)
    tally.begin([("harvest", 60.0), ("mail", 5.0), ("tidy", 600.0)])
    with watched.service.app.app_context():
        session = watched.session()
        watched.watch.write_down(session, now - timedelta(hours=2), tally)
        for _ in range(3):
            tally.note("mail", 5.0, 0.5, now, "OperationalError")
            tally.note("tidy", 600.0, 0.25, now, None)
        watched.watch.write_down(session, now, tally)
    told = watched.told()
    assert value(told, "job_failures_total", task="mail") == 3
    assert value(told, "job_duration_seconds_count", task="mail") == 3
    assert value(told, "job_duration_seconds_sum", task="tidy") == 0.75
    assert abs(value(told, "job_last_success_timestamp_seconds", task="tidy") - time.time()) < 60
    assert value(told, "job_interval_seconds", task="harvest") == 60
    assert value(told, "jobs_leader") == 1
    page = watched.page()
    assert "The job “mail” has not come to its end since" in page
    assert "OperationalError" in page
    assert "The job “harvest” has not" in page
    assert "“tidy”" not in page
    if shutil.which("promtool"):
        assert fired(told, tmp_path) == {"PasserelleJobFailing"}
    with watched.service.app.app_context():  # a version without it knows nothing of it any more
        other = Tally()
        other.begin([("mail", 5.0)])
        watched.watch.write_down(watched.session(), now, other)
        assert [row.name for row in watched.watch.records(watched.session())] == ["mail"]


def test_what_could_not_be_written_down_is_counted_later(watched: Watched) -> None:
    tally, now = Tally(), datetime.now(UTC)
    tally.note("mail", 5.0, 1.0, now, None)
    with watched.service.app.app_context():
        session = watched.session()
        with pytest.raises(RuntimeError), write(session):
            watched.watch.write_down(session, now, tally)
        session.rollback()
        tally.note("mail", 5.0, 2.0, now, "ValueError")
        watched.watch.write_down(session, now, tally)
        (row,) = watched.watch.records(session)
        assert (row.runs, row.failures, row.seconds, row.fault) == (2, 1, 3.0, "ValueError")


@pytest.mark.parametrize(
    ("error", "valid"),
    [
        (Unreachable("unreachable", "SSLCertVerificationError"), 0.0),
        (Unreachable("unreachable", "ConnectTimeoutError"), 1.0),
        (PeerError("address-not-public"), 1.0),
    ],
)
def test_a_certificate_that_does_not_hold_is_told_from_nobody_who_answers(
    watched: Watched, error: PeerError, valid: float
) -> None:
    watched.see_certificate(60)

    class Peers:
        def certificate_end(self, _url: str, *, timeout: float) -> datetime:
            raise error

    with watched.service.app.app_context():
        peers: Any = Peers()
        session, now = watched.session(), datetime.now(UTC)
        watched.watch.observe_certificate(session, now, peers, "https://a.example")
    assert value(watched.told(), "certificate_valid") == valid
    assert ("does not hold" in watched.page()) == (not valid)


def test_a_certificate_that_has_ended_is_said_to(watched: Watched) -> None:
    watched.see_certificate(-2)
    assert "has ended: browsers and partners refuse it" in watched.page()
    watched.see_certificate(DAYS_AHEAD + 1)
    assert "certificate" not in watched.page()


def test_what_waits_for_the_hub_and_an_old_trust_list_are_seen(
    lasting_network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Watched(lasting_network.nodes["cordee"], "node")
    has(monkeypatch, 50e9)
    now = datetime.now(UTC)
    then = now - timedelta(hours=5)
    with node.service.app.app_context():
        session = node.session()
        begin_write(session)
        session.execute(update(Cached).where(Cached.name == "trust-list").values(fetched_at=then))
        for state in ("pending", "dead", "stuck"):
            row = {"topic": "t", "key": f"k-{state}", "subject": "s", "payload": {}, "state": state}
            times = {"created_at": then, "next_attempt_at": now + timedelta(hours=1)}
            session.execute(insert(Outbox).values(attempts=1, **row, **times))
        session.commit()
    try:
        told, page = node.told(), node.page()
    finally:
        with node.service.app.app_context():
            session = node.session()
            begin_write(session)
            session.execute(delete(Outbox).where(Outbox.key.startswith("k-")))
            kept = update(Cached).where(Cached.name == "trust-list")
            session.execute(kept.values(fetched_at=datetime.now(UTC)))
            session.commit()
    assert {s: value(told, "outbox_messages", state=s) for s in ("pending", "dead", "stuck")} == {
        "pending": 1,
        "dead": 1,
        "stuck": 1,
    }
    assert 17_900 < value(told, "outbox_oldest_age_seconds") < 18_600
    assert 17_900 < value(told, "trust_list_age_seconds") < 18_600
    assert value(told, "circuit_open", partner="hub") == 0
    assert "was last confirmed by the hub on" in page
    assert "1 message was refused by the hub for good." in page
    assert "1 message for the hub fails again and again." in page


def test_no_table_that_grows_is_read_whole(watched: Watched) -> None:
    """A hundred thousand rows are counted by an index: 18 ms of a processor for all of it."""
    asked: list[tuple[str, Any]] = []
    with watched.service.app.app_context():
        engine = watched.service.app.extensions["sqlalchemy"].engine
    if engine.dialect.name != "sqlite":
        return

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        asked.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    try:
        watched.told()
    finally:
        event.remove(engine, "before_cursor_execute", note)
    plans = []
    with engine.connect() as connection:
        for statement, parameters in asked:
            if statement.startswith("SELECT"):
                rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                plans += [row[-1] for row in rows]
    grows = re.compile("SCAN (outbox|mail|webhook_delivery)(?! USING (COVERING )?INDEX)")
    assert any("INDEX ix_mail_due" in plan for plan in plans)
    assert [plan for plan in plans if grows.match(plan)] == []


@NEEDS_PROMTOOL
def test_names_follow_the_conventions_and_rules_can_be_read(
    watched: Watched, tmp_path: Path
) -> None:
    told = "".join(
        line for line in watched.told().splitlines(keepends=True) if "passerelle" in line
    )
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=told, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    for name in ("alerts.yml", "prometheus.yml"):
        shutil.copy(FOLDER / name, tmp_path)
    (tmp_path / "passerelle.token").touch()
    subprocess.run(["promtool", "check", "config", str(tmp_path / "prometheus.yml")], check=True)


def test_rules_and_dashboard_ask_for_measures_that_there_are(lasting_network: Network) -> None:
    services = Watched(lasting_network.hub, "hub"), Watched(lasting_network.nodes["cordee"], "node")
    services[1].service.get("/healthz")
    tally = Tally()
    tally.note("mail", 5.0, 1.0, datetime.now(UTC), None)
    with services[1].service.app.app_context():
        services[1].watch.write_down(services[1].session(), datetime.now(UTC), tally)
    services[1].see_certificate(60)
    there = {
        sample.name
        for each in services
        for family in text_string_to_metric_families(each.told())
        for sample in family.samples
    }
    services[1].make_well()
    board = json.loads((FOLDER / "dashboard.json").read_text())
    rules = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"][0]["rules"]
    asked = [rule["expr"] for rule in rules]
    asked += [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    named = {name for expr in asked for name in re.findall(r"passerelle_\w+", expr)}
    assert len(named) > 15
    assert named - there == set()
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
