"""Which share of RL's change do adapters recover, and at which L0?

    share = 1 - sum_t KL(after || base + adapters)_t / sum_t KL(after || base)_t       over completion tokens

1: the model behaves like `after`; 0: like `base`; below: further from `after` than `base` is. Interval: ratio of sums,
clustered by problem (`stats.intervals`), null 0, given the adapters as they were trained: other training seeds are runs
of their own. Measure on problems that adapters were not trained on. L0: active latents a token, prompts too, of each
adapter. A curve over k is a list of these. `why` says where there is no share, or none of latents' making.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import ArrayLike
from transformers import PreTrainedModel

from probe.data import Estimate, Unit
from probe.dictionaries.causes.adapter import Adapter, adapter_edits
from probe.dictionaries.causes.adapter_forward import Texts, adapted, blocks, check_texts
from probe.dictionaries.causes.adapter_training import Fit
from probe.models.hooks.forward_hooks import editing
from probe.stats.checks import label_column
from probe.stats.intervals import clustered_mean, clustered_ratio
from probe.tokens import score

NO_CHANGE = 1e-6  # nats a token: rounding of an fp32 softmax, no more


@dataclass(frozen=True)
class RecoveredChange:
    """The share (nan where `why` says that there is none), and what it is a share of."""

    share: Estimate
    change: Estimate  # nats a token, KL(after || base)
    left: Estimate  # nats a token, KL(after || base + adapters)
    l0: tuple[float, ...]  # of each adapter
    silent: tuple[float, ...]  # share of each adapter's latents that are never active on these texts
    why: str = ""


def recovered_change(
    base: PreTrainedModel,
    after: PreTrainedModel,
    fitted: Fit | Sequence[Adapter],
    prompts: Texts,
    completions: Texts,
    problems: ArrayLike,
    batch: int = 16,
) -> RecoveredChange:
    """On texts with `problems` [text]. BadInput for two vocabularies, layers that are not there, BatchTopK."""
    adapters = fitted.adapters if isinstance(fitted, Fit) else tuple(fitted)
    check_texts((base, after), prompts, completions)
    names = np.repeat(label_column(problems, "problems", len(prompts)), [len(text) for text in completions])
    change = nats_from(after, base, (), prompts, completions, batch)
    whole = clustered_mean(change, names, name="behaviour_change", unit="nats", null=0.0)
    if isinstance(fitted, Fit) and fitted.failed:  # what it left may not even run
        left, share = _unknown("behaviour_left", whole, "nats"), _unknown("recovered_change", whole)
        nothing = (math.nan,) * len(adapters)
        return RecoveredChange(share, whole, left, nothing, nothing, f"training failed: {fitted.failed}")
    left_over = nats_from(after, base, adapters, prompts, completions, batch)
    left = clustered_mean(left_over, names, name="behaviour_left", unit="nats", null=0.0)
    l0, silent = activity(base, adapters, prompts, completions, batch)
    if not whole.value > NO_CHANGE:
        why = f"no change: KL(after || base) is {whole.value:.1e} nats a token"
        return RecoveredChange(_unknown("recovered_change", whole), whole, left, l0, silent, why)
    share = clustered_ratio(change - left_over, change, names, name="recovered_change", null=0.0)
    dead = [str(each.site) for each, active in zip(adapters, l0, strict=True) if active == 0]
    why = f"no latent is active at {', '.join(dead)}: a bias is all that is added there" if dead else ""
    return RecoveredChange(replace(share, hi=min(share.hi, 1.0), n=whole.n), whole, left, l0, silent, why)


def nats_from(
    after: PreTrainedModel,
    base: PreTrainedModel,
    adapters: Sequence[Adapter],
    prompts: Texts,
    completions: Texts,
    batch: int = 16,
) -> Float[np.ndarray, "token"]:
    """KL(after || base + adapters) at every completion token, text by text; without adapters, the change itself."""
    with editing(base, adapter_edits(adapters) if adapters else []):
        return score.kl(after, base, prompts, completions, batch=batch).astype(np.float64)


def _unknown(name: str, beside: Estimate, unit: Unit = "fraction") -> Estimate:
    """No number, of as many rows."""
    return replace(beside, name=name, value=math.nan, lo=math.nan, hi=math.nan, p=math.nan, unit=unit)


@torch.no_grad()
def activity(
    base: PreTrainedModel, adapters: Sequence[Adapter], prompts: Texts, completions: Texts, batch: int = 16
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """L0 (active latents a token, prompts too) of each adapter, and the share of its latents that are never active."""
    rows, fired = 0, [torch.zeros(each.n_latents, dtype=torch.float64) for each in adapters]
    for block in blocks(base, prompts, completions, batch):
        rows += int(block.real.sum())
        for counts, f in zip(fired, adapted(base, adapters, block).latents, strict=True):
            counts += (f > 0).sum(0).to(counts)
    return tuple(float(each.sum()) / rows for each in fired), tuple(
        float((each == 0).double().mean()) for each in fired
    )
