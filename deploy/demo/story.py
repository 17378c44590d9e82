"""The founding visit, played over HTTP as a phone and a desk would."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import requests
from joserfc.jwk import OKPKey

from shared.crypto.passes import bind

TIMEOUT = 10


class StoryError(Exception):
    """The founding visit could not be played; the message says at which step."""


class StoryRefusedError(Exception):
    """The door said no, as it should on a closed day or under other rules."""

    def __init__(self, reasons: list[dict[str, Any]]) -> None:
        super().__init__()
        self.words = " ".join(f"{r['message']} (article {r['article']})" for r in reasons)


def play(info: Mapping[str, Any], month: str) -> str:
    """Check a La Cordée member in at Troquet numérique; return what happened, in a sentence."""
    home, host = info["nodes"]["la-cordee"], info["nodes"]["troquet-numerique"]
    member = home["members"][-1]  # the others stay as they are, for whoever tries the demonstration
    key = OKPKey.generate_key("Ed25519")
    issued = _ask(
        "the pass",
        f"{home['url']}/api/v1/me/passes",
        member["token"],
        {"jwk": key.as_dict(private=False)},
    )
    shown = bind(issued["credential"], key, time.time())
    admitted = _ask(
        "the check-in",
        f"{host['url']}/api/v1/check-ins",
        host["desk"]["token"],
        {"space": "troquet-numerique", "pass": shown},
    )
    visit = admitted["visit"]["id"]
    answer = requests.get(
        f"{info['hub']['url']}/api/v1/statements/{month}",
        headers={"Authorization": f"Bearer {info['hub']['coordinator']['token']}"},
        timeout=TIMEOUT,
    )
    if visit not in [line["id"] for line in answer.json().get("visits", [])]:
        raise StoryError(f"the visit is not in the statement of {month}")
    name = admitted["visit"]["given_name"]
    return (
        f"{name} (La Cordée) est au Troquet numérique ; la visite {visit} est au compte de {month}."
    )


def _ask(step: str, url: str, token: str, body: Mapping[str, Any]) -> dict[str, Any]:
    answer = requests.post(
        url,
        json=body,
        headers={"Authorization": f"Bearer {token}", "Accept-Language": "fr"},
        timeout=TIMEOUT,
    )
    if answer.status_code == 403 and "decision" in answer.json():
        raise StoryRefusedError(answer.json()["decision"]["reasons"])
    if answer.status_code != 201:
        raise StoryError(f"{step} was answered {answer.status_code}: {answer.text[:300]}")
    document: dict[str, Any] = answer.json()
    return document
