"""Blueprints of the JSON interface."""

from __future__ import annotations

from typing import Any

import flask_smorest
from webargs.flaskparser import FlaskParser, abort


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
