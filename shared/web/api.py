"""The JSON interface: its blueprints, and the document that describes them."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

import flask_smorest
from flask import Flask, current_app, request
from marshmallow import ValidationError
from webargs.flaskparser import FlaskParser, abort

from shared.base.schemas import ProblemSchema
from shared.web.guards import SAFE_METHODS, View
from shared.wire.problems import wants_json

V = TypeVar("V", bound=Callable[..., Any])
_PARAMETERS = "passerelle_parameters"
_EVERYWHERE = frozenset({"lang"})  # in which language a problem is said


class _Parser(FlaskParser):
    def load_json(self, req: Any, schema: Any) -> Any:
        """Read a body.

        One that Python's reader gives up on (nested too deep, a number of thousands of
        digits) is no better than any other that is not JSON.
        """
        try:
            return super().load_json(req, schema)
        except (RecursionError, ValueError) as error:
            abort(400, exc=error, messages={"json": ["Invalid JSON body."]})


class Blueprint(flask_smorest.Blueprint):
    ARGUMENTS_PARSER = _Parser()

    if TYPE_CHECKING:  # the library does not say that its decorators keep a view's type

        def route(self, rule: str, **options: Any) -> Callable[[V], V]: ...
        def response(self, status_code: int, *args: Any, **kwargs: Any) -> Callable[[V], V]: ...
        def alt_response(self, status_code: int, *args: Any, **kwargs: Any) -> Callable[[V], V]: ...
        def doc(self, **kwargs: Any) -> Callable[[V], V]: ...
        def after_request(self, f: V) -> V: ...

    def arguments(self, schema: Any, **kwargs: Any) -> Callable[[V], V]:
        """Take the schema's one instance: given its class, it would be made at every request."""
        made = schema() if isinstance(schema, type) else schema
        take: Callable[[V], V] = super().arguments(made, **kwargs)
        if kwargs.get("location") != "query":
            return take
        names = frozenset(field.data_key or name for name, field in made.load_fields.items())

        def mark(view: V) -> V:
            taking = take(view)
            setattr(taking, _PARAMETERS, names)
            return taking

        return mark


def any_parameters(view: View) -> View:
    """Say that an address of the interface is a page for people: what it is not asked, it ignores.

    Whoever passes a link on may have added something to it.
    """
    setattr(view, _PARAMETERS, None)
    return view


def _refuse_unknown_parameters(app: Flask) -> None:
    """Refuse what an address of the interface does not know: ignored, it would mislead."""

    @app.before_request
    def _check() -> None:
        if request.endpoint is None or not wants_json():
            return
        view = current_app.view_functions[request.endpoint]
        none: frozenset[str] | None = frozenset() if request.method in SAFE_METHODS else None
        known = getattr(view, _PARAMETERS, none)
        if known is None:
            return
        if unknown := [name for name in request.args if name not in known | _EVERYWHERE]:
            raise ValidationError({name: ["Unknown field."] for name in unknown})


class PasserelleApi(flask_smorest.Api):
    """Takes blueprints' routes at once, and reads what they say of themselves when it is asked for.

    Describing every route takes a fifth of an application's start, and few processes are asked.
    """

    ERROR_SCHEMA = ProblemSchema

    def __init__(self, app: Any) -> None:
        self._undescribed: list[Blueprint] = []
        self._describing = Lock()
        super().__init__(app)
        _refuse_unknown_parameters(app)

    def register_blueprint(self, blp: Blueprint) -> None:
        self._app.extensions["flask-smorest"]["blp_name_to_api"][blp.name] = self
        self._app.register_blueprint(blp)
        self._undescribed.append(blp)

    def document(self) -> dict[str, Any]:
        """Return the OpenAPI document of all blueprints."""
        with self._describing:
            if self._undescribed and not self.spec.components.responses:
                self._describe_errors()
            while self._undescribed:
                blp = self._undescribed.pop(0)
                blp.register_views_in_doc(
                    self, self._app, self.spec, name=blp.name, parameters=None
                )
                self.spec.tag({"name": blp.name, "description": blp.description})
            return dict(self.spec.to_dict())

    def _register_responses(self) -> None:
        """Wait: one for each of HTTP's codes, at every start."""

    def _describe_errors(self) -> None:
        """Describe errors as what they are: problem documents (RFC 9457)."""
        self.DEFAULT_RESPONSE_CONTENT_TYPE = "application/problem+json"
        super()._register_responses()
        del self.DEFAULT_RESPONSE_CONTENT_TYPE
