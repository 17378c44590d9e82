"""The open data: read from anywhere, its licence stated, 304 when unchanged, and only so much."""

from __future__ import annotations

import base64
import html
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from federation import jobs
from federation.webhooks import signing
from node.spaces import service as spaces
from shared.web.limits import RateLimiter, install
from tests.network import Network

pytestmark = pytest.mark.parametrize("lasting_network", ["sqlite"], indirect=True)

EXAMPLE = re.compile(r'<pre class="example"[^>]*><code(?: id="([^"]+)")?>(.*?)</code></pre>', re.S)
# What each gives: a name that ages, or None where nothing does, as in a charter's text.
DATA = {
    "/api/v1/spaces": "as_of",
    "/api/v1/spaces.geojson": "as_of",
    "/api/v1/spaces.csv": "as_of",
    "/api/v1/spaces/troquet": "as_of",
    "/api/v1/spaceapi": None,
    "/feeds/spaces": None,
    "/feeds/availability": "as_of",
    "/feeds/events": None,
    "/api/v1/trust-list": None,
    "/api/v1/charters": None,
    "/api/v1/charters/current": None,
    "/api/v1/charters/1": None,
}


@pytest.fixture(autouse=True)
def _refreshed(lasting_network: Network) -> None:
    with lasting_network.hub.app.app_context():
        jobs.refresh_feeds()


@pytest.mark.parametrize("path", DATA)
def test_public_data_says_its_licence_and_age_and_may_be_read_from_anywhere(
    lasting_network: Network, path: str
) -> None:
    answer = lasting_network.hub.get(path)
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert 'rel="license"' in answer.headers["Link"]
    assert "Set-Cookie" not in answer.headers
    if DATA[path]:
        assert str(DATA[path]) in answer.text
    unchanged = {"If-None-Match": answer.headers["ETag"]}
    again = lasting_network.hub.get(path, None, **unchanged)
    if path != "/api/v1/trust-list":  # signed anew each time
        assert (again.status_code, again.content) == (304, b"")
        assert 'rel="license"' in again.headers["Link"]


@pytest.fixture(scope="module")
def page(lasting_network: Network) -> dict[str, str]:
    """The examples of the page, by id or place."""
    answer = lasting_network.hub.get("/open-data", **{"Accept-Language": "en"})
    assert answer.status_code == 200
    found = EXAMPLE.findall(answer.text)
    return {name or str(n): html.unescape(text) for n, (name, text) in enumerate(found)}


HELD = {  # by what the commands of the page ask for
    "/api/v1/spaces": '"licence":"Licence Ouverte 2.0"',
    "/api/v1/spaces.geojson": '"FeatureCollection"',
    "/api/v1/spaces.csv": "\ncordee,",
    "/api/v1/spaceapi": '"cordee":',
    "/feeds/availability": '"cordee"',
}


def test_every_command_on_the_page_works_as_it_is_pasted(
    lasting_network: Network, page: dict[str, str], tmp_path: Path
) -> None:
    commands = [text for text in page.values() if text.startswith("curl ")]
    assert len(commands) >= 7
    for command in commands:
        for _ in range(2):  # the second time unchanged, where that is asked for
            done = subprocess.run(
                ["/bin/sh", "-c", command.replace("curl -s", "curl -sf", 1)],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=True,
            )
        said = done.stdout or (tmp_path / "spaces.json").read_text()
        (path,) = re.findall(r"127\.0\.0\.1:[0-9]+([^'?]+)", command)
        assert HELD[path] in said, command


def test_the_page_s_programs_verify_what_a_webhook_is_sent(page: dict[str, str]) -> None:
    secret, body = signing.new_secret(), '{"type":"webhook.test","data":{"é":1}}'
    timestamp = int(time.time())
    signature = signing.sign(secret, "msg_1", timestamp, body)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(b'former').decode()} {signature}",
    }
    names: dict[str, Any] = {}
    exec(page["verify-python"], names)  # noqa: S102 - ours
    names["verify"](secret, headers, body.encode())
    for wrong in (
        {**headers, "webhook-id": "msg_2"},
        {**headers, "webhook-timestamp": str(timestamp - 400)},
        {**headers, "webhook-signature": ""},
    ):
        with pytest.raises(ValueError, match=r"wrong signature|too old"):
            names["verify"](secret, wrong, body.encode())
    given = {"SECRET": secret, "ID": "msg_1", "TIMESTAMP": str(timestamp), "BODY": body}
    done = subprocess.run(
        ["/bin/sh", "-c", page["verify-openssl"]],
        env={"PATH": "/usr/bin:/bin", **given},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"v1,{done.stdout.strip()}" == signature


@pytest.fixture
def readers(lasting_network: Network, monkeypatch: pytest.MonkeyPatch) -> RateLimiter:
    """A hub that gives each address three requests a minute."""
    app, found = lasting_network.hub.app, RateLimiter(3, clock=lambda: 100.0)
    for name in ("before_request_funcs", "after_request_funcs"):
        hooks = dict(getattr(app, name))
        hooks.pop("spaces", None)
        monkeypatch.setattr(app, name, hooks)
    from federation.app import _find_principal

    install(app, ("spaces",), found, _find_principal)
    return found


def test_too_many_requests_are_told_when_to_come_back(
    lasting_network: Network, readers: RateLimiter
) -> None:
    hub = lasting_network.hub
    first = hub.get("/api/v1/spaces")
    assert first.headers["RateLimit-Policy"] == '"reader";q=3;w=60'
    assert first.headers["RateLimit"] == '"reader";r=2;t=20'
    for _ in range(9):  # unchanged counts a tenth
        assert hub.get("/api/v1/spaces", **{"If-None-Match": first.headers["ETag"]}).ok
    assert hub.get("/api/v1/spaces.csv").headers["RateLimit"] == '"reader";r=0;t=20'
    assert hub.get("/api/v1/spaces.geojson").ok  # the last, begun
    refused = hub.get("/api/v1/spaces")
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "20"
    assert refused.headers["Access-Control-Allow-Origin"] == "*"
    assert refused.json()["type"].endswith("/problems/too-many-requests")
    people = hub.get("/api/v1/spaces", Accept="text/html", **{"Accept-Language": "fr"})
    assert people.status_code == 429
    assert "Trop de demandes" in people.text or "Trop de requêtes" in people.text
    assert hub.get("/api/v1/spaces", hub.token).headers["RateLimit-Policy"] == '"reader";q=30;w=60'
    wrong = hub.get("/api/v1/spaces", "psl_x")
    assert wrong.status_code == 429  # a token that is none is no token
    for path in ("/healthz", "/readyz", "/", "/api/v1/trust-list"):
        assert hub.get(path).ok, path


def test_the_shared_limit_is_generous_and_does_not_reach_nodes(lasting_network: Network) -> None:
    policy = lasting_network.hub.get("/feeds/spaces").headers["RateLimit-Policy"]
    assert policy == '"reader";q=1200;w=60'
    with lasting_network.nodes["troquet"].context() as (session, context):
        spaces.publish_now(session, context)


def test_another_sites_page_may_send_a_tag_and_a_token(lasting_network: Network) -> None:
    for path in ("/api/v1/spaces.geojson", "/feeds/spaces", "/api/v1/events"):
        asked = {"Origin": "https://map.example", "Access-Control-Request-Method": "GET"}
        answer = requests.options(lasting_network.hub.url + path, headers=asked, timeout=20)
        assert answer.headers["Access-Control-Allow-Origin"] == "*", path
        assert answer.headers["Access-Control-Allow-Headers"] == "Authorization, If-None-Match"
        assert "RateLimit" not in answer.headers, path
