"""How does a dictionary lie on disk, with what it was fitted on, and is what lies there whole?

    latents-<16 of the sha256>.safetensors    W_enc, b_enc, W_dec, b_dec, scale, and threshold of JumpReLU, as given
    dictionary.json                           written last: the sha256, site, models, activation, centred, normalise;
                                              options of the fit, digests of what it was fitted on

The tensors have their digest in their name: at every moment the folder holds the old dictionary whole, or the new one.
Bit for bit what was written is read. Other keys, tensors, shapes or bytes are BadInput. Left out: other formats, see
`probe.dictionaries.exchange.by_name`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors.torch import save
from torch import Tensor

from probe.dictionaries.activation import Activation, BatchTopK, JumpReLU, ReLU, TopK
from probe.dictionaries.dictionary import Dictionary, Normalise
from probe.dictionaries.exchange.described import Described
from probe.dictionaries.exchange.weight_files import MAX_CONFIG, MAX_WEIGHTS, Shapes, own_file, read_tensors
from probe.errors import BadInput
from probe.models.hooks.sites import site
from probe.models.loading.strict_json import read_json
from probe.store import file_digest, write_atomic

ABOUT: str = "dictionary.json"
FORMAT: Literal["probe.dictionary.1"] = "probe.dictionary.1"
PARTS = ("W_enc", "b_enc", "W_dec", "b_dec", "scale")
Kind = Literal["relu", "topk", "batchtopk", "jumprelu"]
KINDS: dict[Kind, type] = {"relu": ReLU, "topk": TopK, "batchtopk": BatchTopK, "jumprelu": JumpReLU}


class About(BaseModel):
    """dictionary.json: every key, and no other."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
    format: Literal["probe.dictionary.1"]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    site: str
    models: list[str]
    activation: Kind
    k: int | float | None
    d: int
    n_latents: int
    centred: bool
    normalise: Normalise
    options: dict[str, Any]
    fitted_on: dict[str, str]


@dataclass(frozen=True, eq=False)
class Kept:
    """A dictionary, the options it was fitted with, and the digests of what it was fitted on, by their names."""

    dictionary: Dictionary
    options: Mapping[str, Any] = field(default_factory=dict)
    fitted_on: Mapping[str, str] = field(default_factory=dict)


def write_dictionary(kept: Kept, folder: Path) -> str:
    """Write it, in place of another one that is there; returns the sha256 of its tensors.

    BadInput where options or digests are not what JSON can hold.
    """
    data = save(_tensors(kept.dictionary))
    digest = hashlib.sha256(data).hexdigest()
    about = _json(kept, digest)
    write_atomic(folder / _weights(digest), data)
    write_atomic(folder / ABOUT, about)
    for old in folder.glob(_weights("?" * 16)):
        if old.name != _weights(digest):
            old.unlink()
    return digest


def describe(folder: Path) -> Described:
    """What its dictionary.json says. BadInput where it is something else, or damaged."""
    about = _read_about(folder)
    return Described(str(folder), tuple(about.models), site(about.site), about.d)


def read_dictionary(folder: Path) -> Kept:
    """What `write_dictionary` wrote there. BadInput where it is something else, or damaged."""
    about = _read_about(folder)
    file = own_file(folder, _weights(about.sha256), MAX_WEIGHTS)
    if file_digest(file) != about.sha256:
        raise _damaged(folder, f"the sha256 of {file.name} has changed")
    tensors = read_tensors(file, _shapes(about), keep_dtype=True)
    made = _activation(about, tensors.pop("threshold", None), folder)
    held = Dictionary(
        site(about.site),
        tuple(about.models),
        made,
        **tensors,
        centred=about.centred,
        normalise=about.normalise,
    )
    return Kept(held, about.options, about.fitted_on)


def _tensors(dictionary: Dictionary) -> dict[str, Tensor]:
    parts: dict[str, Tensor] = {name: getattr(dictionary, name) for name in PARTS}
    if isinstance(dictionary.activation, JumpReLU):
        parts["threshold"] = dictionary.activation.threshold
    return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in parts.items()}


def _json(kept: Kept, digest: str) -> bytes:
    do = "give texts, finite numbers, lists and tables of them, and a text for each digest"
    try:
        content = json.dumps(_about(kept, digest).model_dump(), indent=1, sort_keys=True, allow_nan=False).encode()
    except (TypeError, ValueError) as err:
        what = f"options or digests cannot be written: {str(err)[:300]}"
        raise BadInput(what, where=kept.dictionary.where, do=do) from err
    if len(content) > MAX_CONFIG:
        raise BadInput(f"{len(content):,} bytes of options and digests", where=kept.dictionary.where, do="give fewer")
    return content


def _about(kept: Kept, digest: str) -> About:
    held = kept.dictionary
    return About(
        format=FORMAT,
        sha256=digest,
        site=str(held.site),
        models=list(held.models),
        activation=next(name for name, kind in KINDS.items() if type(held.activation) is kind),
        k=getattr(held.activation, "k", None),
        d=held.d,
        n_latents=held.n_latents,
        centred=held.centred,
        normalise=held.normalise,
        options=dict(kept.options),
        fitted_on=dict(kept.fitted_on),
    )


def _read_about(folder: Path) -> About:
    content = read_json(own_file(folder, ABOUT, MAX_CONFIG), MAX_CONFIG)
    if content.get("format") != FORMAT:
        what = f"{ABOUT} is of format {str(content.get('format'))[:60]!r}, not {FORMAT}"
        raise BadInput(what, where=str(folder), do="give a folder that this version of probe wrote")
    try:
        return About(**content)
    except ValidationError as err:
        first = err.errors()[0]
        raise _damaged(folder, f"{ABOUT}: {'.'.join(map(str, first['loc']))[:80]}: {first['msg'][:200]}") from err


def _shapes(about: About) -> Shapes:
    m, d, n = len(about.models), about.d, about.n_latents
    threshold: Shapes = {"threshold": (n,)} if about.activation == "jumprelu" else {}
    return {"W_enc": (m, d, n), "b_enc": (n,), "W_dec": (n, m, d), "b_dec": (m, d), "scale": (m,), **threshold}


def _activation(about: About, threshold: Tensor | None, folder: Path) -> Activation:
    match about.activation, about.k:
        case "topk", int(k):
            return TopK(k)
        case "batchtopk", int(k) | float(k):
            return BatchTopK(k)
        case "relu", None:
            return ReLU()
        case "jumprelu", None if threshold is not None:
            return JumpReLU(threshold)
    raise _damaged(folder, f"{ABOUT}: activation {about.activation} with k {about.k}")


def _weights(digest: str) -> str:
    return f"latents-{digest[:16]}.safetensors"


def _damaged(folder: Path, what: str) -> BadInput:
    return BadInput(f"a damaged dictionary: {what}", where=str(folder), do="fit it again, or copy it again")
