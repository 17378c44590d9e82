"""The trust list's benchmark runs: here with a few nodes, so that it does not rot."""

from __future__ import annotations

import sys

import pytest

from deploy.bench import trust


@pytest.mark.thorough
def test_the_benchmark_of_the_trust_list_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ["trust", "--nodes", "3", "--spaces", "5", "--times", "2"]
    monkeypatch.setattr(sys, "argv", few)
    trust.main()
    said = capsys.readouterr().out
    assert "of a core" in said
    assert "until signed" in said
