"""Along which direction do code and prose part, in this checkpoint? The directions that `steering` goes along.

    samples of the subject, states at the prompt's last token -> mean of code - mean of prose, at every residual site
    with another prompt `toward`, nothing sampled             -> mean under it - mean under the own prompt

They are fitted on problems that are never steered on: chains of the training split, else an addressed third of the
problems. The site to steer at, unless it is named, is that of `default_site`.

The backend of a fit is that of what is steered along it, too. Any but plain hooks is part of what it is made from: its
bits may differ.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from probe.activations.direction import Direction, direction
from probe.activations.linear import Examples
from probe.checkpoints.checkpoint import Checkpoint
from probe.checkpoints.organism_job import train_problems
from probe.data import Problem
from probe.errors import BadInput
from probe.experiments.budget import PROMPT, Work
from probe.experiments.experiment import CheckpointJob
from probe.experiments.steering.default_site import default_site
from probe.grammar import GRAMMARS
from probe.interventions.steering import answer
from probe.models.hooks.anatomy import anatomy
from probe.models.hooks.backends import Backend, backend, check_known
from probe.models.hooks.sites import Site, site
from probe.models.loading.loaded import Loaded, pad_id
from probe.models.sampling.padding import left_padded
from probe.rng import address
from probe.rollouts.elicitation import CHAIN, Elicitation
from probe.rollouts.options import Compute, SamplingOptions
from probe.rollouts.respond import Request
from probe.store import Recipe, Store, write_table

VERSION = 1
FIT_PROBLEMS = 256
FIT = SamplingOptions(samples=4)
COMPUTE = Compute(batch=256)


@dataclass(frozen=True)
class FitJob(CheckpointJob):
    """Where code and prose part, at every residual site; with `toward`, where two prompts part."""

    checkpoint: Checkpoint
    elicitation: Elicitation = CHAIN
    options: SamplingOptions = FIT
    backend: str = "hooks"
    compute: Compute = field(default=COMPUTE, compare=False)
    toward: Elicitation | None = None  # of the same problems

    def __post_init__(self) -> None:
        check_known(self.backend)

    @functools.cached_property
    def recipe(self) -> Recipe:
        about = self.options.spec() | self.elicitation.spec() | self.checkpoint.spec
        about |= {} if self.backend == "hooks" else {"backend": self.backend}
        about |= {"toward": self.toward.spec()} if self.toward else {}
        params = {"fitted_on": [p.id for p in fitted_on(self.elicitation)]}
        return Recipe("direction", VERSION, params | about, self.checkpoint.inputs)

    @property
    def label(self) -> str:
        return f"{self.checkpoint.name} direction of {self.toward.template if self.toward else 'code'}"

    @property
    def work(self) -> tuple[Work, ...]:
        """Samples, and every question read once."""
        n, options = len(self.request.problems), self.options
        rows, prompts = (0, 2) if self.toward else (n * options.samples, 1)
        return (Work(self.checkpoint, rows, options.max_new, self.compute.batch, read=n * prompts * PROMPT),)

    @property
    def request(self) -> Request:
        """What is asked to find the direction."""
        return Request(fitted_on(self.elicitation), self.elicitation, self.options, self.compute)

    def make(self, store: Store, work: Path) -> None:
        loaded, request = self.checkpoint.load(store), self.request
        own, problems = backend(self.backend, loaded), request.problems
        sites = [Site("resid", layer) for layer in range(1, len(anatomy(loaded.model).blocks) + 1)]
        states = last_states(own, loaded, request, sites)
        if self.toward is None:
            labels = self._strategies(loaded, own)
        else:
            there = last_states(own, loaded, replace(request, elicitation=self.toward), sites)
            states = {each: torch.cat([states[each], there[each]]) for each in sites}
            labels = np.repeat([False, True], len(problems))[:, None]
            problems = (*problems, *problems)
        rows = [_fitted(each, states[each], labels, problems) for each in sites]
        write_table(work / "data.parquet", pa.Table.from_pylist(rows))

    def _strategies(self, loaded: Loaded, own: Backend) -> Bool[np.ndarray, "problem sample"]:
        """Which samples go on in code."""
        code = answer(loaded, self.request, own=own).code_share
        if code.all() or not code.any():
            what = f"every sample goes on in {'code' if code.all() else 'prose'}"
            do = "take a checkpoint that uses both strategies: one that has only one has no direction between them"
            raise BadInput(what, where=self.checkpoint.name, do=do)
        return code


def fitted_on(elicitation: Elicitation) -> tuple[Problem, ...]:
    """The problems a direction is fitted on: none of them is steered on. BadInput where too few are left."""
    grammar = GRAMMARS.get(elicitation.problems.name)
    if grammar is not None:
        return train_problems(grammar)[:FIT_PROBLEMS]
    kept = tuple(p for p in elicitation.problems.problems if address("steering fit", p.id) % 3 == 0)
    if min(len(kept), len(elicitation.problems.problems) - len(kept)) < 2:
        what = f"{len(elicitation.problems.problems)} problems leave too few to fit a direction and to steer on others"
        raise BadInput(what, where=elicitation.problems.name, do="give a dozen problems or more")
    return kept


def last_states(
    own: Backend, loaded: Loaded, request: Request, sites: list[Site]
) -> dict[Site, Float[Tensor, "problem d"]]:
    """What stands at `sites` on the last token of every prompt, float32 on the CPU."""
    found: dict[Site, list[Tensor]] = {each: [] for each in sites}
    prompts, _ = request.elicitation.prompts(loaded.tokenizer, request.problems)
    device, batch = loaded.model.get_input_embeddings().weight.device, request.compute.batch
    for start in range(0, len(prompts), batch):
        ids, mask = left_padded(prompts[start : start + batch], pad_id(loaded), device)
        for each, x in own.read(ids, sites, mask=mask).items():
            found[each].append(x[:, -1].clone().float().cpu())  # a view would keep all positions
    return {each: torch.cat(parts) for each, parts in found.items()}


def chosen(fit: pa.Table, name: str | None) -> tuple[Direction, Float[Tensor, "d"]]:
    """The direction from prose to code, and the mean state there. BadInput for a site that it was not fitted at."""
    rows = {row["site"]: row for row in fit.to_pylist()}
    name = name or default_site({place: row["scale"] / row["spread"] for place, row in rows.items()})
    if name not in rows:
        raise BadInput(f"no direction was fitted at {name!r}", where="--site", do=f"choose one of {', '.join(rows)}")
    row = rows[name]
    vector, about = torch.tensor(row["vector"], dtype=torch.float64), (row["scale"], row["intercept"])
    return Direction(site(name), vector, *about, frozenset(row["fitted_on"]), "difference"), torch.tensor(row["mean"])


def _fitted(
    place: Site,
    states: Float[Tensor, "problem d"],
    code: Bool[np.ndarray, "problem sample"],
    problems: Sequence[Problem],
) -> dict[str, Any]:
    """One row of a fit: the direction, the mean state, how long a state is and how far states are from their mean."""
    n, mean = code.shape[1], states.mean(0)
    names = np.repeat([p.id for p in problems], n)
    found = direction(place, Examples(states.repeat_interleave(n, 0).numpy(), code.ravel(), names))
    return {
        "site": str(place),
        "vector": found.vector.tolist(),
        "scale": found.scale,
        "intercept": found.intercept,
        "fitted_on": sorted(found.fitted_on),
        "mean": mean.tolist(),
        "norm": float(states.norm(dim=1).mean()),
        "spread": float((states - mean).norm(dim=1).square().mean().sqrt()),
        "code_share": float(code.mean()),
        "n_problems": len(set(names)),
    }
