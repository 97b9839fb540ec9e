"""The Python face of dictionaries: which features did RL write, and which did it turn up?

found = probe.features(pair)              # crosscoders of the pair, beside those in which nothing is new
found.table                               # exclusives, what carries the change, latents of code, their rates
probe.features(pair, sae="RELEASE/ID")    # the same pair by somebody else's dictionary
probe.dictionary("FOLDER")                # one dictionary: encode, decode, W_dec [latent model d]
"""

from typing import Unpack

from probe.api import Ask, Where, asked, run_here
from probe.checkpoints.pair import Pair
from probe.dictionaries.dictionary import Dictionary
from probe.dictionaries.exchange.by_name import dictionary_named
from probe.dictionaries.fitting.options import Fit
from probe.experiments.experiment import Experiment
from probe.experiments.result import Result
from probe.rollouts.options import Compute

SAMPLES = 4  # answers a question


def features(
    pair: Pair,
    *,
    site: str | None = None,
    fit: Fit | None = None,
    sae: str | None = None,
    sae_anyway: bool = False,
    batch: int = 64,
    where: Where | None = None,
    **ask: Unpack[Ask],
) -> Result:
    """What dictionaries say that RL changed at `site`, beside those in which nothing should be new.

    `site` is a residual such as "resid.2" [two thirds up]; `fit` the recipe [that of organisms, or of weights from
    outside]. With `sae`, a dictionary that is there says it instead: a folder, a file, or SAELens' RELEASE/ID; with
    `sae_anyway` although it names another model than the pair. BadInput for an unknown site, a base alone, a dictionary
    of two models, of another width or another model's, or too few rows.
    """
    from probe.experiments.dictionaries.foreign import ForeignFeaturesJob
    from probe.experiments.dictionaries.job import FeaturesJob, default_fit, default_site

    ask.setdefault("samples", SAMPLES)
    elicitation, options = asked(pair.before, **ask)
    compute = Compute(batch)
    job: Experiment
    if sae is not None:
        job = ForeignFeaturesJob(pair, sae, elicitation, options, compute, anyway=sae_anyway)
    else:
        place, recipe = site or default_site(pair.before), fit or default_fit(pair.before)
        job = FeaturesJob(pair, place, elicitation, options, recipe, compute)
    return run_here(job, **where or {})


def dictionary(name: str) -> Dictionary:
    """The dictionary of that name: a folder of ours or of SAELens, a file of Qwen-Scope, or RELEASE/ID of a hub's.

    BadInput where there is none, or it cannot be read.
    """
    return dictionary_named(name)
