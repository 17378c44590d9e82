"""Log lines: JSON whoever says them, with the number of the request, the same wherever it leads."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from shared.ops.logs import configure_logging
from tests.architecture.sources import ROOT
from tests.network import Network

Said = pytest.CaptureFixture[str]


@pytest.fixture
def said(capsys: Said) -> Iterator[Said]:
    """What is written to standard error; logging is as it was afterwards."""
    before, root = structlog.get_config(), logging.getLogger()
    names = ("gunicorn.error",)
    kept = root.level, list(root.handlers)
    levels = {name: logging.getLogger(name).level for name in names}
    yield capsys
    structlog.configure(**before)
    structlog.contextvars.clear_contextvars()
    logging.captureWarnings(capture=False)
    root.setLevel(kept[0])
    root.handlers[:] = kept[1]
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def begin(level: str, service: str) -> None:
    configure_logging(level, service)
    logging.getLogger("gunicorn.error").setLevel(level)  # as gunicorn does
    structlog.configure(cache_logger_on_first_use=False)  # other tests have another stream


def lines(said: Said) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.readouterr().err.splitlines()]


def test_what_libraries_say_is_json_with_the_job_and_the_request(said: Said) -> None:
    begin("INFO", "node")
    structlog.contextvars.bind_contextvars(request_id="r-1", job="mail")
    logging.getLogger("apscheduler.scheduler").info("Running job")
    logging.getLogger("apscheduler.executors.default").warning("Run time was missed by %s", "2 s")
    logging.getLogger("gunicorn.error").info("Booting worker with pid: %s", 7)
    logging.getLogger("fontTools.subset").info("Glyphs subsetted")
    structlog.get_logger().bind().info("ours")
    found = lines(said)
    assert [line["event"] for line in found] == [
        "Run time was missed by 2 s",
        "Booting worker with pid: 7",
        "ours",
    ]
    for line in found:
        assert (line["service"], line["request_id"], line["job"]) == ("node", "r-1", "mail")
        assert {"level", "timestamp"} <= line.keys()
    assert [line.get("logger") for line in found][:2] == [
        "apscheduler.executors.default",
        "gunicorn.error",
    ]


def test_what_goes_wrong_is_one_line(said: Said) -> None:
    begin("INFO", "hub")
    try:
        int("two\nlines")
    except ValueError:
        logging.getLogger("gunicorn.error").exception("Error handling request")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", UserWarning, stacklevel=1)
    fault, warning = lines(said)
    assert "ValueError" in fault["exception"]
    assert "UserWarning: old" in warning["event"]


def test_every_thread_says_which_service_it_is_of(said: Said) -> None:
    begin("INFO", "hub")
    threads = [
        threading.Thread(target=lambda: structlog.get_logger().bind().info("ours")),
        threading.Thread(target=lambda: logging.getLogger("gunicorn.error").info("theirs")),
    ]
    for thread in threads:
        thread.start()
        thread.join()
    assert [line["service"] for line in lines(said)] == ["hub", "hub"]


@pytest.mark.parametrize(
    ("level", "seen"), [("INFO", ["healthz"]), ("DEBUG", ["static", "healthz"])]
)
def test_files_are_said_to_who_debugs_alone(
    lasting_network: Network, said: Said, level: str, seen: list[str]
) -> None:
    begin(level, "hub")
    client = lasting_network.hub.app.test_client()
    with client.get("/static/passerelle.css") as answer:
        assert answer.status_code == 200
    assert client.get("/healthz").status_code == 200
    found = [line for line in lines(said) if line["event"] == "request"]
    assert [line["endpoint"] for line in found] == seen


def test_a_scan_has_one_number_at_the_node_and_at_the_hub(
    lasting_network: Network, said: Said
) -> None:
    person = lasting_network.nodes["cordee"].add_person()
    shown = person.show()
    begin("INFO", "node")
    number = {"X-Request-ID": "scan-number-1"}
    answer = lasting_network.nodes["troquet"].scan(shown, **number)
    assert answer.status_code == 201, answer.text
    assert answer.headers["X-Request-ID"] == "scan-number-1"
    found = [line for line in lines(said) if line["event"] == "request"]
    of_scan = [line for line in found if line["request_id"] == "scan-number-1"]
    assert {line["service"] for line in of_scan} == {"node", "hub"}
    assert any("visit" in line["endpoint"] for line in of_scan if line["service"] == "hub")
    strangers = [line["endpoint"] for line in found if line not in of_scan]
    assert strangers == [], "asked for this scan without its number"


def test_what_is_said_between_requests_is_of_none(lasting_network: Network, said: Said) -> None:
    begin("INFO", "hub")
    lasting_network.hub.app.test_client().get("/healthz", headers={"X-Request-ID": "number-one"})
    logging.getLogger("gunicorn.error").info("Worker exiting")
    request, exiting = lines(said)
    assert request["request_id"] == "number-one"
    assert "request_id" not in exiting


@pytest.mark.parametrize(
    "module", ["federation.cli", "node.cli", "shared.ops.command", "deploy.cli"]
)
def test_nothing_counts_before_its_folder_is_there(module: str) -> None:
    code = f"import sys, {module}; sys.exit('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
