"""Truths written into weights, for tests that must find them again."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from probe.models.hooks.forward_hooks import run


@torch.no_grad()
def reading(
    model: PreTrainedModel,
    layer: nn.Linear,
    ids: Int[Tensor, "batch pos"],
    wanted: Float[Tensor, "batch pos"],
) -> Float[Tensor, "d_in"]:
    """w with w . x = `wanted`, as nearly as can be, where x is what `layer` reads at each position; nan: whatever.

    layer.weight += outer(u, w) then makes it write u times what is wanted: a direction added to the weights.
    """
    seen: list[Tensor] = []
    handle = layer.register_forward_pre_hook(lambda _module, args: seen.append(args[0].flatten(0, 1)))
    run(model, ids)
    handle.remove()
    told = wanted.flatten().isfinite()
    x = seen[0][told]
    ridge = 1e-4 * float(x.square().sum(1).mean()) * torch.eye(x.shape[1])
    return torch.linalg.solve(x.T @ x + ridge, x.T @ wanted.flatten()[told])
