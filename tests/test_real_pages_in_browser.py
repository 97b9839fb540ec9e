"""Pages of what is really made, in a browser: a pair of organisms, two files of outputs. Nothing in them is made up.

Skipped where no Chromium is on the PATH.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from browser import Browser
from study_of_pairs import RAW, WHOLE, with_organism
from test_page_kinds import written

from probe.checkpoints.checkpoint import of_organism, of_run
from probe.checkpoints.pair import Pair
from probe.engine.executor import make
from probe.experiments.published_outputs.job import published_job
from probe.pages.outputs_page import OutputsPage
from probe.pages.pair_page import pair_page
from probe.rollouts.elicitation import CHAIN
from probe.rollouts.options import SamplingOptions
from probe.store import Store

ROWS = "[...document.querySelectorAll('#measures tbody tr')]"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser.found() as found:
        yield found


def untouched(browser: Browser, page: Path) -> None:
    """The file alone was asked for, and nothing complained."""
    assert browser.complaints() == []
    assert {address.split("#")[0] for address in browser.requests()} <= {page.resolve().as_uri(), "about:blank"}


def test_the_page_of_a_pair_of_organisms(browser: Browser, tmp_path: Path) -> None:
    store = with_organism(Store(tmp_path / "s"))
    few = replace(CHAIN.problems, problems=CHAIN.problems.problems[:6], pin=f"{CHAIN.problems.pin}, the first 6")
    pair = Pair(of_organism(RAW), of_run(WHOLE))
    whole = pair_page(pair, replace(CHAIN, problems=few), SamplingOptions(samples=2, max_new=12))
    make(whole.jobs, store, workers=1)
    page = whole.page(store).write(tmp_path / "out")[0]
    browser.events.clear()
    tab = browser.open(page)
    assert RAW.label in tab.says("document.title") and tab.says(f"{ROWS}.length") > 10
    tokens = browser.open(page, "#pair=0&text=after&colour=entropy")
    assert tokens.says("document.querySelectorAll('.tokens .token').length") > 0
    tokens.says("document.querySelector('.tokens').focus()")
    tokens.press("ArrowRight")
    assert "before" in tokens.says("document.querySelector('.choices').textContent")
    tokens.says("document.querySelector('[data-colour=kl]').click()")
    assert tokens.says("document.querySelectorAll('.tokens').length") == 1
    untouched(browser, page)


def test_the_page_of_two_files_of_outputs(browser: Browser, tmp_path: Path) -> None:
    before = written(tmp_path / "base.jsonl", [True, False] * 6, "</script><script>document.title='owned'</script>")
    after = written(tmp_path / "tuned.jsonl", [True, True, False] * 4, "```python\nprint(1)\n```")
    store, whole = Store(tmp_path / "s"), OutputsPage(published_job([before, after]), most=12)
    make(whole.jobs, store, workers=1)
    page = whole.page(store).write(tmp_path / "out")[0]
    browser.events.clear()
    tab = browser.open(page)
    assert tab.says("document.title") != "owned" and tab.says(f"{ROWS}.length") > 3
    tab.says("const s = document.querySelector('[name=cell]'); s.value = 'both'; s.dispatchEvent(new Event('change'))")
    assert "of 12 pairs" in tab.says("document.querySelector('#responses .controls').textContent")
    untouched(browser, page)
