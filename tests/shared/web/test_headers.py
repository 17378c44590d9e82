"""What browsers are told to keep to at an address that they have once been at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask

from federation.app import create_app as create_hub
from node.app import create_app as create_node
from tests.architecture.applications import APPLICATIONS


def _app(kind: str, folder: Path, url: str, *, subdomains: bool) -> Flask:
    settings = APPLICATIONS[kind](folder).extensions["settings"]
    settings = replace(settings, url=url, hsts_subdomains=subdomains)
    return create_hub(settings) if kind == "hub" else create_node(settings)


@pytest.mark.parametrize("kind", APPLICATIONS)
@pytest.mark.parametrize(
    ("url", "subdomains", "header"),
    [
        ("https://a.example", False, "max-age=31536000"),
        ("https://a.example", True, "max-age=31536000; includeSubDomains"),
        ("http://127.0.0.1:9", True, None),
    ],
)
def test_other_names_below_this_one_are_bound_to_https_only_when_that_is_said(
    kind: str, url: str, subdomains: bool, header: str | None, tmp_path: Path
) -> None:
    app = _app(kind, tmp_path, url, subdomains=subdomains)
    answer = app.test_client().get("/healthz")
    assert answer.headers.get("Strict-Transport-Security") == header
