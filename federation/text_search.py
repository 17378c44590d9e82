"""Words as people type them: accents and capitals aside, and nearly right. Pure."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Generic, TypeVar

# Nearly right is for when so few are exactly right.
FEW = 5
_MARKS = re.compile("[^a-z0-9]+")
_LETTERS = str.maketrans({"œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "đ": "d"})
# Said and written in two ways, in half of the names of towns.
_SAINTS = {"st": "saint", "saint": "st", "ste": "sainte", "sainte": "ste"}

Item = TypeVar("Item")


def plain(text: str) -> str:
    """Return a text without accents, marks and capitals, as it is compared."""
    folded = unicodedata.normalize("NFKD", text).casefold().translate(_LETTERS)
    kept = unicodedata.normalize("NFKD", folded).encode("ascii", "ignore").decode()
    return _MARKS.sub(" ", kept).strip()


@lru_cache(maxsize=65536)
def plain_name(text: str) -> str:
    """Return ``plain`` of what many say alike: services, values, rooms."""
    return plain(text)


def words_of(text: str) -> frozenset[str]:
    """Return the plain words by which a text is found."""
    words = set(plain(text).split())
    return frozenset(words | {_SAINTS[word] for word in words if word in _SAINTS})


def most_edits(typed: str) -> int:
    """Return how many letters may be wrong in a word of this length."""
    return 0 if len(typed) < 4 else 1 if len(typed) < 8 else 2


def edits(typed: str, word: str, most: int) -> int:
    """Return with how many changes ``typed`` begins ``word``; ``most + 1`` where that is more.

    A change adds, drops or replaces a letter, or swaps two neighbours (optimal string alignment).
    """
    word = word[: len(typed) + most]
    before: list[int] = []
    row = list(range(len(word) + 1))
    for i, letter in enumerate(typed, 1):
        earlier, before, row = before, row, [i]
        for j, other in enumerate(word, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == word[j - 2] and typed[i - 2] == other:
                cost = min(cost, earlier[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
    return min(*row, most + 1)


def _letters(word: str) -> int:
    """Return the set of a word's letters, as bits."""
    bits = 0
    for letter in word:
        bits |= 1 << (ord(letter) & 63)
    return bits


class Words(Generic[Item]):
    """Items by the words of their names, found by what begins or nearly begins these."""

    def __init__(self) -> None:
        self._items: dict[str, set[Item]] = {}
        self._letters: dict[str, int] = {}
        self._sorted: list[str] = []
        self._new: set[str] = set()

    def add(self, item: Item, words: Iterable[str]) -> None:
        for word in words:
            if word not in self._items:
                self._items[word] = set()
                self._letters[word] = _letters(word)
                self._new.add(word)
            self._items[word].add(item)

    def remove(self, item: Item, words: Iterable[str]) -> None:
        # A word that nobody has any more stays: it finds nobody.
        for word in words:
            self._items[word].discard(item)

    def find(self, text: str) -> dict[Item, int]:
        """Return the items that have each of the text's words, with how many letters are wrong.

        What has words that begin so is found; where these are few, also what nearly does: one
        letter wrong in four, two in eight, but never the first.
        """
        sought = sorted(set(plain(text).split()), key=len, reverse=True)
        if not sought:
            return {}
        found = self._all(sought, near=False)
        if len(found) < FEW:
            for item, wrong in self._all(sought, near=True).items():
                found.setdefault(item, wrong)
        return found

    def _all(self, sought: list[str], *, near: bool) -> dict[Item, int]:
        found: dict[Item, int] | None = None
        for typed in sought:
            one = self._one(typed, near=near)
            if found is None:
                found = one
            else:
                few, many = sorted((found, one), key=len)
                found = {item: wrong + many[item] for item, wrong in few.items() if item in many}
            if not found:
                break
        return found or {}

    def _one(self, typed: str, *, near: bool) -> dict[Item, int]:
        found: dict[Item, int] = {}
        if near and most_edits(typed):
            for word, wrong in sorted(self._nearly(typed), key=lambda pair: -pair[1]):
                found.update(dict.fromkeys(self._items[word], wrong))
        for word in self._beginning(typed):
            found.update(dict.fromkeys(self._items[word], 0))
        return found

    def _beginning(self, typed: str) -> list[str]:
        words = self._in_order()
        return words[bisect_left(words, typed) : bisect_left(words, typed + "\x7f")]

    def _nearly(self, typed: str) -> Iterator[tuple[str, int]]:
        most, letters, shortest = most_edits(typed), _letters(typed), len(typed) - most_edits(typed)
        of_word = self._letters
        for word in self._beginning(typed[0]):
            # Each letter that is not there at all is one change at least.
            if len(word) >= shortest and (letters & ~of_word[word]).bit_count() <= most:
                wrong = edits(typed, word, most)
                if wrong <= most:
                    yield word, wrong

    def _in_order(self) -> list[str]:
        if len(self._new) > 100:
            self._sorted = sorted(self._items)
        else:
            for word in self._new:
                insort(self._sorted, word)
        self._new.clear()
        return self._sorted
