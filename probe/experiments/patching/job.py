"""Where does the fork stand, and what moves it? Lens, activation patching, path patching and transplants of a pair.

    lens/fork            log-odds of opening in code, read off every layer                     side before, after
    patch/recovery       activation patching of a `site` at one `position` (-3: the third token from the end), or at
                         all of them (`everywhere`)
    path/recovery        path patching of one component (a `site`) to the fork
    transplant/recovery  weights of one part (a `module`: mlp.1, head, ... or all) of `after` put into `before`

of the fork's log-odds. Side "change" goes from before to after on the same prompts; sides "before" and "after" are code
<-> prose within each checkpoint: the same chain under style letter A (target) and D (source). Beside each: gap (what is
to be recovered; `reason`: why nothing can be), null (equal-norm random change: mean and range of the draws),
null_weights (the activations of `before` after an equal-norm random weight change, at all positions) and other (another
seed's run).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from probe.checkpoints.pair import Pair
from probe.data import Estimate, Problem
from probe.experiments import experiments
from probe.experiments.budget import PROMPT, Work, sites_in
from probe.experiments.experiment import WeightsExperiment
from probe.experiments.patching.fork import NEAR, Openings, Prompts, left_padded, openings, places
from probe.grammar import LETTERED
from probe.interventions.logit_lens import lens_metric
from probe.interventions.patching import Fork, Position, direct, measure, patch, random_source, sites_of
from probe.interventions.recovery import Gap, recovery, share
from probe.interventions.transplant import part_columns, part_modules, perturbed, transplanted
from probe.measurements import Rows, row_of
from probe.models.hooks.forward_hooks import read
from probe.models.hooks.sites import KINDS, Kind, Site, site_columns
from probe.models.loading.load import Loaded
from probe.rollouts.elicitation import CHAIN, Elicitation
from probe.rollouts.options import Compute
from probe.stats import clustered_mean
from probe.store import Store

DRAWS = 20  # of every null
PROSE, CODE = LETTERED.styles[0], LETTERED.styles[-1]  # where organisms least and most often write code
ALL = "all"

Varies = tuple[tuple[str, Any], ...]  # columns of the measurement table and what stands in them
Cells = dict[tuple[str, Varies], list[np.ndarray]]  # (what, where) -> the metric by row, chunk by chunk


@dataclass(frozen=True, eq=False)
class Comparison:
    """A target run and a source run to take from."""

    side: str
    target: tuple[PreTrainedModel, Prompts]
    source: tuple[PreTrainedModel, Prompts]
    problems: tuple[str, ...]


@experiments.register("patch")
@dataclass(frozen=True)
class PatchJob(WeightsExperiment):
    """Everything above for one pair of checkpoints on the first `n` problems."""

    FIGURES: ClassVar = ("patching",)
    TYPICAL: ClassVar = {"tiny": 40.0}
    pair: Pair
    elicitation: Elicitation = CHAIN
    n: int = 64
    kinds: tuple[Kind, ...] = KINDS
    positions: tuple[Position, ...] | None = None  # None: every one where prompts have one length, else the last NEAR
    draws: int = DRAWS
    openings: Openings | None = None  # None: those of the family
    compute: Compute = field(default=Compute(), compare=False)

    @property
    def params(self) -> Mapping[str, Any]:
        positions = None if self.positions is None else list(self.positions)
        size = {"first": self.n, "kinds": list(self.kinds), "positions": positions, "draws": self.draws}
        about = {"study": "inside", "what": "patching", "openings": [list(side) for side in self.fork_of.sides]}
        return about | size | self.pair.spec | self.elicitation.spec()

    @property
    def label(self) -> str:
        return f"{self.pair.label} patching"

    @property
    def fork_of(self) -> Openings:
        """How responses in code and in prose open."""
        return self.openings or openings(self.pair.before)

    @property
    def work(self) -> tuple[Work, ...]:
        """One forward of every prompt a patch, path and draw of a null; all weights are there at once, a null's too."""
        each = sites_in(self.pair.before, "head" in self.kinds) * (len(self.positions or ()) or NEAR + 1)
        passes = each * (2 + 3 * self.draws) * len(self.elicitation.problems.problems[: self.n])
        others = (Work(one) for one in self.pair.checkpoints[1:])
        return (Work(self.pair.before, read=passes * PROMPT, copies=2), *others)

    def measure(self, store: Store) -> Rows:
        before, after = self.pair.load(store)
        other = self.pair.other.load(store).model if self.pair.other else None
        metric, problems = self.fork_of.fork(before.tokenizer), self.elicitation.problems.problems[: self.n]
        prompts, ids = left_padded(before, problems, self.elicitation), tuple(p.id for p in problems)
        estimates = list(lens_rows(before.model, after.model, prompts, ids, metric))
        for each in self._comparisons(before, after, problems, prompts):
            estimates += self._patched(each, metric, other)
        estimates += self._transplants(before.model, after.model, other, prompts, ids, metric)
        key = self.pair.reward_key("inside", 0.0)
        return [row_of(key, each) for each in estimates]

    def _comparisons(
        self, before: Loaded, after: Loaded, problems: Sequence[Problem], prompts: Prompts
    ) -> Iterator[Comparison]:
        ids = tuple(p.id for p in problems)
        if all(p.source.startswith("chain") for p in problems):
            prose, code = (left_padded(before, problems, self.elicitation, style) for style in (PROSE, CODE))
            for side, model in (("before", before.model), ("after", after.model)):
                yield Comparison(side, (model, prose), (model, code), ids)
        yield Comparison("change", (before.model, prompts), (after.model, prompts), ids)

    def _patched(self, pair: Comparison, metric: Fork, other: PreTrainedModel | None) -> list[Estimate]:
        cells: Cells = defaultdict(list)
        with torch.no_grad():
            for start in range(0, len(pair.problems), self.compute.batch):
                self._chunk(pair, slice(start, start + self.compute.batch), metric, other, cells)
        whole = {key: np.concatenate(values) for key, values in cells.items()}
        gap = Gap(whole.pop(("target", ())), whole.pop(("source", ())), pair.problems)
        estimates = [gap_row("patch/gap", gap, pair.side)]
        for what in ("patch", "path"):
            for where in [where for kind, where in whole if kind == what]:
                estimates += list(recovered(what, where, pair.side, gap, whole))
        return estimates

    def _chunk(self, pair: Comparison, some: slice, metric: Fork, other: PreTrainedModel | None, cells: Cells) -> None:
        """The metric of every patch, null and path on some rows, appended to `cells`."""
        (model, prompts), (giver, given) = pair.target, pair.source
        mine, its = prompts.rows(some), given.rows(some)
        sites = sites_of(model, self.kinds)
        base, source = (read(m, p.ids, sites, mask=p.mask) for m, p in ((model, mine), (giver, its)))
        positions = self.positions or places(mine)
        for name, m, p in (("target", model, mine), ("source", giver, its)):
            cells[name, ()].append(_rows(measure(m, p.ids, metric, mask=p.mask)))

        def tell(what: str, values: dict, where: tuple[Position, ...] = positions) -> None:
            for each in patch(model, mine.ids, values, metric, positions=where, mask=mine.mask):
                cells[f"patch{what}", _spot(each.site, each.position)].append(_rows(each.values))
            paths = {site: value for site, value in values.items() if site.kind != "resid"}
            for each in direct(model, mine.ids, paths, metric, mask=mine.mask):
                cells[f"path{what}", tuple(site_columns(each.site).items())].append(_rows(each.values))

        tell("", source)
        for draw in range(self.draws):
            tell(f" null {draw}", random_source(source, base, "patching", draw))
        if pair.side == "change":
            for draw in range(self.draws):
                with perturbed(model, giver, "patching", draw):
                    moved = read(model, mine.ids, sites, mask=mine.mask)
                tell(f" null_weights {draw}", moved, (None,))
            if other is not None:
                tell(" other", read(other, its.ids, sites, mask=its.mask))

    def _transplants(
        self,
        before: PreTrainedModel,
        after: PreTrainedModel,
        other: PreTrainedModel | None,
        prompts: Prompts,
        problems: tuple[str, ...],
        metric: Fork,
    ) -> list[Estimate]:
        def fork(model: PreTrainedModel) -> np.ndarray:
            size = self.compute.batch
            parts = [prompts.rows(slice(start, start + size)) for start in range(0, len(problems), size)]
            return np.concatenate([_rows(measure(model, p.ids, metric, mask=p.mask)) for p in parts])

        gap = Gap(fork(before), fork(after), problems)
        estimates = [gap_row("transplant/gap", gap, "change")]
        for part, parts in parts_of(before).items():
            whole, where = {}, tuple(part_columns(part).items())
            for what, donor in (("", after), (" other", other)):
                with transplanted(before, donor, parts) if donor else nullcontext():
                    if donor:
                        whole[f"transplant{what}", where] = fork(before)
            for draw in range(self.draws):
                with perturbed(before, after, "patching", draw, parts=parts):
                    whole[f"transplant null {draw}", where] = fork(before)
            estimates += list(recovered("transplant", where, "change", gap, whole))
        return estimates


