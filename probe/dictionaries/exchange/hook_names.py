"""Which site does a hook name of TransformerLens or Hugging Face mean, and what is a site called there?

    blocks.i.hook_resid_pre    hook_in                       resid.i        the stream entering block i
    blocks.i.hook_resid_post   hook_out      layers.i        resid.i+1      the stream leaving it
    blocks.i.hook_attn_out     attn.hook_out .self_attn      attn.i
    blocks.i.hook_mlp_out      mlp.hook_out  .mlp            mlp.i
    blocks.i.attn.hook_z with a head h                       head.i.h

Written is hook_resid_post of the block before, which every model has; resid.0 is hook_resid_pre of the first. Where a
norm stands behind attention or MLP (Gemma 2), hook_attn_out and hook_mlp_out of TransformerLens are behind that, our
sites before it: a dictionary from there is of another place. Left out: hook_resid_mid, and all heads at once, which are
no sites here.
"""

import re

from probe.errors import BadInput
from probe.models.hooks.sites import Kind, Site

_LENS = re.compile(r"blocks\.(\d{1,4})\.([a-z_.]+)")
_FACE = re.compile(r"(?:[A-Za-z_]+\.)*(?:layers|h)\.(\d{1,4})(\.self_attn|\.attn|\.mlp)?")
_LENS_KINDS: dict[str, tuple[Kind, int]] = {  # and how many blocks further
    "hook_resid_pre": ("resid", 0),
    "hook_in": ("resid", 0),
    "hook_resid_post": ("resid", 1),
    "hook_out": ("resid", 1),
    "hook_attn_out": ("attn", 0),
    "attn.hook_out": ("attn", 0),
    "hook_mlp_out": ("mlp", 0),
    "mlp.hook_out": ("mlp", 0),
}
_FACE_KINDS: dict[str, tuple[Kind, int]] = {
    "": ("resid", 1),
    ".self_attn": ("attn", 0),
    ".attn": ("attn", 0),
    ".mlp": ("mlp", 0),
}
HOOK_Z = "attn.hook_z"


def site_of(hook: str, head: int | None = None) -> Site:
    """The site that a hook name (and head) means; BadInput where it is none of ours."""
    lens, face = _LENS.fullmatch(hook), _FACE.fullmatch(hook)
    if lens and lens[2] == HOOK_Z and head is not None:
        return Site("head", int(lens[1]), head)
    found = _LENS_KINDS.get(lens[2]) if lens else _FACE_KINDS[face[2] or ""] if face else None
    number = lens or face
    if found is None or number is None or head is not None:
        what = f"no site here is {hook[:80]!r}" + (f" with head {head}" if head is not None else "")
        do = f"take one at hook_resid_pre, hook_resid_post, hook_attn_out or hook_mlp_out, or one head of {HOOK_Z}"
        raise BadInput(what, where="hook name", do=do)
    kind, further = found
    return Site(kind, int(number[1]) + further)


def hook_of(site: Site) -> tuple[str, int | None]:
    """The hook name of a site in TransformerLens, and the head for one of hook_z."""
    if site.kind == "resid":
        return (f"blocks.{site.layer - 1}.hook_resid_post" if site.layer else "blocks.0.hook_resid_pre"), None
    name = HOOK_Z if site.kind == "head" else f"hook_{site.kind}_out"
    return f"blocks.{site.layer}.{name}", site.head
