"""Measure how long the fleet's page takes to make and to open, in Debian's chromium.

Run by `make bench NAME=page`; needs chromium and chromium-driver (apt-get install both).

The load is what the page's own clock says from the start of the navigation to the end of its load event; the median of
some openings, each in a tab that was empty.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

from browser import Browser, browsing, tools  # noqa: E402
from made_up import NOW, TEMPLATE, services  # noqa: E402
from twelvefold.fleet.page import page  # noqa: E402

LOADED = "return performance.getEntriesByType('navigation')[0].loadEventEnd"
SEARCHED = """
const began = performance.now();
const search = document.querySelector("#search");
search.value = "billing worker";
search.dispatchEvent(new Event("input"));
document.body.getBoundingClientRect();
const took = performance.now() - began;
search.value = "";
search.dispatchEvent(new Event("input"));
return took;
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--services", type=int, nargs="+", default=[500, 1000, 10_000])
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    if missing := tools():
        sys.stderr.write(f"Needs {', '.join(missing)}; on Debian: apt-get install chromium chromium-driver\n")
        return 2
    sys.stdout.write("| services | kB | made, s | opens, ms | searched, ms |\n| --- | --- | --- | --- | --- |\n")
    with tempfile.TemporaryDirectory() as folder, browsing(Path(folder) / "profile") as browser:
        for count in options.services:
            file = Path(folder) / f"{count}.html"
            began = time.monotonic()
            file.write_text(page(services(count), title="Acme", template=TEMPLATE, now=NOW), encoding="utf-8")
            made = time.monotonic() - began
            loads, searches = zip(*(measured(browser, file) for _ in range(options.rounds)), strict=True)
            size = file.stat().st_size / 1000
            sys.stdout.write(
                f"| {count:,} | {size:,.0f} | {made:.1f} | {statistics.median(loads):.0f} | "
                f"{statistics.median(searches):.0f} |\n"
            )
    return 0


def measured(browser: Browser, file: Path) -> tuple[float, float]:
    """Milliseconds until the page is loaded, and for a search in it."""
    browser.open("about:blank")
    browser.open(file.as_uri())
    return float(browser.wait_until(LOADED)), float(browser.run(SEARCHED))


if __name__ == "__main__":
    sys.exit(main())