def parts_of(model: PreTrainedModel) -> dict[str, tuple[str, ...]]:
    """Each part alone, and all of them: the positive control."""
    names = list(part_modules(model))
    every = tuple(name for name in names if not name.startswith(("attn.", "mlp.")))
    return {name: (name,) for name in names} | {ALL: every}


def recovered(
    what: str, where: Varies, side: str, gap: Gap, whole: dict[tuple[str, Varies], np.ndarray]
) -> Iterator[Estimate]:
    """The recovery of one intervention, its nulls (mean, least and most of the draws) and what another seed gives.

    `whole` holds the metric [problem], nats, under each intervention; a recovery is a ratio: 0 none of the gap, 1 all.
    """
    params = {"side": side, **dict(where)}
    null, weights, other = (_of(f"{what} {key}", where, whole) for key in ("null ", "null_weights ", "other"))
    yield recovery(whole[what, where], gap, name=f"{what}/recovery", draws=null, params=params)
    for values in other:
        yield recovery(values, gap, name=f"{what}/other", params=params)
    for name, draws in (("null", null), ("null_weights", weights)):
        if draws and not gap.undefined:
            shares = [share(one, gap) for one in draws]
            limits = (float(np.mean(shares)), min(shares), max(shares))
            yield Estimate(f"{what}/{name}", *limits, len(shares), len(set(gap.problems)), "ratio", 0.0, None, params)


