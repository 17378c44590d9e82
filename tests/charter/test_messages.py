"""Every reason has a sentence in both languages, whatever its params are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charter import CODES, Reason, localise
from charter.messages import message
from tests.charter.test_cases import EVERY_DECISION, decided
from tests.charter.test_facts import unhurried

LANGUAGES = ("fr", "en")
REASONS = {
    repr(reason): reason for case in EVERY_DECISION for reason in decided(case).reasons
}.values()
PARAMS = sorted({name for reason in REASONS for name in reason.params})
scalars = st.none() | st.booleans() | st.integers() | st.text("abcT-: é", max_size=30)
odd = scalars | st.floats() | st.lists(st.integers()) | st.dictionaries(st.text(), st.integers())


def check(sentence: str) -> None:
    assert sentence.strip()
    assert "{" not in sentence
    assert "}" not in sentence
    assert "None" not in sentence


def test_every_code_is_among_the_reasons_that_are_rendered() -> None:
    assert {reason.code for reason in REASONS} == set(CODES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_that_a_case_gives_is_a_whole_sentence(language: str) -> None:
    for reason in REASONS:
        sentence = message(reason.code, reason.params, language)
        check(sentence)
        assert sentence[0].isupper() or sentence.startswith(str(reason.params.get("node")))
        assert sentence.endswith(".")


@pytest.mark.parametrize("code", CODES)
def test_a_code_reads_differently_in_french_and_english(code: str) -> None:
    reason = next(reason for reason in REASONS if reason.code == code)
    assert message(code, reason.params, "fr") != message(code, reason.params, "en")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("code", CODES)
def test_a_code_without_params_still_has_its_sentence(code: str, language: str) -> None:
    sentence = message(code, {}, language)
    check(sentence)
    assert sentence != code


@unhurried
@given(
    st.sampled_from(CODES),
    st.dictionaries(st.sampled_from(PARAMS) | st.text(max_size=5), odd, max_size=6),
    st.sampled_from(LANGUAGES),
)
def test_no_params_however_odd_stop_a_message(
    code: str, params: dict[str, Any], language: str
) -> None:
    check(message(code, params, language))


def test_a_code_of_a_newer_peer_is_shown_as_it_is() -> None:
    assert message("moon_phase", {"limit": 3}, "en") == "moon_phase"


@pytest.mark.parametrize("language", ["fr", "de", "", "EN"])
def test_any_language_but_english_is_french(language: str) -> None:
    assert message("space_closed", {}, language) == "L’espace est fermé."


@pytest.mark.parametrize(
    ("code", "params", "french", "english"),
    [
        (
            "quota_host",
            {"used": 6, "limit": 6},
            "Les 6 demi-journées du mois dans cet espace sont utilisées.",
            "The month’s 6 half-days at this space are used.",
        ),
        (
            "plan_not_eligible",
            {"plan": "nomad", "eligible": []},
            "La formule «\u00a0nomade\u00a0» n’ouvre pas droit à la réciprocité.",
            "The “nomad” plan does not open the right to reciprocity.",
        ),
        (
            "charter_unsigned",
            {"node": "nomad"},
            "nomad n’a pas signé la charte en vigueur.",
            "nomad has not signed the charter in force.",
        ),
        (
            "charter_unsigned",
            {"node": "la-cordee-Troquet-numerique"},
            "la-cordee-Troquet-numerique n’a pas signé la charte en vigueur.",
            "la-cordee-Troquet-numerique has not signed the charter in force.",
        ),
        (
            "seniority",
            {"from": "2026-07-20T00:00:00+02:00", "limit": 30},
            "Il faut être membre de son espace depuis 30 jours\u00a0: "
            "à partir du 20/07/2026 à 00:00.",
            "One must have been a member at home for 30 days: from 20/07/2026 at 00:00.",
        ),
        (
            "space_closed",
            {"next_opening": "2026-07-08T09:00:00+02:00"},
            "L’espace est fermé. Il ouvre le 08/07/2026 à 09:00.",
            "The space is closed. It opens on 08/07/2026 at 09:00.",
        ),
        (
            "space_closed",
            {"next_opening": None},
            "L’espace est fermé.",
            "The space is closed.",
        ),
        (
            "paused",
            {"by": "network"},
            "Cet espace ne participe pas au réseau en ce moment.",
            "This space does not take part in the network at the moment.",
        ),
        (
            "pass_malformed",
            {"detail": "key_binding_missing"},
            "Le téléphone n’a pas prouvé que ce pass est le sien. "
            "Demandez d’ouvrir la page du pass.",
            "The phone did not prove that this pass is its own. Ask to open the pass page.",
        ),
        (
            "space_full",
            {"present": 26},
            "L’espace est complet\u00a0: 26 personnes pour – places.",
            "The space is full: 26 people for – places.",
        ),
    ],
)
def test_a_sentence_shows_its_figures_dates_and_plans(
    code: str, params: dict[str, Any], french: str, english: str
) -> None:
    assert message(code, params, "fr") == french
    assert message(code, params, "en") == english


def test_braces_in_a_param_are_shown_and_not_obeyed() -> None:
    sentence = message("charter_unsigned", {"node": "{limit}{0.__class__}", "limit": 5}, "en")
    assert sentence == "{limit}{0.__class__} has not signed the charter in force."


@pytest.mark.parametrize("extra", [{}, {"params": None}, {"params": {}}])
def test_a_stored_decision_is_told_in_another_language(extra: dict[str, Any]) -> None:
    stored = {"outcome": "refused", "reasons": [{"code": "paused", "article": 6, **extra}]}
    (reason,) = localise(stored, "en")["reasons"]
    assert reason["message"] == "This space does not welcome network members today."
    assert (reason["code"], reason["article"]) == ("paused", 6)


def test_a_reason_as_json_carries_code_article_params_and_message() -> None:
    assert Reason("guest_cap", 6, {"present": 3, "limit": 3}).to_json("en") == {
        "code": "guest_cap",
        "article": 6,
        "params": {"present": 3, "limit": 3},
        "message": "All places for the network are taken, or booked ahead (3 of 3).",
    }
