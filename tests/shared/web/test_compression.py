"""What is public is sent in fewer bytes; what stands beside a secret is not."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from flask import Flask, g

from shared.web import compression
from shared.web.compression import compressible, install
from shared.web.open_data import open_data

TEXT = "Un lieu pour travailler. " * 100


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    (tmp_path / "look.css").write_text(TEXT)
    (tmp_path / "small.css").write_text("a{}")
    (tmp_path / "photo.png").write_bytes(b"\x89PNG" * 1000)
    app = Flask(__name__, static_folder=str(tmp_path), static_url_path="/static")
    install(app)
    app.add_url_rule("/page", "page", lambda: compressible(app.make_response(TEXT)))
    app.add_url_rule("/other", "other", lambda: TEXT)
    app.add_url_rule("/data", "data", lambda: open_data(TEXT.encode(), "application/json"))

    @app.get("/mine")
    def mine() -> object:
        g.principal = object()
        return compressible(app.make_response(TEXT))

    return app


@pytest.mark.parametrize("path", ["/static/look.css", "/page", "/data"])
def test_public_texts_are_short_for_those_who_take_it(app: Flask, path: str) -> None:
    client = app.test_client()
    for _ in range(2):  # made, and kept
        with client.get(path, headers={"Accept-Encoding": "br, gzip"}) as answer:
            assert answer.headers["Content-Encoding"] == "gzip"
            assert gzip.decompress(answer.data).decode() == TEXT
            assert int(answer.headers["Content-Length"]) == len(answer.data) < len(TEXT) / 5
    for refused in ("identity", "br", "gzip;q=0"):
        with client.get(path, headers={"Accept-Encoding": refused}) as plain:
            assert plain.data.decode() == TEXT
            assert "Accept-Encoding" in plain.headers["Vary"]


@pytest.mark.parametrize("path", ["/other", "/mine", "/static/small.css", "/static/photo.png"])
def test_what_is_private_small_or_short_already_is_sent_as_it_is(app: Flask, path: str) -> None:
    with app.test_client().get(path, headers={"Accept-Encoding": "gzip"}) as answer:
        assert answer.status_code == 200
        assert "Content-Encoding" not in answer.headers


@pytest.mark.parametrize("path", ["/static/look.css", "/data"])
def test_what_was_read_compressed_is_known_to_be_unchanged(app: Flask, path: str) -> None:
    client, headers = app.test_client(), {"Accept-Encoding": "gzip"}
    with client.get(path, headers=headers) as first:
        etag = first.headers["ETag"]
    assert etag.startswith("W/")
    with client.get(path, headers={**headers, "If-None-Match": etag}) as again:
        assert again.status_code == 304
        assert again.data == b""
        assert "Accept-Encoding" in again.headers["Vary"]


def test_a_changed_file_is_not_sent_as_it_was(app: Flask) -> None:
    client, headers = app.test_client(), {"Accept-Encoding": "gzip"}
    client.get("/static/look.css", headers=headers).close()
    assert app.static_folder
    Path(app.static_folder, "look.css").write_text(TEXT * 2)
    with client.get("/static/look.css", headers=headers) as answer:
        assert gzip.decompress(answer.data).decode() == TEXT * 2


def test_what_is_kept_stays_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "KEPT_BYTES", 1000)
    kept = compression._Kept()
    for n in range(20):
        kept.put((n, 0), bytes(100))
    kept.put((99, 0), bytes(300))
    assert kept.get((99, 0)) is None
    assert kept.get((0, 0)) is None
    assert sum(kept.get((n, 0)) is not None for n in range(20)) == 10
