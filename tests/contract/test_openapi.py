"""What both services say of themselves, tried: whatever is sent, nothing breaks.

The OpenAPI documents are read by schemathesis, which makes requests that follow them and
requests that do not; by hand come the bodies that no document can describe.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup

from federation.db import db as hub_db
from federation.nodes.models import Node
from shared.store.db import begin_write
from shared.web.application import limiter
from shared.web.guards import guard_of
from tests.contract.speaking import access_token
from tests.network import LocalService, Network

CHECKS = [not_a_server_error]
EXAMPLES = 5


class Service:
    """A service with tokens of everybody who may call it, and ids of things that are there."""

    def __init__(self, local: LocalService, tokens: dict[str, str], ids: dict[str, str]) -> None:
        self.local, self.tokens, self.ids = local, tokens, ids
        self.schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", local.app)

    def operations(self) -> list[Any]:
        return [result.ok() for result in self.schema.get_all_operations()]

    def headers(self, method: str, path: str) -> dict[str, str]:
        """Return the headers by which the right person calls this operation."""
        routes = self.local.app.url_map.bind("localhost")
        endpoint, _ = routes.match(path, method=method.upper())
        roles = guard_of(self.local.app, endpoint) or frozenset()
        token = next((self.tokens[role] for role in sorted(roles) if role in self.tokens), None)
        return {"Authorization": f"Bearer {token}"} if token else {}

    def known(self, operation: Any) -> dict[str, str]:
        """Return values for the parameters of its path that lead to something."""
        return {name: value for name, value in self.ids.items() if f"{{{name}}}" in operation.path}


@pytest.fixture(scope="module")
def hub(lasting_network: Network) -> Service:
    cordee, troquet = (lasting_network.nodes[name] for name in ("cordee", "troquet"))
    visit = troquet.scan(cordee.add_person().show()).json()["visit"]["id"]
    tokens = {"coordinator": lasting_network.hub.token, "node": access_token(troquet)}
    ids = {
        "space_id": "troquet",
        "node_id": "filature",
        "version": "1",
        "visit_id": visit,
        "month": "2026-11",
        "pass_id": "a-pass-of-a-test",
    }
    return Service(lasting_network.hub, tokens, ids)


@pytest.fixture(scope="module")
def node(lasting_network: Network) -> Service:
    cordee, troquet = (lasting_network.nodes[name] for name in ("cordee", "troquet"))
    visit = troquet.scan(cordee.add_person().show()).json()["visit"]["id"]
    member = troquet.add_person().get_pass()
    tokens = {"desk": troquet.desk, "admin": troquet.admin, "member": member.token}
    ids = {"visit_id": visit, "pass_id": member.pass_id}
    return Service(troquet, tokens, ids)


@pytest.fixture
def service(request: pytest.FixtureRequest) -> Service:
    found: Service = request.getfixturevalue(request.param)
    return found


@pytest.fixture(autouse=True)
def _no_limits() -> Iterator[None]:
    limiter.enabled = False
    yield
    limiter.enabled = True


def _try(service: Service, operation: Any, mode: GenerationMode, **fixed: Any) -> None:
    path = operation.path.replace("{", "").replace("}", "")
    headers = service.headers(operation.method, path)

    @seed(20261124)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode, **fixed))
    def attempt(case: Case) -> None:
        response = case.call(headers=headers)
        case.validate_response(response, checks=CHECKS)

    attempt()


def _take_back(network: Network) -> None:
    """Undo what was said of the node: only a test can take back who has left for good."""
    with network.hub.app.app_context():
        begin_write(hub_db.session())
        hub_db.session().get_one(Node, "filature").state = "connected"
        hub_db.session().commit()


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("service", ["hub", "node"], indirect=True)
def test_whatever_is_sent_nothing_breaks(
    lasting_network: Network, service: Service, mode: GenerationMode
) -> None:
    failures = []
    for operation in service.operations():
        known = service.known(operation)
        for fixed in [{}, {"path_parameters": known}] if known else [{}]:
            try:
                _try(service, operation, mode, **fixed)
            except Unsatisfiable:
                continue  # there is nothing that could be wrong
            except (Exception, FailureGroup) as failure:  # noqa: BLE001 - all are to be seen
                failures.append(f"{operation.method} {operation.path}: {failure}")
        if operation.path.endswith("/state"):
            _take_back(lasting_network)
    assert not failures, "\n\n".join(failures)


# What is odd is refused before a database is asked, or by PostgreSQL, which takes less than SQLite.
ON_THE_STRICTER = pytest.mark.parametrize(
    "lasting_network", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)

NASTY: dict[str, bytes] = {
    "nothing": b"",
    "text": b"bonjour",
    "null": b"null",
    "number": b"5",
    "huge number": b"1" * 5000,
    "string": b'"text"',
    "list": b"[]",
    "list of objects": b'[{"a": 1}, {"b": 2}]',
    "empty object": b"{}",
    "half an object": b'{"a": ',
    "NaN": b'{"a": NaN, "b": Infinity}',
    "not UTF-8": b'{"a": "\xff\xfe\xfa"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"a": 1}',
    "zeros": b"\0" * 100,
    "deep list": b"[" * 100_000,
    "deep list that ends": b"[" * 900 + b"]" * 900,
    "deep object": b'{"a":' * 900 + b"1" + b"}" * 900,
    "deep object within": b'{"report":' + b"[" * 700 + b"]" * 700 + b"}",
    "many names": json.dumps({f"n{n}": n for n in range(5000)}).encode(),
    "the same name twice": b'{"reason": 1, "reason": "x"}',
    "two megabytes": b'{"a": "' + b"x" * (2 << 20) + b'"}',
}
OTHER_TYPES = ("text/plain", "application/json; charset=utf-7", "multipart/form-data", None)
VALUES: dict[str, Any] = {
    "NUL": "a\0b",
    "half a character": "\ud800",
    "huge number": 10**30,
    "minus": -(2**63) - 1,
    "fraction": 1e308,
    "list": ["a", ["b"]],
    "object": {"a": {"b": None}},
    "true": True,
    "null": None,
    "empty": "",
    "long": "x" * 200_000,
    "right to left": "\u202e" * 20,
    "markup": "<script>alert(1)</script>",
    "first day": "0001-01-01T00:00:00+14:00",
    "last day": "9999-12-31T23:59:59-14:00",
    "day": "9999-12-31",
    "token": "e30.e30.AAAA",
    "percent": "%s%00%(x)s{0}",
}
# A good body for each operation that takes one, to be spoilt in one field at a time.
BODIES: dict[str, dict[str, Any]] = {
    "/api/v1/enrolments": {
        "invitation": "inv_x",
        "url": "http://127.0.0.1:1",
        "jwk": {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43},
        "proof": "e30.e30.AAAA",
    },
    "/api/v1/publications": {"publication": "e30.e30.AAAA"},
    "/api/v1/availability": {
        "as_of": "2026-11-24T10:00:00+01:00",
        "ttl": 300,
        "spaces": [
            {
                "id": "troquet",
                "open": True,
                "paused": False,
                "guest_places": 5,
                "guest_places_free": 5,
            }
        ],
    },
    "/api/v1/invitations": {"operator": "Café de l’Été"},
    "/api/v1/nodes/me/keys": {
        "jwk": {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43},
        "proof": "e30.e30.AAAA",
    },
    "/api/v1/nodes/me/mark": {"mark": f"2.{'m' * 16}", "last": f"1.{'m' * 16}"},
    "/api/v1/nodes/me/url": {"url": "http://127.0.0.1:1", "proof": "e30.e30.AAAA"},
    "/api/v1/nodes/{node_id}/url": {"url": "http://127.0.0.1:1"},
    "/api/v1/nodes/{node_id}/state": {"state": "connected", "reason": "a test"},
    "/api/v1/nodes/me/reports/{report_id}/answer": {"answer": "corrected", "words": "a test"},
    "/api/v1/nodes/me/hidden/{space_id}/reply": {"words": "a test"},
    "/api/v1/nodes/me/replies/{month}": {"text": "a test"},
    "/api/v1/nodes/me/asked/{month}": {
        "hosts": {"troquet": {"kept": 1, "refused": 0, "unanswered": 0}}
    },
    "/api/v1/charters/{version}/signatures": {"jws": "e30.e30.AAAA"},
    "/api/v1/charters": {
        "sources": {"rules.toml": "x = 1", "fr.md": "# T", "en.md": "# T"},
        "argument": "a test",
    },
    "/api/v1/charters/{version}": {
        "sources": {"rules.toml": "x = 1", "fr.md": "# T", "en.md": "# T"},
        "argument": "a test",
    },
    "/api/v1/charters/{version}/votes": {"choice": "no", "reason": "a test"},
    "/api/v1/charters/{version}/simulation": {"rules": "x = 1"},
    "/api/v1/statements/{month}": {"state": "issued"},
    "/api/v1/disputes": {"month": "2026-11", "visit": "0" * 26, "reason": "a test"},
    "/api/v1/log-checks": {"month": "2026-11", "visits": 0, "sha256": "0" * 64},
    "/api/v1/disputes/{dispute_id}/decision": {"outcome": "rejected", "reason": "a test"},
    "/api/v1/nodes/me/leaving": {"last_day": "2028-06-01", "reason": "a test"},
    "/api/v1/visits": {"report": "e30.e30.AAAA"},
    "/api/v1/visits/preview": {"report": "e30.e30.AAAA"},
    "/api/v1/showings": {
        "showings": [
            {"showing": "0" * 64, "space": "troquet", "at": "2026-11-24T10:00:00+01:00"},
        ]
    },
    "/api/v1/visits/{visit_id}/check-out": {"at": "2026-11-24T10:00:00+01:00"},
    "/api/v1/visits/{visit_id}/held": {"counts": True, "reason": "a test"},
    "/api/v1/visits/{visit_id}/void": {"at": "2026-11-24T10:00:00+01:00", "reason": "a test"},
    "/api/v1/visits/{visit_id}/correction": {"member": "m" * 16, "reason": "a test"},
    "/api/v1/visits/{visit_id}/correction/answer": {"answer": "a test"},
    "/api/v1/me/bookings": {
        "space": "troquet",
        "starts_at": "2026-11-25T09:00:00+01:00",
        "ends_at": "2026-11-25T10:00:00+01:00",
        "wait": True,
        "confirm": False,
        "room": "Salle",
    },
    "/api/v1/bookings/{booking_id}": {"request": "e30.e30.AAAA"},
    "/api/v1/bookings/recall": {"request": "e30.e30.AAAA"},
    "/api/v1/trips/{booking_id}": {"word": "e30.e30.AAAA"},
    "/api/v1/cards/{pass_id}/showings": {"request": "e30.e30.AAAA"},
    "/api/v1/arrivals": {"space": "troquet", "pass": "e30.e30.AAAA~e30.e30.AAAA"},
    "/api/v1/passes/{pass_id}": {
        "member": "m" * 16,
        "member_since": "2026-01-05",
        "status": "valid",
        "changes": 1,
        "number": 1,
        "expires_at": "2026-12-24T10:00:00+01:00",
    },
    "/api/v1/rights": {
        "member": "m" * 16,
        "plan": "resident",
        "member_since": "2026-01-05",
        "space": "filature",
        "at": "2026-11-24T10:00:00+01:00",
    },
    "/api/v1/check-ins": {"space": "troquet", "pass": "e30.e30.AAAA~e30.e30.AAAA"},
    "/api/v1/check-ins/late": {
        "space": "troquet",
        "pass": "e30.e30.AAAA~e30.e30.AAAA",
        "at": datetime.now(UTC).isoformat(),
    },
    "/api/v1/check-ins/preview": {"space": "troquet", "pass": "e30.e30.AAAA~e30.e30.AAAA"},
    "/api/v1/check-ins/{visit_id}/void": {"reason": "a test"},
    "/api/v1/me/passes": {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43}},
    "/api/v1/me/codes": {"space": "troquet", "binding": "e30.e30.AAAA"},
    "/api/v1/codes": {"request": "e30.e30.AAAA"},
    "/api/v1/hub/notices": {"notice": "e30.e30.AAAA"},
    "/api/v1/enrolment/challenge": {"challenge": "e30.e30.AAAA"},
}


def _writing_routes(service: Service) -> list[tuple[str, str]]:
    """Return every method and address that takes a body, whether the document names it or not."""
    found = []
    for rule in service.local.app.url_map.iter_rules():
        path = rule.rule
        for name in rule.arguments:
            kind = "int:" if f"<int:{name}>" in path else ""
            path = path.replace(f"<{kind}{name}>", service.ids.get(name, "999999"))
        found += [(m, path) for m in (rule.methods or set()) & {"POST", "PUT", "PATCH"}]
    return sorted(found)


def _bodies() -> Iterator[tuple[str | None, str, bytes]]:
    """Yield a content type, a name and a body."""
    for name, body in NASTY.items():
        yield "application/json", name, body
    for content_type in (
        "text/plain",
        "application/json; charset=utf-7",
        "multipart/form-data",
        None,
    ):
        for name in ("nothing", "list", "deep object", "not UTF-8"):
            yield content_type, name, NASTY[name]


@pytest.mark.thorough
@ON_THE_STRICTER
@pytest.mark.parametrize("service", ["hub", "node"], indirect=True)
def test_no_body_whatever_breaks_a_route(lasting_network: Network, service: Service) -> None:
    routes = _writing_routes(service)
    assert len(routes) >= 12
    with requests.Session() as session:
        # Each route has a third of the bodies, and each body a third of the routes.
        for n, (method, path) in enumerate(routes):
            url, headers = service.local.url + path, service.headers(method, path)
            for content_type, name, body in list(_bodies())[n % 3 :: 3]:
                typed = {**headers, "Content-Type": content_type} if content_type else headers
                answer = session.request(method, url, data=body, headers=typed, timeout=90)
                assert answer.status_code < 500, (method, path, name, content_type, answer.text)
    _take_back(lasting_network)


@pytest.mark.thorough
@ON_THE_STRICTER
@pytest.mark.parametrize("service", ["hub", "node"], indirect=True)
def test_no_value_in_any_field_breaks_a_route(lasting_network: Network, service: Service) -> None:
    taking = [operation for operation in service.operations() if operation.body]
    assert {operation.path for operation in taking} <= set(BODIES)
    with requests.Session() as session:
        for operation in taking:
            method, path = operation.method.upper(), operation.path
            for name, value in service.ids.items():
                path = path.replace(f"{{{name}}}", value)
            headers = {**service.headers(method, path), "Content-Type": "application/json"}
            good = BODIES[operation.path]
            spoilt = [{**good, field: value} for field in good for value in VALUES.values()] + [
                {**good, "jwk": {**good["jwk"], field: value}}
                for field in good.get("jwk", ())
                for value in VALUES.values()
            ]
            for body in spoilt:
                answer = session.request(
                    method,
                    service.local.url + path,
                    data=json.dumps(body).encode(),
                    headers=headers,
                    timeout=30,
                )
                assert answer.status_code < 500, (method, path, body, answer.text)
    _take_back(lasting_network)


PAGES_THAT_ARE_ASKED = {
    "/",
    "/login",
    "/desk",
    "/spaces/{space_id}/here",
    "/pass/at/{space_id}",
    "/coordination/simulation",
}
QUERY_VALUES = [
    "",
    "0",
    "-1",
    "99999999999999999999999",
    "%00",
    "%ed%a0%80",
    "%ff",
    "%25_%5c",
    "x" * 3000,
    "nan,nan,nan,nan",
    "1e999,2,3,4",
    "0001-01-01T00:00:00%2B14:00",
    "9999-12-31T23:59:59-14:00",
    "0001-01-01T00:00:00%2B14:00/x",
    "2026-11-24T10:00:00%2B01:00/%00",
    "1&@=2",
]
PAGE_PARAMETERS = {"q", "space", "next", "lang"}


@pytest.mark.thorough
@pytest.mark.usefixtures("lasting_network")
@ON_THE_STRICTER
@pytest.mark.parametrize("service", ["hub", "node"], indirect=True)
def test_no_query_breaks_a_route(service: Service) -> None:
    named: dict[str, set[str]] = {}
    for operation in service.operations():
        if operation.method == "get":
            named[operation.path] = {parameter.name for parameter in operation.query}
    with requests.Session() as session:
        for rule in service.local.app.url_map.iter_rules():
            if "GET" not in (rule.methods or ()) or rule.rule.startswith("/static"):
                continue
            path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
            parameters = named.get(path, PAGE_PARAMETERS)
            # Most pages take a language alone: a few values do for these.
            few = path not in named and path not in PAGES_THAT_ARE_ASKED
            for name in rule.arguments:
                path = path.replace(f"{{{name}}}", service.ids.get(name, "1"))
            headers = service.headers("GET", path)
            for n, parameter in enumerate(sorted(parameters)):
                for value in QUERY_VALUES[n % 3 :: 6 if few else 3]:
                    query = f"{parameter}={value.replace('@', parameter)}"
                    answer = session.get(
                        f"{service.local.url}{path}?{query}",
                        headers=headers,
                        timeout=30,
                        allow_redirects=False,
                    )
                    assert answer.status_code < 500, (path, query, answer.text)


@pytest.mark.parametrize("service", ["hub", "node"], indirect=True)
@pytest.mark.usefixtures("lasting_network")
def test_the_documents_are_openapi_3_1_and_name_every_route_of_the_api(service: Service) -> None:
    document = service.local.get("/api/v1/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    named = {(path, method) for path, item in document["paths"].items() for method in item}
    for rule in service.local.app.url_map.iter_rules():
        if not rule.rule.startswith("/api/v1/") or rule.endpoint in (
            "api_page",
            "api-docs.openapi_json",
        ):
            continue
        path = rule.rule.replace("<", "{").replace(">", "}")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            assert (path, method.lower()) in named, rule.rule
    page = service.local.get("/api/v1/docs")
    assert (page.status_code, page.headers["Content-Type"].split(";")[0]) == (200, "text/html")
