"""The ways of fitting a sparse dictionary that the benchmark compares: the same rows, order, rate and schedule in all.

ours       `probe.dictionaries.fitting.training.update`
saelens    `SAETrainer.step` of SAELens: its TopK or BatchTopK, its auxiliary loss, its gradient clipping
dense      the loop that one would write: tables [row latent], autograd, Adam, unit decoders; no SAELens in it
product    the one dense product that a step cannot do without, z W_enc' + b_enc, into a table that is there
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from probe.dictionaries.activation import BatchTopK, TopK
from probe.dictionaries.fitting.calibrate import calibrated
from probe.dictionaries.fitting.options import Fit
from probe.dictionaries.fitting.parameters import start, to_dictionary
from probe.dictionaries.fitting.schedule import rate
from probe.dictionaries.fitting.stream import Stream, Table
from probe.dictionaries.fitting.training import optimiser, update

D = 128


class Way(NamedTuple):
    """A step, how rows are reconstructed as it stands, and its decoder's directions [latent model d]."""

    step: Callable[[int], Any]
    reconstruct: Callable[[Tensor], Tensor]
    directions: Callable[[], Tensor]


def stream_of(source: Table, fit: Fit) -> Stream:
    return Stream(source, fit.batch, fit.held, ("dictionary", *fit.seed))


def ours(source: Table, fit: Fit) -> Way:
    stream = stream_of(source, fit)
    held = list(stream.held_rows())
    parameters = start(fit, held)
    adam, since = optimiser(parameters, fit), torch.zeros(fit.n_latents, dtype=torch.int64)

    def reconstruct(x: Tensor) -> Tensor:
        found = to_dictionary(parameters, fit, source.site, source.models)
        return (found if fit.activation == "topk" else calibrated(found, held, fit.k)).reconstruct(x)

    return Way(
        lambda t: update(parameters, fit, adam, since, stream.read(t), t),
        reconstruct,
        lambda: parameters.W_dec.detach().view(fit.n_latents, len(source.models), -1),
    )


def dense(source: Table, fit: Fit) -> Way:
    stream = stream_of(source, fit)
    begun = start(fit, stream.held_rows())
    W_enc, b_enc, W_dec, b_dec = (begun.W_enc, begun.b_enc, begun.W_dec, begun.b_dec)
    adam = torch.optim.Adam([W_enc, b_enc, W_dec, b_dec])
    since, choose = torch.zeros(fit.n_latents), TopK(int(fit.k)) if fit.activation == "topk" else BatchTopK(fit.k)

    def through(y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        pre = (y - b_dec) @ W_enc.T + b_enc
        f = choose(pre)
        return pre, f, f @ W_dec + b_dec

    def step(t: int) -> None:
        adam.param_groups[0]["lr"] = rate(fit, t)
        y = begun.flat(stream.read(t))
        pre, f, said = through(y)
        loss = (said - y).square().sum(1).mean()
        if (dead := since > fit.dead_after).any():
            most = min(y.shape[1] // 2, int(dead.sum()))
            top = pre.masked_fill(~dead, -torch.inf).topk(most)
            aux = torch.zeros_like(pre).scatter(1, top.indices, top.values) @ W_dec
            loss = loss + most / (y.shape[1] // 2) * (aux - (y - said).detach()).square().sum(1).mean()
        adam.zero_grad()
        loss.backward()
        with torch.no_grad():
            W_dec.grad -= (W_dec.grad * W_dec).sum(1, keepdim=True) * W_dec
            adam.step()
            W_dec.div_(W_dec.norm(dim=1, keepdim=True))
            since.add_(len(y)).masked_fill_((f > 0).any(0), 0)

    @torch.no_grad()
    def reconstruct(x: Tensor) -> Tensor:
        return through(begun.flat(x))[2].view(x.shape) / begun.scale[:, None]

    return Way(step, reconstruct, lambda: W_dec.detach().view(fit.n_latents, len(source.models), -1))


def saelens(source: Table, fit: Fit) -> Way:
    from sae_lens import (
        BatchTopKTrainingSAE,
        BatchTopKTrainingSAEConfig,
        LoggingConfig,
        SAETrainer,
        TopKTrainingSAE,
        TopKTrainingSAEConfig,
    )
    from sae_lens.config import SAETrainerConfig

    stream, top = stream_of(source, fit), fit.activation == "topk"
    begun = start(fit, stream.held_rows())
    shape = {"d_in": D, "d_sae": fit.n_latents, "decoder_init_norm": 1.0, "dtype": "float32", "device": "cpu"}
    torch.manual_seed(7 + sum(part for part in fit.seed if isinstance(part, int)))
    sae = (
        TopKTrainingSAE(TopKTrainingSAEConfig(k=int(fit.k), **shape))
        if top
        else BatchTopKTrainingSAE(BatchTopKTrainingSAEConfig(k=fit.k, **shape))
    )
    with torch.no_grad():
        sae.b_dec.copy_(begun.b_dec)
    trainer = SAETrainer(
        cfg=SAETrainerConfig(
            total_training_samples=fit.steps * fit.batch,
            train_batch_size_samples=fit.batch,
            lr=fit.lr,
            lr_end=fit.lr / 100,
            lr_warm_up_steps=fit.warm_up,
            lr_decay_steps=int(fit.decay * fit.steps),
            dead_feature_window=int(fit.dead_after // fit.batch),
            logger=LoggingConfig(log_to_wandb=False),
        ),
        sae=sae,
        data_provider=iter(()),
    )

    def step(t: int) -> None:
        trainer.step(begun.flat(stream.read(t)))
        trainer.n_training_steps += 1

    @torch.no_grad()
    def reconstruct(x: Tensor) -> Tensor:
        return sae(begun.flat(x)).view(x.shape) / begun.scale[:, None]

    return Way(step, reconstruct, lambda: sae.W_dec.detach()[:, None])


def product(source: Table, fit: Fit) -> Way:
    """Nothing is learned, nothing reconstructed."""
    begun, table = start(fit, stream_of(source, fit).held_rows()), torch.empty(fit.batch, fit.n_latents)
    z = begun.flat(source.values[: fit.batch])

    @torch.no_grad()
    def step(t: int) -> None:
        torch.addmm(begun.b_enc, z, begun.W_enc.T, out=table)

    return Way(step, torch.zeros_like, lambda: begun.W_dec.detach())


WAYS: dict[str, Callable[[Table, Fit], Way]] = {way.__name__: way for way in (ours, saelens, dense, product)}
