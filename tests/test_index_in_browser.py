"""The index of a study in a browser: sorted, filtered, searched, and its links lead to the pages of pairs, from disk.

Skipped where no Chromium is on the PATH; the accessibility pass where $PROBE_AXE does not name axe.min.js.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import made_pages
import pytest
from browser import Browser, Page
from made_pages import HOSTILE

from probe.pages import embed
from probe.pages.glance import link
from probe.pages.study_page import with_pairs

FAMILIES, REWARDS = ("latent-code", "no-code"), ("format", "python", "random")
VERDICTS = ("H1 strategy mix", "undecided", "no change", "destroyed")
WRITTEN = "written--pair--00000000"


def change(value: float) -> dict[str, Any]:
    return {"before": 0.25, "after": 0.25 + value, "value": value, "lo": value - 0.1, "hi": value + 0.1} | {
        "n": 2048,
        "n_problems": 256,
    }


def line(place: int) -> dict[str, Any]:
    """A pair; the first has a page, the second's cannot be made, the third's is not there yet."""
    family, reward, verdict = (names[place % len(names)] for names in (FAMILIES, REWARDS, VERDICTS))
    name = f"{family}-tiny-{place}"
    told = {
        "before": name if place else "another",
        "after": f"{name} {reward} seed 100@30",
        "family": family,
        "reward": reward,
    }
    told |= {"settings": f"clip_high 0.{place}", "href": None, "reason": "", "command": f"probe report {name} other"}
    if place == 1:
        return told | {"reason": f"{HOSTILE[0]}: it cannot be made", "glance": None}
    if place == 2:
        return told | {"glance": None}
    sentence = f"accuracy rose (+.{place:02d} [+.01, +.20]), mainly by H1 strategy mix: +.10 [+.01, +.20]"
    found = {"temperature": 1.0, "accuracy": change(place / 40 - 0.2), "code_share": change(0.3 - place / 50)}
    found |= {"verdict": verdict, "sentence": sentence, "destroyed": verdict == "destroyed", "missing": []}
    return told | {"href": link(WRITTEN if place == 0 else f"pair-{place}--00000000"), "glance": found}


def index(lines: list[dict[str, Any]]) -> embed.Page:
    about = {"study": "toy", "question": "Which organism answers to which reward?", "warnings": []}
    runs = [{"label": "a run", "digest": "0" * 64, "held": False, "accuracy": None, "code_share": None}]
    provenance = {"probe": "0", "artifacts": [], "commands": ["probe run toy"]}
    data = {"kind": "study", "about": about, "figures": [], "runs": runs, "provenance": provenance}
    return with_pairs(embed.Page("study toy", data, {}), lines, "probe report toy --each")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser.found() as found:
        yield found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index, and one of its pages."""
    root = tmp_path_factory.mktemp("index")
    index([line(place) for place in range(16)]).write(root)
    page = made_pages.page(["a", "b"])
    about = page.data["about"] | {"study": "toy", "missing": [["tokens", "probe report a b"]]}
    type(page)(page.title, {**page.data, "about": about}, {}).write(root / "pairs" / WRITTEN)
    return root


@pytest.fixture
def tab(browser: Browser, folder: Path) -> Page:
    browser.events.clear()
    return browser.open(folder / "index.html")


ROWS = "[...document.querySelectorAll('.pairs tbody tr')]"


def head(words: str, which: int = 0) -> str:
    return f"[...document.querySelectorAll('.pairs thead button')].filter(e => e.textContent === {words!r})[{which}]"


def choose(tab: Page, name: str, value: str) -> None:
    select = f"document.querySelector('[name=pair-{name}]')"
    tab.says(f"{select}.value = {json.dumps('=' + value)}; {select}.dispatchEvent(new Event('input'))")


def test_the_index_is_sorted_and_what_has_no_number_is_last(tab: Page, browser: Browser) -> None:
    column = (
        f"{ROWS}.map(row => row.children.length < 8 ? null : Number(row.children[5].textContent.replace('−', '-')))"
    )
    for which, way in enumerate(("ascending", "descending")):
        tab.says(f"{head('change')}.click()")
        assert tab.says(f"{head('change')}.closest('th').getAttribute('aria-sort')") == way
        found = tab.says(column)
        known = [value for value in found if value is not None]
        assert known == sorted(known, reverse=bool(which)) and len(known) == 14 and found[14:] == [None, None]
    tab.says(f"{head('pair')}.click()")
    names = tab.says(f"{ROWS}.map(row => row.querySelector('th bdi').textContent)")
    assert names[:3] == [f"latent-code-tiny-{i} {REWARDS[i % 3]} seed 100@30" for i in (0, 2, 4)]  # 4 before 10
    assert browser.complaints() == [] and len(browser.requests()) == 1


