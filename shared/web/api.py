"""The JSON interface: its blueprints, and the document that describes them."""

from __future__ import annotations

from threading import Lock
from typing import Any

import flask_smorest
from webargs.flaskparser import FlaskParser, abort

from shared.schemas import ProblemSchema


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

    def arguments(self, schema: Any, **kwargs: Any) -> Any:
        """Take the schema's one instance: given its class, it would be made at every request."""
        made = schema() if isinstance(schema, type) else schema
        return super().arguments(made, **kwargs)


class PasserelleApi(flask_smorest.Api):
    """Takes blueprints' routes at once, and reads what they say of themselves when it is asked for.

    Describing every route takes a fifth of an application's start, and few processes are asked.
    """

    ERROR_SCHEMA = ProblemSchema

    def __init__(self, app: Any) -> None:
        self._undescribed: list[Blueprint] = []
        self._describing = Lock()
        super().__init__(app)

    def register_blueprint(self, blp: Blueprint) -> None:
        self._app.extensions["flask-smorest"]["blp_name_to_api"][blp.name] = self
        self._app.register_blueprint(blp)
        self._undescribed.append(blp)

    def document(self) -> dict[str, Any]:
        """Return the OpenAPI document of all blueprints."""
        with self._describing:
            while self._undescribed:
                blp = self._undescribed.pop(0)
                blp.register_views_in_doc(
                    self, self._app, self.spec, name=blp.name, parameters=None
                )
                self.spec.tag({"name": blp.name, "description": blp.description})
            return dict(self.spec.to_dict())

    def _register_responses(self) -> None:
        """Describe errors as what they are: problem documents (RFC 9457)."""
        self.DEFAULT_RESPONSE_CONTENT_TYPE = "application/problem+json"
        super()._register_responses()
        del self.DEFAULT_RESPONSE_CONTENT_TYPE
