"""The Python face of pages: all that is found on a pair on one page, and its tokens in a notebook.

probe.report(pair).path                     an HTML file that opens from disk; its numbers in report.json beside it
view = probe.token_view(pair)               shown in a notebook: one text under both models, token by token
view.tokens("after").to_pandas()            one row a token
view.figure(3, colour="entropy")            the same as a still figure, for papers
probe.cards(probe.features(pair))           shown in a notebook: the latents that tell code best, a card each
"""

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

import numpy as np
import pyarrow as pa

from probe.api import Ask, Where, asked
from probe.checkpoints.pair import Pair
from probe.engine.executor import make
from probe.engine.pool import pool_size
from probe.engine.progress import Progress
from probe.errors import BadInput
from probe.experiments.compare.job import CompareJob
from probe.experiments.dictionaries.job import FeaturesJob
from probe.experiments.result import Result
from probe.experiments.token_view.job import PairedTokensJob
from probe.experiments.token_view.latents import LatentTokensJob
from probe.pages.cards import told as card_data
from probe.pages.embed import Page, folder_of
from probe.pages.inside import inside
from probe.pages.pack import plain
from probe.pages.pair_page import MOST, PairPage, pair_page
from probe.pages.strip import Colour, strip
from probe.plots import Drawing
from probe.rollouts.options import Compute
from probe.store import Store
from probe.terminal import Terminal

if TYPE_CHECKING:
    from probe.engine.job import Job

FEW = 32  # texts of each side in a notebook
HEIGHT = 900  # pixels of a notebook's view


@dataclass(frozen=True, eq=False)
class Report:
    """A page that was written, and where."""

    page: Page
    path: Path

    def __repr__(self) -> str:
        return f"Report({self.page.title}: {self.path})"

    def _repr_html_(self) -> str:
        """A notebook links it."""
        return f'<p><a href="{escape(str(self.path), quote=True)}">{escape(self.page.title)}: report</a></p>'


@dataclass(frozen=True, eq=False)
class TokenView:
    """Texts of both sides, token by token, under both models."""

    made: PairPage
    store: Store

    def tokens(self, writer: Literal["before", "after"] = "after", text: int | None = None) -> pa.Table:
        """PAIRED (`probe.data`) of what one side wrote: all of it, or text number `text`."""
        assert self.made.tokens is not None
        table = self.store.get(self.made.tokens.recipe).read_table(f"{writer}.parquet")
        if text is None:
            return table
        ends = np.append(np.flatnonzero(table["pos"].to_numpy() == 0), table.num_rows).tolist()
        return table.slice(ends[text], ends[text + 1] - ends[text])

    def figure(self, text: int = 0, *, writer: Literal["before", "after"] = "after", colour: Colour = "kl") -> Drawing:
        """One text as a still figure. BadInput for an unknown colour."""
        return strip(self.tokens(writer, text), self.made.names, colour)

    @property
    def page(self) -> Page:
        """The texts alone, as a page."""
        return self.made.tokens_page(self.store)

    def __repr__(self) -> str:
        return f"TokenView({self.made.compare.pair.label}): shown in a notebook; .tokens(), .figure()"

    def _repr_html_(self) -> str:
        return framed(self.page)


@dataclass(frozen=True, eq=False)
class Cards:
    """Feature cards of one pair: latents, the direction of code, and nulls."""

    made: LatentTokensJob
    store: Store

    @property
    def told(self) -> list[dict[str, Any]]:
        """Every card as plain values: AUROC, audits, rates, histogram, logits, contexts."""
        found = plain(card_data(self.made, self.store))["cards"]
        return list(found)

    @property
    def page(self) -> Page:
        """The cards alone, as a page."""
        pair = self.made.features.pair
        about = {side: one.name for side, one in pair.sides.items()}
        return Page(
            f"{pair.label} features", {"kind": "cards", "about": about, "cards": card_data(self.made, self.store)}, {}
        )

    def __repr__(self) -> str:
        titles = ", ".join(card["title"] for card in self.told)
        return f"Cards({self.made.features.label}: {titles or 'none'}): shown in a notebook; .told"

    def _repr_html_(self) -> str:
        return framed(self.page)


def framed(page: Page) -> str:
    """A page within the notebook's, which neither sees nor reaches what is around it."""
    frame = f'width="100%" height="{HEIGHT}" sandbox="allow-scripts" title="{escape(page.title, quote=True)}"'
    return f'<iframe srcdoc="{escape(page.html, quote=True)}" {frame}></iframe>'


def report(
    pair: Pair,
    *,
    out: Path | str | None = None,
    pairs: int = MOST,
    cards: bool | None = None,
    steering: bool | None = None,
    where: Where | None = None,
    **ask: Unpack[Ask],
) -> Report:
    """Write the page of a pair into the folder `out` [reports/BEFORE--AFTER]; `pairs` responses at each temperature.

    What is in the store is read, what is missing is made. `cards` (of latents) and `steering` (by dose) are made if
    True and left out if False [shown where the store holds them]. BadInput where a page that was not made here is in
    the way.
    """
    store = _store(where or {})
    made = inside(pair_page(pair, *asked(pair.before, **ask), most=pairs), store, cards, steering)
    page = made.page(_made(made.jobs, (where or {}) | {"store": store}))
    return Report(page, page.write(Path(out) if out else folder_of(made.names))[0])


def token_view(
    pair: Pair, *, texts: int = FEW, batch: int = 64, where: Where | None = None, **ask: Unpack[Ask]
) -> TokenView:
    """Both models' scores of every token of the first `texts` responses of each side, to be looked at.

    Log-probs, entropies and KL in nats, ranks from 0, and what either model would have written. BadInput where the two
    have different vocabularies.
    """
    whole = pair_page(pair, *asked(pair.before, **ask), compute=Compute(batch), most=texts)
    made = PairPage(whole.compare, None, whole.tokens, texts)
    assert made.tokens is not None
    return TokenView(made, _made([made.tokens, *made.compare.sampled], where or {}))


def cards(found: Result, *, texts: int = FEW, where: Where | None = None) -> Cards:
    """A card of each latent that `probe.features` (`found`) tells one by one, and of what stands beside them.

    Their strongest places are looked for in the first `texts` answers of each side, which both models read. BadInput
    for the result of anything else.
    """
    job = found.job
    if not isinstance(job, FeaturesJob):
        raise BadInput("no dictionary of a pair", where=job.label, do="give what probe.features(pair) returned")
    tokens = PairedTokensJob(CompareJob(job.pair, job.elicitation, job.options, (), job.compute), texts)
    made = LatentTokensJob(job, tokens)
    return Cards(made, _made([made], where or {}))


def _store(where: Where) -> Store:
    store = where.get("store")
    return store if isinstance(store, Store) else Store(store)


def _made(jobs: "list[Job]", where: Where) -> Store:
    """The store, once it holds them all."""
    held, workers = _store(where), where.get("workers")
    with Progress(Terminal(stderr=True, quiet=not where.get("progress", True)), held, pool_size(workers)) as shown:
        make(jobs, held, workers=workers, listener=shown)
    return held
