"""Logging in and out, forms, personal tokens, and who may open which route."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from sqlalchemy import text, update

from federation.db import db as hub_db
from federation.identity.models import Account as HubAccount
from node.db import db as node_db
from node.identity.models import Account as NodeAccount
from shared.accounts.people import safe_next
from shared.store import account_tables
from shared.store.db import begin_write
from shared.web.guards import PUBLIC, guard_of
from tests.network import PASSWORD, LocalService, Network
from tests.shared.browser import Browser, Page, forget_attempts

MakeNetwork = Callable[..., Network]


@pytest.fixture(autouse=True)
def _fresh_limits() -> None:
    forget_attempts()


class Place:
    """One of the two services, with somebody who may log in there."""

    def __init__(self, service: LocalService, email: str, home: str, db: Any, account: Any) -> None:
        self.service, self.email, self.home = service, email, home
        self.db, self.account = db, account

    def browser(self) -> Browser:
        browser = Browser(self.service)
        assert browser.log_in(self.email).status_code == 302
        return browser

    def logged_in(self, browser: Browser) -> bool:
        return browser.get(self.home).status_code == 200

    @contextmanager
    def disabled(self) -> Iterator[None]:
        """Disable the account for a while."""
        try:
            self._disable(datetime.now(UTC))
            yield
        finally:
            self._disable(None)

    def _disable(self, at: datetime | None) -> None:
        with self.service.app.app_context():
            session = self.db.session()
            begin_write(session)
            query = update(self.account).where(self.account.email == self.email)
            session.execute(query.values(disabled_at=at))
            session.commit()


@pytest.fixture(params=["hub", "node"])
def place(request: pytest.FixtureRequest, lasting_network: Network) -> Place:
    if request.param == "hub":
        hub = lasting_network.hub
        return Place(hub, "coord@hub.example", "/coordination", hub_db, HubAccount)
    troquet = lasting_network.nodes["troquet"]
    return Place(troquet, "admin@troquet.example", "/console", node_db, NodeAccount)


# Logging in


def _said(answer: requests.Response) -> str:
    """Return a page without what changes at each request."""
    return re.sub(
        r'(name="csrf_token"[^>]*value=|name="email"[^>]*value=)"[^"]*"', r'\1""', answer.text
    )


def test_an_unknown_address_is_answered_like_a_wrong_password(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = []
    verify = account_tables._hasher.verify

    def counted(hashed: str, password: str) -> bool:
        checked.append(password)
        return verify(hashed, password)

    monkeypatch.setattr(
        account_tables, "_hasher", type("Hasher", (), {"verify": staticmethod(counted)})
    )
    browser = Browser(place.service)
    wrong = browser.log_in(place.email, "wrong password")
    unknown = browser.log_in("nobody@example.org", "wrong password")
    assert (wrong.status_code, unknown.status_code) == (422, 422)
    assert _said(wrong) == _said(unknown)
    assert len(checked) == 2  # and it took as long
    assert "do not go together" in wrong.text


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("", "x"),
        ("a@b.example", ""),
        ("a\0b@c.example", "x"),
        ("a@b.example", "x\0y"),
        ("x" * 300, "x"),
        ("a@b.example", "x" * 10_000),
        ("' OR 1=1 --", "x"),
        ("\u202ea@b.example", "🎉"),
    ],
    ids=range(8),
)
def test_nothing_typed_into_the_login_breaks_it(place: Place, email: str, password: str) -> None:
    answer = Browser(place.service).log_in(email, password)
    assert answer.status_code == 422
    assert 'class="field-error"' in answer.text


def test_an_address_is_the_same_in_capitals_and_with_spaces(place: Place) -> None:
    assert Browser(place.service).log_in(f"  {place.email.upper()} ").status_code == 302


def test_attempts_are_limited_in_a_minute(place: Place) -> None:
    browser = Browser(place.service)
    browser.get("/login")
    answers = [browser.post("/login", email=place.email, password="") for _ in range(31)]
    assert [answer.status_code for answer in answers[:30]] == [422] * 30
    assert answers[30].status_code == 429
    assert int(answers[30].headers["Retry-After"]) > 0


def test_logging_in_renews_the_session(place: Place) -> None:
    """A cookie that was planted before is worth nothing after."""
    browser = Browser(place.service)
    browser.get("/login")
    name, planted = browser.cookie()
    browser.log_in(place.email)
    assert browser.cookie()[1] != planted
    assert place.logged_in(browser)
    assert not place.logged_in(Browser(place.service).with_cookie(name, planted))


def test_logging_out_ends_the_session_on_the_server(place: Place) -> None:
    browser = place.browser()
    name, value = browser.cookie()
    assert place.logged_in(Browser(place.service).with_cookie(name, value))
    browser.get(place.home)
    assert browser.post("/logout").status_code == 302
    assert not place.logged_in(Browser(place.service).with_cookie(name, value))


def test_logging_out_in_one_browser_leaves_the_others(place: Place) -> None:
    one, other = place.browser(), place.browser()
    one.get(place.home)
    one.post("/logout")
    assert (place.logged_in(one), place.logged_in(other)) == (False, True)


def test_a_session_ends_after_twelve_hours(make_network: MakeNetwork) -> None:
    network = make_network()
    browser = Browser(network.hub)
    browser.log_in("coord@hub.example")
    network.pass_time(hours=11, minutes=59)
    assert browser.get("/coordination").status_code == 200
    network.pass_time(minutes=2)
    assert browser.get("/coordination").status_code == 302


def test_the_cookie_is_for_this_site_and_no_script(place: Place) -> None:
    answer = Browser(place.service).get("/login")
    cookie = answer.headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'self'")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    logged_in = place.browser().get(place.home)
    assert logged_in.headers["Cache-Control"] == "no-store"


def test_a_disabled_account_is_out_at_once(place: Place) -> None:
    browser = place.browser()
    with place.disabled():
        assert not place.logged_in(browser)
        assert Browser(place.service).log_in(place.email).status_code == 422
    assert place.logged_in(browser)


# Where a log-in leads


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example/",
        "https:evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/\n/evil.example",
        "\t//evil.example",
        " //evil.example",
        "/path\\..\\..",
        "evil.example",
        "",
        "/\0",
    ],
    ids=ascii,
)
def test_a_log_in_leads_nowhere_else(place: Place, target: str) -> None:
    browser = Browser(place.service)
    answer = browser.log_in(place.email, after="?" + urlencode({"next": target}))
    assert (answer.status_code, answer.headers["Location"]) in (
        (302, place.home),
        (302, "/%00"),  # a path of this site, where nothing is
    )
    assert safe_next(target) in (None, "/\0")


@pytest.mark.parametrize("end", ["%0d%0aX-A:b", "%0a", "%0d", "%00", "%c2%85", "%e2%80%a8"])
def test_what_no_header_can_hold_is_no_page_to_lead_to(place: Place, end: str) -> None:
    answer = Browser(place.service).log_in(place.email, after=f"?next=/ok{end}")
    assert (answer.status_code, answer.headers["Location"]) == (302, place.home)
    assert "X-A" not in answer.headers


def test_a_log_in_leads_back_to_the_page_that_asked_for_it(place: Place) -> None:
    browser = Browser(place.service)
    asked = browser.get(f"{place.home}?a=1&b=é")
    assert asked.status_code == 302
    login = asked.headers["Location"]
    assert login.startswith("/login?next=")
    answer = browser.log_in(place.email, after=login.removeprefix("/login"))
    assert browser.get(answer.headers["Location"]).status_code == 200
    assert answer.headers["Location"].startswith(f"{place.home}?a=1")


# Forms


def _writing_pages(service: LocalService) -> list[str]:
    found = []
    for rule in service.app.url_map.iter_rules():
        if "POST" in (rule.methods or ()) and not rule.rule.startswith(("/api/", "/oauth/")):
            path = rule.rule
            for name in rule.arguments:
                path = re.sub(rf"<(int:)?{name}>", "1", path)
            found.append(path)
    return sorted(found)


def test_a_form_without_its_token_is_refused(place: Place) -> None:
    browser = place.browser()
    paths = _writing_pages(place.service)
    assert len(paths) >= 4
    for path in paths:
        for token in (None, "", "guessed"):
            answer = browser.post(path, csrf_token=token)
            assert answer.status_code == 400, (path, token)
            assert "expired" in answer.text
    assert place.logged_in(browser)


def test_a_form_with_the_token_of_another_session_is_refused(place: Place) -> None:
    browser, other = place.browser(), place.browser()
    other.get("/account")
    for path in _writing_pages(place.service):
        assert browser.post(path, csrf_token=other.token).status_code == 400, path
    browser.get("/account")
    assert browser.post("/account", name="").status_code == 422  # its own is taken


def test_a_token_from_before_the_log_in_is_refused_after(place: Place) -> None:
    browser = Browser(place.service)
    browser.get("/login")
    before = browser.token
    browser.log_in(place.email)
    assert browser.post("/account", csrf_token=before, name="").status_code == 400


def test_a_cookie_alone_does_not_write_by_the_api(place: Place) -> None:
    browser = place.browser()
    for rule in place.service.app.url_map.iter_rules():
        methods = (rule.methods or set()) & {"POST", "PUT", "DELETE"}
        if not rule.rule.startswith("/api/") or not methods:
            continue
        path = re.sub(r"<[^>]+>", "1", rule.rule)
        answer = browser.session.request(methods.pop(), browser.url + path, json={}, timeout=20)
        assert answer.status_code == 400, path
        assert answer.json()["type"].endswith("/problems/form-expired")


def test_what_only_writes_cannot_be_asked_for_by_get(place: Place) -> None:
    browser = place.browser()
    rules = list(place.service.app.url_map.iter_rules())
    readable = {rule.rule for rule in rules if "GET" in (rule.methods or ())}
    only_written = {rule.rule for rule in rules} - readable
    assert len(only_written) >= 4
    for rule in only_written:
        answer = browser.get(re.sub(r"<[^>]+>", "1", rule))
        assert answer.status_code == 405, rule
        assert "GET" not in answer.headers["Allow"]


def test_a_link_does_not_do_what_a_form_does(place: Place) -> None:
    """A page that shows a form and takes it does nothing when the fields come in its address."""
    browser = Browser(place.service)
    browser.get("/login")
    fields = {"csrf_token": browser.token, "email": place.email, "password": PASSWORD}
    assert browser.get(f"/login?{urlencode(fields)}").status_code == 200
    assert not place.logged_in(browser)
    browser = place.browser()
    page = browser.get("/account")
    fields = {"csrf_token": browser.token, "name": "by a link", "scopes": _scope(page)}
    assert "psl_" not in browser.get(f"/account?{urlencode(fields)}").text
    assert ">by a link<" not in browser.get("/account").text


# Tokens


def _scope(page: requests.Response) -> str:
    """Return the first role that the form for a new token offers."""
    found = next(attrs for _, attrs in Page(page.text).elements if attrs.get("name") == "scopes")
    return found["value"] or ""


def _make_token(place: Place, browser: Browser, name: str = "a program") -> str:
    page = browser.get("/account")
    made = browser.post("/account", name=name, scopes=_scope(page), password=PASSWORD)
    found = re.search(r"<code>(psl_[\w-]+)</code>", made.text)
    assert found, made.text
    return found[1]


def _whoami(place: Place, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return requests.get(
        place.service.url + place.home, headers=headers, allow_redirects=False, timeout=20
    ).status_code


def test_a_token_is_shown_once_and_kept_as_a_hash(place: Place) -> None:
    browser = place.browser()
    token = _make_token(place, browser)
    assert token not in browser.get("/account").text
    with place.service.app.app_context():
        rows = place.db.session.execute(text("SELECT * FROM api_token")).all()
        assert token not in str(rows)
        assert account_tables.hash_token(token) in str(rows)
    assert _whoami(place, token) == 200


def test_a_revoked_token_is_dead_at_once_and_the_others_live(place: Place) -> None:
    browser = place.browser()
    kept, lost = _make_token(place, browser, "kept"), _make_token(place, browser, "lost")
    page = browser.get("/account").text
    (row,) = [part for part in page.split("<li>") if ">lost<" in part]
    path = re.search(r'action="(/account/tokens/\d+/revoke)"', row)
    assert path
    assert browser.post(path[1]).status_code == 302
    assert (_whoami(place, kept), _whoami(place, lost)) == (200, 302)
    assert ">lost<" not in browser.get("/account").text


def test_a_tokens_last_use_is_seen(place: Place) -> None:
    browser = place.browser()
    token = _make_token(place, browser, "used sometimes")

    def last_use() -> str:
        page = browser.get("/account").text
        (row,) = [part for part in page.split("<li>") if ">used sometimes<" in part]
        return row

    assert "never used" in last_use()
    _whoami(place, token)
    assert "2026" in last_use()


@pytest.mark.parametrize(
    "scopes", [["coordinator", "admin", "desk", "member", "node"], ["node"], []]
)
def test_a_token_can_do_no_more_than_its_owner(place: Place, scopes: list[str]) -> None:
    browser = place.browser()
    browser.get("/account")
    answer = browser.post("/account", {"name": "greedy", "scopes": scopes, "password": PASSWORD})
    assert answer.status_code == 422
    assert "psl_" not in answer.text


def test_a_token_has_its_scopes_alone(lasting_network: Network) -> None:
    troquet = lasting_network.nodes["troquet"]
    opens = {
        troquet.desk: ["/desk"],
        troquet.admin: ["/console"],
        troquet.add_person().token: ["/pass"],
    }
    for token, pages in opens.items():
        headers = {"Authorization": f"Bearer {token}"}
        for page in ("/desk", "/console", "/pass"):
            answer = requests.get(troquet.url + page, headers=headers, timeout=20)
            assert answer.status_code == (200 if page in pages else 403), (page, pages)


def test_nobody_revokes_the_token_of_another(lasting_network: Network) -> None:
    troquet = lasting_network.nodes["troquet"]
    admin, desk = Browser(troquet), Browser(troquet)
    admin.log_in("admin@troquet.example")
    desk.log_in("desk@troquet.example")
    desk.get("/account")
    assert desk.post("/account", name="mine", scopes="desk", password=PASSWORD).status_code == 200
    path = re.findall(r'action="(/account/tokens/\d+/revoke)"', desk.get("/account").text)[-1]
    admin.get("/account")
    assert admin.post(path).status_code == 404
    assert path in desk.get("/account").text


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer psl_",
        "Bearer \x01",
        "bearer é",
        "Basic YTpi",
        "psl_x",
        "Bearer a b c",
    ],
    ids=ascii,
)
def test_what_is_no_token_is_nobody(place: Place, header: str) -> None:
    for path in (place.home, "/api/v1/nodes", "/api/v1/presence"):
        answer = requests.get(
            place.service.url + path,
            headers={"Authorization": header.encode()},
            allow_redirects=False,
            timeout=20,
        )
        assert answer.status_code in (302, 401, 404), path


# Roles


def _tokens(network: Network, service: LocalService) -> dict[str, str]:
    if service is network.hub:
        return {"coordinator": network.hub.token}
    troquet = network.nodes["troquet"]
    return {"desk": troquet.desk, "admin": troquet.admin, "member": troquet.add_person().token}


def test_every_route_names_who_may_call_it_and_refuses_the_others(
    place: Place, lasting_network: Network
) -> None:
    tokens: dict[str, str | None] = {**_tokens(lasting_network, place.service), "nobody": None}
    app = place.service.app
    for rule in app.url_map.iter_rules():
        roles = guard_of(app, rule.endpoint)
        assert roles, f"{rule.rule} has no guard"
        if PUBLIC in roles:
            continue
        path = re.sub(r"<[^>]+>", "1", rule.rule)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            for role, token in tokens.items():
                if role in roles:
                    continue
                headers = {"Authorization": f"Bearer {token}"} if token else {}
                answer = requests.request(
                    method,
                    place.service.url + path,
                    headers=headers,
                    allow_redirects=False,
                    timeout=20,
                )
                expected = {403} if token else {400, 401, 302}
                assert answer.status_code in expected, (method, path, role, answer.status_code)
