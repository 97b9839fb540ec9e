"""Where in a model can something be read or changed? The same names for every architecture.

    resid.i     the residual stream entering block i; resid.L after the last, before the final norm  [batch pos d_model]
    attn.i      what block i's attention puts out, before any norm behind it                       [batch pos d_model]
    mlp.i       what block i's MLP puts out, before any norm behind it                             [batch pos d_model]
    head.i.h    what head h of block i read, before the output projection (z)                        [batch pos d_head]

`hidden_states[-1]` of transformers is none of these: it is behind the final norm. A site is read after it was edited.
"""

import re
from dataclasses import dataclass
from typing import Literal

from torch import nn
from transformers import PreTrainedModel

from probe.errors import BadInput
from probe.models.hooks.anatomy import Anatomy

Kind = Literal["resid", "attn", "mlp", "head"]
KINDS: tuple[Kind, ...] = ("resid", "attn", "mlp", "head")
_NAME = re.compile(r"(resid|attn|mlp)\.(\d+)|(head)\.(\d+)\.(\d+)")


@dataclass(frozen=True, order=True)
class Site:
    """One place; `layer` counts blocks from 0, `head` the heads of one, for kind "head" alone."""

    kind: Kind
    layer: int
    head: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS or (self.head is None) == (self.kind == "head"):
            raise BadInput(f"no site is {self.kind!r} with head {self.head}", do="resid.i, attn.i, mlp.i or head.i.h")

    def __str__(self) -> str:
        return ".".join(str(part) for part in (self.kind, self.layer, self.head) if part is not None)


def site(name: str) -> Site:
    """The site of that name. BadInput for anything else: an unknown site is never ignored."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise BadInput(f"no site is called {name!r}", do="resid.i, attn.i, mlp.i or head.i.h, with numbers from 0")
    if match[3]:
        return Site("head", int(match[4]), int(match[5]))
    return Site(match[1], int(match[2]))  # type: ignore[arg-type]


def site_columns(where: Site | str) -> dict[str, str | int | None]:
    """What the measurement table says of a site (`probe.measurements`)."""
    place = site(where) if isinstance(where, str) else where
    return {"site": str(place), "component": place.kind, "layer": place.layer, "head": place.head}


def check_site(where: Site, parts: Anatomy, model: PreTrainedModel) -> None:
    """BadInput unless this model has the site."""
    n = len(parts.blocks)
    last = n if where.kind == "resid" else n - 1
    if not 0 <= where.layer <= last:
        raise BadInput(f"this model has no {where}", do=f"it has {n} blocks: {where.kind}.0 to {where.kind}.{last}")
    if where.head is not None:
        head_width(model, parts.attention[where.layer])
        if not 0 <= where.head < n_heads(model):
            raise BadInput(f"this model has no {where}", do=f"its blocks have {n_heads(model)} heads, from 0")


def n_heads(model: PreTrainedModel) -> int:
    """Query heads of a block."""
    return int(model.config.get_text_config().num_attention_heads)


def output_projection(attention: nn.Module) -> nn.Linear:
    """The matrix that mixes what the heads read: the last one that an attention module holds."""
    linears = [part for part in attention.children() if isinstance(part, nn.Linear)]
    if not linears:
        raise BadInput(f"{type(attention).__name__} has no output projection", do="read attn.i instead of head.i.h")
    return linears[-1]


def head_width(model: PreTrainedModel, attention: nn.Module) -> int:
    """d_head: how many of the numbers that the output projection reads are one head's."""
    read, heads = output_projection(attention).in_features, n_heads(model)
    if read % heads:
        what = f"{type(attention).__name__} reads {read} numbers with {heads} heads"
        raise BadInput(what, do="read attn.i instead of head.i.h")
    return read // heads
