"""A desk's browser that is alone answers what its node would without the hub, reason by reason."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import date, datetime
from typing import Any

import pytest

from tests.network import LocalNode, Network, Person, codes, rules
from tests.node.modules import modules

pytestmark = [
    pytest.mark.browser,
    pytest.mark.parametrize("databases", ["sqlite"], indirect=True),
]
Json = dict[str, Any]
NEWCOMER = date(2026, 11, 21)  # three days ago

ALONE = """async ([bundle, texts, wall]) => {
  const { examine } = await import("/static/desk/verify.js");
  const { reduce } = await import("/static/desk/offline_desk.js");
  const at = { wall, mono: 0, page: "x" };
  let { state } = reduce(undefined, { type: "bundle", space: bundle.space, bundle, at });
  const answers = [];
  for (const [n, text] of texts.entries()) {
    const seen = await examine(text, bundle);
    const done = reduce(state, { type: "scan", seen, id: String(n), at });
    state = done.state;
    answers.push(done.answer);
  }
  return answers;
}"""


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    with modules(browser, locale="en-GB") as found:
        yield found


def kit_of(node: LocalNode) -> Json:
    path = f"/api/v1/desk-kit?space={node.id}"
    answer = node.get(path, node.desk, **{"Accept-Language": "en"})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def alone(page: Any, kit: Json, *texts: str) -> list[Json]:
    """Return what a browser with this kit answers to codes, one after the other."""
    found: list[Json] = page.evaluate(ALONE, [kit, list(texts), time.time()])
    return found


def compared(decision: Json) -> Json:
    """Return a decision in which instants are numbers, and what a language says is left out."""
    until = decision["terms"]["until"]
    terms = {**decision["terms"], "until": until and datetime.fromisoformat(until).timestamp()}
    reasons = [
        (each["code"], each["article"], each["params"].get("detail"), each["message"])
        for each in decision["reasons"]
    ]
    return {**decision, "terms": terms, "reasons": reasons}


def check(page: Any, node: LocalNode, kit: Json, shown: str) -> list[str]:
    """See that the browser answers as the node does, which the hub does not; return the codes."""
    said = node.post(
        "/api/v1/check-ins/preview",
        {"space": node.id, "pass": shown},
        node.desk,
        **{"Accept-Language": "en"},
    ).json()["decision"]
    (answer,) = alone(page, kit, shown)
    assert compared(answer["decision"]) == compared(said)
    return [reason["code"] for reason in said["reasons"]]


def test_whom_the_node_admits_or_refuses_alone_its_browser_does_too(
    page: Any, make_network: Callable[..., Network]
) -> None:
    network = make_network(nodes=("cordee", "troquet"))
    cordee, troquet = network.nodes["cordee"], network.nodes["troquet"]
    people = {plan: cordee.add_person(plan).get_pass() for plan in ("resident", "ticket")}
    newcomer = cordee.add_person(joined_on=NEWCOMER).get_pass(days_ago=0)
    revoked = cordee.add_person().get_pass()
    assert cordee.delete(f"/api/v1/me/passes/{revoked.pass_id}", revoked.token).status_code == 204
    used = cordee.add_person().get_pass()
    visit = troquet.scan(used.show()).json()["visit"]["id"]
    assert troquet.check_out(visit).status_code == 200
    own = troquet.add_person(joined_on=NEWCOMER).get_pass(days_ago=0)
    troquet.age("status:cordee", hours=1)
    troquet.learn()
    network.hub_goes()
    kit = kit_of(troquet)

    def same(shown: str) -> list[str]:
        return check(page, troquet, kit, shown)

    assert same(people["resident"].show()) == []
    assert same(people["ticket"].show()) == ["plan_not_eligible"]
    assert same(newcomer.show()) == ["seniority"]
    assert same(own.show()) == [], "at home a member is no visitor"
    assert same(used.show()) == []
    assert same(revoked.show()) == ["pass_revoked"]
    now = troquet.app.extensions["node"].clock.now().timestamp()
    assert same(people["resident"].show(now - 600)) == ["pass_stale"]
    assert same(people["resident"].show(audience="passerelle:rights")) == ["pass_malformed"]
    text = people["resident"].show()
    for odd in (text.partition("~")[0] + "~", text[:-8] + "AAAAAAAA", "bonjour", text + "~x"):
        assert same(odd) in (["pass_malformed"], ["pass_malformed", "pass_stale"]), odd


def test_a_paper_card_needs_its_home_and_is_refused_alone_in_words_of_its_own(
    page: Any, make_network: Callable[..., Network]
) -> None:
    network = make_network(nodes=("cordee", "troquet"))
    card = f"{network.nodes['cordee'].url}/card/abcdefghijklmnop"
    (answer,) = alone(page, kit_of(network.nodes["troquet"]), card)
    (reason,) = answer["decision"]["reasons"]
    assert (reason["code"], reason["params"]["detail"]) == ("offline_budget", "paper")
    assert reason["message"].startswith("A paper card")


def test_a_kit_is_good_for_the_days_after_too(
    page: Any, make_network: Callable[..., Network]
) -> None:
    closed = {"closed": ["2026-11-25"]}
    network = make_network(nodes={"cordee": {}, "troquet": {"guest_cap": 5, "conditions": closed}})
    cordee, troquet = network.nodes["cordee"], network.nodes["troquet"]
    person = cordee.add_person().get_pass()
    network.hub_goes()
    kit = kit_of(troquet)
    for instant, why in (
        ("2026-11-24T18:59:00+01:00", []),
        ("2026-11-24T19:00:00+01:00", ["space_closed"]),
        ("2026-11-25T10:00:00+01:00", ["paused"]),
        ("2026-11-26T12:59:00+01:00", []),
    ):
        network.move_to(instant)
        clock = {name: kit_of(troquet)[name] for name in ("civil_offset", "as_of")}
        assert check(page, troquet, {**kit, **clock}, person.show()) == why, instant


def test_seats_that_are_taken_are_taken_for_members_too(
    page: Any, make_network: Callable[..., Network]
) -> None:
    """Case alone-own-newcomer, 2: the kit is taken when every seat is."""
    network = make_network(nodes={"cordee": {}, "troquet": {"guest_cap": 5, "capacity": 2}})
    cordee, troquet = network.nodes["cordee"], network.nodes["troquet"]
    assert troquet.scan(cordee.add_person().show()).status_code == 201
    visitor, own = cordee.add_person().get_pass(), troquet.add_person().get_pass()
    network.hub_goes()
    kit = kit_of(troquet)
    one, other = alone(page, kit, visitor.show(), own.show())
    assert (one["kind"], other["kind"]) == ("yes", "no"), "whom the browser let in has a seat too"
    assert troquet.scan(troquet.add_person().show()).status_code == 201
    kit = kit_of(troquet)
    for person in (visitor, own):
        assert check(page, troquet, kit, person.show()) == ["space_full"]


def test_a_charter_without_visits_alone_admits_nobody_alone_and_says_so_once(
    page: Any, make_network: Callable[..., Network]
) -> None:
    """Case alone-own-newcomer, 3."""
    network = make_network(rules=rules(visits_per_pass=0), nodes=("cordee", "troquet"))
    person = network.nodes["cordee"].add_person().get_pass()
    troquet = network.nodes["troquet"]
    network.hub_goes()
    assert check(page, troquet, kit_of(troquet), person.show()) == ["offline_budget"]


def test_what_was_used_here_and_who_is_here_is_in_the_kit_without_names(
    page: Any, make_network: Callable[..., Network]
) -> None:
    network = make_network(rules=rules(per_host=1), nodes=("cordee", "troquet"))
    cordee, troquet = network.nodes["cordee"], network.nodes["troquet"]
    here, gone = cordee.add_person().get_pass(), cordee.add_person().get_pass()
    assert troquet.scan(here.show()).status_code == 201
    visit = troquet.scan(gone.show()).json()["visit"]["id"]
    assert troquet.check_out(visit).status_code == 200
    network.hub_goes()
    kit = kit_of(troquet)
    assert "Ada" not in json.dumps(kit)
    (again,) = alone(page, kit, here.show())
    assert (again["kind"], again["since"]) == ("yes", "10:00")
    assert check(page, troquet, kit, gone.show()) == [], "this half-day is counted already"
    network.move_to("2026-11-24T14:00:00+01:00")
    kit = kit_of(troquet)
    assert check(page, troquet, kit, gone.show()) == ["quota_host"]


def test_once_let_in_by_the_browser_one_is_here_and_over_the_budget_after(
    page: Any, make_network: Callable[..., Network]
) -> None:
    network = make_network(rules=rules(visits_per_pass=1), nodes=("cordee", "troquet"))
    person, troquet = network.nodes["cordee"].add_person().get_pass(), network.nodes["troquet"]
    network.hub_goes()
    first, again = alone(page, kit_of(troquet), person.show(), person.show())
    assert ("since" in first, again["since"]) == (False, "10:00")
    visit = troquet.scan(person.show()).json()["visit"]["id"]
    assert troquet.check_out(visit).status_code == 200
    assert codes(troquet.scan(person.show())) == ["offline_budget"]
    assert check(page, troquet, kit_of(troquet), person.show()) == ["offline_budget"]


# The scanner


def test_a_reader_set_to_another_keyboard_is_understood_or_told_of(
    page: Any, make_network: Callable[..., Network]
) -> None:
    """Case scanner-on-azerty: the mapping is one to one; where it is not, the words are said."""
    person = make_network(nodes=("cordee",)).nodes["cordee"].add_person()
    from shared.crypto.px1 import pack

    case = dict(zip("aqzwmAQZWM1234567890-_", "qawz,QAWZ?&é\"'(-è_çà)°", strict=True)) | {".": ":"}
    real = case | dict(zip(":/*%$", "M!854", strict=True))
    plain = person.show()
    short = pack(plain)
    typed = [
        ["".join(table.get(letter, letter) for letter in text), text]
        for text, table in ((plain, case), (plain, real), (short, real), (plain, {}), (short, {}))
    ]
    typed += [[letters.swapcase(), text] for letters, text in typed]
    found = page.evaluate(
        """async (texts) => {
          const { meant } = await import("/static/desk/keyboard.js");
          return Promise.all(texts.map(meant));
        }""",
        [each for each, _ in typed]
        + ["".join(case.get(letter, letter) for letter in short + ":"), short[:-3], "bonjour"],
    )
    assert [each.get("text") for each in found[:10]] == [text for _, text in typed]
    assert [each.get("foreign") for each in found] == [None] * 10 + [True, None, None]


# A browser that cannot check


def test_a_browser_that_cannot_verify_says_so_and_never_that_the_pass_is_unreadable(
    browser: Any, make_network: Callable[..., Network]
) -> None:
    network = make_network(nodes=("cordee", "troquet"))
    person: Person = network.nodes["cordee"].add_person()
    kit = kit_of(network.nodes["troquet"])
    asked = """async ([bundle, text]) => {
      const { CannotVerify, canVerify, examine } = await import("/static/desk/verify.js");
      const thrown = await examine(text, bundle)
        .then(() => false, (fault) => fault instanceof CannotVerify);
      return [await canVerify(), thrown];
    }"""
    old = """const read = SubtleCrypto.prototype.importKey;
      SubtleCrypto.prototype.importKey = function (form, key, kind, ...rest) {
        const fault = new DOMException("no Ed25519", "NotSupportedError");
        if (kind.name === "Ed25519") return Promise.reject(fault);
        return read.call(this, form, key, kind, ...rest);
      };"""
    none = 'Object.defineProperty(crypto, "subtle", { value: undefined });'
    for script, wanted in (("", [True, False]), (old, [False, True]), (none, [False, True])):
        with modules(browser) as page:
            if script:
                page.evaluate(f"() => {{ {script} }}")
            assert page.evaluate(asked, [kit, person.show()]) == wanted
