"""The charter on paper says what the page says: text, rules, signatures, fingerprint."""

from __future__ import annotations

import re

import pypdfium2
import pytest

from tests.network import Network


def text_of(pdf: bytes) -> str:
    pages = [page.get_textpage().get_text_bounded() for page in pypdfium2.PdfDocument(pdf)]
    return re.sub(r"\s+", " ", " ".join(pages))


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("fr", ["5. Limites mensuelles", "Dans l’ensemble du réseau 16", "9,00 €", "Signée par"]),
        ("en", ["5. Monthly limits", "In the whole network 16", "€9.00", "Signed by"]),
    ],
)
def test_a_version_is_printed_whole_in_either_language(
    lasting_network: Network, language: str, words: list[str]
) -> None:
    hub = lasting_network.hub
    answer = hub.get(f"/charter/current.pdf?lang={language}")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/pdf")
    assert answer.headers["Content-Disposition"].endswith(f'charter-1-{language}.pdf"')
    found = text_of(answer.content)
    sha256 = hub.get("/api/v1/charters/current").json()["sha256"]
    for expected in (*words, *lasting_network.nodes, sha256):
        assert expected in found, expected
    assert "**" not in found
    assert f"15. {'Entrée' if language == 'fr' else 'Entry'}" in found


def test_a_version_that_does_not_exist_is_not_printed(lasting_network: Network) -> None:
    assert lasting_network.hub.get("/charter/99.pdf").status_code == 404
