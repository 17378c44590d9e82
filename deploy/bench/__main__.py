"""Every benchmark, one after the other: ``python -m deploy.bench``."""

from __future__ import annotations

import subprocess
import sys

for name in (
    "decide",
    "hub_visits",
    "door",
    "statement",
    "members",
    "map",
    "map_page",
    "harvest",
    "trust",
    "feeds",
    "pictures",
):
    print(f"\n== {name}", flush=True)
    subprocess.run([sys.executable, "-m", f"deploy.bench.{name}"], check=True)
