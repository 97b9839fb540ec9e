"""How few tokens carry what RL did? One model writes, and the other steps in where the two part most.

    D_t = KL(own || other) of the next token, on the text so far        nats
    token t is the other's where D_t >= threshold, else the writer's own, from the same uniform draw

Threshold infinity: the writer's own text; 0: the other's. `threshold_for` turns a budget (share of tokens) into a
threshold, on the writer's own texts; how many were swapped in the end is told, for texts change as they are written.
The null swaps as many tokens at places that know nothing of D (`at_random`). After 2603.22446: swapping less than 4 %
of the tokens recovers RL. Any causal model; read anew for each token, so meant for small ones. Left out: a cache.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from probe.errors import BadInput
from probe.models.sampling.inverse_cdf import choose
from probe.models.sampling.padding import left_padded


@dataclass(frozen=True, eq=False)
class Crossed:
    """What was written behind the prompts, padded past the end, and where the other stepped in."""

    ids: Int[Tensor, "row pos"]
    lengths: Int[Tensor, "row"]  # with the end
    swapped: Bool[Tensor, "row pos"]
    divergence: Float[Tensor, "row pos"]  # KL(own || other) in nats, 0 behind the end

    @property
    def share(self) -> float:
        """Of the tokens that were written, those that are the other's."""
        return int(self.swapped.sum()) / max(1, int(self.lengths.sum()))

    def texts(self) -> list[list[int]]:
        """The ids of each row up to its end."""
        return [row[:length] for row, length in zip(self.ids.tolist(), self.lengths.tolist(), strict=True)]


@torch.inference_mode()
def cross_sample(
    own: PreTrainedModel,
    other: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    uniforms: Float[Tensor, "row pos"] | None,
    *,
    max_new: int,
    eos: int,
    pad: int,
    threshold: float = math.inf,
    at_random: Float[Tensor, "row pos"] | None = None,
    share: float = 0.0,
) -> Crossed:
    """Write `max_new` tokens at most behind each prompt; `uniforms` None: greedy.

    With `at_random`, draws in (0, 1), a token is swapped where its draw is below `share`, whatever D is. BadInput for
    no prompts, models of different vocabularies, or draws of another shape.
    """
    _check(own, other, prompts, (uniforms, at_random), max_new, threshold)
    ids, mask = left_padded(prompts, pad)
    running = torch.ones(len(prompts), dtype=torch.bool)
    written, swaps, parted = [], [], []
    for place in range(max_new):
        mine, its = (_next(model, ids, mask) for model in (own, other))
        apart = _divergence(mine, its)
        steps_in = apart >= threshold if at_random is None else at_random[:, place] < share
        draw = None if uniforms is None else uniforms[:, place]
        token = torch.where(steps_in, choose(its, draw)[0], choose(mine, draw)[0])
        token = torch.where(running, token, pad)
        written.append(token)
        swaps.append(steps_in & running)
        parted.append(torch.where(running, apart, 0.0))
        ids = torch.cat([ids, token[:, None]], 1)
        mask = torch.cat([mask, running[:, None].to(mask.dtype)], 1)
        running = running & (token != eos)
        if not running.any():
            break
    width = len(written)
    alive = mask[:, -width:].bool()
    return Crossed(torch.stack(written, 1), alive.sum(1), torch.stack(swaps, 1), torch.stack(parted, 1))


def threshold_for(text: Crossed, budget: float) -> float:
    """The divergence that `budget` (a share in [0, 1]) of a text's tokens reach: infinity for 0, 0 for 1."""
    if not 0 <= budget <= 1:
        raise BadInput(f"a budget of {budget}", where="cross-sampling", do="give a share of tokens in [0, 1]")
    if budget in (0, 1):
        return 0.0 if budget else math.inf
    places = torch.arange(text.divergence.shape[1]) < text.lengths[:, None]
    return float(text.divergence[places].double().quantile(1 - budget))


def _next(model: PreTrainedModel, ids: Tensor, mask: Tensor) -> Float[Tensor, "row d_vocab"]:
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    found = model(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False, logits_to_keep=1)
    return found.logits[:, -1].float()


def _divergence(own: Float[Tensor, "row d_vocab"], other: Float[Tensor, "row d_vocab"]) -> Float[Tensor, "row"]:
    mine, its = own.log_softmax(-1), other.log_softmax(-1)
    return (mine.exp() * (mine - its)).sum(-1).clamp(min=0)


def _check(
    own: PreTrainedModel,
    other: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    draws: tuple[Tensor | None, ...],
    max_new: int,
    threshold: float,
) -> None:
    sizes = [model.config.vocab_size for model in (own, other)]
    if sizes[0] != sizes[1]:
        what = f"vocabularies of {sizes[0]} and {sizes[1]} tokens"
        raise BadInput(what, where="cross-sampling", do="cross models of one family")
    if not prompts or not all(prompts) or max_new < 1 or math.isnan(threshold):
        what = f"{len(prompts)} prompts, {max_new} new tokens, threshold {threshold}"
        raise BadInput(what, where="cross-sampling", do="give prompts with tokens, one new token at least, a number")
    for each in draws:
        if each is not None and tuple(each.shape) != (len(prompts), max_new):
            what = f"draws of shape {list(each.shape)} for {len(prompts)} prompts and {max_new} tokens"
            raise BadInput(what, where="cross-sampling", do="give one draw a row and new token")
