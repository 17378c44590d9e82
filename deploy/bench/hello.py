"""The least a Flask application can answer: the limit that the other figures are held against."""

from __future__ import annotations

import sys
from pathlib import Path

from flask import Flask


def make_app() -> Flask:
    app = Flask("hello")

    @app.get("/")
    def hello() -> dict[str, str]:
        return {"hello": "world"}

    return app


def main() -> None:
    """Serve it as our services are served: ``hello PORT WORKERS THREADS FOLDER``."""
    from shared.base.config import Settings  # noqa: PLC0415 - after the arguments
    from shared.ops.server import Server  # noqa: PLC0415

    port, workers, threads = (int(argument) for argument in sys.argv[1:4])
    settings = Settings(
        url=f"http://127.0.0.1:{port}",
        secret_key="-" * 32,
        data_dir=Path(sys.argv[4]),
        port=port,
        workers=workers,
        threads=threads,
    )
    Server(make_app, settings).run()


if __name__ == "__main__":
    main()
