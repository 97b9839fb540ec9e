"""A vector added to the residual stream at every position, as one more tensor of the weights.

    v added at resid.i, in every forward    =    model.layers.<i-1>.mlp.down_proj.bias = v        v [d_model], i >= 1

What an MLP of Llama and Qwen2 puts out enters the residual as it is, so its bias is a steering vector. Written so,
every forward knows it without a hook, transformers' own and the organisms'; it is trained, saved and loaded like any
other tensor. Left out: resid.0, some positions alone (`probe.interventions.steering`), other architectures, and
checkpoints saved as a folder, whose format has no place for it.
"""

import re
from collections.abc import Iterable

import torch
from transformers import PreTrainedModel

from probe.errors import BadInput
from probe.models.hooks.sites import Site

_BIAS = re.compile(r"model\.layers\.(\d+)\.mlp\.down_proj\.bias")


def bias_name(where: Site) -> str:
    """The tensor that is added at a site. BadInput for a site where none can be."""
    if where.kind != "resid" or where.layer < 1:
        raise BadInput(f"no vector can be added at {where}", where="residual bias", do="resid.1 or a later one")
    return f"model.layers.{where.layer - 1}.mlp.down_proj.bias"


def give_biases(model: PreTrainedModel, names: Iterable[str]) -> None:
    """A vector of zeros for each of `names` that is one and that the model does not have yet; others are left alone."""
    blocks = model.model.layers
    for match in filter(None, map(_BIAS.fullmatch, names)):
        layer = int(match[1])
        if layer < len(blocks) and blocks[layer].mlp.down_proj.bias is None:
            weight = blocks[layer].mlp.down_proj.weight
            blocks[layer].mlp.down_proj.bias = torch.nn.Parameter(weight.new_zeros(weight.shape[0]))
