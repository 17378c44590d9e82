"""What each reason says to the person at the desk, in French and English.

Beside the rules rather than in a catalogue, so that every program that decides can explain.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

_TEXTS: dict[str, tuple[str, str]] = {
    "pass_malformed": (
        "Ce n’est pas un pass Passerelle lisible.",
        "This is not a readable Passerelle pass.",
    ),
    "pass_malformed.key_binding": (
        "Le téléphone n’a pas prouvé que ce pass est le sien. Demandez d’ouvrir la page du pass.",
        "The phone did not prove that this pass is its own. Ask to open the pass page.",
    ),
    "pass_malformed.not_yet": (
        "Ce pass n’est pas encore valable hors de son espace d’origine.",
        "This pass is not good yet outside its home space.",
    ),
    "pass_malformed.signature": (
        "Ce pass a été modifié : sa signature n’est pas celle de l’espace d’origine.",
        "This pass was altered: its signature is not the home space’s.",
    ),
    "pass_malformed.paper": (
        "La charte en vigueur n’admet pas les cartes papier.",
        "The charter in force admits no paper cards.",
    ),
    "pass_malformed.pin": (
        "Ce n’est pas le code de cette carte.",
        "This is not this card’s PIN.",
    ),
    "pass_malformed.digits": (
        "Ces six chiffres n’ouvrent rien ici. Demandez-en de nouveaux, faits pour cet espace.",
        "These six digits open nothing here. Ask for new ones, made for this space.",
    ),
    "pass_malformed.poster": (
        "Ce n’est pas le code de l’affiche en place. Scannez l’affiche de l’espace.",
        "This is not the code of the poster that hangs here. Scan the space’s poster.",
    ),
    "pass_expired": (
        "Ce pass a expiré. Il se renouvelle sur la page du pass, avec du réseau.",
        "This pass has expired. It renews on the pass page, with a network.",
    ),
    "pass_stale": (
        "Ce code date de plus de 90 secondes, ou l’horloge du téléphone est fausse. "
        "Demandez un code frais.",
        "This code is more than 90 seconds old, or the phone’s clock is wrong. "
        "Ask for a fresh code.",
    ),
    "pass_replayed": (
        "Ce code a déjà servi. Demandez un code frais.",
        "This code was already used. Ask for a fresh code.",
    ),
    "pass_revoked": (
        "Ce pass a été révoqué par son espace d’origine ou par la personne à qui il appartient.",
        "This pass was revoked by its home space or by its owner.",
    ),
    "pass_suspended": (
        "Ce pass est suspendu par son espace d’origine.",
        "This pass is suspended by its home space.",
    ),
    "pass_suspended.paper": (
        "Cette carte est bloquée après trop de codes faux. La personne en fait une nouvelle sur la "
        "page de son pass.",
        "This card is blocked after too many wrong PINs. Its owner makes a new one at home.",
    ),
    "home_unknown": (
        "L’espace d’origine de ce pass ne fait pas partie du réseau.",
        "The home space of this pass is not part of the network.",
    ),
    "home_suspended": (
        "L’espace d’origine est suspendu du réseau.",
        "The home space is suspended from the network.",
    ),
    "charter_unsigned": (
        "{node} n’a pas signé la charte en vigueur.",
        "{node} has not signed the charter in force.",
    ),
    "plan_not_eligible": (
        "La formule « {plan} » n’ouvre pas droit à la réciprocité.",
        "The “{plan}” plan does not open the right to reciprocity.",
    ),
    "seniority": (
        "Il faut être membre de son espace depuis {limit} jours (aujourd’hui : {days}).",
        "One must have been a member at home for {limit} days (today: {days}).",
    ),
    "seniority.from": (
        "Il faut être membre de son espace depuis {limit} jours : à partir du {from}.",
        "One must have been a member at home for {limit} days: from {from}.",
    ),
    "quota_host": (
        "Les {limit} demi-journées du mois dans cet espace sont utilisées.",
        "The month’s {limit} half-days at this space are used.",
    ),
    "quota_network": (
        "Les {limit} demi-journées du mois dans le réseau sont utilisées.",
        "The month’s {limit} half-days in the network are used.",
    ),
    "quota_network.paper": (
        "Une carte papier ouvre {limit} demi-journées par mois dans le réseau : c’est fait.",
        "A paper card opens {limit} half-days a month in the network: they are used.",
    ),
    "reciprocity_floor": (
        "La formule d’origine comprend {limit} demi-journées par mois, et elles sont utilisées.",
        "The home plan includes {limit} half-days a month, and they are used.",
    ),
    "paused": (
        "Cet espace n’accueille pas de membres du réseau aujourd’hui.",
        "This space does not welcome network members today.",
    ),
    "paused.date": (
        "Cet espace est ouvert, mais ne reçoit pas de visite à cette date : il l’a annoncé.",
        "This space is open, but takes no visitors on this date, as it had announced.",
    ),
    "paused.network": (
        "Cet espace ne participe pas au réseau en ce moment.",
        "This space does not take part in the network at the moment.",
    ),
    "space_closed": (
        "L’espace est fermé.",
        "The space is closed.",
    ),
    "space_closed.next": (
        "L’espace est fermé. Il ouvre le {next_opening}.",
        "The space is closed. It opens on {next_opening}.",
    ),
    "space_full": (
        "L’espace est complet : {present} personnes pour {capacity} places.",
        "The space is full: {present} people for {capacity} places.",
    ),
    "guest_cap": (
        "Toutes les places du réseau sont prises, ou réservées d’avance ({present} sur {limit}).",
        "All places for the network are taken, or booked ahead ({present} of {limit}).",
    ),
    "offline_budget": (
        "Sans réseau, un pass est admis {limit} fois au plus, et c’est fait.",
        "Without a network a pass is admitted {limit} times at most, and that is done.",
    ),
    "offline_budget.paper": (
        "Une carte papier n’est admise que si son espace d’origine et le réseau répondent.",
        "A paper card is admitted only while its home space and the network answer.",
    ),
    "offline_budget.digits": (
        "Son espace d’origine ne répond pas : demandez le code à scanner.",
        "The home space does not answer: ask for the code to scan.",
    ),
    "trust_list_stale": (
        "Sans réseau depuis plus de {limit} heures, la porte ne peut plus vérifier les pass.",
        "Without a network for more than {limit} hours, the door can no longer check passes.",
    ),
}
_PLANS: dict[str, dict[str, str]] = {
    "fr": {"resident": "résident", "nomad": "nomade", "ticket": "ticket"},
    "en": {"resident": "resident", "nomad": "nomad", "ticket": "ticket"},
}


def _variant(code: str, params: Mapping[str, Any]) -> str:
    detail = str(params.get("detail", ""))
    if code == "pass_malformed" and detail.startswith("key_binding"):
        return "pass_malformed.key_binding"
    if f"{code}.{detail}" in _TEXTS:
        return f"{code}.{detail}"
    if code == "seniority" and "from" in params:
        return "seniority.from"
    if code == "space_closed" and params.get("next_opening"):
        return "space_closed.next"
    if code == "paused" and params.get("by") == "network":
        return "paused.network"
    return code


_UNKNOWN = "–"


class _Shown(dict[str, str]):
    def __missing__(self, _name: str) -> str:
        return _UNKNOWN


def _shown(name: str, value: Any, language: str) -> str:
    if name == "plan" and isinstance(value, str) and value in _PLANS[language]:
        return _PLANS[language][value]
    if name in ("from", "next_opening"):
        return _shown_instant(value, language)
    return str(value) if isinstance(value, (str, int)) else _UNKNOWN


def _shown_instant(value: Any, language: str) -> str:
    try:
        instant = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return _UNKNOWN
    return f"{instant:%d/%m/%Y à %H:%M}" if language == "fr" else f"{instant:%d/%m/%Y at %H:%M}"


def sentences(language: str) -> dict[str, Any]:
    """Return all that a program needs that words reasons by itself, in one language."""
    which = int(language == "en")
    return {
        "texts": {name: both[which] for name, both in _TEXTS.items()},
        "plans": _PLANS["en" if which else "fr"],
        "moment": ("à", "at")[which],
    }


def message(code: str, params: Mapping[str, Any], language: str) -> str:
    """Return the sentence for a reason code; ``language`` other than ``en`` means French.

    Never fails: a decision may come from a peer of another version. A param that is missing or
    odd is shown as a dash, and a code without a sentence as itself.
    """
    language = language if language == "en" else "fr"
    texts = _TEXTS.get(_variant(code, params))
    if texts is None:
        return code
    shown = {name: _shown(name, value, language) for name, value in params.items()}
    return texts[1 if language == "en" else 0].format_map(_Shown(shown))
