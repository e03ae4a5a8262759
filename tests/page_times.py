"""What a visitor of the page waits for: `python -m tests.page_times`.

Serves the page with the embedded model from a process of its own and measures in Chromium: the
first view of a new browser, a sweep, a token under the pointer, and the import of the page.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

from app.commands.arguments import add_json, print_report
from app.docs.page_times import times_text
from app.measure.server import serve_page
from app.request import RATIOS
from app.worker.conditions import load_text, processor
from tests.app.browser import await_story, launched, show, tab, wait_for_view

METHODS = 4  # beside vanilla
PLACES = [(x, y) for x in (0.2, 0.4, 0.6, 0.8) for y in (0.3, 0.5, 0.7)]  # of each lane
BYTES = """() => ["navigation", "resource"].flatMap((kind) => performance.getEntriesByType(kind))
    .reduce((sum, one) => sum + one.transferSize, 0)"""


def measure(repeats: int) -> dict[str, Any]:
    imported = [processor_time("import app.page.build") for _ in range(repeats)]
    libraries = [processor_time("import gradio, torch") for _ in range(repeats)]
    lanes = str(METHODS + 1)
    with serve_page(TOKENSCOPE_MAX_LANES=lanes) as (url, _), launched() as chromium:
        views = [first_view(chromium, url) for _ in range(repeats)]
        hovers = hover(chromium, url)
        sweeps = [sweep(chromium, url) for _ in range(repeats)]
    return {
        "repeats": repeats,
        "first_view_s": statistics.median(seconds for seconds, _ in views),
        "first_view_kb": statistics.median(size for _, size in views) / 1000,
        "sweep_methods": METHODS,
        "sweep_ratios": len(RATIOS),
        "sweep_s": statistics.median(sweeps),
        "hovers": len(hovers),
        "hover_ms": statistics.median(hovers),
        "slowest_hover_ms": max(hovers),
        "import_cpu_s": statistics.median(imported),
        "libraries_cpu_s": statistics.median(libraries),
        "machine": processor(),
        "load": load_text(),
    }


def processor_time(code: str) -> float:
    """Seconds that a new Python takes for `code`, of the process and of the system for it."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def first_view(chromium: Any, url: str) -> tuple[float, int]:
    """Seconds until a new browser has drawn the story, and the bytes that it was sent."""
    with tab(chromium, 1280, 720) as page:
        start = time.perf_counter()
        page.goto(url)
        await_story(page)
        wait_for_view(page, "boxes")
        return time.perf_counter() - start, page.evaluate(BYTES)


def hover(chromium: Any, url: str) -> list[float]:
    """Milliseconds in which all lanes answer, for each place in each lane of the story."""
    took = []
    with tab(chromium, 1280, 720) as page:
        page.goto(url)
        await_story(page)
        show(page, "Tokens", "tokens")
        for plate in page.locator("#lanes .plate").all():
            plate.scroll_into_view_if_needed()
            box = plate.bounding_box()
            for x, y in PLACES:
                page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
                took.append(page.evaluate("window.tokenscope.followed.took"))
    return took


def sweep(chromium: Any, url: str) -> float:
    """Seconds until a sweep of the first view's form has all its sentences and its chart."""
    with tab(chromium, 1280, 720) as page:
        page.goto(url)
        await_story(page)
        page.locator("#methods .short").get_by_text("Random", exact=True).click()
        page.get_by_text(f"{METHODS} of {METHODS} chosen").first.wait_for()
        start = time.perf_counter()
        page.locator("#sweep-start").click()
        page.locator("#sweep-words li").nth(METHODS).wait_for()  # the first is vanilla's
        page.locator("#sweep-chart svg.marks").wait_for()
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    add_json(parser)
    options = parser.parse_args()
    report = measure(options.repeats)
    print_report(report, times_text(report), options.json)


if __name__ == "__main__":
    main()
