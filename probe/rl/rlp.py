"""Is a thought worth having? RLP: how much likelier it makes the text that follows (2510.01265, read second-hand).

    r_t  = log p_theta(x_t | x_<t, thought) - log p_EMA(x_t | x_<t)       nats
    EMA <- tau EMA + (1 - tau) theta                                      tau = .999
    A    = G / (G - 1) (r - mean of the group)                            on the tokens of the thought alone

The pieces as pure functions. The loop of `probe.rl.train` does not run them: its organisms are asked and answer, and
have no running text to predict with and without a thought. A is the leave-one-out advantage (`advantage.Rloo`).
"""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from probe.errors import BadInput

TAU = 0.999


def information_gain(with_thought: Float[Tensor, "*rows"], without: Float[Tensor, "*rows"]) -> Float[Tensor, "*rows"]:
    """r of each predicted token, without gradient; log-probs in nats under theta with the thought, EMA without."""
    if with_thought.shape != without.shape:
        what = f"log-probs of {list(with_thought.shape)} and {list(without.shape)}"
        raise BadInput(what, where="information_gain", do="score the same tokens both ways")
    return (with_thought - without).detach()


def thought_advantage(
    gain: Float[Tensor, "group thought"], tokens: Bool[Tensor, "group thought pos"]
) -> Float[Tensor, "group thought pos"]:
    """A of every token: that of its thought where `tokens` says that it belongs to it, else 0. At least 2 thoughts."""
    if gain.ndim != 2 or gain.shape != tokens.shape[:2] or gain.shape[1] < 2:
        what = f"gains of {list(gain.shape)} for tokens of {list(tokens.shape)}"
        raise BadInput(
            what, where="thought_advantage", do="give [group thought] and [group thought pos], thoughts >= 2"
        )
    g = gain.shape[1]
    advantage = g / (g - 1) * (gain - gain.mean(1, keepdim=True))
    return torch.where(tokens, advantage[..., None], 0.0)


@torch.no_grad()
def ema_update(average: Mapping[str, Tensor], now: Mapping[str, Tensor], tau: float = TAU) -> dict[str, Tensor]:
    """The next average of every tensor; nothing is changed in place. BadInput on other names, or tau outside [0, 1]."""
    if average.keys() != now.keys() or not 0 <= tau <= 1:
        odd = sorted(average.keys() ^ now.keys())[:3]
        raise BadInput(
            f"tensors {odd} on one side only, tau {tau}", where="ema_update", do="give the same names, tau in [0, 1]"
        )
    return {name: tau * average[name] + (1 - tau) * now[name] for name in average}
