"""One update in parts: which rows together, what each part adds to the loss, and what clipping did to all of them.

    sum over parts of part_loss = the loss of the whole,      as each part is divided by the totals of the whole

An organism's update is one part. That of a large model is cut by its policy, and rows whose advantage is 0 are left
out of the work (not of the totals): their term is 0, unless there is a KL penalty or tokens are chosen by entropy.
Where another engine drew the tokens, each may be weighed by min(pi_old / pi_engine, cap) (truncated importance
sampling, as in TRL): a weight w > 0 makes w times the surrogate of A that of w A, so it goes into A.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from probe.rl.loss import Loss, entropy_mask, entropy_threshold, normalised_over, policy_loss
from probe.rl.metrics import gap_metrics
from probe.rl.policy import LargePolicy, Policy, Scorer, valid
from probe.rl.rollout import Experience, score

if TYPE_CHECKING:
    from probe.rl.train import GRPO


@dataclass(frozen=True)
class Whole:
    """Totals of an update that is cut in parts: rows, tokens that are normalised over, and the entropy that cuts."""

    n_sequences: int
    n_tokens: int
    threshold: float | None


def cut(policy: Policy, experience: Experience, rows: Tensor, recipe: "GRPO") -> tuple[list[Tensor], Whole | None]:
    """The parts of an update on `rows`, and their totals; one part is its own whole (None)."""
    if not isinstance(policy, LargePolicy):
        return [rows], None
    loss, chosen = recipe.loss, recipe.loss.entropy_quantile < 1
    worked = rows if loss.kl_beta or chosen else rows[experience.advantages.value[rows] != 0]
    parts = policy.parts(experience.prompt_ids, experience.samples, worked) if len(worked) else []
    if not chosen:
        return parts, Whole(len(rows), int(experience.samples.lengths[rows].sum()), None)
    with torch.no_grad():
        entropy = torch.cat([score(policy, experience, part, recipe.temperature)[1] for part in parts])
    mask = valid(experience.samples, torch.cat(parts))
    threshold = entropy_threshold(entropy, mask, loss)
    counted = entropy_mask(entropy, mask, loss, threshold) if loss.normalise_over == "selected" else mask
    return parts, Whole(len(rows), int(counted.sum()), threshold)


def part_loss(
    policy: Policy,
    base: Policy | Scorer | None,
    experience: Experience,
    rows: Tensor,
    recipe: "GRPO",
    whole: Whole | None,
) -> tuple[Tensor, Tensor]:
    """What these rows add to the loss (a scalar with gradient), and the log-probs [batch pos] it came from."""
    loss = recipe.loss if whole is None else _summed(recipe.loss)
    old, mask = experience.samples.logprob[rows], valid(experience.samples, rows)
    wanted = whole is None or loss.entropy_quantile < 1
    logprob, entropy = score(policy, experience, rows, recipe.temperature, entropy=wanted)
    reference = None
    if loss.kl_beta:
        assert base is not None
        with torch.no_grad():
            reference, _ = score(base, experience, rows, recipe.temperature, entropy=False)
    value = policy_loss(
        logprob,
        old,
        advantage_of(experience, rows, recipe),
        mask,
        loss=loss,
        entropy=entropy,
        reference_logprob=reference,
        n_tokens=int(normalised_over(entropy, mask, loss).sum()) if whole is None else whole.n_tokens,
        max_length=recipe.max_new,
        n_sequences=None if whole is None else whole.n_sequences,
        threshold=None if whole is None else whole.threshold,
    )
    return value, logprob


def advantage_of(experience: Experience, rows: Tensor, recipe: "GRPO") -> Tensor:
    """A of each row, or of each token where tokens are weighed by who drew them."""
    advantage, samples = experience.advantages.value[rows], experience.samples
    if recipe.drawn_weight_cap is None or samples.drawn is None:
        return advantage
    weight = (samples.logprob[rows] - samples.drawn[rows]).exp().clamp(max=recipe.drawn_weight_cap)
    return advantage[:, None] * weight.where(valid(samples, rows), 0.0)


def captured_gap(experience: Experience, rows: Tensor, logprob: Tensor) -> dict[str, float]:
    """How far a large policy's log-probs [batch pos] are from those captured while sampling; nothing of another engine.

    In the first update of a batch that is what sampler and forward differ by.
    """
    samples = experience.samples
    return {} if samples.drawn is not None else gap_metrics((logprob - samples.logprob[rows])[valid(samples, rows)])


def _summed(loss: Loss) -> Loss:
    """bnpo is the mean over the tokens of one call: over several it is dapo's, with the same total."""
    return replace(loss, aggregation="dapo") if loss.aggregation == "bnpo" else loss
