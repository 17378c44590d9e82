"""The jobs of many operators: fair, bounded, and quiet where nothing happens."""

from __future__ import annotations

import threading
from collections.abc import Callable

from node.host.rounds import AWAKE_SECONDS, LANES, QUIET_SECONDS, Rounds
from shared.ops.jobs import Job

WAIT = 20.0


class Bench:
    """Rounds whose clock and threads are the test's own: nothing runs until it is let run."""

    def __init__(self, *jobs: Job, threads: int = 8) -> None:
        self.now = 100.0
        self.waiting: list[Callable[[], None]] = []
        self.ran: list[tuple[str, str]] = []
        self.stamps: dict[str, int] = {}
        self.rounds = Rounds(jobs, threads, self.waiting.append, lambda: self.now)

    def add(self, operator_id: str) -> None:
        self.stamps[operator_id] = 0
        self.rounds.add(
            operator_id,
            lambda job: self.ran.append((operator_id, job.name)),
            lambda: self.stamps[operator_id],
        )

    def run_all(self) -> list[tuple[str, str]]:
        self.rounds.tick()
        while self.waiting:
            self.waiting.pop(0)()
            self.rounds.tick()
        done, self.ran = self.ran, []
        return done

    def times(self, seconds: float, step: float = 0.5) -> int:
        """Return how often anything ran in so many seconds."""
        total = 0
        for _ in range(round(seconds / step)):
            total += len(self.run_all())
            self.now += step
        return total


def job(name: str, every: float = 1) -> Job:
    return Job(name, every, lambda: None)


def test_each_job_runs_at_once_and_then_in_its_time() -> None:
    bench = Bench(job("often"), job("seldom", 60))
    bench.add("a")
    assert sorted(bench.run_all()) == [("a", "often"), ("a", "seldom")]
    assert bench.run_all() == []
    bench.now += 1
    assert bench.run_all() == [("a", "often")]
    bench.now += 59
    assert sorted(bench.run_all()) == [("a", "often"), ("a", "seldom")]


def test_one_operator_has_so_many_threads_and_one_when_they_are_scarce() -> None:
    bench = Bench(*(job(f"j{n}") for n in range(9)), threads=8)
    for each in "abcd":
        bench.add(each)
    bench.rounds.tick()
    # Two take what each may; by then half the threads are taken, and the others get one each.
    assert len(bench.waiting) == 2 * LANES + 2
    bench.rounds.tick()
    assert len(bench.waiting) == 2 * LANES + 2


def test_whose_turn_is_first_changes() -> None:
    bench = Bench(job("j"))
    for each in "abc":
        bench.add(each)
    firsts = []
    for _ in range(3):
        firsts.append(bench.run_all()[0][0])
        bench.now += 1
    assert sorted(firsts) == ["a", "b", "c"]


def test_a_job_of_one_operator_never_runs_twice_at_once() -> None:
    bench = Bench(job("j"))
    bench.add("a")
    bench.rounds.tick()
    bench.now += 10
    bench.rounds.tick()
    assert len(bench.waiting) == 1


def test_where_nothing_is_written_it_is_looked_at_seldom_and_at_once_again() -> None:
    bench = Bench(job("j"))
    bench.add("a")
    bench.times(AWAKE_SECONDS + QUIET_SECONDS)
    assert bench.times(10 * QUIET_SECONDS) in (9, 10, 11)
    bench.stamps["a"] += 1
    assert bench.times(AWAKE_SECONDS) >= AWAKE_SECONDS - 2
    bench.now += QUIET_SECONDS
    bench.run_all()
    bench.stamps["a"] += 1
    bench.rounds.tick()
    bench.now += 1
    assert bench.run_all() == [("a", "j")]


def test_one_that_hangs_or_fails_delays_nobody() -> None:
    rounds = Rounds([job("j", 0.05)], 8)
    go_on, ran = threading.Event(), {each: threading.Semaphore(0) for each in "abc"}

    def hang(_job: Job) -> None:
        go_on.wait(WAIT)

    def fail(_job: Job) -> None:
        ran["b"].release()
        raise RuntimeError("broken")

    rounds.add("a", hang)
    rounds.add("b", fail)
    rounds.add("c", lambda _job: ran["c"].release())
    for _ in range(5):
        for each in "bc":
            rounds.tick()
            while not ran[each].acquire(timeout=0.05):
                rounds.tick()
    gone = threading.Event()
    rounds.remove("a", gone.set)
    assert not gone.is_set()  # what runs is waited for
    go_on.set()
    assert gone.wait(WAIT)
    rounds.remove("b", lambda: None)
    rounds.close()


def test_one_that_is_not_there_is_removed_at_once() -> None:
    bench, gone = Bench(job("j")), threading.Event()
    bench.rounds.remove("a", gone.set)
    assert gone.is_set()
