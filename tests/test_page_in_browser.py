"""The page in a browser: nothing that a text holds runs or is asked for, and all of it can be reached by keyboard.

Skipped where no Chromium is on the PATH. The accessibility pass is skipped where $PROBE_AXE does not name axe.min.js
(npm pack axe-core).
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import made_pages
import pytest
from browser import Browser, Page
from made_pages import HOSTILE

from probe.pages import responses

MILLION = "x" * 999_990 + "<b>end</b>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser.found() as found:
        yield found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of hostile texts, one of them a million letters long."""
    root = tmp_path_factory.mktemp("page")
    made_pages.page([*HOSTILE, MILLION], name=HOSTILE[0]).write(root)
    return root


@pytest.fixture
def hostile(browser: Browser, folder: Path) -> Page:
    browser.events.clear()
    return browser.open(folder / "index.html")


def text(page: Page, selector: str) -> str:
    return str(page.says(f"document.querySelector({json.dumps(selector)}).textContent"))


def go_to(page: Page, place: int) -> None:
    """Choose that pair by keyboard."""
    page.says("document.querySelector('.list').focus()")
    page.press("Home")
    for _ in range(place):
        page.press("ArrowDown")


def test_hostile_texts_are_shown_and_do_nothing(hostile: Page, browser: Browser) -> None:
    assert hostile.says("document.title") == f"{HOSTILE[0]} · probe report"
    assert hostile.says("document.querySelectorAll('script').length") == 2
    assert (
        hostile.says("document.querySelectorAll('main img, main script, main b, main iframe, [onerror]').length") == 0
    )
    assert text(hostile, "h1") == f"before → {HOSTILE[0]}"
    for place in (0, 1, 3):
        go_to(hostile, place)
        assert text(hostile, ".side.before pre") == HOSTILE[place].replace("\r", "␍")
        assert text(hostile, ".asked-whole") == HOSTILE[place]
    assert hostile.says("document.title") == f"{HOSTILE[0]} · probe report"
    assert browser.complaints() == []
    assert {request.partition(":")[0] for request in browser.requests()} == {"file"}
    assert len(browser.requests()) == 1


def test_what_is_not_seen_or_turns_the_direction_gets_a_sign(hostile: Page) -> None:
    go_to(hostile, 5)
    assert text(hostile, ".side.before pre") == "␀␇␛[2J␛]0;owned␇␡␍\n"
    go_to(hostile, 6)
    told = text(hostile, ".side.before pre")
    assert told.startswith("left ⟨U+202E⟩evil⟨U+202C⟩ ⟨U+2066⟩x⟨U+2069⟩ ⟨U+2028⟩ ⟨U+2029⟩ ⟨U+FEFF⟩")
    go_to(hostile, 7)
    assert "⟨U+E0041⟩ tag" in text(hostile, ".side.before pre")
    go_to(hostile, 8)
    assert text(hostile, ".side.before .about") == "an empty response"


def test_a_million_letters_are_shown_part_by_part(hostile: Page) -> None:
    go_to(hostile, len(HOSTILE))
    length = "document.querySelector('.side.before pre').textContent.length"
    assert hostile.says(length) == 20_000
    hostile.says("document.querySelector('.side.before pre + button').click()")
    assert hostile.says(length) == 40_000
    hostile.says("for (let i = 0; i < 60; i++) document.querySelector('.side.before pre + button')?.click()")
    assert hostile.says(length) == 1_000_000 and text(hostile, ".side.before pre").endswith("<b>end</b>")


def test_tokens_are_walked_by_keyboard(browser: Browser, tmp_path: Path) -> None:
    page = made_pages.page(["a", "b"])
    page.write(tmp_path)
    told = json.loads(page.twin)["tokens"]["after"]
    tab = browser.open(tmp_path / "index.html", "#pair=1&text=after&colour=entropy")
    first, last = told["starts"][1], told["starts"][2]
    forks = [i - first for i in range(first, last) if told["fork"][i]]
    tab.says("document.querySelector('.tokens').focus()")

    def here() -> int:
        assert tab.says("document.activeElement.className") == "tokens"
        found = tab.says("document.activeElement.getAttribute('aria-activedescendant')").rpartition("-")[2]
        assert tab.says(f"document.querySelector('.tokens #before-{found}').getAttribute('aria-selected')") == "true"
        return int(found)

    for key, expected in (("ArrowRight", 1), ("End", last - first - 1), ("ArrowRight", last - first - 1), ("Home", 0)):
        tab.press(key)
        assert here() == expected, key
    assert forks
    for expected in [each for each in forks if each > 0]:
        tab.press("n")
        assert here() == expected
    shown = text(tab, ".choices")
    k = first + here()
    assert f"token {here() + 1} of {last - first}" in shown
    assert f"rank {told['rank']['before'][k]} before, {told['rank']['after'][k]} after" in shown
    tab.press("p")
    assert here() <= forks[-1]
    assert tab.says("document.querySelectorAll('.tokens').length") == 2  # the same text, under both
    tab.says("document.querySelector('[data-colour=kl]').click()")
    assert tab.says("document.querySelectorAll('.tokens').length") == 1
    levels = tab.says(
        "[...document.querySelectorAll('.tokens .token')].map(e => Number(e.style.getPropertyValue('--level')))"
    )
    kl = told["kl"][first:last]
    assert [kl[i] for i in sorted(range(len(kl)), key=lambda i: levels[i])] == pytest.approx(sorted(kl), abs=0.05)


