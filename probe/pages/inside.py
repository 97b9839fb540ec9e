"""Which parts of a pair's page look inside: feature cards with a colour by latent, and steering by dose?

What `probe features` and `probe steer` left in the store is shown; asked for (True), it is made where it is missing;
not wanted (False), it is left out.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

from probe.errors import BadInput
from probe.experiments.compare.job import CompareJob
from probe.experiments.dictionaries.job import FeaturesJob, default_fit, default_site
from probe.experiments.steering.job import SAMPLED, SteerJob
from probe.experiments.token_view.latents import LatentTokensJob
from probe.pages.pair_page import PairPage
from probe.pages.steering import Steered
from probe.store import Store

J = TypeVar("J", FeaturesJob, SteerJob)
ANSWERS = 4  # a question, of `probe features`


def inside(page: PairPage, store: Store | None, cards: bool | None = None, steering: bool | None = None) -> PairPage:
    """The page with what is wanted of it; None: what the store holds, nothing where no store may be asked.

    The store knows jobs by what they are made from, which of weights that are not here yet cannot be said.
    """
    features = _wanted(cards, store, list(_features(page.compare, must=cards is True)))
    steered = _wanted(steering, store, [_steer(page.compare)])
    return replace(
        page,
        cards=LatentTokensJob(features, page.tokens) if features and page.tokens else None,
        steering=Steered(steered) if steered else None,
    )


def _wanted(wanted: bool | None, store: Store | None, jobs: list[J]) -> J | None:
    """The first that is in the store; else the first, if it was asked for."""
    if wanted is False:
        return None
    kept = next((job for job in jobs if store and store.holds(job.recipe)), None)
    return kept or (jobs[0] if wanted else None)


def _features(compare: CompareJob, must: bool) -> Iterator[FeaturesJob]:
    """As `probe features` makes them, then over as many answers as the page's. BadInput where the site is not known."""
    try:
        site, fit = default_site(compare.pair.before), default_fit(compare.pair.before)
    except BadInput:
        if must:
            raise
        return
    for samples in dict.fromkeys((ANSWERS, compare.options.samples)):
        options = replace(compare.options, samples=samples)
        yield FeaturesJob(compare.pair, site, compare.elicitation, options, fit, compare.compute)


def _steer(compare: CompareJob) -> SteerJob:
    """As `probe steer` makes it."""
    options = replace(compare.options, samples=SAMPLED.samples)
    return SteerJob(compare.pair, compare.elicitation, options, compute=replace(compare.compute, batch=256))
