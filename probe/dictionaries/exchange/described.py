"""What does a dictionary say of itself before its weights are read, and is it one of this checkpoint?

    ours       dictionary.json      Llama Scope   hyperparams.json      RELEASE/ID   its configuration, fetched alone
    SAELens    cfg.json             Qwen-Scope    the names of its file and repository: they do not say the width

Refused are another width, a block that the checkpoint does not have, and another name of the model. Names are compared
without their organisation and in lower case; "before" and "after", as a dictionary fitted here calls its models, are
no names and fit every checkpoint.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from probe.errors import BadInput
from probe.models.hooks.sites import Site

ROLES = frozenset({"before", "after", "model"})  # what models are called that have no name
ANYWAY = "--sae-anyway, in Python sae_anyway=True"


@dataclass(frozen=True)
class Described:
    """A dictionary by its description; `d` None where its weights alone say how wide it is."""

    name: str  # as it was asked for
    models: tuple[str, ...]
    site: Site
    d: int | None


def check_place(about: Described, width: int, blocks: int, checkpoint: str) -> None:
    """BadInput where the checkpoint holds no activations of that width there; `width` is that of the site."""
    place, last = about.site, blocks if about.site.kind == "resid" else blocks - 1
    if place.layer > last:
        what = f"a dictionary of {place}, and {checkpoint} has {blocks} blocks"
        raise BadInput(what, where=about.name, do=f"take one of this model, at {place.kind}.{last} at most")
    if about.d not in (None, width):
        what = f"a dictionary of width {about.d} at {place}, where {checkpoint} has width {width}"
        raise BadInput(what, where=about.name, do="take a dictionary of this model and site")


def check_model(about: Described, names: Iterable[str]) -> None:
    """BadInput unless one of `names`, all that the checkpoints are known by, is that of a model of the dictionary."""
    known, wanted = list(dict.fromkeys(names)), [name for name in about.models if name not in ROLES]
    if wanted and not {_bare(name) for name in wanted} & {_bare(name) for name in known}:
        what = f"a dictionary of {', '.join(wanted)}, and the checkpoints are called {', '.join(known)}"
        do = f"take a dictionary of this model; if they are that model under another name, say so: {ANYWAY}"
        raise BadInput(what, where=about.name, do=do)


def _bare(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2].lower()
