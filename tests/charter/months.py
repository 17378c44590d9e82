"""The months of the account, from README's words alone: which lines each has, event by event.

A line is ``+v`` or ``-v``, a visit's half-day or what reverses it. It is free, counted in a month,
or held, with the month that it is to go back to or with none.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Months:
    days: dict[str, str] = field(default_factory=dict)
    counted: dict[str, str] = field(default_factory=dict)
    held: dict[str, str | None] = field(default_factory=dict)
    open: set[tuple[str, str]] = field(default_factory=set)
    issued: list[str] = field(default_factory=list)
    final: set[str] = field(default_factory=set)

    def tell(self, event: str, *words: str) -> None:
        getattr(self, f"_{event}")(*words)

    def free(self) -> list[str]:
        return [line for line in self.days if line not in self.counted and line not in self.held]

    def of(self, month: str) -> list[str]:
        return [line for line, where in self.counted.items() if where == month]

    def _disputed(self, visit: str) -> bool:
        return any(visit == each for each, _ in self.open)

    def _visit(self, visit: str, day: str) -> None:
        self.days[f"+{visit}"] = day

    def _void(self, visit: str) -> None:
        self.days.setdefault(f"-{visit}", self.days[f"+{visit}"])
        if self._disputed(visit):
            self.open = {each for each in self.open if each[0] != visit}
            self._let_go(visit)

    def _issue(self, month: str) -> None:
        self.issued.append(month)
        for line in self.free():
            if self._disputed(line[1:]):
                self.held[line] = None
            elif self.days[line][:7] <= month:
                self.counted[line] = month

    def _dispute(self, visit: str, side: str) -> None:
        self.open.add((visit, side))
        for line in (f"+{visit}", f"-{visit}"):
            if line in self.days and self.counted.get(line) not in self.final:
                self.held.setdefault(line, self.counted.pop(line, None))

    def _settle(self, visit: str, side: str, how: str) -> None:
        if how == "upheld":
            self._void(visit)
            return
        self.open.discard((visit, side))
        if self._disputed(visit):
            return
        for line in (f"+{visit}", f"-{visit}"):
            month = self.held.pop(line, None)
            if month is not None:
                self.counted[line] = month

    def _let_go(self, visit: str) -> None:
        for line in (f"+{visit}", f"-{visit}"):
            self.held.pop(line, None)

    def _final(self, month: str) -> None:
        self.final.add(month)
        self.held = {line: None if at == month else at for line, at in self.held.items()}
