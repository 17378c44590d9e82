"""The browser of a desk decides as ``charter.decide``: every case, with and without the network."""

from __future__ import annotations

import tomllib
from datetime import datetime
from typing import Any

import pytest

from charter import Charter, decide, facts_from_json, model_sources
from charter.messages import sentences
from charter.rules import read_rules
from tests.charter.test_cases import EVERY_DECISION, MODEL
from tests.node.modules import modules

pytestmark = pytest.mark.browser

DECIDE = """async ([cases, words]) => {
  const { decide, message } = await import("/static/desk/charter.js");
  return cases.map(({ charter, facts, now }) => {
    const decision = decide(charter, facts, Date.parse(now));
    const said = decision.reasons.map((reason) => words.map((texts) => message(reason, texts)));
    return { ...decision, said };
  });
}"""


def _asked(case: dict[str, Any], **changes: Any) -> dict[str, Any]:
    tables = tomllib.loads(model_sources()["rules.toml"])
    for name, override in case.get("rules", {}).items():
        if override is None:
            del tables[name]
        else:
            tables[name] = {**tables.get(name, {}), **override}
    charter = {"version": MODEL.version, "rules": tables}
    return {"charter": charter, "facts": {**case["facts"], **changes}, "now": case["now"]}


def _ours(asked: dict[str, Any]) -> dict[str, Any]:
    rules = read_rules(asked["charter"]["rules"])
    own = Charter(MODEL.version, MODEL.sources, rules, MODEL.texts)
    decision = decide(own, facts_from_json(asked["facts"]), datetime.fromisoformat(asked["now"]))
    french, english = decision.to_json("fr"), decision.to_json("en")
    pairs = zip(french["reasons"], english["reasons"], strict=True)
    said = [[one["message"], other["message"]] for one, other in pairs]
    reasons = [{k: v for k, v in each.items() if k != "message"} for each in english["reasons"]]
    return {**english, "reasons": reasons, "said": said}


def _with_instants(value: Any, name: str = "") -> Any:
    """Return a decision in which two spellings of one instant are the same."""
    if isinstance(value, dict):
        return {key: _with_instants(each, key) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_instants(each) for each in value]
    if name in ("until", "from", "next_opening") and value:
        return datetime.fromisoformat(value).timestamp()
    return value


@pytest.mark.parametrize("changes", [{}, {"online": False}], ids=["as it is", "offline"])
def test_every_case_is_decided_by_the_browser_as_by_the_node(
    browser: Any, changes: dict[str, Any]
) -> None:
    asked = [_asked(case, **changes) for case in EVERY_DECISION]
    with modules(browser) as page:
        found = page.evaluate(DECIDE, [asked, [sentences("fr"), sentences("en")]])
    differing = {
        case["name"]: [_with_instants(each) for each in (theirs, ours)]
        for case, theirs, ours in zip(EVERY_DECISION, found, map(_ours, asked), strict=True)
        if _with_instants(theirs) != _with_instants(ours)
    }
    assert differing == {}
    assert len(found) > 100
