"""Making a service's Flask application out of its rooms."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
from flask import Flask, Response, abort, current_app, g, render_template, request, session
from flask.json.provider import DefaultJSONProvider
from flask_babel import Babel, get_locale
from flask_limiter import Limiter
from flask_wtf.csrf import CSRFProtect
from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import IntegerConverter

from charter.model import LANGUAGES
from shared.base.config import Settings
from shared.base.schemas import unstorable
from shared.store.revisions import Readiness
from shared.web import compression, formats, guards, health, source
from shared.web.api import PasserelleApi, any_parameters
from shared.web.guards import Principal, allow
from shared.web.limits import address_of
from shared.wire import problems

HERE = Path(__file__).parent
MAX_REQUEST_BYTES = 1 << 20
_API_DOCS = "api-docs.openapi_json"


@dataclass(frozen=True)
class Service:
    """What distinguishes one service from the other. ``name`` is shown in the header."""

    kind: str
    title: str
    name: Callable[[], str]
    nav: Callable[[Principal | None], Sequence[tuple[str, str]]]
    find_principal: guards.FindPrincipal
    ready: Callable[[], Readiness]


class _Id(IntegerConverter):
    """A number in an address: no greater than one that the databases can be asked for."""

    def __init__(self, url_map: Any, **options: Any) -> None:
        super().__init__(url_map, **{"max": 2**31 - 1, **options})


def _asker() -> str:
    """Return whose requests are counted: an address's, at this application and no other."""
    return f"{current_app.config['PUBLIC_URL']} {address_of(request.remote_addr)}"


limiter = Limiter(_asker, default_limits=[], storage_uri="memory://")
csrf = CSRFProtect()


class _Json(DefaultJSONProvider):
    """Writes answers in a third of the time that Python's own writer takes."""

    def response(self, *args: Any, **kwargs: Any) -> Any:
        document = self._prepare_response_obj(args, kwargs)
        try:
            body = orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)
        except TypeError:  # a whole number beyond 64 bits, which JSON allows
            return super().response(document)
        return Response(body, mimetype=self.mimetype)


class _Templates(BytecodeCache):
    """What templates were compiled to: once in a process, for all applications of one kind."""

    def __init__(self) -> None:
        self._compiled: dict[str, tuple[str, Any]] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        checksum, code = self._compiled.get(bucket.key, ("", None))
        if checksum == bucket.checksum:
            bucket.code = code

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._compiled[bucket.key] = (bucket.checksum, bucket.code)


_templates: defaultdict[str, _Templates] = defaultdict(_Templates)


class _Flask(Flask):
    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function: none here is a coroutine, and Flask would ask each at each call."""
        return func


def language() -> str:
    """Return ``fr`` or ``en``: what was chosen, else what the reader's software prefers."""
    for chosen in (request.args.get("lang"), session.get("lang")):
        if chosen in LANGUAGES:
            return str(chosen)
    return request.accept_languages.best_match(LANGUAGES) or "fr"


def new_app(import_name: str, settings: Settings, service: Service) -> tuple[Flask, PasserelleApi]:
    """Return an application with everything that both services share, and no room yet."""
    app = _Flask(import_name, template_folder=str(HERE / "templates"), static_folder=None)
    app.json = _Json(app)
    app.jinja_options = {**app.jinja_options, "bytecode_cache": _templates[import_name]}
    app.url_map.converters["int"] = _Id
    app.static_folder = str(HERE / "static")
    app.add_url_rule("/static/<path:filename>", endpoint="static", view_func=app.send_static_file)
    site = hashlib.sha256(settings.url.encode()).hexdigest()[:8]
    app.config.update(
        SECRET_KEY=settings.secret_key,
        PUBLIC_URL=settings.url,
        # Cookies ignore ports: two services on one machine need two names.
        SESSION_COOKIE_NAME=f"{'__Host-' if settings.secure else ''}passerelle-{site}",
        SESSION_COOKIE_SECURE=settings.secure,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=timedelta(days=30),
        MAX_CONTENT_LENGTH=MAX_REQUEST_BYTES,
        SEND_FILE_MAX_AGE_DEFAULT=timedelta(hours=1),
        WTF_CSRF_CHECK_DEFAULT=False,  # guards.install checks, for browsers alone
        WTF_CSRF_TIME_LIMIT=None,
        BABEL_DEFAULT_LOCALE="fr",
        BABEL_TRANSLATION_DIRECTORIES=str(HERE.parent / "translations"),
        API_TITLE=service.title,
        API_VERSION="v1",
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/api/v1",
        RATELIMIT_HEADERS_ENABLED=True,
    )
    app.extensions["settings"] = settings
    if settings.trusted_proxies:
        n = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=n, x_proto=n, x_host=n)  # type: ignore[method-assign]
    Babel(app, locale_selector=language)
    csrf.init_app(app)
    compression.install(app)  # first, so that it comes last to an answer
    health.install(app, service.kind, service.ready)
    _remember_language(app)
    _refuse_unstorable(app)
    _install_limits(app)
    # Views that have a limit check it themselves; the others need not be asked.
    app.before_request_funcs[None].remove(limiter._check_request_limit)  # noqa: SLF001
    guards.install(app, service.find_principal, csrf)
    api = PasserelleApi(app)
    _install_api_document(app, api)
    problems.register(app)
    formats.install(app)
    source.install(app)
    _install_context(app, service, source.url_of(settings))
    _install_headers(app, settings)
    _install_pages(app, api)
    return app, api


