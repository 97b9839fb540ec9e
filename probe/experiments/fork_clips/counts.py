"""How many tokens does the clip cut, by place, by side and by old probability? A report on an update.

    place    code, prose: the first token of a response that opens in code, or otherwise; later: every other token
    side     low: A < 0 and the ratio below 1 - clip; high: A > 0 and the ratio above 1 + clip

Counts, so that updates and batches add up: `place/side/bin` and `place/tokens/bin`. The clip that 2506.10947 blames
acts at the fork, where old probabilities are neither near 0 nor near 1.
"""

import torch
from torch import Tensor

from probe.rl.clip import clips
from probe.rl.clip_report import PI_OLD_EDGES, Report
from probe.rl.loss import Loss
from probe.rl.policy import valid
from probe.rl.rollout import Experience

PLACES = ("code", "prose", "later")
SIDES = ("low", "high")
BINS = len(PI_OLD_EDGES) - 1


def fork_report(code: int) -> Report:
    """The counts of one update; `code` is the id of the token that opens an answer in code."""

    def report(experience: Experience, rows: Tensor, logprob: Tensor, loss: Loss) -> dict[str, float]:
        samples = experience.samples
        old, mask = samples.logprob[rows], valid(samples, rows)
        cut = cuts(logprob, old, experience.advantages.value[rows], loss)
        return counts(cut, old, mask, samples.ids[rows, 0] == code)

    return report


def cuts(logprob: Tensor, old: Tensor, advantage: Tensor, loss: Loss) -> dict[str, Tensor]:
    """Which tokens [batch pos] each side of the clip stops."""
    advantage = advantage[:, None] if advantage.ndim == 1 else advantage
    low, high, _ = clips((logprob - old).exp(), advantage, loss.clip_low, loss.clip_high, loss.dual)
    return {"low": low, "high": high}


def counts(cut: dict[str, Tensor], old: Tensor, mask: Tensor, opens_in_code: Tensor) -> dict[str, float]:
    """Tokens, and those of each side in `cut`, by place and bin of the old probability `exp(old)`; a place that never
    was is 0, so that the sum over updates is the mean times their number."""
    first = torch.zeros_like(mask)
    first[:, 0] = mask[:, 0]
    places = {"code": first & opens_in_code[:, None], "prose": first & ~opens_in_code[:, None], "later": mask & ~first}
    bins = torch.bucketize(old.exp(), old.new_tensor(PI_OLD_EDGES[1:-1]))
    found: dict[str, float] = {}
    for place, here in places.items():
        for which in range(BINS):
            some = here & (bins == which)
            found[f"{place}/tokens/{which}"] = float(some.sum())
            found |= {f"{place}/{side}/{which}": float((flag & some).sum()) for side, flag in cut.items()}
    return found
