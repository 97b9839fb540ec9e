"""How is a dictionary fitted? The loop, read from top to bottom.

    batch t of the stream -> pre (dense) -> active pairs -> reconstruction -> loss -> gradient -> Adam -> unit norms

What is taken out of the textbook's loop: every dense product but `pre` (`fitting.sparse`). What is put in:
a decoder's gradient along itself is dropped before Adam, which would else count it (2406.04093), and the joint norm
over all models is set back to 1 after it; k falls to its value, lr rises and falls (`schedule`); latents that are dead
for `dead_after` rows are asked to explain the error (`objective`). Mean, scale and threshold are those of held rows.
With `folder`, the state is kept every `every` steps and picked up from there, to the same bits (on a CPU; CUDA adds
in any order). Left out: several devices; gradient clipping, with which training is faster early at one rate, and no
better at the best rate (benchmarks/README.md).
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from probe.dictionaries.dictionary import Dictionary, Rows
from probe.dictionaries.fitting.calibrate import calibrated, rescaled
from probe.dictionaries.fitting.objective import Step, forward
from probe.dictionaries.fitting.options import Fit
from probe.dictionaries.fitting.parameters import Parameters, start, to_dictionary
from probe.dictionaries.fitting.schedule import active, rate
from probe.dictionaries.fitting.state import Saved, keep_state, kept_state
from probe.dictionaries.fitting.stream import Source, Stream
from probe.errors import ProbeError

OnLog = Callable[[dict[str, Any]], None]
SINCE, SCALE = "since", "scale"
AT_ONCE = 4096  # latents whose gradients are multiplied out: all of a wide dictionary would be its weights once more


def train(
    source: Source,
    fit: Fit,
    *,
    folder: Path | None = None,
    every: int = 500,
    on_log: OnLog = lambda row: None,
    device: str = "cpu",
) -> Dictionary:
    """A dictionary of `source`'s rows. BatchTopK comes back as JumpReLU, its threshold calibrated on the held rows;
    the thresholds that JumpReLU has learned come back times one factor, so that k are active there too.

    Every `every` steps, and after the last, `on_log` is told step, loss, fvu (a model), l0, dead (share) and lr.
    ProbeError where the loss is not finite; BadInput where `folder` holds another training's state.
    """
    stream = Stream(source, fit.batch, fit.held, ("dictionary", *fit.seed))
    held = list(stream.held_rows())
    parameters = start(fit, held, device)
    if fit.activation == "jumprelu":
        _first_threshold(parameters, fit, held, source)
    adam = optimiser(parameters, fit)
    since = torch.zeros(fit.n_latents, dtype=torch.int64, device=device)  # rows since each latent last fired
    saved = kept_state(folder, _key(source, fit)) if folder else None
    first, log = _picked_up(saved, parameters, fit, adam, since)
    for t in range(first, fit.steps):
        step = update(parameters, fit, adam, since, stream.read(t).to(device), t)
        if (t + 1) % every == 0 or t + 1 == fit.steps:
            log.append(_told(step, fit, since, t, len(source.models)))
            on_log(log[-1])
            if folder:
                keep_state(folder, t + 1, _tensors(parameters, fit, adam, since), log, _key(source, fit))
    adam.zero_grad()
    adam.state.clear()  # three times the weights, which the finished dictionary has room in
    finished = to_dictionary(parameters, fit, source.site, source.models)
    if fit.activation == "topk":
        return finished
    return (rescaled if fit.activation == "jumprelu" else calibrated)(finished, held, fit.k)


def optimiser(parameters: Parameters, fit: Fit) -> torch.optim.Adam:
    """Adam of what is learned, in one pass over memory."""
    return torch.optim.Adam(list(parameters.learned(fit).values()), lr=fit.lr, fused=True)


def update(
    parameters: Parameters, fit: Fit, adam: torch.optim.Adam, since: Int[Tensor, "latent"], rows: Rows, t: int
) -> Step:
    """One step: `parameters`, Adam's moments and `since` are written into."""
    adam.param_groups[0]["lr"] = rate(fit, t)
    step = forward(parameters, fit, parameters.flat(rows), active(fit, t), since > fit.dead_after)
    adam.zero_grad()
    if fit.frozen:
        getattr(parameters, fit.frozen).grad = None  # Adam does not know it
    step.loss.backward()
    _constrain_gradient(parameters)
    adam.step()
    if fit.frozen != "W_dec":
        _constrain(parameters)
    since += len(rows)
    since[step.fired] = 0
    return step