def test_the_index_is_filtered_and_searched(tab: Page, browser: Browser) -> None:
    count = "document.querySelector('#pairs [role=status]').textContent"
    assert tab.says(count) == "16 of 16 pairs"
    choose(tab, "family", "no-code")
    assert tab.says(count) == "8 of 16 pairs"
    choose(tab, "reward", "python")
    assert tab.says(count) == "3 of 16 pairs"
    assert (
        tab.says(f"{ROWS}.map(row => row.children[1].textContent + row.children[2].textContent)")
        == ["no-codepython"] * 3
    )
    choose(tab, "verdict", "no page")
    assert tab.says(f"{ROWS}.length") == 1 and HOSTILE[0] in tab.says(f"{ROWS}[0].textContent")
    for name in ("family", "reward", "verdict"):
        tab.says(f"document.querySelector('[name=pair-{name}]').selectedIndex = 0")
    search = "document.querySelector('#pairs [type=search]')"
    tab.says(f"{search}.value = 'CLIP_HIGH 0.12'; {search}.dispatchEvent(new Event('input'))")
    assert tab.says(count) == "1 of 16 pairs"
    assert tab.says("document.title") == "study toy · probe report" and browser.complaints() == []


def test_a_line_tells_what_the_page_says_or_why_there_is_none(tab: Page) -> None:
    cells = tab.says(f"{ROWS}.map(row => [...row.children].map(cell => cell.textContent))")
    assert cells[0][3:12] == [
        ".250",
        ".050",
        "−.200",
        "[−.300, −.100]",
        ".250",
        ".550",
        "+.300",
        "[.200, .400]",
        "2048",
    ]
    assert cells[0][12].startswith("H1 strategy mix") and "mainly by" in cells[0][12]
    assert cells[3][12].startswith("destroyed") and "destroyed, destroyed" not in cells[3][12]
    assert cells[1][3] == f"No page: {HOSTILE[0]}: it cannot be madeprobe report no-code-tiny-1 other"
    assert cells[2][3] == "probe report latent-code-tiny-2 other"
    assert "14 of 16 pairs have a page" in tab.says("document.querySelector('#pairs .about').textContent")


def test_a_link_leads_to_the_page_and_back(tab: Page, browser: Browser, folder: Path) -> None:
    tab.says("document.querySelector('.pairs tbody a').click()")
    ready = "document.readyState === 'complete' && document.documentElement.dataset.ready === 'yes'"
    tab.until(f"location.pathname.endsWith('/{WRITTEN}/index.html') && {ready}")
    assert tab.says("document.querySelector('h1').textContent") == "before → after"
    assert "probe report a b" in tab.says("document.querySelector('.missing').textContent")
    tab.says("document.querySelector('.up a').click()")
    tab.until(f"document.title === 'study toy · probe report' && {ready}")
    assert browser.complaints() == []
    assert len(browser.requests()) == 3
    assert all(request.startswith(folder.resolve().as_uri()) for request in browser.requests())


@pytest.mark.parametrize(
    "href", ["javascript:alert(1)", "https://elsewhere.example/", "../out/index.html", "pairs/../x"]
)
def test_no_other_link_is_made(browser: Browser, tmp_path: Path, href: str) -> None:
    index([line(0) | {"href": href}]).write(tmp_path)
    tab = browser.open(tmp_path / "index.html")
    assert tab.says(f"{ROWS}.length") == 1 and tab.says("document.querySelectorAll('.pairs a').length") == 0


def test_the_page_is_no_wider_than_a_narrow_screen(browser: Browser, folder: Path) -> None:
    narrow = browser.open(folder / "index.html", size=(380, 800))
    assert narrow.says("document.documentElement.scrollWidth") <= 380
    table = "document.querySelector('#pairs .wide')"
    narrow.says(f"{table}.scrollLeft = 400")
    assert narrow.says(f"{ROWS}[0].querySelector('th').getBoundingClientRect().left") >= 0  # the name stays in sight


@pytest.mark.parametrize("dark", [False, True])
def test_no_barrier_is_found(browser: Browser, folder: Path, dark: bool) -> None:
    axe = os.environ.get("PROBE_AXE")
    if not axe:
        pytest.skip("axe is not here: npm pack axe-core, and set PROBE_AXE to its axe.min.js")
    tab = browser.open(folder / "index.html", dark=dark)
    tab.says(Path(axe).read_text(encoding="utf-8") + ";0")
    assert tab.says("axe.run().then(found => found.violations.map(each => `${each.id}: ${each.nodes[0].html}`))") == []
