"""The charter: the agreement's text and rules, and what follows from them. Pure."""

from charter.decision import CODES, Decision, Reason, Terms, localise
from charter.engine import decide
from charter.facts import NOT_YET, Facts, Fault, facts_from_json, facts_to_json
from charter.model import Charter, model_sources, read_charter
from charter.rules import PLAN_CLASSES, Rules, RulesError
from charter.text import TextError

__all__ = [
    "CODES",
    "NOT_YET",
    "PLAN_CLASSES",
    "Charter",
    "Decision",
    "Facts",
    "Fault",
    "Reason",
    "Rules",
    "RulesError",
    "Terms",
    "TextError",
    "decide",
    "facts_from_json",
    "facts_to_json",
    "localise",
    "model_sources",
    "read_charter",
]
