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
before it. With `folder`, the state is kept every `every` steps and picked up from there, to the same bits.
Left out of the paper: its bridging losses (base below a layer, after above it), and its loss on hidden states. Its
`base` is `after` with the MLPs of before (a copy made within `interventions.transplant.transplanted`): give that for
the MLPs' part of the change, and before itself for all of it.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel

from probe.activations.shuffled_order import shuffled
from probe.dictionaries.activation import BatchTopK, JumpReLU
from probe.dictionaries.causes.adapter import WEIGHTS, Adapter, check_sites, detached
from probe.dictionaries.causes.adapter_forward import Block, Texts, adapted, blocks, check_texts, kl_to, mlp_change
from probe.dictionaries.fitting.state import keep_state, kept_state
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
    folder: Path | None = None,
    every: int = 100,
    on_step: Callable[[int], None] = lambda done: None,
) -> Fit:
    """Neither model is changed. `on_step` is told how many are done, every `every` steps and after the last.

    BadInput for two vocabularies, layers that are not there, adapters of another width, or another training's `folder`.
    """
    check_texts((base, after), prompts, completions)
    check_sites(start)
    own = [detached(each, base.get_input_embeddings().weight.device) for each in start]
    names = [name for name in WEIGHTS if name not in options.frozen]
    learnt = {f"{each.site}.{name}": getattr(each, name).requires_grad_() for each in own for name in names}
    adam, rate = torch.optim.Adam(list(learnt.values()), lr=options.lr), _rate(options)
    key = _key(options, start, prompts, completions, address)
    first, log = _picked_up(folder, key, learnt, adam)
    distance_of, failed = _in_behaviour if options.objective == "behaviour" else _in_activations, ""
    for step in range(first, options.steps):
        rows = _rows(step, options.batch, len(prompts), address)
        (block,) = blocks(base, prompts, completions, options.batch, rows)
        distance, latents = distance_of(base, after, own, block)
        loss = distance + options.l1 * _weight(own, latents) if options.l1 else distance
        gradients = torch.autograd.grad(loss, list(learnt.values()))
        size = torch.stack([each.norm() for each in gradients]).norm()
        if not (loss.isfinite() and size.isfinite()):
            failed = f"at step {step} the loss is {float(loss.detach()):.3g}, its gradient {float(size):.3g}"
            break
        for tensor, gradient in zip(learnt.values(), gradients, strict=True):
            tensor.grad = gradient * (CLIP / size).clamp(max=1)
        adam.param_groups[0]["lr"] = options.lr * rate(step)
        adam.step()
        l0 = [float((f > 0).sum(-1).double().mean()) for f in latents]
        log.append({"step": step, "distance": float(distance.detach()), "l0": l0})
        if (step + 1) % every == 0 or step + 1 == options.steps:
            if folder is not None:
                keep_state(folder, step + 1, _tensors(learnt, adam), log, key)
            on_step(step + 1)
    l0s = np.array([row["l0"] for row in log]).reshape(-1, len(own))
    return Fit(tuple(detached(each) for each in own), np.array([row["distance"] for row in log]), l0s, failed)


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


def _key(
    options: AdapterOptions,
    start: Sequence[Adapter],
    prompts: Texts,
    completions: Texts,
    address: tuple[str | int, ...],
) -> str:
    """sha256 of what a state belongs to; the models are the caller's to tell apart."""
    begun = [(str(each.site), float(each.W_enc.double().sum()), float(each.W_dec.double().sum())) for each in start]
    texts = [len(prompts), sum(map(len, prompts)), sum(map(len, completions))]
    what = [dataclasses.asdict(options), begun, texts, list(address)]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def _tensors(learnt: Mapping[str, Tensor], adam: torch.optim.Adam) -> dict[str, Tensor]:
    """All that the next step depends on, but for the texts."""
    moments = {f"{name}.{part}": value for name, each in learnt.items() for part, value in adam.state[each].items()}
    return {**learnt, **moments}


@torch.no_grad()
def _picked_up(
    folder: Path | None, key: str, learnt: Mapping[str, Tensor], adam: torch.optim.Adam
) -> tuple[int, list[dict[str, Any]]]:
    """The next step and the log so far; tensors and moments are written where they belong."""
    saved = kept_state(folder, key) if folder is not None else None
    if saved is None:
        return 0, []
    for name, tensor in learnt.items():
        tensor.copy_(saved.tensors[name])
        moments = {part: saved.tensors[f"{name}.{part}"] for part in ("step", "exp_avg", "exp_avg_sq")}
        adam.state[tensor] = {part: each if part == "step" else each.to(tensor) for part, each in moments.items()}
    return saved.step, saved.log


def _rate(options: AdapterOptions) -> Callable[[int], float]:
    """Linear up over the warm-up, whole, linear down to 0 over the last steps."""
    down = max(1, round(COOL_DOWN * options.steps))
    return lambda step: min(1.0, (step + 1) / (options.warm_up + 1), (options.steps - step) / down)