def test_tokens_take_the_colour_of_a_latent(browser: Browser, tmp_path: Path) -> None:
    """A latent is the same under both, its shade its activation; a direction has two panes, each side of 0 a colour."""
    page = made_pages.page(["a", "b", "c"])
    page.write(tmp_path)
    shades = json.loads(page.twin)["tokens"]["after"]["shades"]
    tab = browser.open(tmp_path / "index.html", "#pair=1&text=after")
    select = "document.querySelector('[name=latent]')"
    assert tab.says(f"getComputedStyle({select}.parentElement).display") == "none"  # no colour but this needs it
    tab.says("document.querySelector('[data-colour=latent]').click()")
    assert tab.says(f"[...{select}.options].map(e => e.value)") == list(shades)
    shown = "[...document.querySelectorAll('.tokens .token')].map(e => Number(e.style.getPropertyValue('--level')))"
    assert tab.says(f"{select}.value") == "latent:7" and tab.says("document.querySelectorAll('.tokens').length") == 1
    values, most = shades["latent:7"], max(shades["latent:7"])
    assert tab.says(shown) == pytest.approx([100 * value / most for value in values[4:8]], abs=1)
    tab.press("Tab")
    tab.says(f"{select}.focus()")
    for _ in range(3):
        tab.press("ArrowDown")
    assert tab.says(f"{select}.value") == "direction"
    panes = "[...document.querySelectorAll('.tokens')].map(box => [...box.children].map(e => e.matches('.below')))"
    assert tab.says(panes) == [[value < 0 for value in shades["direction"][side][4:8]] for side in ("before", "after")]
    assert "latent=direction" in tab.says("location.hash")
    assert f"latent 7 {values[4]:.2f}".replace(" 0.", " .") in text(tab, ".choices")
    assert browser.complaints() == []


def test_a_card_is_read(hostile: Page, browser: Browser) -> None:
    card = "document.querySelector('[data-thing=\"latent:7\"]')"
    for said in ("Latent 7", "AUROC .70 [.60, .80]", "untrained dictionary's best latent .70", "in code", "+.200"):
        assert said in hostile.says(f"{card}.textContent"), said
    assert hostile.says(f"[...{card}.querySelectorAll('.audits .sign')].map(e => e.textContent)") == [
        "✓ passed",
        "✗ failed",
        "? open",
    ]
    assert HOSTILE[0] in hostile.says(f"{card}.querySelector('.audits').textContent")
    contexts = hostile.says(f"[...{card}.querySelectorAll('.context')].map(e => e.textContent)")
    assert contexts[0] == f"{HOSTILE[0]} {HOSTILE[0]}b" and len(contexts) == len(HOSTILE) + 1
    assert "⟨U+202E⟩" in contexts[6] and "\u202e" not in contexts[6]
    assert len(contexts[-1]) < 400  # a million letters are cut
    level = f"[...{card}.querySelector('.context').children].map(e => e.style.getPropertyValue('--level'))"
    assert hostile.says(level) == ["0", "0", "100", "17"]
    paths = f"[...{card}.querySelectorAll('.histogram path')].map(e => e.getAttribute('class'))"
    assert hostile.says(paths) == ["code", "prose"]
    assert hostile.says("document.querySelectorAll('.card.null').length") == 2
    assert browser.complaints() == [] and len(browser.requests()) == 1


def test_cards_alone_are_a_page(browser: Browser, tmp_path: Path) -> None:
    """As a notebook shows them; where there is none, why."""
    page = made_pages.page(["a"])
    about, held = page.data["about"], page.data["cards"]
    for place, (nothing, cards) in enumerate(((None, 5), ("One strategy alone.", 0))):
        data = {"kind": "cards", "about": about, "cards": held | {"nothing": nothing}}
        type(page)("cards", data, {}).write(tmp_path / str(place))
        browser.events.clear()
        tab = browser.open(tmp_path / str(place) / "index.html")
        assert tab.says("[...document.querySelectorAll('main > section')].map(e => e.id)") == ["features"]
        assert tab.says("document.querySelectorAll('.card').length") == cards
        assert not nothing or nothing in text(tab, "#features .note")
        assert browser.complaints() == []


