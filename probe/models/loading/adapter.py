"""A LoRA adapter merged into its base: W' = W + s B A  (arXiv:2106.09685 eq 3), for each adapted matrix W [out in].

    s = alpha / r, or alpha / sqrt(r) with use_rslora (arXiv:2312.03732), alpha and r per module where patterns say so

peft does the arithmetic, on a config that holds nothing but plain LoRA and on tensors that were checked. Left out, and
refused: everything else an adapter may carry (DoRA, trained biases, modules saved whole, bases changed before training
as by PiSSA, ...): merge such an adapter with peft and give the merged folder.
"""

import dataclasses
import math
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from probe.errors import BadInput
from probe.models.loading.integrity import ADAPTER_CONFIG, check_safetensors
from probe.models.loading.load import check_finite
from probe.models.loading.loaded import Loaded
from probe.models.loading.quarantine import rehearse_patterns
from probe.models.loading.strict_json import AGAIN, read_json

ADAPTER_WEIGHTS = "adapter_model.safetensors"
PLAIN = {"r", "lora_alpha", "target_modules", "exclude_modules", "fan_in_fan_out", "use_rslora", "rank_pattern"} | {
    "alpha_pattern",
    "layers_to_transform",
    "layers_pattern",
}
ABOUT = {"peft_type", "peft_version", "task_type", "base_model_name_or_path", "revision", "inference_mode"} | {
    "auto_mapping",
    "lora_dropout",  # of training
    "qalora_group_size",
    "megatron_core",
    "runtime_config",
}
PLAIN_STARTS = (True, False, "gaussian", "orthogonal", "eva")  # of A and B; others change W before training


def load_adapter(base: Loaded, folder: Path) -> Loaded:
    """`base` with the adapter of `folder` merged into its weights, in place: what was loaded as `base` is gone.

    BadInput where the adapter is not plain LoRA, pickled, torn, not finite, or not made for this model.
    """
    config, tensors = _config(folder), _tensors(folder)
    _check_numbers(config, tensors, folder)
    rehearse_patterns(_patterns(config), [name for name, _ in base.model.named_modules()], str(folder))
    try:
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            warnings.simplefilter("ignore", FutureWarning)  # peft asks for what transformers has renamed
            warnings.simplefilter("error", UserWarning)  # what peft only warns of changes numbers
            model = _merged(base, config, tensors, folder)
    except BadInput:
        raise
    except Exception as err:  # whatever a strange config makes peft raise
        do = "give the base it was trained on, or merge it with peft and give the merged folder"
        raise BadInput(f"cannot merge this adapter: {err}", where=str(folder), do=do) from err
    check_finite(model, str(folder))
    return Loaded(model.requires_grad_(True).eval(), base.tokenizer)


def trained_on(folder: Path) -> str | None:
    """The base that the adapter says it was trained on; None where it does not say."""
    named = read_json(folder / ADAPTER_CONFIG).get("base_model_name_or_path")
    return named if isinstance(named, str) else None


def _config(folder: Path) -> dict[str, Any]:
    """What is passed on to peft: plain LoRA or nothing."""
    from peft import LoraConfig

    if not (folder / ADAPTER_CONFIG).is_file():
        raise BadInput(f"no {ADAPTER_CONFIG} here", where=str(folder), do="give the folder of a LoRA adapter")
    config = read_json(folder / ADAPTER_CONFIG)
    if config.get("peft_type") != "LORA":
        do = "merge it with peft and give the merged folder"
        raise BadInput(f"this adapter is of type {config.get('peft_type')!r}, not LORA", where=str(folder), do=do)
    usual = {field.name: field.default for field in dataclasses.fields(LoraConfig)}
    others = config.keys() - PLAIN - ABOUT - {"init_lora_weights"}
    strange = [key for key in sorted(others) if config[key] and config[key] != usual.get(key)]
    if config.get("init_lora_weights", True) not in PLAIN_STARTS:
        strange.append("init_lora_weights")
    if strange:
        what = ", ".join(f"{key} {config[key]!r}" for key in strange)
        do = "merge it with peft and give the merged folder"
        raise BadInput(f"this adapter is more than plain LoRA: {what}", where=str(folder), do=do)
    return {key: config[key] for key in PLAIN & config.keys() if config[key] is not None}


def _check_numbers(config: dict[str, Any], tensors: dict[str, Tensor], folder: Path) -> None:
    """No rank is larger than a side of its tensors (peft would make room for it), and every scale is a number."""
    widest = max((max(tensor.shape, default=0) for tensor in tensors.values()), default=0)
    ranks, alphas = config.get("rank_pattern", {}), config.get("alpha_pattern", {})
    if not isinstance(ranks, dict) or not isinstance(alphas, dict):
        raise BadInput("its patterns are no objects", where=str(folder), do=f"mend {ADAPTER_CONFIG}")
    for name, rank in {"r": config.get("r", 1), **ranks}.items():
        if type(rank) is not int or not 0 < rank <= widest:
            what = f"{name} is {str(rank)[:60]}, and the widest tensor has {widest}"
            raise BadInput(f"this rank cannot be: {what}", where=str(folder), do=f"mend {ADAPTER_CONFIG}")
    for name, alpha in {"lora_alpha": config.get("lora_alpha", 1), **alphas}.items():
        if type(alpha) not in (int, float) or not math.isfinite(alpha):
            what = f"{name} is {str(alpha)[:60]}, no number"
            raise BadInput(what, where=str(folder), do=f"mend {ADAPTER_CONFIG}")


def _patterns(config: dict[str, Any]) -> list[str]:
    """The regular expressions that peft makes of the config."""
    whole = [config[key] for key in ("target_modules", "exclude_modules") if isinstance(config.get(key), str)]
    ends = [rf"(.*\.)?({key})$" for name in ("rank_pattern", "alpha_pattern") for key in config.get(name, {})]
    named = config.get("layers_pattern") or []
    layers = [rf".*\.{each}\.(\d+)\." for each in ([named] if isinstance(named, str) else named)]
    return [rf"(?:{each})\Z" for each in whole] + ends + layers


def _tensors(folder: Path) -> dict[str, Tensor]:
    file = folder / ADAPTER_WEIGHTS
    if not file.is_file():
        do = "pickled weights can run code and are never read: save it as safetensors"
        raise BadInput(f"no {ADAPTER_WEIGHTS} here", where=str(folder), do=do)
    check_safetensors(file)
    try:
        tensors = load_file(file)
    except Exception as err:
        raise BadInput(f"cannot load: {file.name}: {err}", where=str(folder), do=AGAIN) from err
    broken = [name for name, tensor in tensors.items() if not tensor.isfinite().all()]
    if broken:
        raise BadInput(f"weights are not finite: {broken[:3]}", where=str(folder), do="use an earlier adapter")
    return tensors


def _merged(base: Loaded, config: dict[str, Any], tensors: dict[str, Tensor], folder: Path) -> Any:
    import peft  # half a second

    adapted = peft.get_peft_model(base.model, peft.LoraConfig(**config, init_lora_weights=False))
    result = peft.set_peft_model_state_dict(adapted, tensors)
    lost = [name for name in result.missing_keys if "lora_" in name]
    odd = {"that it should change but does not": lost, "that this model does not have": result.unexpected_keys}
    for what, names in odd.items():
        if names:
            do = "give the base it was trained on"
            raise BadInput(f"the adapter has modules {what}: {sorted(names)[:3]}", where=str(folder), do=do)
    return adapted.merge_and_unload(safe_merge=True)