@torch.no_grad()
def _constrain_gradient(parameters: Parameters) -> None:
    """Nothing along the decoder itself, nothing of another model's."""
    W_dec, W_enc, own = parameters.W_dec, parameters.W_enc, parameters.own
    assert W_dec.grad is not None and W_enc.grad is not None
    if own is not None:
        W_dec.grad *= own
        W_enc.grad *= own
    for grad, decoder in zip(W_dec.grad.split(AT_ONCE), W_dec.split(AT_ONCE), strict=True):
        grad.addcmul_((grad * decoder).sum(1, keepdim=True), decoder, value=-1)


@torch.no_grad()
def _constrain(parameters: Parameters) -> None:
    """Every decoder, all models together, at norm 1."""
    for decoder in parameters.W_dec.split(AT_ONCE):
        decoder.div_(decoder.norm(dim=1, keepdim=True))


@torch.no_grad()
def _first_threshold(parameters: Parameters, fit: Fit, held: list[Rows], source: Source) -> None:
    """All thresholds where `first_k` latents are active in the held rows."""
    begun = calibrated(to_dictionary(parameters, fit, source.site, source.models), held, fit.first_k)
    parameters.log_threshold.copy_(begun.activation.threshold.clamp(min=fit.bandwidth).log())  # type: ignore[union-attr]


@torch.no_grad()
def _told(step: Step, fit: Fit, since: Int[Tensor, "latent"], t: int, models: int) -> dict[str, Any]:
    """A line of the log. ProbeError where there is no going on."""
    loss, n = step.loss.item(), len(step.z)
    if not math.isfinite(loss):
        raise ProbeError(f"the loss is {loss} at step {t}", where="train", do="give finite rows, or a lower lr")
    error, spread = step.error.square().view(n, models, -1), (step.z - step.z.mean(0)).square().view(n, models, -1)
    fvu = (error.sum((0, 2)) / spread.sum((0, 2))).tolist()
    dead = float((since > fit.dead_after).double().mean())
    return {"step": t, "loss": loss, "fvu": fvu, "l0": step.l0, "dead": dead, "lr": rate(fit, t)}


def _key(source: Source, fit: Fit) -> str:
    """sha256 of what a state belongs to."""
    what = [dataclasses.asdict(fit), len(source), str(source.site), list(source.models)]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def _tensors(
    parameters: Parameters, fit: Fit, adam: torch.optim.Adam, since: Int[Tensor, "latent"]
) -> dict[str, Tensor]:
    """All that the next step depends on, but for the rows."""
    found = {SINCE: since, SCALE: parameters.scale}
    for name, tensor in parameters.learned(fit).items():
        found |= {name: tensor} | {f"{name}.{part}": value for part, value in adam.state[tensor].items()}
    return found


@torch.no_grad()
def _picked_up(
    saved: Saved | None, parameters: Parameters, fit: Fit, adam: torch.optim.Adam, since: Int[Tensor, "latent"]
) -> tuple[int, list[dict[str, Any]]]:
    """The next step and the log so far; everything else is written where it belongs."""
    if saved is None:
        return 0, []
    since.copy_(saved.tensors[SINCE])
    parameters.scale.copy_(saved.tensors[SCALE])
    for name, tensor in parameters.learned(fit).items():
        tensor.copy_(saved.tensors[name])
        parts = ("step", "exp_avg", "exp_avg_sq")
        adam.state[tensor] = {part: saved.tensors[f"{name}.{part}"].to(tensor.device) for part in parts}
    return saved.step, saved.log
