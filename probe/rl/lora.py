"""What is trained by LoRA, and how does it reach a folder that others read? W' = W + (alpha/r) B A (2106.09685 eq 3)

A [rank in] is drawn uniformly in +-1/sqrt(in), from an address; B [out rank] starts at 0, so the first policy is its
base to the bit. Both are fp32, whatever the base is. peft computes with them; what is written is its own format, plain
LoRA, which `probe.models.loading.adapter` merges. Left out: dropout, adapted embeddings and heads, trained biases.
"""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn
from transformers import PreTrainedModel

from probe.errors import BadInput
from probe.models.hooks.anatomy import anatomy, decoder_of
from probe.models.loading.adapter import ADAPTER_WEIGHTS
from probe.models.loading.integrity import ADAPTER_CONFIG
from probe.rng import torch_rng

NAME = "default"  # peft's, of the adapter


@dataclass(frozen=True)
class Lora:
    """Which matrices are adapted, and at which rank. Every field is part of a run's identity."""

    rank: int = 16
    alpha: float = 32.0
    targets: tuple[str, ...] = ()  # last parts of module names; none: every linear map in the blocks

    def __post_init__(self) -> None:
        if self.rank < 1 or not 0 < self.alpha < math.inf:
            what = f"LoRA of rank {self.rank} and alpha {self.alpha}"
            raise BadInput(what, where="Lora", do="give a rank >= 1 and a finite alpha > 0")

    def spec(self) -> dict[str, Any]:
        """Plain JSON, for recipes."""
        return {"rank": self.rank, "alpha": float(self.alpha), "targets": list(self.targets)}


def add_lora(model: PreTrainedModel, lora: Lora, seed: int) -> dict[str, nn.Parameter]:
    """Put LoRA into the model, in place; its parameters by their names in an adapter's file. All else is frozen.

    BadInput where the model has no such modules.
    """
    import peft  # half a second

    targets = lora.targets or linear_maps(model)
    model.requires_grad_(False)
    config = peft.LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules=list(targets), bias="none")
    try:
        with torch.random.fork_rng(devices=[]):  # what peft draws is drawn over
            peft.inject_adapter_in_model(config, model)
    except ValueError as err:
        do = f"choose of {', '.join(linear_maps(model))}"
        raise BadInput(f"LoRA cannot be put there: {err}", where="Lora", do=do) from err
    tensors = {}
    for name, weight in model.named_parameters():
        if ".lora_" in name:
            weight.data = _start(weight, name, seed)
            weight.requires_grad_(True)
            tensors["base_model.model." + name.replace(f".{NAME}.", ".")] = weight
    return tensors


def linear_maps(model: PreTrainedModel) -> tuple[str, ...]:
    """The last parts of the names of every linear map in the model's blocks, sorted."""
    found = {name.rpartition(".")[2] for block in anatomy(model).blocks for name, each in block.named_modules()
             if isinstance(each, nn.Linear)}  # fmt: skip
    if not found:
        raise BadInput(f"{type(model).__name__} has no linear maps in its blocks", where="Lora", do="--all-weights")
    return tuple(sorted(found))


def _start(weight: Tensor, name: str, seed: int) -> Tensor:
    """Drawn on the CPU, so that every device starts at the same."""
    start = torch.zeros(weight.shape)
    if ".lora_A." in name:
        bound = weight.shape[1] ** -0.5
        start.uniform_(-bound, bound, generator=torch_rng("lora", seed, name))
    return start.to(weight.device)


def layers_of(model: PreTrainedModel) -> list[Any]:
    """The modules that hold LoRA."""
    from peft.tuners.lora import LoraLayer

    return [each for each in decoder_of(model).modules() if isinstance(each, LoraLayer)]


@contextmanager
def without_lora(model: PreTrainedModel) -> Iterator[None]:
    """Within it, the model is its base."""
    layers = layers_of(model)
    for layer in layers:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)


@contextmanager
def merged(model: PreTrainedModel) -> Iterator[None]:
    """Within it, W is W + s B A and nothing else is computed; afterwards the very tensors of before are back.

    For fp32: in bf16 a sum would round the first steps of training away.
    """
    layers = layers_of(model)
    weights = [layer.get_base_layer().weight for layer in layers]
    held = [weight.data for weight in weights]
    try:
        with torch.no_grad(), without_lora(model):
            for layer, weight in zip(layers, weights, strict=True):
                weight.data = weight.data + layer.get_delta_weight(NAME)
            yield
    finally:
        for weight, data in zip(weights, held, strict=True):
            weight.data = data


def adapter_files(tensors: dict[str, nn.Parameter], lora: Lora, base: str) -> dict[str, bytes]:
    """The files of the adapter as peft writes them, by name; `base` is what it is of, a hub id where it has one."""
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": lora.rank,
        "lora_alpha": lora.alpha,
        "target_modules": sorted(lora.targets or {name.split(".")[-3] for name in tensors}),
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
    }
    held = {name: each.detach().cpu().contiguous() for name, each in tensors.items()}
    return {
        ADAPTER_CONFIG: (json.dumps(config, indent=2) + "\n").encode(),
        ADAPTER_WEIGHTS: save(held, metadata={"format": "pt"}),
    }
