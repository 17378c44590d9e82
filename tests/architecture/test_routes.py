"""Every route and who may call it. A new route is added here too, knowingly."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from federation.context import hub as hub_context
from federation.nodes.access_tokens import access_token
from shared.web.guards import PUBLIC, SAFE_METHODS, guard_of
from shared.wire.problems import API_PREFIXES
from tests.databases import Databases
from tests.network import PASSWORD, new_network

HUB_ROUTES = """
GET    /                                              public
GET    /.well-known/jwks.json                         public
GET    /.well-known/oauth-authorization-server        public
GET    /account                                       admin coordinator desk member moderator reader
POST   /account                                       admin coordinator desk member moderator reader
POST   /account/log-ins/end                           admin coordinator desk member moderator reader
POST   /account/password                              admin coordinator desk member moderator reader
POST   /account/tokens/<int:token_id>/revoke          admin coordinator desk member moderator reader
POST   /account/two-factor                            admin coordinator desk member moderator reader
POST   /account/two-factor/codes                      admin coordinator desk member moderator reader
POST   /account/two-factor/first-code                 admin coordinator desk member moderator reader
POST   /account/two-factor/off                        admin coordinator desk member moderator reader
GET    /agenda                                        public
GET    /agenda.ics                                    public
GET    /api/docs                                      public
POST   /api/v1/availability                           node
GET    /api/v1/charters                               public
POST   /api/v1/charters                               node
GET    /api/v1/charters/<before>/diff/<after>         public
GET    /api/v1/charters/<version>                     node public
PUT    /api/v1/charters/<version>                     node
DELETE /api/v1/charters/<version>                     node
GET    /api/v1/charters/<version>/electorate          public
GET    /api/v1/charters/<version>/signatures          public
POST   /api/v1/charters/<version>/signatures          node
GET    /api/v1/charters/<version>/simulation          coordinator moderator node reader
POST   /api/v1/charters/<version>/simulation          coordinator moderator node reader
GET    /api/v1/charters/<version>/texts               public
GET    /api/v1/charters/<version>/votes               node public
POST   /api/v1/charters/<version>/votes               node
GET    /api/v1/disputes                               coordinator moderator node reader
POST   /api/v1/disputes                               node
POST   /api/v1/disputes/<dispute_id>/decision         coordinator node
GET    /api/v1/docs                                   public
POST   /api/v1/enrolments                             public
GET    /api/v1/events                                 public
POST   /api/v1/invitations                            coordinator
POST   /api/v1/log-checks                             node
GET    /api/v1/me/rights                              public
GET    /api/v1/nodes                                  coordinator moderator node reader
POST   /api/v1/nodes/<node_id>/invitation             coordinator
DELETE /api/v1/nodes/<node_id>/keys/<kid>             coordinator
PUT    /api/v1/nodes/<node_id>/state                  coordinator
PUT    /api/v1/nodes/<node_id>/url                    coordinator
DELETE /api/v1/nodes/<node_id>/url                    coordinator
PUT    /api/v1/nodes/me/asked/<month>                 node
POST   /api/v1/nodes/me/check                         node
GET    /api/v1/nodes/me/figures/<month>               node
PUT    /api/v1/nodes/me/hidden/<space_id>/reply       node
POST   /api/v1/nodes/me/keys                          node
DELETE /api/v1/nodes/me/keys/<kid>                    node
POST   /api/v1/nodes/me/leaving                       node
DELETE /api/v1/nodes/me/leaving                       node
POST   /api/v1/nodes/me/mark                          node
PUT    /api/v1/nodes/me/replies/<month>               node
DELETE /api/v1/nodes/me/replies/<month>               node
GET    /api/v1/nodes/me/reports                       node
PUT    /api/v1/nodes/me/reports/<report_id>/answer    node
PUT    /api/v1/nodes/me/url                           node
GET    /api/v1/openapi.json                           public
GET    /api/v1/passes                                 node
PUT    /api/v1/passes/<pass_id>                       node
POST   /api/v1/publications                           node
POST   /api/v1/rights                                 node
POST   /api/v1/showings                               node
GET    /api/v1/spaceapi                               public
GET    /api/v1/spaces                                 public
GET    /api/v1/spaces.csv                             public
GET    /api/v1/spaces.geojson                         public
GET    /api/v1/spaces/<space_id>                      public
GET    /api/v1/spaces/points                          public
GET    /api/v1/statements                             coordinator moderator node reader
GET    /api/v1/statements/<month>                     coordinator moderator node reader
PUT    /api/v1/statements/<month>                     coordinator
GET    /api/v1/statements/<month>/<node_id>           coordinator moderator node reader
GET    /api/v1/trust-list                             public
POST   /api/v1/visits                                 node
GET    /api/v1/visits                                 coordinator moderator node reader
POST   /api/v1/visits/<visit_id>/check-out            node
POST   /api/v1/visits/<visit_id>/correction           node
POST   /api/v1/visits/<visit_id>/correction/answer    node
POST   /api/v1/visits/<visit_id>/held                 coordinator
POST   /api/v1/visits/<visit_id>/void                 node
GET    /api/v1/visits/days                            node
POST   /api/v1/visits/preview                         node
GET    /cards                                         public
GET    /charter                                       public
GET    /charter/<before>/diff/<after>                 public
GET    /charter/<version>                             public
GET    /charter/<version>.pdf                         public
GET    /charter/<version>/texts/<int:number>          public
GET    /coordination                                  coordinator moderator reader
GET    /coordination/accounts                         coordinator
POST   /coordination/accounts                         coordinator
GET    /coordination/accounts/<int:account_id>        coordinator
POST   /coordination/accounts/<int:account_id>/link   coordinator
POST   /coordination/accounts/<int:account_id>/log-ins/end coordinator
POST   /coordination/accounts/<int:account_id>/roles  coordinator
POST   /coordination/accounts/<int:account_id>/state  coordinator
POST   /coordination/accounts/<int:account_id>/two-factor/reset coordinator
GET    /coordination/audit                            coordinator reader
GET    /coordination/audit.csv                        coordinator reader
GET    /coordination/audit.ndjson                     coordinator reader
POST   /coordination/disputes/<int:dispute_id>        coordinator
GET    /coordination/hosts                            coordinator moderator reader
POST   /coordination/hosts/<node_id>/hold             coordinator
POST   /coordination/hosts/disputes/<int:number>      coordinator
GET    /coordination/hosts/held                       coordinator moderator reader
POST   /coordination/hosts/held                       coordinator
GET    /coordination/join                             coordinator moderator reader
GET    /coordination/join/<int:request_id>            coordinator moderator reader
POST   /coordination/join/<int:request_id>            coordinator
POST   /coordination/join/<int:request_id>/check      coordinator
GET    /coordination/letters                          coordinator
POST   /coordination/letters/<int:letter_id>/again    coordinator
POST   /coordination/letters/again                    coordinator
GET    /coordination/listings                         coordinator moderator reader
GET    /coordination/listings/drafts/<draft_id>       coordinator moderator
POST   /coordination/listings/drafts/<draft_id>       coordinator moderator
POST   /coordination/listings/drafts/<draft_id>/import coordinator moderator
POST   /coordination/listings/drafts/<draft_id>/reconsider coordinator moderator
GET    /coordination/listings/drafts/<draft_id>/trial coordinator moderator
GET    /coordination/listings/new                     coordinator moderator
POST   /coordination/listings/new                     coordinator moderator
GET    /coordination/listings/sources/<int:source_id> coordinator moderator reader
POST   /coordination/listings/sources/<int:source_id> coordinator moderator
POST   /coordination/listings/sources/<int:source_id>/list coordinator moderator
GET    /coordination/listings/spaces/<space_id>       coordinator moderator
POST   /coordination/listings/spaces/<space_id>       coordinator moderator
POST   /coordination/listings/spaces/<space_id>/apart coordinator moderator
POST   /coordination/listings/spaces/<space_id>/became coordinator moderator
POST   /coordination/listings/spaces/<space_id>/invitation coordinator
POST   /coordination/listings/spaces/<space_id>/remove coordinator moderator
POST   /coordination/listings/spaces/<space_id>/restore coordinator moderator
GET    /coordination/moderation                       coordinator moderator reader
POST   /coordination/moderation/changes/seen          coordinator moderator
POST   /coordination/moderation/reports/<report_id>/close coordinator moderator
GET    /coordination/moderation/spaces/<space_id>     coordinator moderator reader
POST   /coordination/moderation/spaces/<space_id>/hide coordinator moderator
POST   /coordination/moderation/spaces/<space_id>/show coordinator moderator
GET    /coordination/nodes                            coordinator moderator reader
POST   /coordination/nodes                            coordinator
GET    /coordination/nodes/<node_id>                  coordinator moderator reader
POST   /coordination/nodes/<node_id>/invitation       coordinator
POST   /coordination/nodes/<node_id>/keep             coordinator
GET    /coordination/nodes/<node_id>/keys/<kid>       coordinator
POST   /coordination/nodes/<node_id>/keys/<kid>       coordinator
GET    /coordination/nodes/<node_id>/let-go           coordinator
POST   /coordination/nodes/<node_id>/let-go           coordinator
POST   /coordination/nodes/<node_id>/state            coordinator
GET    /coordination/nodes/<node_id>/suspension       coordinator
POST   /coordination/nodes/<node_id>/url              coordinator
POST   /coordination/nodes/<node_id>/url/refuse       coordinator
GET    /coordination/pictures                         coordinator moderator reader
GET    /coordination/pictures/<name>                  coordinator moderator reader
GET    /coordination/pictures/<name>.csv              coordinator moderator reader
GET    /coordination/pictures/<name>.svg              coordinator moderator reader
GET    /coordination/report/<int:year>                coordinator moderator reader
GET    /coordination/report/<int:year>.pdf            coordinator moderator reader
GET    /coordination/simulation                       coordinator moderator reader
GET    /coordination/simulation.csv                   coordinator moderator reader
GET    /coordination/simulation.ndjson                coordinator moderator reader
GET    /coordination/statements/<month>               coordinator moderator reader
POST   /coordination/statements/<month>/issue         coordinator
GET    /coordination/webhooks                         coordinator moderator reader
POST   /coordination/webhooks                         coordinator
GET    /coordination/webhooks/<int:webhook_id>        coordinator moderator reader
POST   /coordination/webhooks/<int:webhook_id>        coordinator
POST   /coordination/webhooks/<int:webhook_id>/deliveries/<int:delivery_id> coordinator
GET    /embed                                         public
GET    /embed/map                                     public
GET    /feeds/<feed>                                  public
GET    /forgot                                        public
POST   /forgot                                        public
GET    /healthz                                       public
GET    /join                                          public
POST   /join                                          public
GET    /login                                         public
POST   /login                                         public
GET    /login/code                                    public
POST   /login/code                                    public
GET    /login/two-factor                              public
POST   /login/two-factor                              public
POST   /logout                                        public
GET    /metrics                                       public
POST   /oauth/token                                   public
GET    /open-data                                     public
GET    /problems/<slug>                               public
GET    /readyz                                        public
GET    /source.tar.gz                                 public
GET    /spaces/<space_id>                             public
GET    /spaces/<space_id>/place.svg                   public
GET    /spaces/<space_id>/report                      public
POST   /spaces/<space_id>/report                      public
GET    /static/<path:filename>                        public
GET    /static/agenda/<path:filename>                 public
GET    /static/governance/<path:filename>             public
GET    /static/network/<path:filename>                public
GET    /static/pictures/<path:filename>               public
GET    /values                                        public
GET    /welcome/<token>                               public
POST   /welcome/<token>                               public
"""

NODE_ROUTES = """
GET    /                                              public
GET    /.well-known/jwks.json                         public
GET    /.well-known/passerelle                        public
GET    /.well-known/passerelle/availability           public
GET    /account                                       admin coordinator desk member moderator reader
POST   /account                                       admin coordinator desk member moderator reader
POST   /account/log-ins/end                           admin coordinator desk member moderator reader
POST   /account/password                              admin coordinator desk member moderator reader
POST   /account/tokens/<int:token_id>/revoke          admin coordinator desk member moderator reader
POST   /account/two-factor                            admin coordinator desk member moderator reader
POST   /account/two-factor/codes                      admin coordinator desk member moderator reader
POST   /account/two-factor/first-code                 admin coordinator desk member moderator reader
POST   /account/two-factor/off                        admin coordinator desk member moderator reader
GET    /api/docs                                      public
POST   /api/v1/arrivals                               public
GET    /api/v1/bookings                               desk
PUT    /api/v1/bookings/<booking_id>                  public
POST   /api/v1/bookings/recall                        public
POST   /api/v1/cards/<pass_id>/showings               public
POST   /api/v1/check-ins                              desk
POST   /api/v1/check-ins/<visit_id>/check-out         desk
POST   /api/v1/check-ins/<visit_id>/void              desk
POST   /api/v1/check-ins/late                         desk
POST   /api/v1/check-ins/preview                      desk
POST   /api/v1/codes                                  public
GET    /api/v1/desk-kit                               desk
GET    /api/v1/docs                                   public
POST   /api/v1/enrolment/challenge                    public
POST   /api/v1/hub/notices                            public
GET    /api/v1/me/bookings                            member
POST   /api/v1/me/bookings                            member
DELETE /api/v1/me/bookings/<booking_id>               member
POST   /api/v1/me/bookings/<booking_id>/confirm       member
POST   /api/v1/me/codes                               member
POST   /api/v1/me/passes                              member
GET    /api/v1/me/passes                              member
DELETE /api/v1/me/passes/<pass_id>                    admin member
GET    /api/v1/me/rights                              member
GET    /api/v1/openapi.json                           public
GET    /api/v1/presence                               desk
PUT    /api/v1/trips/<booking_id>                     public
GET    /bookings                                      member
GET    /bookings/<booking_id>                         member
GET    /bookings/<booking_id>.ics                     member
POST   /bookings/<booking_id>/cancel                  member
POST   /bookings/<booking_id>/confirm                 member
GET    /bookings/at/<space_id>                        member
POST   /bookings/at/<space_id>                        member
GET    /card/<pass_id>                                public
GET    /console                                       admin
GET    /console/bookings                              admin desk
POST   /console/bookings/<booking_id>/cancel          admin desk
POST   /console/bookings/closed/cancel                admin desk
POST   /console/bookings/homes/<home_id>/cancel       admin
GET    /console/charter                               admin
POST   /console/charter/<version>/sign                admin
GET    /console/charter/<version>/simulation          admin
POST   /console/charter/<version>/vote                admin
POST   /console/charter/<version>/withdraw            admin
GET    /console/charter/propose                       admin
POST   /console/charter/propose                       admin
GET    /console/export                                admin
GET    /console/export.zip                            admin
GET    /console/keys                                  admin
GET    /console/keys/<kid>                            admin
POST   /console/keys/<kid>                            admin
GET    /console/leave                                 admin
POST   /console/leave                                 admin
POST   /console/leave/withdraw                        admin
GET    /console/letters                               admin
POST   /console/letters/<int:letter_id>/again         admin
POST   /console/letters/again                         admin
GET    /console/members                               admin
GET    /console/members.csv                           admin
GET    /console/members/<int:member_id>               admin
POST   /console/members/<int:member_id>               admin
POST   /console/members/<int:member_id>/end           admin
POST   /console/members/<int:member_id>/invite        admin
POST   /console/members/<int:member_id>/passes/<pass_id>/revoke admin
POST   /console/members/<int:member_id>/resume        admin
POST   /console/members/<int:member_id>/roles         admin
POST   /console/members/<int:member_id>/suspend       admin
POST   /console/members/<int:member_id>/two-factor/reset admin
GET    /console/members/import                        admin
POST   /console/members/import                        admin
GET    /console/members/import/<file_id>              admin
POST   /console/members/import/<file_id>              admin
GET    /console/members/new                           admin
POST   /console/members/new                           admin
POST   /console/memory/read                           admin
GET    /console/new-space                             admin
POST   /console/new-space                             admin
GET    /console/plans                                 admin
POST   /console/plans                                 admin
GET    /console/plans/<int:plan_id>                   admin
POST   /console/plans/<int:plan_id>                   admin
POST   /console/plans/<int:plan_id>/remove            admin
GET    /console/reports                               admin
POST   /console/reports/<report_id>/answer            admin
POST   /console/reports/hidden/<space_id>/reply       admin
GET    /console/spaces/<space_id>                     admin
GET    /console/spaces/<space_id>/conditions          admin
POST   /console/spaces/<space_id>/conditions          admin
GET    /console/spaces/<space_id>/events              admin
POST   /console/spaces/<space_id>/events              admin
GET    /console/spaces/<space_id>/events/<event_id>   admin
POST   /console/spaces/<space_id>/events/<event_id>   admin
POST   /console/spaces/<space_id>/events/<event_id>/state admin
GET    /console/spaces/<space_id>/import/<what>       admin
POST   /console/spaces/<space_id>/import/<what>       admin
GET    /console/spaces/<space_id>/import/<what>/<file_id> admin
POST   /console/spaces/<space_id>/import/<what>/<file_id> admin
POST   /console/spaces/<space_id>/pause               admin
GET    /console/spaces/<space_id>/photos              admin
POST   /console/spaces/<space_id>/photos              admin
POST   /console/spaces/<space_id>/photos/<photo_id>   admin
POST   /console/spaces/<space_id>/photos/<photo_id>/place admin
POST   /console/spaces/<space_id>/photos/<photo_id>/remove admin
POST   /console/spaces/<space_id>/poster              admin
GET    /console/spaces/<space_id>/poster.pdf          admin desk
GET    /console/spaces/<space_id>/sheet/<section>     admin
POST   /console/spaces/<space_id>/sheet/<section>     admin
GET    /console/spaces/<space_id>/sources             admin
POST   /console/spaces/<space_id>/sources             admin
GET    /console/spaces/<space_id>/sources/<int:source_id> admin
POST   /console/spaces/<space_id>/sources/<int:source_id>/look admin
POST   /console/spaces/<space_id>/sources/<int:source_id>/remove admin
POST   /console/spaces/<space_id>/sources/<int:source_id>/state admin
POST   /console/spaces/<space_id>/sources/<int:source_id>/take admin
GET    /console/spaces/<space_id>/spaceapi            admin
POST   /console/spaces/<space_id>/spaceapi            admin
GET    /console/spaces/<space_id>/values              admin
POST   /console/spaces/<space_id>/values              admin
GET    /console/statements                            admin
GET    /console/statements/<month>                    admin
POST   /console/statements/<month>/check              admin
POST   /console/statements/<month>/disputes           admin
POST   /console/statements/<month>/disputes/<dispute_id>/withdraw admin
POST   /console/statements/<month>/reply              admin
GET    /console/statements/<month>/statement.<suffix> admin
GET    /console/sync                                  admin
POST   /console/sync/check                            admin
POST   /console/sync/messages/<int:message_id>/give-up admin
POST   /console/sync/messages/<int:message_id>/send   admin
POST   /console/sync/publish                          admin
GET    /desk                                          desk
POST   /desk                                          desk
POST   /desk/corrections/<visit_id>/answer            desk
POST   /desk/incidents                                desk
POST   /desk/members/<int:member_id>/check-in         desk
GET    /desk/offline                                  public
POST   /desk/pause                                    desk
POST   /desk/visits/<visit_id>/check-out              desk
POST   /desk/visits/<visit_id>/void                   desk
GET    /desk/worker.js                                public
GET    /forgot                                        public
POST   /forgot                                        public
GET    /healthz                                       public
GET    /login                                         public
POST   /login                                         public
GET    /login/code                                    public
POST   /login/code                                    public
GET    /login/two-factor                              public
POST   /login/two-factor                              public
POST   /logout                                        public
GET    /metrics                                       public
GET    /pass                                          member
POST   /pass/<pass_id>/revoke                         member
GET    /pass/at/<space_id>                            member
POST   /pass/card                                     member
GET    /pass/card.pdf                                 member
GET    /pass/manifest.webmanifest                     public
GET    /pass/offline                                  public
GET    /pass/visits                                   member
GET    /pass/visits.ics                               member
POST   /pass/visits/<visit_id>/correction             member
GET    /pass/visits/<visit_id>/receipt.pdf            member
GET    /pass/worker.js                                public
GET    /photos/<stem>.webp                            public
GET    /problems/<slug>                               public
GET    /readyz                                        public
GET    /source.tar.gz                                 public
GET    /spaces/<space_id>                             public
GET    /spaces/<space_id>/events.ics                  public
GET    /spaces/<space_id>/here                        public
GET    /spaces/<space_id>/spaceapi.json               public
GET    /static/<path:filename>                        public
GET    /static/desk/<path:filename>                   public
GET    /static/pass/<path:filename>                   public
GET    /static/sheet/<path:filename>                  public
GET    /static/sync/<path:filename>                   public
GET    /status-lists/1                                public
GET    /welcome/<token>                               public
POST   /welcome/<token>                               public
"""

EXPECTED = {"hub": HUB_ROUTES, "node": NODE_ROUTES}
# An address of its own: limits count requests by address, across all tests of a process.
CALLER = {"REMOTE_ADDR": "192.0.2.15"}
CHANGING = re.compile(
    r"(?:^|[_/-])(?:add|approve|book|cancel|check[-_](?:in|out)|close|create|delete|enrol|erase|"
    r"issue|invite|logout|log_out|publish|record|register|remove|revoke|save|set|sign|suspend|"
    r"update|void|vote|withdraw)(?:$|[_/-])"
)


@dataclass(frozen=True)
class Route:
    method: str
    path: str
    endpoint: str
    roles: frozenset[str] | None

    @property
    def is_api(self) -> bool:
        return self.path.startswith(API_PREFIXES)

    def address(self, values: Mapping[str, str]) -> str:
        """Return a path to call: with these values, or with ids of things that are not there."""

        def value(found: re.Match[str]) -> str:
            missing = "999999" if found["kind"] == "int" else "none-such"
            return values.get(found["name"], missing)

        return re.sub(r"<(?:(?P<kind>\w+):)?(?P<name>\w+)>", value, self.path)


def routes(app: Flask) -> Iterator[Route]:
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield Route(method, rule.rule, rule.endpoint, guard_of(app, rule.endpoint))


@dataclass
class Caller:
    """Somebody who calls: by a token, or with a browser that has logged in."""

    role: str
    client: FlaskClient
    headers: dict[str, str] = field(default_factory=dict)

    def call(
        self, route: Route, values: Mapping[str, str] | None = None, query: str = ""
    ) -> TestResponse:
        body: dict[str, Any] = {}
        if route.method not in SAFE_METHODS:
            body = {"json": {}} if route.is_api else {"data": {}}
        address = route.address(values or {})
        return self.client.open(
            address,
            method=route.method,
            query_string=query,
            headers=self.headers,
            environ_base=CALLER,
            buffered=True,
            **body,
        )


def _form_token(client: FlaskClient, page: str) -> dict[str, str]:
    answer = client.get(page, environ_base=CALLER)
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', answer.text)
    assert found, f"{page} has no form: {answer.status}"
    return {"X-CSRFToken": found[1]}


def _logged_in(app: Flask, role: str, email: str) -> Caller:
    client = app.test_client()
    headers = _form_token(client, "/login")
    form = {"email": email, "password": PASSWORD}
    answer = client.post("/login", data=form, headers=headers, environ_base=CALLER)
    assert answer.status_code == 302, answer.text
    return Caller(role, client, _form_token(client, "/account"))


@dataclass
class Service:
    """One of the two applications, and somebody of each role."""

    kind: str
    app: Flask
    by_token: list[Caller]
    emails: Mapping[str, str]

    @property
    def by_browser(self) -> list[Caller]:
        """Log in anew: who could end log-ins before may have done so."""
        return [_logged_in(self.app, role, email) for role, email in self.emails.items()]

    @property
    def nobody(self) -> list[Caller]:
        """Give those who have not said who they are, or say it wrongly."""
        browser = self.app.test_client()
        wrong = {"Authorization": "Bearer psr_" + "0" * 43}
        return [
            Caller("", browser, _form_token(browser, "/login")),
            Caller("", self.app.test_client(), wrong),
        ]


def _service(
    kind: str, app: Flask, tokens: Mapping[str, str], emails: Mapping[str, str]
) -> Service:
    by_token = [
        Caller(role, app.test_client(), {"Authorization": f"Bearer {token}"})
        for role, token in tokens.items()
    ]
    return Service(kind, app, by_token, emails)


@dataclass
class Walk:
    """A network with one visit in it, to walk through."""

    services: dict[str, Service]
    values: dict[str, str]


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    folder = tmp_path_factory.mktemp("walk")
    network = new_network(folder, Databases(folder, None))
    troquet, cordee = network.add_node("troquet"), network.add_node("cordee")
    member, visitor = troquet.add_person().get_pass(), cordee.add_person()
    answer = troquet.scan(visitor.show())
    assert answer.status_code == 201, answer.text
    with network.hub.app.app_context():
        node_token = access_token(hub_context().ring, hub_context().url, "troquet", "kid")
    staff = {role: network.add_staff(role) for role in ("moderator", "reader")}
    object.__setattr__(network.clock, "still", network.clock.real())  # however long the walk takes
    tokens = {"admin": troquet.admin, "desk": troquet.desk, "member": member.token}
    yield Walk(
        {
            "hub": _service(
                "hub",
                network.hub.app,
                {"coordinator": network.hub.token, "node": node_token, **staff},
                {
                    "coordinator": "coord@hub.example",
                    **{role: f"{role}@hub.example" for role in staff},
                },
            ),
            "node": _service(
                "node",
                troquet.app,
                tokens,
                {
                    "admin": "admin@troquet.example",
                    "desk": "desk@troquet.example",
                    "member": member.email,
                },
            ),
        },
        {
            "space_id": "troquet",
            "node_id": "troquet",
            "home_id": "cordee",
            "version": "1",
            "month": "2026-11",
            "visit_id": answer.json()["visit"]["id"],
            "pass_id": member.pass_id,
            "kid": troquet.app.extensions["node"].ring.kid,
            "slug": "validation",
            "what": "rooms",
            "filename": "passerelle.css",
        },
    )
    network.close()


@pytest.fixture(params=EXPECTED)
def service(request: pytest.FixtureRequest, walk: Walk) -> Service:
    return walk.services[request.param]


def _is_log_in(answer: TestResponse) -> bool:
    return answer.status_code == 302 and answer.headers["Location"].startswith("/login")


def test_the_routes_are_these(service: Service) -> None:
    found = [
        f"{route.method:7}{route.path:46} {' '.join(sorted(route.roles or ('NOBODY',)))}"
        for route in routes(service.app)
    ]
    expected = EXPECTED[service.kind].strip().splitlines()
    assert found == expected, "the table in this file should be:\n" + "\n".join(found)


def test_every_route_has_a_guard(service: Service) -> None:
    unguarded = [route.path for route in routes(service.app) if not route.roles]
    assert unguarded == []


def test_roles_are_those_that_somebody_can_have(service: Service) -> None:
    named = frozenset().union(*(route.roles or () for route in routes(service.app)))
    # The account pages are the same on both services.
    assert named <= {
        PUBLIC,
        "coordinator",
        "moderator",
        "reader",
        "node",
        "admin",
        "desk",
        "member",
    }


def test_who_is_not_known_is_sent_away_from_every_route(service: Service) -> None:
    wrong = []
    for caller in service.nobody:
        for route in routes(service.app):
            if PUBLIC in (route.roles or ()):
                continue
            answer = caller.call(route)
            page = route.method in SAFE_METHODS and not route.is_api
            if not (_is_log_in(answer) if page else answer.status_code == 401):
                wrong.append(f"{route.method} {route.path}: {answer.status}")
    assert wrong == []


@pytest.mark.parametrize("way", ["by_token", "by_browser"])
def test_every_route_is_closed_to_every_other_role(service: Service, walk: Walk, way: str) -> None:
    wrong = []
    for caller in getattr(service, way):
        for route in routes(service.app):
            roles = route.roles or frozenset()
            if PUBLIC in roles:
                continue
            # Only what is read is asked about something that is there.
            answer = caller.call(route, walk.values if route.method == "GET" else None)
            closed = answer.status_code == 403
            unknown = answer.status_code == 401 or _is_log_in(answer)
            ours = caller.role in roles
            if unknown or answer.status_code >= 500 or closed == ours:
                wrong.append(f"{caller.role} {route.method} {route.path}: {answer.status}")
    assert wrong == []


def test_a_browser_changes_nothing_without_the_pages_own_form(service: Service) -> None:
    wrong = []
    for caller in service.by_browser:
        other = Caller(caller.role, caller.client, {"X-CSRFToken": "of another session"})
        for headless in (Caller(caller.role, caller.client), other):
            for route in routes(service.app):
                if route.method in SAFE_METHODS:
                    continue
                answer = headless.call(route)
                if answer.status_code != 400:
                    wrong.append(f"{caller.role} {route.method} {route.path}: {answer.status}")
    assert wrong == []


def test_nothing_that_is_read_is_named_like_a_change(service: Service) -> None:
    wrong = [
        f"{route.method} {route.path} ({route.endpoint})"
        for route in routes(service.app)
        if route.method in SAFE_METHODS
        and (CHANGING.search(route.path) or CHANGING.search(route.endpoint.rpartition(".")[2]))
    ]
    assert wrong == []


def _rows(app: Flask) -> dict[str, list[str]]:
    """Return what the whole database says, but how often pages were seen: counted now and then."""
    database = app.extensions["sqlalchemy"]
    with app.app_context():
        rows = {
            table.name: sorted(str(tuple(row)) for row in database.session.execute(select(table)))
            for table in database.metadata.tables.values()
            if table.name != "page_view"
        }
        database.session.rollback()
        return rows


def test_reading_changes_nothing(service: Service, walk: Walk) -> None:
    for caller in service.by_token:
        caller.client.get("/account", headers=caller.headers)  # notes that the token is used
    before = _rows(service.app)
    wrong = []
    for caller in service.by_token:
        for route in routes(service.app):
            if route.method != "GET" or not {PUBLIC, caller.role} & (route.roles or set()):
                continue
            answer = caller.call(route, walk.values)
            after = _rows(service.app)
            if answer.status_code >= 500 or after != before:
                wrong.append(f"{caller.role} {route.path}: {answer.status}")
            before = after
    assert wrong == []


DAMAGED = ("x", "none-such", "-1", "%C3%A9", "%00", "2026-11", "a/b~c", "AAAAAAAA")


def test_no_program_is_answered_what_it_did_not_ask(service: Service, walk: Walk) -> None:
    """A parameter that a route does not know, or a cursor that no page gave, is named: 422."""
    document = service.app.test_client().get("/api/v1/openapi.json").json["paths"]
    wrong, cursors = [], set()
    for caller in service.by_token:
        for route in routes(service.app):
            roles = route.roles or frozenset()
            page = route.endpoint == "api_page"
            if route.method != "GET" or not route.is_api or not {PUBLIC, caller.role} & roles:
                continue
            queries = [("unknown", "x"), ("cursor_", ""), ("utm_source", "x")]
            described = document.get(re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route.path), {})
            asked = {each["name"] for each in described.get("get", {}).get("parameters", [])}
            if "cursor" in asked:
                cursors.add(route.path)
                queries += [("cursor", damaged) for damaged in DAMAGED]
            for name, value in queries:
                answer = caller.call(route, walk.values, f"{name}={value}")
                named = answer.status_code == 422 and name in answer.json["errors"]
                if page == named:
                    wrong.append(f"{caller.role} {route.path}?{name}={value}: {answer.status}")
    assert wrong == []
    assert bool(cursors) == (service.kind == "hub")