def test_the_dose_is_moved_by_keyboard(hostile: Page, browser: Browser) -> None:
    def written() -> str:
        return str(hostile.says("document.querySelector('.steered article').lastElementChild.textContent"))

    assert written() == f"{HOSTILE[0]}|0|0"
    hostile.says("document.getElementById('dose').focus()")
    hostile.press("ArrowRight")
    assert written() == f"{HOSTILE[0]}|0|2"
    assert (
        hostile.says("document.getElementById('dose').getAttribute('aria-valuetext')")
        == "+2 times the fitted direction"
    )
    assert ".800" in text(hostile, "#steering .tiles") and ".40 to .60" in text(hostile, "#steering .tiles")
    hostile.says("document.querySelector('[data-arm=random]').click()")
    assert written() == f"{HOSTILE[0]}|1|2" and ".500" in text(hostile, "#steering .tiles")
    hostile.says("document.getElementById('dose').focus()")
    hostile.press("ArrowLeft")
    assert written() == f"{HOSTILE[0]}|0|0"  # nothing is added, along whichever direction
    hostile.press("Home")
    assert written() == f"{HOSTILE[0]}|1|-2"
    assert "20 problems" in text(hostile, "#steering [role=status]")
    assert browser.complaints() == [] and len(browser.requests()) == 1


def test_the_list_holds_what_is_seen_and_filters(browser: Browser, tmp_path: Path) -> None:
    n = 5000
    outcomes = ["right" if i % 10 == 0 else "wrong" for i in range(n)]
    sides = [
        made_pages.side([f"t{i}" for i in range(n)], each, ["code"] * n, ["eos"] * n)
        for each in (outcomes, ["right"] * n)
    ]
    problems = {f"p{i}": responses.problem(f"ask {i}", "7") for i in range(n)}
    page = made_pages.page(["a"])
    many = responses.told([tuple(sides)], problems, n)  # type: ignore[list-item]
    replace_data = {**page.data, "responses": many, "tokens": None}
    type(page)(page.title, replace_data, {}).write(tmp_path)
    tab = browser.open(tmp_path / "index.html")
    rows = "document.querySelectorAll('.row').length"
    assert 5 < tab.says(rows) < 60
    assert tab.says("document.querySelector('.row').getAttribute('aria-setsize')") == str(n)
    tab.says("const s = document.querySelector('[name=cell]'); s.value = 'both'; s.dispatchEvent(new Event('change'))")
    assert "500 of 5000 pairs" in text(tab, "#responses .controls")
    tab.says("document.querySelector('.list').focus()")
    tab.press("End")
    assert text(tab, ".asked-whole") == "ask 4990" and tab.says(rows) < 60
    search = "document.querySelector('#responses [type=search]')"
    tab.says(f"{search}.value = 'no such'; {search}.dispatchEvent(new Event('input'))")
    assert "No pair is like that" in text(tab, "#responses")
    assert "These texts were not scored" not in text(tab, "#responses")


def test_the_table_is_sorted_by_its_headings(browser: Browser, tmp_path: Path) -> None:
    page = made_pages.page(["a"])
    row = page.data["measures"]["rows"][0]
    rows = [row | {"name": name, "value": value} for name, value in (("b", 0.2), ("a", 0.3), ("c", -0.1))]
    type(page)(page.title, {**page.data, "measures": {"rows": rows, "about": {}}}, {}).write(tmp_path)
    tab = browser.open(tmp_path / "index.html")
    names = "[...document.querySelectorAll('#measures tbody .mono')].map(e => e.textContent[0]).join('')"
    head = "[...document.querySelectorAll('#measures thead button')].find(e => e.textContent === {!r})"
    assert tab.says(names) == "bac"
    for heading, order, way in (
        ("change", "cba", "ascending"),
        ("change", "abc", "descending"),
        ("measure", "abc", "ascending"),
    ):
        tab.says(f"{head.format(heading)}.click()")
        assert tab.says(names) == order
        assert tab.says(f"{head.format(heading)}.closest('th').getAttribute('aria-sort')") == way


def test_light_and_dark(browser: Browser, folder: Path) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    light, dark = (browser.open(folder / "index.html", dark=each) for each in (False, True))
    assert light.says(paper) == "rgb(255, 255, 255)" != dark.says(paper)
    light.says("document.getElementById('theme').click()")  # system -> light
    light.says("document.getElementById('theme').click()")
    assert text(light, "#theme") == "Theme: dark" and light.says(paper) == dark.says(paper)


def test_nothing_is_wider_than_a_narrow_screen(browser: Browser, folder: Path) -> None:
    tab = browser.open(folder / "index.html", size=(380, 800))
    assert tab.says("document.documentElement.scrollWidth") <= 380


@pytest.mark.parametrize("dark", [False, True])
def test_no_barrier_is_found(browser: Browser, tmp_path: Path, dark: bool) -> None:
    axe = os.environ.get("PROBE_AXE")
    if not axe:
        pytest.skip("axe is not here: npm pack axe-core, and set PROBE_AXE to its axe.min.js")
    made_pages.page(["a text", "another"]).write(tmp_path)
    tab = browser.open(tmp_path / "index.html", "#pair=1&colour=entropy", dark=dark)
    tab.says(Path(axe).read_text(encoding="utf-8") + ";0")
    assert tab.says("axe.run().then(found => found.violations.map(each => `${each.id}: ${each.nodes[0].html}`))") == []
