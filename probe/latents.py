"""The Python face of latents: which features did RL write, and which did it turn up? How few do what it did?

found = probe.features(pair)              # crosscoders of the pair, beside those in which nothing is new
found.table                               # exclusives, what carries the change, latents of code, their rates
probe.features(pair, sae="RELEASE/ID")    # the same pair by somebody else's dictionary
probe.adapter(pair).figure()              # latents beside the MLPs of before: how few make it behave like after?
probe.dictionary("FOLDER")                # one dictionary: encode, decode, W_dec [latent model d]
"""

from collections.abc import Sequence
from typing import Unpack

from probe.api import Ask, Where, asked, run_here
from probe.checkpoints.pair import Pair
from probe.dictionaries.dictionary import Dictionary
from probe.dictionaries.exchange.by_name import dictionary_named
from probe.dictionaries.fitting.options import Fit
from probe.experiments.adapter.fits import Training
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


def adapter(
    pair: Pair,
    *,
    training: Training | None = None,
    active: Sequence[int] | None = None,
    batch: int = 256,
    where: Where | None = None,
    **ask: Unpack[Ask],
) -> Result:
    """Which share of RL's change do latents beside every MLP of before recover, at most `active` of them at a token?

    `training` is the recipe [that of organisms, or of weights from outside]; `active` rising numbers, 0 being a vector
    a layer and no latent. The table holds shares of the nats to after (no unit; 1 is all, below 0 further away), nats a
    token, and answers in [0, 1]. BadInput for a base alone, other vocabularies, or more active latents than there are.
    """
    from probe.experiments.adapter.job import AdapterJob, default_training, rungs_of

    recipe, (elicitation, options) = training or default_training(pair.before), asked(pair.before, **ask)
    job = AdapterJob(pair, elicitation, options, recipe, rungs_of(recipe, active), Compute(batch))
    return run_here(job, **where or {})


def dictionary(name: str) -> Dictionary:
    """The dictionary of that name: a folder of ours or of SAELens, a file of Qwen-Scope, or RELEASE/ID of a hub's.

    BadInput where there is none, or it cannot be read.
    """
    return dictionary_named(name)
