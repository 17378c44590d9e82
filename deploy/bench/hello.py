"""The least a Flask application can answer: the limit that the other figures are held against."""

from __future__ import annotations

import sys

from flask import Flask


def make_app() -> Flask:
    app = Flask("hello")

    @app.get("/")
    def hello() -> dict[str, str]:
        return {"hello": "world"}

    return app


def main() -> None:
    """Serve it as our services are served: ``hello PORT WORKERS THREADS``."""
    from shared.ops.server import Server  # noqa: PLC0415 - after the arguments

    port, workers, threads = (int(argument) for argument in sys.argv[1:4])
    Server(make_app, listen=[f"127.0.0.1:{port}"], workers=workers, threads=threads).run()


if __name__ == "__main__":
    main()
