"""What is done where a forward passes a site: the part of reading and editing that is the same on every backend.

    plan = make_plan(model, sites, edits, mask, ids)   BadInput on a site that this model lacks, or a misshapen mask
    x = plan.edit_and_record([site], x, read)          what goes on from there; recorded if it was to be read
    plan.recorded()                                    what was read

A site is read after every edit there; edits at one site act in their order. What is read is the very tensor that the
model goes on with, so that gradients reach it: a model that writes over it (Falcon adds attention to what its MLP put
out) is found out by the tensor's version, not believed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from probe.errors import BadInput, ProbeError
from probe.models.hooks.anatomy import Anatomy, anatomy
from probe.models.hooks.edits import Beside, Edit, apply, chosen_positions, version
from probe.models.hooks.sites import Kind, Site, check_site, n_heads

ORDER: tuple[Kind, ...] = ("resid", "head", "attn", "mlp")  # in which a block comes by its sites
Mask = Int[Tensor, "batch pos"] | Bool[Tensor, "batch pos"] | None


@dataclass(frozen=True, eq=False)
class Run:
    """One forward: logits of every position, and what stood at the sites that were asked for."""

    logits: Float[Tensor, "batch pos d_vocab"]
    read: dict[Site, Float[Tensor, "batch pos d"]]


class AllRecorded(Exception):
    """Everything that was to be read has been: the rest of the forward is not needed."""


@dataclass(eq=False)
class HookPlan:
    """What forwards are to change and to record, and what the latest one has recorded."""

    parts: Anatomy
    heads: int  # of a block
    sites: tuple[Site, ...]
    edits: dict[Site, list[Edit]]
    mask: Mask
    stop_early: bool = False  # behind the last site, with AllRecorded
    cached: bool = False  # forwards see new columns only
    finished: bool = False  # a forward came to its end
    modules_run: int = 0  # by all forwards
    records: dict[Site, Tensor] = field(default_factory=dict)
    versions: dict[Site, int] = field(default_factory=dict)  # of what was recorded, when it was
    reached: set[Site] = field(default_factory=set)

    def edit_and_record(
        self, here: list[Site], x: Float[Tensor, "batch pos d"], read: Float[Tensor, "batch pos d_in"] | None = None
    ) -> Float[Tensor, "batch pos d"]:
        """At the sites of one module, which has `read` that. Raises AllRecorded behind the last one that is wanted."""
        x = self._at_heads(here, x) if here[0].kind == "head" else self._at(here[0], x, read)
        self.modules_run += 1
        if self.stop_early and len(self.records) == len(self.sites):
            raise AllRecorded
        return x

    def by_module(self) -> list[list[Site]]:
        """Every site to be read or changed, those of one module together, in the order in which a forward comes by."""
        wanted = sorted({*self.sites, *self.edits}, key=lambda site: (site.layer, ORDER.index(site.kind), site))
        keys = dict.fromkeys((site.layer, site.kind) for site in wanted)
        return [[site for site in wanted if (site.layer, site.kind) == key] for key in keys]

    def recorded(self) -> dict[Site, Float[Tensor, "batch pos d"]]:
        """What was read, in the order asked for. ProbeError where the model has written over it since."""
        for site in self.sites:
            if version(self.records[site]) != self.versions[site]:
                do = "it cannot be read there: choose another site, such as resid.i"
                raise ProbeError(f"the model wrote over what was read at {site}", where="sites", do=do)
        # behind a stop nothing depends on it: one head need not keep its neighbours in memory
        return {site: self.records[site].contiguous() if self.stop_early else self.records[site] for site in self.sites}

    def check_reached(self) -> None:
        """ProbeError where a forward never came by a site: it was neither read nor changed."""
        missing = {*self.sites, *self.edits} - self.reached
        if missing:
            do = "the model does not call that module itself: choose another site"
            raise ProbeError(f"{min(missing)} was not reached by the forward", where="sites", do=do)

    def _at(self, here: Site, x: Float[Tensor, "batch pos d"], read: Tensor | None = None) -> Tensor:
        """`x` as the edits leave it: the same object where there is none."""
        self.reached.add(here)
        for edit in self.edits.get(here, ()):
            change = edit.change.reading(read) if isinstance(edit.change, Beside) else edit.change
            x = apply(change, x, chosen_positions(edit.where, x, self.mask, cached=self.cached))
        if here in self.sites:
            self.records[here], self.versions[here] = x, version(x)
        return x

    def _at_heads(self, here: list[Site], z: Float[Tensor, "batch pos d"]) -> Float[Tensor, "batch pos d"]:
        """The same for heads of one block, whose states stand side by side in `z`."""
        whole, width = z, z.shape[-1] // self.heads
        for site in here:
            start = (site.head or 0) * width
            before = z[..., start : start + width]
            after = self._at(site, before)
            differentiable = site in self.sites and after.requires_grad  # then it has to be what the model goes on with
            if after is not before or differentiable:
                whole = z.clone() if whole is z else whole
                whole[..., start : start + width] = after
        return whole


def make_plan(
    model: PreTrainedModel,
    sites: Sequence[Site],
    edits: Sequence[Edit],
    mask: Mask = None,
    ids: Int[Tensor, "batch pos"] | None = None,
) -> HookPlan:
    """BadInput on a site that `model` does not have, or a mask that is not one of `ids`."""
    if mask is not None and ids is not None and mask.shape != ids.shape:
        what = f"the mask is {tuple(mask.shape)}, the ids are {tuple(ids.shape)}"
        raise BadInput(what, where="mask", do="give [batch pos], 0 on padding")
    parts, by_site = anatomy(model), dict[Site, list[Edit]]()
    for edit in edits:
        by_site.setdefault(edit.site, []).append(edit)
    for site in (*sites, *by_site):
        check_site(site, parts, model)
    return HookPlan(parts, n_heads(model), tuple(dict.fromkeys(sites)), by_site, mask)