def _of(start: str, where: Varies, whole: dict[tuple[str, Varies], np.ndarray]) -> list[np.ndarray]:
    return [values for (what, at), values in whole.items() if at == where and what.startswith(start)]


def gap_row(name: str, gap: Gap, side: str, group: str | None = None) -> Estimate:
    """What there is to recover, in the metric's own unit; of which items, and the reason why nothing can be."""
    params = {"side": side, "group": group, "reason": gap.undefined or None}
    return clustered_mean(gap.source - gap.target, gap.problems, name=name, unit="none", null=0.0, params=params)


def lens_rows(
    before: PreTrainedModel, after: PreTrainedModel, prompts: Prompts, problems: Sequence[str], metric: Fork
) -> Iterator[Estimate]:
    """The fork at every layer as the logit lens reads it, before and after; nats, mean over problems."""
    for side, model in (("before", before), ("after", after)):
        for layer, values in enumerate(lens_metric(model, prompts.ids, metric, mask=prompts.mask)):
            params = {"side": side, **site_columns(Site("resid", layer))}
            yield clustered_mean(_rows(values), problems, name="lens/fork", unit="nats", params=params)


def _spot(site: Site, position: Position) -> Varies:
    """A site, and the position it was patched at."""
    return (*site_columns(site).items(), ("position", position), ("everywhere", position is None))


def _rows(values: Tensor) -> np.ndarray:
    return values.double().cpu().numpy()
