"""How is a dictionary of Qwen-Scope read? A repository Qwen/SAE-Res-{model}-W{latents}K-L0_{k} holds for each block n

    layer{n}.sae.pt     W_enc [latent d]  W_dec [d latent]  b_enc [latent]  b_dec [d]      of resid.n+1, TopK(k)

a torch file, which is a pickle: it is read by torch.load(weights_only=True) alone, after its parts have been looked at:
a zip archive of stored parts, so that it unfolds to no more than its size, and a small table of tensors. b_dec is not
taken off the input. Source: sae_lens/loading/pretrained_sae_loaders.py, qwen_scope_sae_huggingface_loader (6.54).
"""

import pickle
import re
import zipfile
from pathlib import Path

import torch
from torch import Tensor

from probe.dictionaries.dictionary import Dictionary
from probe.dictionaries.exchange.described import Described
from probe.dictionaries.exchange.saelens_config import SaeLensConfig
from probe.dictionaries.exchange.saelens_read import dictionary_of
from probe.dictionaries.exchange.weight_files import MAX_WEIGHTS, check_finite, check_shape, own_file
from probe.errors import BadInput
from probe.models.hooks.sites import Site
from probe.models.loading.strict_json import AGAIN

NAME = re.compile(r"layer(\d{1,4})\.sae\.pt")
REPOSITORY = re.compile(r"SAE-Res-(.+)-W(\d{1,4})K-L0_(\d{1,5})")
MAX_TABLE = 1_000_000  # bytes of the pickled table of tensors
NAMES = ("W_enc", "W_dec", "b_enc", "b_dec")


def read_qwen_scope(file: Path, repository: str | None = None) -> Dictionary:
    """The dictionary in `file`. `repository` None: its name is looked for in the path.

    BadInput for other names, tensors and shapes, a torn file, and anything in it but tensors, which is never run.
    """
    model, site, n, k = _named(file, repository)
    tensors = _read(own_file(file.parent, file.name, MAX_WEIGHTS), n)
    d = len(tensors["b_dec"])
    return dictionary_of(tensors, SaeLensConfig("topk", d, n, site, model, False, "none", k, False))


def describe(file: Path, repository: str | None = None) -> Described:
    """What the names say; the file need not be there. BadInput for other names."""
    model, site, *_ = _named(file, repository)
    return Described(str(file), (model,), site, None)


def _named(file: Path, repository: str | None) -> tuple[str, Site, int, int]:
    """Model, site, number of latents and k."""
    named = NAME.fullmatch(file.name)
    found = REPOSITORY.search(repository or str(file.parent.absolute()))
    if named is None or found is None:
        do = "give layer{n}.sae.pt in a folder, or with a repository=, that is called Qwen/SAE-Res-{model}-W{n}K-L0_{k}"
        raise BadInput("neither layer, model, number of latents nor k are known", where=str(file), do=do)
    return f"Qwen/{found[1]}", Site("resid", int(named[1]) + 1), int(found[2]) * 1024, int(found[3])


def _read(file: Path, n: int) -> dict[str, Tensor]:
    """Named and turned as in SAELens."""
    held = _load(file)
    if not isinstance(held, dict) or set(held) != set(NAMES) or not all(isinstance(held[x], Tensor) for x in NAMES):
        raise BadInput(f"{file.name} is no table of {', '.join(NAMES)}", where=str(file), do=AGAIN)
    d = held["W_enc"].shape[-1] if held["W_enc"].ndim == 2 else 0
    for name, shape in {"W_enc": (n, d), "W_dec": (d, n), "b_enc": (n,), "b_dec": (d,)}.items():
        check_shape(file, name, held[name].shape, shape)
        _check_dense(file, name, held[name])
    read = {name: held[name].detach().to(torch.float32) for name in NAMES}
    check_finite(file, read)
    return read | {"W_enc": read["W_enc"].T.contiguous(), "W_dec": read["W_dec"].T.contiguous()}


def _load(file: Path) -> object:
    try:
        with zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
        tables = [part.file_size for part in parts if part.filename.endswith("data.pkl")]
        stored = all(part.compress_type == zipfile.ZIP_STORED for part in parts)
        if len(tables) != 1 or tables[0] > MAX_TABLE or not stored:
            raise BadInput(f"{file.name} is no file of a few tensors", where=str(file), do=AGAIN)
        return torch.load(file, map_location="cpu", weights_only=True)
    except zipfile.BadZipFile as err:
        raise BadInput(f"{file.name} is cut off, or no torch file: {err}", where=str(file), do=AGAIN) from err
    except pickle.UnpicklingError as err:
        do = "do not use it: a file of weights holds tensors alone, this one would run code"
        raise BadInput(f"{file.name} holds more than tensors: {_short(err)}", where=str(file), do=do) from err
    except (
        RuntimeError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        OSError,
        EOFError,
        MemoryError,
    ) as err:
        raise BadInput(f"{file.name} cannot be read: {_short(err)}", where=str(file), do=AGAIN) from err


def _check_dense(file: Path, name: str, tensor: Tensor) -> None:
    """A view may claim a shape that its bytes do not fill."""
    dense = tensor.layout == torch.strided and tensor.is_floating_point() and tensor.device.type == "cpu"
    if not dense or tensor.untyped_storage().nbytes() < tensor.numel() * tensor.element_size():
        raise BadInput(f"{name} is no plain matrix of numbers", where=str(file), do=AGAIN)


def _short(err: BaseException) -> str:
    return str(err).splitlines()[0][:200] if str(err) else type(err).__name__
