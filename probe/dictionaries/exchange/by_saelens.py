"""The same fit by SAELens' own trainer, as a second opinion: batches in, a dictionary out.

Its training step (`SAETrainer.step`) with its losses, its Adam and its clipping; none of its files, logs and progress.
b_dec starts at the mean of the first batch; what it draws comes from the address. What it gives back is read as every
other dictionary of SAELens. Its BatchTopK and Matryoshka thresholds lag behind the weights: calibrate them on held-out
rows. Left out: two models (it has no crosscoder), normalised activations.
"""

import itertools
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from probe.dictionaries.dictionary import Dictionary
from probe.dictionaries.exchange.saelens_library import sae_lens
from probe.dictionaries.exchange.saelens_read import read_saelens
from probe.errors import BadInput
from probe.models.hooks.sites import Site
from probe.rng import torch_rng

Architecture = Literal["standard", "topk", "batchtopk", "matryoshka", "jumprelu"]
CLASSES = {  # of sae_lens: <name>TrainingSAE and its Config
    "standard": "Standard",
    "topk": "TopK",
    "batchtopk": "BatchTopK",
    "matryoshka": "MatryoshkaBatchTopK",
    "jumprelu": "JumpReLU",
}


@dataclass(frozen=True)
class SaeLensFit:
    """Options of SAELens' trainer; names are ours, its own are in brackets."""

    n_latents: int  # [d_sae]
    steps: int  # batches
    lr: float
    lr_end: float  # where a cosine ends; the same as lr: constant. SAELens fails without it
    architecture: Architecture = "topk"
    k: float = 32  # latents a row; of topk, batchtopk, matryoshka
    widths: tuple[int, ...] = ()  # numbers of latents that must do alone, ascending to n_latents; of matryoshka
    sparsity: float = 1.0  # of standard [l1_coefficient] and jumprelu [l0_coefficient]
    warm_up: int = 0  # steps of the learning rate and of the sparsity
    dead_after: int = 1000  # steps without firing
    decoder_norm: float = 1.0  # at the start

    def __post_init__(self) -> None:
        kinds, widths = get_args(Architecture), self.widths
        _check(self.architecture in kinds, f"no architecture is called {self.architecture!r}", f"one of {kinds}")
        sizes = (self.n_latents, self.steps, self.dead_after)
        _check(min(sizes) > 0, f"latents, steps, dead_after: {sizes}", "give 1 or more")
        _check(0 < self.k <= self.n_latents, f"k is {self.k}", "give one above 0, at most n_latents")
        _check(self.architecture != "topk" or self.k % 1 == 0, f"k is {self.k}", "give a whole one")
        _check(self.lr > 0 and 0 <= self.lr_end <= self.lr, f"rates {self.lr} to {self.lr_end}", "0 <= lr_end <= lr")
        _check(0 <= self.warm_up < self.steps, f"warm-up {self.warm_up}", "give fewer than steps")
        _check(self.sparsity >= 0 and self.decoder_norm > 0, "sparsity or decoder_norm", "give positive ones")
        if self.architecture == "matryoshka":
            ascend = len(widths) > 1 and [*widths] == sorted({*widths}) and widths[0] > 0
            _check(ascend and widths[-1] == self.n_latents, f"widths {widths}", "two or more, ascending to n_latents")


def fit_by_saelens(
    batches: Iterable[Float[Tensor, "row 1 d"]], options: SaeLensFit, site: Site, model: str, *address: str | int
) -> Dictionary:
    """A dictionary of one model, from the first `options.steps` batches. BadInput for several models or too few."""
    rows = _rows(batches)
    first = next(rows, None)
    if first is None:
        raise _too_few(0, options)
    sae = _made(first, options, address)
    trainer = _trainer(sae, options, len(first))
    done = 0
    for batch in itertools.islice(itertools.chain([first], rows), options.steps):
        trainer.step(batch)
        trainer.n_training_steps += 1
        done += 1
    if done < options.steps:
        raise _too_few(done, options)
    with tempfile.TemporaryDirectory() as folder:
        sae.save_inference_model(folder)
        return read_saelens(Path(folder), model=model, site=site)


def _rows(batches: Iterable[Tensor]) -> Iterator[Float[Tensor, "row d"]]:
    for batch in batches:
        if batch.ndim != 3 or batch.shape[1] != 1:
            do = "give batches [row 1 d] of one model; a pair is for our own training"
            raise BadInput(f"a batch of shape {tuple(batch.shape)}", where="SAELens' trainer", do=do)
        yield batch[:, 0].float()


def _made(first: Float[Tensor, "row d"], options: SaeLensFit, address: tuple[str | int, ...]) -> Any:
    """Its object before training."""
    name = f"{CLASSES[options.architecture]}TrainingSAE"
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.set_rng_state(torch_rng(*address, "saelens").get_state())
        library = sae_lens()
        sae = getattr(library, name)(getattr(library, f"{name}Config")(**_config(first.shape[1], options)))
    with torch.no_grad():
        sae.b_dec.copy_(first.mean(0))
    return sae


def _config(d: int, options: SaeLensFit) -> dict[str, Any]:
    config: dict[str, Any] = {"d_in": d, "d_sae": options.n_latents, "decoder_init_norm": options.decoder_norm}
    match options.architecture:
        case "standard":
            return config | {"l1_coefficient": options.sparsity, "l1_warm_up_steps": options.warm_up}
        case "jumprelu":
            return config | {"l0_coefficient": options.sparsity, "l0_warm_up_steps": options.warm_up}
        case "topk":
            return config | {"k": int(options.k)}
        case "batchtopk":
            return config | {"k": float(options.k)}
    return config | {"k": float(options.k), "matryoshka_widths": list(options.widths)}


def _trainer(sae: Any, options: SaeLensFit, rows: int) -> Any:
    parts = sae_lens("config"), sae_lens("training.sae_trainer")
    config = parts[0].SAETrainerConfig(
        total_training_samples=options.steps * rows,
        train_batch_size_samples=rows,
        lr=options.lr,
        lr_end=options.lr_end,
        lr_scheduler_name="constant" if options.lr_end == options.lr else "cosineannealing",
        lr_warm_up_steps=options.warm_up,
        dead_feature_window=options.dead_after,
        logger=parts[0].LoggingConfig(log_to_wandb=False),
    )
    return parts[1].SAETrainer(cfg=config, sae=sae, data_provider=iter(()))


def _check(holds: bool, what: str, do: str) -> None:
    if not holds:
        raise BadInput(f"this cannot be: {what}", where="SaeLensFit", do=do)


def _too_few(done: int, options: SaeLensFit) -> BadInput:
    what = f"the batches ended after {done} of {options.steps} steps"
    return BadInput(what, where="SAELens' trainer", do="give more batches, or fewer steps")