def _install_limits(app: Flask) -> None:
    """Count on where there are counts already: each ``init_app`` begins with none for all."""
    storage, strategy = limiter._storage, limiter._limiter  # noqa: SLF001
    limiter.init_app(app)
    if storage is not None:
        limiter._storage, limiter._limiter = storage, strategy  # noqa: SLF001


def _install_api_document(app: Flask, api: PasserelleApi) -> None:
    @allow("public")
    def openapi_json() -> Any:
        return app.json.response(api.document())

    app.view_functions[_API_DOCS] = openapi_json


def _remember_language(app: Flask) -> None:
    @app.before_request
    def _remember() -> None:
        if request.args.get("lang") in LANGUAGES and not problems.wants_json():
            session["lang"] = request.args["lang"]


def _refuse_unstorable(app: Flask) -> None:
    """Nothing has a name that cannot be stored; what forms hold is for ``forms.Form`` to say."""

    @app.before_request
    def _refuse() -> None:
        if any(unstorable(part) for part in (request.view_args or {}).values()):
            abort(404)


def _install_context(app: Flask, service: Service, source_url: str) -> None:
    @app.context_processor
    def _context() -> dict[str, Any]:
        principal: Principal | None = g.get("principal")
        me = None
        if principal is not None and principal.kind == "account":
            me = {"name": principal.name, "email": principal.email}
        path = request.path
        return {
            "site": {"name": service.name(), "kind": service.kind},
            "nav": [
                {"url": url, "label": label, "current": path == url}
                for url, label in service.nav(principal)
            ],
            "me": me,
            "lang": str(get_locale() or "fr"),
            "lang_urls": {code: _with_language(code) for code in LANGUAGES},
            "login_url": "/login",
            "logout_url": "/logout",
            "source_url": source_url,
        }


def _with_language(code: str) -> str:
    kept = [(k, v) for k, v in request.args.items(multi=True) if k != "lang"]
    from urllib.parse import urlencode  # noqa: PLC0415

    return f"{request.path}?{urlencode([*kept, ('lang', code)])}"


def policy(
    *,
    script: str = "'self'",
    images: str = "",
    connect: str = "'self'",
    ancestors: str = "'none'",
) -> str:
    """Return a Content-Security-Policy: everything from this site alone, but for what is said."""
    return (
        f"default-src 'self'; script-src {script}; img-src 'self' data:{images}; "
        f"connect-src {connect}; "
        f"object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors {ancestors}"
    )


# What a Content-Security-Policy can hold without meaning something else.
_ORIGIN = re.compile(r"(https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?)(?:/.*)?", re.ASCII)


def origin_of(url: str) -> str:
    """Return the origin of a peer's URL as a policy names it; empty if it is no plain one."""
    found = _ORIGIN.fullmatch(url)
    return found[1] if found else ""


def _install_headers(app: Flask, settings: Settings) -> None:
    usual = policy(images=f" {settings.tiles_origin}" if settings.tiles_origin else "")
    transport = f"max-age=31536000{'; includeSubDomains' if settings.hsts_subdomains else ''}"

    @app.after_request
    def _headers(response: Response) -> Response:
        headers = response.headers
        headers.setdefault("Content-Security-Policy", usual)
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "same-origin"
        headers["Permissions-Policy"] = "geolocation=(self), camera=(self), microphone=()"
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
        if settings.secure:
            headers["Strict-Transport-Security"] = transport
        if g.get("principal") is not None:
            headers.setdefault("Cache-Control", "no-store")
        if response.mimetype == "text/html":
            headers.add("Vary", "Accept-Language, Cookie")
        return response


def _install_pages(app: Flask, api: PasserelleApi) -> None:
    @app.get("/problems/<slug>")
    @allow("public")
    def problem_page(slug: str) -> str:
        kind = problems.KINDS.get(slug)
        if kind is None:
            abort(404)
        return render_template(
            "problem_types.html", slug=slug, title=kind.title, explanation="", remedy=kind.remedy
        )

    @app.get("/api/v1/docs")
    @app.get("/api/docs")
    @any_parameters
    @allow("public")
    def api_page() -> Response:
        page = render_template("apidoc.html", spec=api.document(), spec_url="/api/v1/openapi.json")
        return Response(page)
