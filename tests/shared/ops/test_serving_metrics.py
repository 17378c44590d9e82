"""``/metrics`` of a real server with two workers: nothing is lost, nothing goes back, none leak."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from federation.app import create_new
from federation.settings import HubSettings
from tests.databases import create_tables
from tests.e2e.processes import ROOT, free_port_base

pytestmark = pytest.mark.processes

TOKEN = "t" * 40
SECONDS = 120


@dataclass
class Serving:
    """``passerelle hub serve`` with two workers, a port for the measures and a token for them."""

    folder: Path
    environ: dict[str, str]
    url: str
    measures: str
    process: subprocess.Popen[bytes] | None = None
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.folder / "serve.log"

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "deploy.cli", "hub", "serve"],
                cwd=ROOT,
                env={**os.environ, **self.environ},
                stdout=log,
                stderr=log,
            )
        until(self.is_ready)

    def is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        try:
            return requests.get(f"{self.url}/healthz", timeout=5).status_code == 200
        except requests.ConnectionError:
            return False

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        if number != signal.SIGHUP:
            self.process.wait(30)

    def count(self, endpoint: str) -> float:
        return value(requests.get(self.measures, timeout=10).text, "requests_total", endpoint)

    def folders(self) -> list[Path]:
        return sorted((self.folder / "run").glob("metrics-*"))

    def workers(self) -> set[int]:
        assert self.process is not None
        name = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        return {int(number) for number in Path(name).read_text().split()}


def value(text: str, name: str, endpoint: str) -> float:
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == f"passerelle_{name}" and sample.labels.get("endpoint") == endpoint
    )


def until(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.05)


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    tmp_path = tmp_path_factory.mktemp("hub")
    base = free_port_base(2)
    environ = {
        "HUB_URL": f"http://127.0.0.1:{base}",
        "HUB_SECRET_KEY": "s" * 40,
        "HUB_DATA_DIR": str(tmp_path),
        "HUB_DEMO": "yes",
        "HUB_PORT": str(base),
        "HUB_WORKERS": "2",
        "HUB_METRICS_PORT": str(base + 1),
        "HUB_METRICS_TOKEN": TOKEN,
    }
    settings = HubSettings(
        url=environ["HUB_URL"], secret_key="s" * 40, data_dir=tmp_path, demo=True
    )
    app = create_new(settings)
    create_tables(app)
    with app.app_context():
        app.extensions["sqlalchemy"].engine.dispose()
    found = Serving(tmp_path, environ, environ["HUB_URL"], f"http://127.0.0.1:{base + 1}/metrics")
    found.start()
    try:
        yield found
    finally:
        if found.process is not None and found.process.poll() is None:
            found.signal(signal.SIGTERM)


def ask(url: str) -> int:
    return requests.get(url, timeout=10).status_code


def ask_often(serving: Serving) -> int:
    """Ask often enough that both workers answer; returns how often."""
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, [f"{serving.url}/healthz"] * 30)) == {200}
    return 30


def test_what_both_workers_answer_is_counted(serving: Serving) -> None:
    before = serving.count("healthz")
    asked = ask_often(serving)
    counted = {serving.count("healthz") for _ in range(8)}  # whichever worker tells it
    assert counted == {before + asked}


def test_every_line_of_the_server_is_json(serving: Serving) -> None:
    ask_often(serving)
    lines = [json.loads(line) for line in serving.log.read_text().splitlines()]
    assert {line["service"] for line in lines} == {"hub"}
    assert any(line.get("logger") == "gunicorn.error" for line in lines)
    assert all(line["request_id"] for line in lines if line["event"] == "request")


def test_what_the_jobs_process_does_is_told_by_the_server(serving: Serving) -> None:
    def told(name: str) -> float:
        text = requests.get(serving.measures, timeout=10).text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == f"passerelle_{name}"
        )

    assert told("jobs_leader") == 0
    log = serving.folder / "jobs.log"
    with log.open("wb") as file:
        jobs = subprocess.Popen(
            [sys.executable, "-m", "deploy.cli", "hub", "jobs"],
            cwd=ROOT,
            env={**os.environ, **serving.environ},
            stdout=file,
            stderr=file,
        )
    try:
        until(lambda: told("jobs_leader") == 1)
        assert told("job_interval_seconds") > 0
    finally:
        jobs.kill()
        jobs.wait(30)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line["service"] for line in lines} == {"hub"}


@pytest.mark.thorough
def test_counters_never_go_back_whatever_becomes_of_the_workers(serving: Serving) -> None:
    counted, before = serving.count("healthz"), serving.workers()
    counted += ask_often(serving)
    serving.signal(signal.SIGHUP)  # another set of workers goes on where they were
    until(lambda: len(serving.workers()) == 2 and not serving.workers() & before)
    counted += ask_often(serving)
    assert serving.count("healthz") >= counted
    killed = min(serving.workers())
    os.kill(killed, signal.SIGKILL)  # and so does one in place of a worker that is killed
    until(lambda: len(serving.workers()) == 2 and killed not in serving.workers())
    counted += ask_often(serving)
    seen = [serving.count("healthz") for _ in range(8)]
    assert seen == sorted(seen)
    assert seen[0] >= counted
    (folder,) = serving.folders()
    assert len(list(folder.glob("counter_*.db"))) <= 4, "a file for each worker there ever was"


@pytest.mark.thorough
def test_nothing_is_left_of_earlier_starts(serving: Serving) -> None:
    first = serving.folders()
    assert len(first) == 1
    serving.signal(signal.SIGTERM)
    assert serving.folders() == []
    serving.start()
    workers = serving.workers()
    serving.signal(signal.SIGKILL)
    for worker in workers:  # they would notice by themselves within half a minute
        os.kill(worker, signal.SIGKILL)
    killed = serving.folders()
    assert len(killed) == 1
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    serving.start()
    (left,) = serving.folders()
    assert left not in killed


def test_measures_are_told_on_their_own_port_or_to_who_has_the_token(serving: Serving) -> None:
    told = requests.get(serving.measures, timeout=10)
    assert told.status_code == 200
    assert 'passerelle_info{revision="' in told.text
    root = serving.measures.removesuffix("/metrics")
    for path in ("/", "/healthz", "/api/v1/spaces"):
        assert ask(root + path) == 404
    own = f"{serving.url}/metrics"
    port = root.rpartition(":")[2]
    for headers in (
        {},
        {"Host": f"127.0.0.1:{port}"},
        {"X-Forwarded-Host": f"127.0.0.1:{port}", "X-Forwarded-Port": port},
        {"Authorization": "Bearer " + "u" * 40},
        {"Authorization": f"Basic {TOKEN}"},
    ):
        answer = requests.get(own, headers=headers, timeout=10)
        assert answer.status_code == 401, headers
        assert "passerelle_requests" not in answer.text
    answer = requests.get(own, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10)
    assert answer.status_code == 200
    assert "passerelle_requests_total" in answer.text
