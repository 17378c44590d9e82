"""The language-neutral cases of ``shared/cases``, one test for each (how: shared/README.md)."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import shared
from shared.base.clock import Clock
from shared.crypto import jose, px1
from shared.crypto.passes import examine
from shared.crypto.status_list import INVALID, SUSPENDED, VALID, read_list
from shared.crypto.trust_list import TrustList

FOLDER = Path(shared.__file__).parent / "cases"
PASSES, STATUS = (
    json.loads((FOLDER / f"{name}.json").read_text("utf-8")) for name in ("passes", "status")
)
PX1 = PASSES["px1"]


def named(cases: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in cases]


def trust_of(keys: dict[str, list[dict[str, Any]]]) -> TrustList:
    return TrustList(0, 0, "1", "", {node: {"keys": found} for node, found in keys.items()})


@pytest.mark.parametrize("case", named(PASSES["cases"]))
def test_a_pass_is_examined_as_the_case_says(case: dict[str, Any]) -> None:
    clock = Clock().standing(datetime.fromtimestamp(case["now"], UTC))
    issuer_key = trust_of(PASSES["keys"]).issuer_key
    evidence = examine(case["text"], issuer_key, clock, case["audience"])
    assert {
        "faults": [{"code": fault.code, "detail": fault.detail} for fault in evidence.faults],
        "showing": evidence.proof,
        "issuer": evidence.issuer,
        "pass_id": evidence.pass_id,
        "plan": evidence.plan,
        "given_name": evidence.given_name,
    } == case["expect"]


@pytest.mark.parametrize("pair", named(PX1["pairs"]))
def test_px1_and_plain_are_the_same_pass(pair: dict[str, Any]) -> None:
    assert px1.unpack(pair["px1"]) == pair["plain"]
    assert px1.unpack(px1.pack(pair["plain"])) == pair["plain"]


@pytest.mark.parametrize("case", named(PX1["refused"]))
def test_px1_that_is_damaged_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        px1.unpack(case["px1"])


def test_the_dictionary_is_frozen_and_browsers_have_the_same() -> None:
    assert jose.decode_b64(PX1["dictionary"]) == px1.DICTIONARY
    assert hashlib.sha256(px1.DICTIONARY).hexdigest() == PX1["dictionary_sha256"]
    script = (Path(shared.__file__).parent / "web/static/px1.js").read_text("utf-8")
    written = re.search(r"const DICTIONARY =\n(.*?);\n", script, re.DOTALL)
    assert written
    parts = re.findall(r"'([^']*)'", written[1])
    assert "".join(parts).encode().decode("unicode_escape").encode("latin-1") == px1.DICTIONARY
    known = re.search(r"const DICTIONARY_ID = \[(.*?)\];", script)
    assert known
    octets = bytes(int(each, 16) for each in known[1].split(", "))
    assert octets.hex() == PX1["dictionary_adler32"]


@pytest.mark.parametrize("case", named(STATUS["cases"]))
def test_a_status_list_says_what_the_case_says(case: dict[str, Any]) -> None:
    names = {VALID: "valid", INVALID: "invalid", SUSPENDED: "suspended"}
    find_key = trust_of(STATUS["keys"]).find_key_of("cordee")
    try:
        found = read_list(case["list"], find_key, case["uri"])
        said = names[found.status(case["index"])] if found.expires_at > case["now"] else "refused"
    except (jose.TokenFault, ValueError, IndexError):
        said = "refused"
    assert said == case["expect"]
