"""What does the cfg.json of a SAELens dictionary say, from the oldest versions to the newest?

    since 6.0   architecture, d_in, d_sae, k, ...; hook_name and model_name in a block `metadata`
    before      all of it at the top level; hook_point, activation_fn_str a bool normalize_activations in the oldest;
                top-k is activation_fn "topk" with activation_fn_kwargs {"k": ...}

Read strictly: what would be another function of the activations than the one computed here is BadInput. Other keys tell
of the training and are left out. Source: sae_lens/loading/pretrained_sae_loaders.py, handle_pre_6_0_config (6.54).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from probe.dictionaries.exchange.hook_names import site_of
from probe.errors import BadInput
from probe.models.hooks.sites import Site

READ = ("standard", "topk", "jumprelu", "gated", "batchtopk", "matryoshka_batchtopk")
TWO_SITES = "it reads one site and predicts another"
REFUSED = {
    "transcoder": TWO_SITES,
    "skip_transcoder": TWO_SITES,
    "jumprelu_transcoder": TWO_SITES,
    "jumprelu_skip_transcoder": TWO_SITES,
    "temporal": "its latents depend on the positions before",
    "matching_pursuit": "its latents are found one after another",
    "abstopk": "its latents have signs",
}
NORMALISE = ("none", "expected_average_only_in", "constant_norm_rescale", "layer_norm")
RENAMED = {"hook_point": "hook_name", "hook_point_head_index": "hook_head_index", "activation_fn_str": "activation_fn"}
BELONGS = ("hook_name", "hook_head_index", "hook_name_out", "model_name", "model_from_pretrained_kwargs")
MAX_SIZE = 1 << 24  # of d_in and d_sae


@dataclass(frozen=True)
class SaeLensConfig:
    """What of a cfg.json changes what the dictionary computes, and where it belongs."""

    architecture: str
    d: int
    n_latents: int
    site: Site
    model: str
    centred: bool
    normalize_activations: str
    k: int
    rescale: bool  # pre-activations are multiplied by the norm of the decoder direction, latents divided by it


def read_config(raw: Mapping[str, Any], where: str, model: str | None, site: Site | None) -> SaeLensConfig:
    """The config in `raw`; `model` and `site` stand in where it does not say. BadInput: see the module."""
    metadata = raw.get("metadata")
    _check(isinstance(metadata, dict | None), "metadata is no table", where)
    config = {RENAMED.get(key, key): value for key, value in raw.items()}
    config |= {key: value for key, value in (metadata or {}).items() if key in BELONGS and value is not None}
    architecture = _architecture(config, where)
    for block in (raw, config):  # metadata must not hide what overrides say
        _check_read(block, where)
    kwargs = config.get("activation_fn_kwargs")
    k = config.get("k", kwargs.get("k") if isinstance(kwargs, dict) else None)
    return SaeLensConfig(
        architecture,
        _size(config, "d_in", where),
        _size(config, "d_sae", where),
        _site(config, where) or site or _unsaid("hook_name", "site", where),
        _text(config, "model_name", where) or model or _unsaid("model_name", "model", where),
        _flag(config, "apply_b_dec_to_input", True, where),
        _normalise(config, where),
        _size({"k": k}, "k", where) if architecture == "topk" else 0,
        "topk" in architecture and _flag(config, "rescale_acts_by_decoder_norm", False, where),
    )


def positive(value: object, name: str, where: str, do: str) -> float:
    """A number above 0 with which fp32 can still reckon; BadInput for anything else."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 1e-20 < value < 1e20:
        raise BadInput(f"{name} is {str(value)[:60]}", where=where, do=do)
    return float(value)


def _architecture(config: Mapping[str, Any], where: str) -> str:
    name = _text(config, "architecture", where) or "standard"
    activation = _text(config, "activation_fn", where) or "relu"
    if name == "standard" and activation == "topk":
        return "topk"
    if name in REFUSED:
        raise BadInput(f"architecture {name}: {REFUSED[name]}", where=where, do=f"take one of {', '.join(READ)}")
    if name not in READ:
        raise BadInput(f"no architecture read here is {name[:60]!r}", where=where, do=f"one of {', '.join(READ)}")
    if activation not in ("relu", "topk") or (activation == "topk" and "topk" not in name):
        raise BadInput(f"activation_fn {activation[:60]!r}", where=where, do="take one with relu or topk")
    return name


def _check_read(config: Mapping[str, Any], where: str) -> None:
    """BadInput where what it reads is not what stands at a site of the model."""
    kwargs = config.get("model_from_pretrained_kwargs") or {}
    _check(isinstance(kwargs, dict), "model_from_pretrained_kwargs is no table", where)
    centring = "it was fitted on a stream whose mean was taken off (center_writing_weights)"
    _check(not kwargs.get("center_writing_weights"), centring, where, "take one fitted on the model as it is")
    other = config.get("hook_name_out")
    _check(other in (None, config.get("hook_name")), TWO_SITES, where, "take one of a single site")


def _site(config: Mapping[str, Any], where: str) -> Site | None:
    name, head = _text(config, "hook_name", where), config.get("hook_head_index")
    _check(type(head) in (int, type(None)), f"hook_head_index is {str(head)[:60]}", where)
    return site_of(name, head) if name else None


def _normalise(config: Mapping[str, Any], where: str) -> str:
    name = config.get("normalize_activations") or "none"
    if name is True:  # the oldest
        return "expected_average_only_in"
    _check(name in NORMALISE, f"normalize_activations {str(name)[:60]!r}", where, f"take one of {', '.join(NORMALISE)}")
    return str(name)


def _size(config: Mapping[str, Any], key: str, where: str) -> int:
    value = config.get(key)
    _check(type(value) is int and 0 < value <= MAX_SIZE, f"{key} is {str(value)[:60]}", where)
    assert isinstance(value, int)
    return value


def _flag(config: Mapping[str, Any], key: str, default: bool, where: str) -> bool:
    value = config.get(key, default)
    _check(type(value) is bool, f"{key} is {str(value)[:60]}", where)
    return bool(value)


def _text(config: Mapping[str, Any], key: str, where: str) -> str | None:
    value = config.get(key)
    _check(isinstance(value, str | None), f"{key} is {str(value)[:60]}", where)
    return value


def _unsaid(key: str, argument: str, where: str) -> Any:
    raise BadInput(f"it does not say its {key}", where=where, do=f"give {argument}=")


def _check(holds: bool, what: str, where: str, do: str = "mend cfg.json, or take another dictionary") -> None:
    if not holds:
        raise BadInput(what, where=where, do=do)
