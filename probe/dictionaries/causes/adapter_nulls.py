"""What would adapters recover that learned nothing about this change, or only half?

    untrained(adapters)                                  random directions, as long as theirs
    train_adapters(.., start=untrained(adapters),        a random decoder that is frozen, with an encoder trained to use
                   options with frozen=("W_dec",))       it (2602.14111)
    bias_only(adapters)                                  no latent: what one vector a layer does, the same at each token
    train_adapters(base, random_change(base, after))     a change of the same size in every weight, that no reward chose
    as_large(base, random_change(base, after), ..)       the same, made longer until it is as large in nats: a random
                                                         change as long as RL's often says next to nothing

What they recover is the null of `recovered_change`: a share means little without them. The last is trained and measured
against that third model (any change is recovered so well?), or measured against `after` (any adapters do?).
"""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from transformers import PreTrainedModel

from probe.dictionaries.audits.controls import random_directions
from probe.dictionaries.causes.adapter import Adapter
from probe.interventions.transplant import perturbed

NEAR, TRIES, FURTHEST = 0.05, 12, 4.0  # of what is wanted; steps; how much longer a step makes a change


def untrained(adapters: Sequence[Adapter], *address: str | int) -> tuple[Adapter, ...]:
    """Every direction at random, as long as it was; no biases. Thresholds want calibrating: give BatchTopK again."""
    return tuple(_untrained(each, (*address, str(each.site))) for each in adapters)


def bias_only(adapters: Sequence[Adapter]) -> tuple[Adapter, ...]:
    """The latents write nothing. (Trained from `new_adapters` with W_dec frozen: the best that biases can do.)"""
    return tuple(replace(each, W_dec=torch.zeros_like(each.W_dec)) for each in adapters)


def random_change(base: PreTrainedModel, after: PreTrainedModel, *address: str | int) -> PreTrainedModel:
    """A copy of `base`, each parameter moved by Gaussian noise of the norm by which that of `after` differs.

    BadInput where the two are not checkpoints of one model.
    """
    with perturbed(base, after, *address):
        return copy.deepcopy(base)


@torch.no_grad()
def as_large(
    base: PreTrainedModel, third: PreTrainedModel, nats: Callable[[PreTrainedModel], float], wanted: float
) -> PreTrainedModel:
    """`third` itself, moved along its line from `base` until `nats` of it are those `wanted`, to within NEAR of them.

    Nats grow with the square of a small step, so the next length is the root of what is missing, until one length was
    too short and one too long: then it is halfway between them, by factors. Where nothing is wanted or nothing changes
    it stays as it is; behind TRIES lengths it is left as near as it came.
    """
    own = dict(base.named_parameters(remove_duplicate=False))
    length, short, long = 1.0, 0.0, math.inf
    for _ in range(TRIES):
        found = nats(third)
        if not (wanted > 0 and found > 0) or abs(found / wanted - 1) <= NEAR:
            break
        short, long = (length, long) if found < wanted else (short, length)
        guess = length * min(max(math.sqrt(wanted / found), 1 / FURTHEST), FURTHEST)
        new = math.sqrt(short * long) if short and long < math.inf else guess
        for name, weight in third.named_parameters():
            weight.copy_(own[name] + new / length * (weight - own[name]))
        length = new
    return third


def _untrained(adapter: Adapter, address: tuple[str | int, ...]) -> Adapter:
    encoder, decoder = (
        random_directions(adapter.n_latents, adapter.d, (*address, which)).to(adapter.W_dec)
        for which in ("encoder", "decoder")
    )
    return replace(
        adapter,
        W_enc=encoder.T * adapter.W_enc.norm(dim=0),
        b_enc=torch.zeros_like(adapter.b_enc),
        W_dec=decoder * adapter.W_dec.norm(dim=1, keepdim=True),
        b_dec=torch.zeros_like(adapter.b_dec),
    )
