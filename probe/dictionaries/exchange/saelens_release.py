"""Where is a published dictionary that SAELens knows as RELEASE/ID, and what is in it?

SAELens' own list (pretrained_saes.yaml) says the repository, the path, which format it is in, its factor s and what
overrides its cfg.json. The files come from the hub's cache; over the network only where that is allowed. Read are
SAELens' format, Llama Scope and Qwen-Scope; the others of the list are refused by name. `describe` reads, and fetches,
the configuration alone.
"""

import difflib
from dataclasses import replace
from pathlib import Path
from typing import Any

from probe.dictionaries.dictionary import Dictionary
from probe.dictionaries.exchange import llama_scope, qwen_scope, saelens_read
from probe.dictionaries.exchange.described import Described
from probe.dictionaries.exchange.llama_scope import read_llama_scope
from probe.dictionaries.exchange.qwen_scope import read_qwen_scope
from probe.dictionaries.exchange.saelens_library import sae_lens
from probe.dictionaries.exchange.saelens_read import read_saelens
from probe.errors import BadInput
from probe.models.loading.hub import fetch

FILES = {  # of each format, below its path
    "sae_lens": (saelens_read.CONFIG, saelens_read.WEIGHTS),
    "llama_scope": (llama_scope.CONFIG, llama_scope.WEIGHTS),
    "qwen_scope": (),  # the path is the file
}


def saelens_release(name: str, *, offline: bool | None = None, cache: Path | None = None) -> Dictionary:
    """The dictionary RELEASE/ID. BadInput where there is none, its format is not read, or its files are not here.

    `offline` and `cache` as in `probe.models.loading.hub.fetch`.
    """
    release, path, of_path = _looked_up(name)
    kind = _format(name, release)
    files = [f"{path}/{file}" for file in FILES[kind]] or [path]
    place = fetch(release.repo_id, offline=offline, cache=cache, files=files).folder / path
    if kind == "qwen_scope":
        return read_qwen_scope(place, release.repo_id)
    if kind == "llama_scope":
        return read_llama_scope(place, norm_factor=of_path)
    overrides = release.config_overrides or {}
    return read_saelens(place, model=release.model, norm_factor=of_path, overrides=overrides)


def describe(name: str, *, offline: bool | None = None, cache: Path | None = None) -> Described:
    """What is known of RELEASE/ID before its weights: they are not fetched. BadInput as for `saelens_release`."""
    release, path, _ = _looked_up(name)
    kind = _format(name, release)
    if kind == "qwen_scope":
        return replace(qwen_scope.describe(Path(path), release.repo_id), name=name)
    config = f"{path}/{FILES[kind][0]}"
    place = fetch(release.repo_id, offline=offline, cache=cache, files=[config]).folder / path
    if kind == "llama_scope":
        return replace(llama_scope.describe(place), name=name)
    overrides = release.config_overrides or {}
    return replace(saelens_read.describe(place, model=release.model, overrides=overrides), name=name)


def _format(name: str, release: Any) -> str:
    """One of FILES; BadInput for another."""
    kind = str(release.conversion_func or "sae_lens")
    if kind not in FILES:
        do = f"take one of the formats {', '.join(FILES)}; or convert it with SAELens: save_model(folder)"
        raise BadInput(f"{name} is in the format {kind}, which is not read here", where=release.repo_id, do=do)
    return kind


def _looked_up(name: str) -> tuple[Any, str, float | None]:
    """SAELens' entry, the path in its repository, and s."""
    releases = sae_lens("loading.pretrained_saes_directory").get_pretrained_saes_directory()
    release, _, sae_id = name.partition("/")
    for asked, known in ((release, releases), (sae_id, releases[release].saes_map if release in releases else {})):
        if asked not in known:
            near = difflib.get_close_matches(asked, known, 3) or list(known)[:3]
            do = f"RELEASE/ID as in SAELens' list; near it: {', '.join(near)}"
            raise BadInput(f"SAELens knows no {asked!r}", where=name, do=do)
    entry = releases[release]
    return entry, entry.saes_map[sae_id], entry.norm_scaling_factor.get(sae_id)
