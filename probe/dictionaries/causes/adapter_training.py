"""Which few latents beside the MLPs of `base` make it behave like `after`?

    loss = distance + l1 sum_i mean_rows sum_j f_ij |d_ij|                                             (2602.20904)
    distance   "behaviour"    mean_t KL(after || base + adapters)_t, nats a completion token
               "activations"  mean_i |adapter_i(z_i) - change_i|^2 / |change_i|^2, change_i = mlp_i of after - of base,
                              each in its own run, z_i what the MLP of base reads: cheap, and blind to what matters

Everything but the adapters is frozen; those of all layers are trained together, by Adam on addressed batches of texts,
from new_adapters (base + adapters is base) or from any others, with some of their tensors frozen (`adapter_nulls`). Few
latents are active by TopK or BatchTopK, or by l1 with ReLU. BatchTopK is `calibrated` behind it:

    threshold = mean over batches of the smallest activation that was kept, one an adapter         (2412.06410 eq. 5)

A step whose loss or gradient is not finite ends the training: `Fit.failed` says which, and the adapters are those from
before it. Left out of the paper: its bridging losses (base below a layer, after above it), and its loss on hidden
states. Its `base` is `after` with the MLPs of before (a copy made within `interventions.transplant.transplanted`): give
that for the MLPs' part of the change, and before itself for all of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel

from probe.activations.shuffled_order import shuffled
from probe.dictionaries.activation import BatchTopK, JumpReLU
from probe.dictionaries.causes.adapter import WEIGHTS, Adapter, check_sites, detached
from probe.dictionaries.causes.adapter_forward import Block, Texts, adapted, blocks, check_texts, kl_to, mlp_change
from probe.errors import BadInput
from probe.models.hooks.anatomy import anatomy, final_hidden

Objective = Literal["behaviour", "activations"]
CLIP = 1.0  # the largest norm of a step's gradient
TINY = 1e-12  # of a change that is none
COOL_DOWN = 0.2  # of the steps: the rate falls to 0
Rows = tuple[Float[Tensor, "_row _latent"], ...]  # how active latents are, of each adapter


@dataclass(frozen=True)
class AdapterOptions:
    """How adapters are trained."""

    steps: int
    lr: float
    objective: Objective = "behaviour"
    batch: int = 16  # texts a step
    l1: float = 0.0
    warm_up: int = 0  # steps until the rate is whole
    frozen: tuple[str, ...] = ()  # of WEIGHTS

    def __post_init__(self) -> None:
        if min(self.steps, self.batch) < 1 or not self.lr > 0 or not self.l1 >= 0 or self.warm_up < 0:
            what = f"steps {self.steps}, batch {self.batch}, lr {self.lr}, l1 {self.l1}, warm-up {self.warm_up}"
            raise BadInput(what, where="AdapterOptions", do="give 1 step and text or more, and a positive rate")
        if self.objective not in get_args(Objective):
            raise BadInput(f"no objective is called {self.objective!r}", where="AdapterOptions")
        if not set(self.frozen) < set(WEIGHTS):
            raise BadInput(f"frozen {self.frozen}", where="AdapterOptions", do=f"some of {', '.join(WEIGHTS)}, not all")


@dataclass(frozen=True, eq=False)
class Fit:
    """What training left: the adapters, and what it saw on each batch before that batch's update."""

    adapters: tuple[Adapter, ...]
    distance: Float[np.ndarray, "step"]
    l0: Float[np.ndarray, "step adapter"]  # active latents a token
    failed: str = ""


