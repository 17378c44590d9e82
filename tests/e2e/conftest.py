from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.processes import running_demo


@pytest.fixture(scope="package")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The demonstration as a user starts it, on a Tuesday: what its information file says.

    It ends with the last file that uses it: its jobs would go on beside every other test.
    """
    with running_demo(tmp_path_factory.mktemp("demo"), "--day", "2026-11-24") as info:
        yield info
