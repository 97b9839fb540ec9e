"""How large is a page of long responses, how long does it take to write, and when does a browser paint it?

    PYTHONPATH=tests python benchmarks/report_page.py [--pairs N] [--tokens N] [--json FILE]

250 pairs are 500 responses of 1,000 tokens each, made up like those of a model: words as often as words are (Zipf),
sure of three tokens in four, changed little by training; each text token by token under both models, with four latents
and a direction. `write` is from the tables to the file, sanitising and packing included, not scoring. `paint` is the
browser's own first contentful paint from the disk; `scroll` the frames that took longer than 50 ms while the list of
responses is walked from end to end. Needs Debian's Chromium (`make browser`).
"""

import argparse
import json
import platform
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import made_pages
import numpy as np
from browser import Browser
from test_pages import _peaked, _shades

from probe.pages import responses, tokens

TARGETS = {"write": 20.0, "paint": 1.0, "megabytes": 5.0}
PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime / 1000"
SCROLL = """(async () => {
  const list = document.querySelector('.list'); let slow = 0, frames = 0, last = performance.now();
  for (let i = 0; i <= 120; i++) {
    list.scrollTop = list.scrollHeight * i / 120;
    await new Promise(requestAnimationFrame);
    const now = performance.now(); frames++; if (now - last > 50) slow++; last = now;
  }
  return [slow, frames];
})()"""


def main() -> None:
    """Write the page once, open it five times, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=250)
    parser.add_argument("--tokens", type=int, default=1000)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tables = made_up(args.pairs, args.tokens)
        start = time.perf_counter()
        page = page_of(*tables).write(Path(folder) / "page")[0]
        found: dict[str, Any] = {"write": time.perf_counter() - start, "megabytes": page.stat().st_size / 1e6}
        paints, scrolls = [], []
        with Browser.found() as browser:
            for _ in range(5):
                tab = browser.open(page)
                tab.until("performance.getEntriesByName('first-contentful-paint').length > 0")
                paints.append(float(tab.says(PAINT)))
                scrolls.append(tab.says(SCROLL))
    found |= {
        "paint": median(paints),
        "paints": paints,
        "slow frames": [s for s, _ in scrolls],
        "frames": scrolls[0][1],
    }
    about = {"pairs": args.pairs, "tokens": args.tokens, "arch": platform.machine(), "targets": TARGETS}
    print(json.dumps(found | about, indent=1))
    if args.json:
        args.json.write_text(json.dumps(found | about, indent=1) + "\n")


def made_up(n: int, length: int) -> tuple[Any, Any, list[str], np.random.Generator]:
    """Texts of both sides and their scores."""
    rng = np.random.default_rng(0)
    drawn = np.char.add(" w", np.minimum(rng.zipf(1.3, size=(n, length)), 29999).astype(str))
    return _peaked(made_pages.paired(drawn.tolist()), rng), drawn, ["".join(row) for row in drawn], rng


def page_of(table: Any, drawn: Any, texts: list[str], rng: np.random.Generator) -> Any:
    """The page, as one of a pair is put together."""
    n = len(texts)
    places = {f"p{i}": i for i in range(n)}
    problems = {name: responses.problem("a question of some length " * 8, "7") for name in places}
    sides = [made_pages.side(texts[::way], ["right"] * n, ["code"] * n, ["eos"] * n) for way in (1, -1)]
    page = made_pages.page(texts[:6])
    told = {side: tokens.told(table, places) | {"shades": _shades(table, rng)} for side in tokens.SIDES}
    data = {**page.data, "responses": responses.told([tuple(sides)], problems, n)}  # type: ignore[list-item]
    return type(page)(page.title, data | {"tokens": {"temperature": 1.0, **told}}, {})


if __name__ == "__main__":
    main()
