"""What a proposal changes, so that people see what they vote on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charter import Charter, model_sources, read_charter
from charter.compare import (
    MOST_WORDS,
    ArticleChange,
    RuleChange,
    Runs,
    compare_rules,
    compare_texts,
    compare_words,
)
from charter.text import Article, Text

SOURCES = model_sources()
MODEL = read_charter("1", SOURCES)
FRENCH = MODEL.texts["fr"]


def edited(*changes: tuple[str, str]) -> Charter:
    """The model with other rules, written as people would write them."""
    toml = SOURCES["rules.toml"]
    for old, new in changes:
        assert old in toml
        toml = toml.replace(old, new)
    return read_charter("2", {**SOURCES, "rules.toml": toml})


def text(*titles: str) -> Text:
    articles = (Article(n, title, f"Body of {title}.") for n, title in enumerate(titles, 1))
    return Text("Charter", "", tuple(articles))


def read(runs: Runs, without: str) -> str:
    return "".join(part for state, part in runs if state != without)


def states(changes: tuple[ArticleChange, ...]) -> list[tuple[int | None, int | None, str]]:
    return [(change.before, change.after, change.state) for change in changes]


def test_a_charter_differs_in_nothing_from_itself() -> None:
    assert compare_rules(MODEL, replace(MODEL, version="2")) == ()
    assert {change.state for change in compare_texts(FRENCH, FRENCH)} == {"same"}


def test_each_figure_that_changes_is_named_with_its_article() -> None:
    other = edited(
        ("per_host = 6", "per_host = 4"),
        ('split = "13:00"', 'split = "12:30"'),
        ('quorum = "1/2"', 'quorum = "2/5"'),
        ('classes = ["resident", "nomad"]', 'classes = ["ticket", "nomad"]'),
    )
    assert compare_rules(MODEL, other) == (
        RuleChange(
            "eligible_plans", "classes", ["nomad", "resident"], ["nomad", "ticket"], article=4
        ),
        RuleChange("half_days", "per_host", 6, 4, article=5),
        RuleChange("opening_hours", "split", "13:00", "12:30", article=7),
        RuleChange("vote", "quorum", "1/2", "2/5", article=14),
    )


def test_a_rule_that_comes_in_or_goes_out_is_shown_whole() -> None:
    without = edited(("[seniority]\narticle = 4\ndays = 30\n", ""))
    assert compare_rules(MODEL, without) == (
        RuleChange("seniority", "", {"article": 4, "days": 30}, None, article=4),
    )
    assert compare_rules(without, MODEL) == (
        RuleChange("seniority", "", None, {"article": 4, "days": 30}, article=4),
    )


def test_a_rule_carried_by_another_article_is_a_change() -> None:
    other = edited(
        ("\nhost = 6", "\nhost = 3"),
        ("[reciprocity_floor]\narticle = 10", "[reciprocity_floor]\narticle = 5"),
    )
    assert compare_rules(MODEL, other) == (
        RuleChange("articles", "host", 6, 3, article=3),
        RuleChange("reciprocity_floor", "article", 10, 5, article=5),
    )


def test_the_article_of_passes_goes_by_its_name_in_the_file() -> None:
    (change,) = compare_rules(MODEL, edited(("pass = 8", "pass = 9")))
    assert change == RuleChange("articles", "pass", 8, 9, article=9)


def test_one_share_written_in_two_ways_is_no_change() -> None:
    assert compare_rules(MODEL, edited(('quorum = "1/2"', 'quorum = "0.5"'))) == ()


def test_words_that_change_are_marked_and_the_others_are_not() -> None:
    runs = compare_words(
        "au plus **6 demi-journées** par mois.", "au plus **4 demi-journées** par mois."
    )
    assert runs == (
        ("same", "au plus **"),
        ("removed", "6 "),
        ("added", "4 "),
        ("same", "demi-journées** par mois."),
    )


def test_an_article_that_changes_is_the_only_one_that_does() -> None:
    five = FRENCH.articles[4]
    other = replace(five, body=five.body.replace("**6", "**4"))
    after = replace(FRENCH, articles=(*FRENCH.articles[:4], other, *FRENCH.articles[5:]))
    changes = compare_texts(FRENCH, after)
    assert [change.after for change in changes] == list(range(16))
    (change,) = [each for each in changes if each.state != "same"]
    assert (change.before, change.after, change.state) == (5, 5, "changed")
    assert change.title == (("same", "Limites mensuelles"),)
    assert [run for run in change.body if run[0] != "same"] == [
        ("removed", "6\u00a0"),
        ("added", "4\u00a0"),
    ]


def test_an_article_that_is_inserted_does_not_change_the_words_of_those_behind_it() -> None:
    changes = compare_texts(text("One", "Two", "Three"), text("One", "New", "Two", "Three"))
    assert states(changes) == [
        (0, 0, "same"),
        (1, 1, "same"),
        (None, 2, "added"),
        (2, 3, "changed"),
        (3, 4, "changed"),
    ]
    assert [change.body for change in changes[3:]] == [
        (("same", "Body of Two."),),
        (("same", "Body of Three."),),
    ]
    assert changes[2].title == (("added", "New"),)


def test_an_article_that_is_taken_out_is_shown_before_what_took_its_place() -> None:
    changes = compare_texts(text("One", "Two", "Three"), text("One", "Three"))
    assert states(changes) == [
        (0, 0, "same"),
        (1, 1, "same"),
        (2, None, "removed"),
        (3, 2, "changed"),
    ]
    assert changes[2].body == (("removed", "Body of Two."),)


def test_an_article_with_another_title_is_known_by_its_number() -> None:
    changes = compare_texts(text("One", "Two"), text("One", "Second"))
    assert states(changes) == [(0, 0, "same"), (1, 1, "same"), (2, 2, "changed")]
    assert changes[2].title == (("removed", "Two"), ("added", "Second"))


def test_the_title_and_the_preamble_come_first_as_article_0() -> None:
    before, after = Text("Charter", "We promise.", ()), Text("Charter", "We never promise.", ())
    (change,) = compare_texts(before, after)
    assert (change.before, change.after, change.state) == (0, 0, "changed")
    assert change.title == (("same", "Charter"),)
    assert change.body == (("same", "We "), ("added", "never "), ("same", "promise."))


words = st.lists(st.sampled_from(["a", "b ", "de ", "l’", "**", "\n\n- ", "30 ", "é"])).map("".join)


@settings(deadline=None, derandomize=True, max_examples=200)
@given(words | st.text(max_size=40), words | st.text(max_size=40))
def test_a_difference_reads_as_before_without_what_is_added_and_as_after_without_what_is_removed(
    before: str, after: str
) -> None:
    runs = compare_words(before, after)
    assert read(runs, "added") == before
    assert read(runs, "removed") == after
    assert all(part for _, part in runs)
    assert (before == after) == all(state == "same" for state, _ in runs)


titles = st.lists(st.sampled_from("ABCDE"), max_size=6)


@settings(deadline=None, derandomize=True, max_examples=200)
@given(titles, titles)
def test_every_article_of_either_text_is_shown_once(one: list[str], two: list[str]) -> None:
    changes = compare_texts(text(*one), text(*two))
    assert sorted(c.before for c in changes if c.before is not None) == list(range(len(one) + 1))
    assert [c.after for c in changes if c.after is not None] == list(range(len(two) + 1))
    before = {c.before: read(c.title, "added") for c in changes if c.before}
    assert [before[n] for n in sorted(before)] == one


def rare(length: int) -> tuple[str, str]:
    """Words of which each is too rare to be passed over; every second one is replaced."""
    words = [f"w{n % 120} " for n in range(length)]
    return "".join(words), "".join(word if n % 2 else f"x{n} " for n, word in enumerate(words))


@pytest.mark.parametrize(
    "hostile", [lambda n: ("a " * n, "a b " * (n // 2)), lambda n: ("a " * n, "b " * n), rare]
)
@pytest.mark.parametrize("length", [190, MOST_WORDS, 8_000])
def test_a_hostile_text_does_not_keep_the_hub_busy(
    hostile: Callable[[int], tuple[str, str]], length: int
) -> None:
    before, after = hostile(length)
    started = time.process_time()
    runs = compare_words(before, after)
    assert time.process_time() - started < 5
    assert (read(runs, "added"), read(runs, "removed")) == (before, after)