def train_adapters(
    base: PreTrainedModel,
    after: PreTrainedModel,
    prompts: Texts,
    completions: Texts,
    start: Sequence[Adapter],
    options: AdapterOptions,
    *address: str | int,
) -> Fit:
    """Neither model is changed. BadInput for two vocabularies, layers that are not there, adapters of another width."""
    check_texts((base, after), prompts, completions)
    check_sites(start)
    own = [detached(each, base.get_input_embeddings().weight.device) for each in start]
    learnt = [getattr(each, name) for each in own for name in WEIGHTS if name not in options.frozen]
    for tensor in learnt:
        tensor.requires_grad_()
    optimiser = torch.optim.Adam(learnt, lr=options.lr)
    rate = torch.optim.lr_scheduler.LambdaLR(optimiser, _rate(options))
    distances, l0s, failed = list[float](), list[list[float]](), ""
    for step in range(options.steps):
        rows = _rows(step, options.batch, len(prompts), address)
        (block,) = blocks(base, prompts, completions, options.batch, rows)
        distance, latents = (_in_behaviour if options.objective == "behaviour" else _in_activations)(
            base, after, own, block
        )
        loss = distance + options.l1 * _weight(own, latents) if options.l1 else distance
        gradients = torch.autograd.grad(loss, learnt)
        size = torch.stack([each.norm() for each in gradients]).norm()
        if not (loss.isfinite() and size.isfinite()):
            failed = f"at step {step} the loss is {float(loss.detach()):.3g}, its gradient {float(size):.3g}"
            break
        for tensor, gradient in zip(learnt, gradients, strict=True):
            tensor.grad = gradient * (CLIP / size).clamp(max=1)
        optimiser.step()
        rate.step()
        distances.append(float(distance.detach()))
        l0s.append([float((f > 0).sum(-1).double().mean()) for f in latents])
    l0 = np.array(l0s).reshape(-1, len(own))
    return Fit(tuple(detached(each) for each in own), np.array(distances), l0, failed)


def calibrated(
    base: PreTrainedModel, adapters: Sequence[Adapter], prompts: Texts, completions: Texts, batch: int = 16
) -> tuple[Adapter, ...]:
    """The same with JumpReLU in place of BatchTopK, from texts they were not trained on; others as they are.

    Whether their training failed is kept by replace(fit, adapters=calibrated(base, fit.adapters, ...)).
    """
    check_texts((base,), prompts, completions)
    least: list[list[float]] = [[] for _ in adapters]
    with torch.no_grad():
        for block in blocks(base, prompts, completions, batch):
            for kept, f in zip(least, adapted(base, adapters, block).latents, strict=True):
                kept += [float(f[f > 0].min())] if (f > 0).any() else []
    thresholds = [float(np.mean(kept)) if kept else 0.0 for kept in least]
    return tuple(_with_threshold(each, value) for each, value in zip(adapters, thresholds, strict=True))


def _with_threshold(adapter: Adapter, value: float) -> Adapter:
    if not isinstance(adapter.activation, BatchTopK):
        return adapter
    return replace(adapter, activation=JumpReLU(torch.full_like(adapter.b_enc, value)))


def _in_behaviour(
    base: PreTrainedModel, after: PreTrainedModel, adapters: Sequence[Adapter], block: Block
) -> tuple[Float[Tensor, ""], Rows]:
    """Mean KL of a block. `after` is asked first: it may be the very model that is adapted."""
    with torch.no_grad():
        device = after.get_input_embeddings().weight.device
        target = final_hidden(after, block.ids.to(device))[block.predicts.to(device)]
    found = adapted(base, adapters, block)
    return kl_to(anatomy(after), target, anatomy(base), found.hidden).mean(), found.latents


def _in_activations(
    base: PreTrainedModel, after: PreTrainedModel, adapters: Sequence[Adapter], block: Block
) -> tuple[Float[Tensor, ""], Rows]:
    """Mean over adapters of the share of the MLP's change that is not explained."""
    pairs = mlp_change(base, after, [each.site for each in adapters], block)
    latents = tuple(each.encode(z) for each, (z, _) in zip(adapters, pairs, strict=True))
    shares = []
    for each, f, (_, moved) in zip(adapters, latents, pairs, strict=True):
        moved = moved.to(f)
        shares.append((each.decode(f) - moved).square().mean() / moved.square().mean().clamp(min=TINY))
    return torch.stack(shares).mean(), latents


def _weight(adapters: Sequence[Adapter], latents: Rows) -> Float[Tensor, ""]:
    """How much latents write, summed over adapters: activations by the length of what they stand for."""
    pairs = zip(adapters, latents, strict=True)
    return torch.stack([(f @ each.W_dec.norm(dim=1)).mean() for each, f in pairs]).sum()


def _rows(step: int, batch: int, n: int, address: tuple[str | int, ...]) -> list[int]:
    """Which texts a step reads: all of them in one order, then all in another."""
    places = [divmod(place, n) for place in range(step * batch, (step + 1) * batch)]
    return [int(shuffled([place], n, *address, "texts", epoch)[0]) for epoch, place in places]


def _rate(options: AdapterOptions) -> Callable[[int], float]:
    """Linear up over the warm-up, whole, linear down to 0 over the last steps."""
    down = max(1, round(COOL_DOWN * options.steps))
    return lambda step: min(1.0, (step + 1) / (options.warm_up + 1), (options.steps - step) / down)
