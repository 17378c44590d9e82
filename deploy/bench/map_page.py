"""The map's page with 40,000 spaces in a real browser: what its main thread does while it is moved.

A trace of Chromium's own, over twenty moves: dragging, going in and out. At full speed, and
slowed down four times as on a poor phone.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import warnings
from dataclasses import dataclass
from typing import Any

from deploy.bench import atlas
from deploy.bench.services import bench
from deploy.demo.processes import ProcessError
from shared.ops.logs import configure_logging

LONG_MS = 50.0
AIM_MS = 50.0  # of processor time at full speed: a longer task is called a long one
MARKS = "#map .leaflet-marker-icon"
REST_MS = 600  # between two moves: a glide, an answer of the hub's
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
# How far apart two frames were, as the page itself sees it.
FRAMES = """() => {
  globalThis.gaps = [];
  let last = performance.now();
  const look = (now) => { gaps.push(now - last); last = now; requestAnimationFrame(look); };
  requestAnimationFrame(look);
}"""


@dataclass(frozen=True)
class Seen:
    """Milliseconds of tasks on the page's main thread, their processor time, and of frames."""

    tasks: list[float]
    busy: list[float]
    frames: list[float]
    marks: int


def blocked(tasks: list[float]) -> float:
    """Return what tasks took beyond 50 ms each: the page answered nobody meanwhile."""
    return sum(task - LONG_MS for task in tasks if task > LONG_MS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spaces", type=int, default=40_000)
    parser.add_argument("--moves", type=int, default=20)
    parser.add_argument("--trace", help="where to keep the trace at full speed (JSON)")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    configure_logging("CRITICAL", "bench")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415
    except ImportError:
        print("The map's page is left out: install the development requirements.")
        return
    if chromium is None:
        print("The map's page is left out: chromium is not installed.")
        return
    try:
        with bench() as found, sync_playwright() as playwright:
            hub = found.hub("hub-map-page", "")
            atlas.found(hub.app, options.spaces)
            browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
            worst = 0.0
            for slower in (1, 4):
                seen = _moved(browser, hub.url, options, slower)
                _print(options.spaces, slower, seen)
                worst = worst or max(seen.busy)
            browser.close()
    except ProcessError as error:
        sys.exit(f"failed: {error}")
    if worst > AIM_MS:
        print(f"missed: a task took {worst:.0f} ms of processor time; the aim is {AIM_MS:.0f} ms")


def _moved(browser: Any, url: str, options: argparse.Namespace, slower: int) -> Seen:
    """Move the map about under a trace."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(url)
    page.locator(MARKS).first.wait_for()
    page.wait_for_timeout(1000)
    session = page.context.new_cdp_session(page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": slower})
    page.locator("#map").scroll_into_view_if_needed()
    box = page.locator("#map").bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.click(box["x"] + 20, box["y"] + box["height"] - 40)  # entered: the wheel zooms
    browser.start_tracing(page=page, categories=["toplevel", "devtools.timeline", "__metadata"])
    page.evaluate(FRAMES)
    marks = 0
    for n in range(options.moves):
        _move(page, n, middle)
        page.wait_for_timeout(REST_MS * (1 if slower == 1 else 2))
        marks = max(marks, page.locator(MARKS).count())
    frames = page.evaluate("gaps")
    trace = browser.stop_tracing()
    page.close()
    if options.trace and slower == 1:
        with open(options.trace, "wb") as kept:  # noqa: PTH123 - a name as it was given
            kept.write(trace)
    tasks = _tasks(json.loads(trace)["traceEvents"])
    wall, busy = ([each[n] / 1000 for each in tasks] for n in (0, 1))
    return Seen(wall, busy, frames, marks)


def _move(page: Any, n: int, middle: tuple[float, float]) -> None:
    """Drag twice, then go in, four times; later back out."""
    x, y = middle
    if n % 3 < 2:
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + (180 if n % 2 else -150), y + 60, steps=12)
        page.mouse.up()
    else:
        page.mouse.move(x, y)
        page.mouse.wheel(0, -240 if n < 12 else 240)


def _tasks(events: list[dict[str, Any]]) -> list[tuple[int, int]]:
    """Return the duration and the processor time (µs) of each task of the page's main thread."""
    mains = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    by_thread: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for event in events:
        thread = event["pid"], event["tid"]
        if event["name"].endswith("RunTask") and event.get("ph") == "X" and thread in mains:
            by_thread.setdefault(thread, []).append((event["dur"], event.get("tdur", 0)))
    return max(by_thread.values(), key=lambda tasks: sum(task[0] for task in tasks))


def _print(spaces: int, slower: int, seen: Seen) -> None:
    late = [frame for frame in seen.frames if frame > LONG_MS]
    print(
        f"{spaces:,} spaces, processor {'at full speed' if slower == 1 else f'{slower} x slower'}"
    )
    print(f"  marks in the page at most {seen.marks}; tasks {len(seen.tasks)}")
    for what, tasks in (("by the clock", seen.tasks), ("by processor time", seen.busy)):
        long = sum(task > LONG_MS for task in tasks)
        print(
            f"  {what}: longest task {max(tasks):.0f} ms, {long} over {LONG_MS:.0f} ms, "
            f"blocked {blocked(tasks):.0f} ms"
        )
    print(f"  frames: {len(seen.frames)}, {len(late)} over {LONG_MS:.0f} ms apart")


if __name__ == "__main__":
    main()
