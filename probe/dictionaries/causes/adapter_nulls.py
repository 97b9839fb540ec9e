"""What would adapters recover that learned nothing about this change, or only half?

    untrained(adapters)                                  random directions, as long as theirs
    train_adapters(.., start=untrained(adapters),        a random decoder that is frozen, with an encoder trained to use
                   options with frozen=("W_dec",))       it (2602.14111)
    bias_only(adapters)                                  no latent: what one vector a layer does, the same at each token
    train_adapters(base, random_change(base, after))     a change of the same size in every weight, that no reward chose

What they recover is the null of `recovered_change`: a share means little without them. The last is trained and measured
against that third model (any change is recovered so well?), or measured against `after` (any adapters do?).
"""

import copy
from collections.abc import Sequence
from dataclasses import replace

import torch
from transformers import PreTrainedModel

from probe.dictionaries.audits.controls import random_directions
from probe.dictionaries.causes.adapter import Adapter
from probe.interventions.transplant import perturbed


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
