"""Along which direction do code and prose part, in this checkpoint? The directions that `steering` goes along.

    samples of the subject, states at the prompt's last token -> mean of code - mean of prose, at every residual site

They are fitted on problems that are never steered on: chains of the training split, else an addressed third of the
problems. The site to steer at, unless it is named, is the first at which the two means are at least half as far apart
as anywhere, each in units of the spread of the states there.

The backend of a fit is that of what is steered along it, too. Any but plain hooks is part of what it is made from: its
bits may differ.
"""

import functools
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from probe.activations.direction import Direction, direction
from probe.activations.linear import Examples
from probe.checkpoints.jobs import Job, train_problems
from probe.checkpoints.resolve import Subject
from probe.data import Problem
from probe.errors import BadInput
from probe.interventions.steering import Asking, answer
from probe.models.hooks.anatomy import anatomy
from probe.models.hooks.backends import Backend, backend, check_known
from probe.models.hooks.sites import Site, site
from probe.models.loading.load import Loaded, pad_id
from probe.models.sampling.padding import left_padded
from probe.models.sampling.prompts import prompt_ids
from probe.rng import address
from probe.rollouts.sample_job import CHAIN, How
from probe.store import Recipe, Store, write_table

VERSION = 1
FIT_PROBLEMS, FIT_SAMPLES = 256, 4  # per problem
ENOUGH = 0.5  # of the largest separation of code and prose


@dataclass(frozen=True)
class FitJob:
    """Where code and prose part, at every residual site."""

    subject: Subject
    how: How = CHAIN
    seed: int = 0
    backend: str = "hooks"
    batch: int = field(default=256, compare=False)

    def __post_init__(self) -> None:
        check_known(self.backend)

    @functools.cached_property
    def recipe(self) -> Recipe:
        about = {"name": self.subject.name, "step": self.subject.step, "dtype": self.subject.dtype}
        about |= {} if self.backend == "hooks" else {"backend": self.backend}
        params = {"samples": FIT_SAMPLES, "seed": self.seed, "fitted_on": [p.id for p in fitted_on(self.how)]}
        return Recipe("direction", VERSION, params | about | self.how.spec(), self.subject.inputs)

    @property
    def label(self) -> str:
        return f"{self.subject.name} direction of code"

    @property
    def needs(self) -> tuple[Job, ...]:
        return self.subject.needs

    def make(self, store: Store, work: Path) -> None:
        loaded = self.subject.load(store)
        own = backend(self.backend, loaded)
        asking = ask_about(loaded, self.how, fitted_on(self.how), FIT_SAMPLES, 1.0, self.seed, self.batch)
        code = answer(loaded, asking, own=own).code_share
        if code.all() or not code.any():
            do = (
                "take a checkpoint that uses both strategies: from one that has only one, no direction tells them apart"
            )
            raise BadInput(
                f"every sample goes on in {'code' if code.all() else 'prose'}", where=self.subject.name, do=do
            )
        sites = [Site("resid", layer) for layer in range(1, len(anatomy(loaded.model).blocks) + 1)]
        states = last_states(own, loaded, asking.prompts, sites, self.batch)
        write_table(work / "data.parquet", pa.Table.from_pylist([_fitted(s, states[s], code, asking) for s in sites]))


def fitted_on(how: How) -> tuple[Problem, ...]:
    """The problems a direction is fitted on: none of them is steered on."""
    if how.problems.name == CHAIN.problems.name:
        return train_problems()[:FIT_PROBLEMS]
    kept = tuple(p for p in how.problems.problems if address("steering fit", p.id) % 3 == 0)
    if min(len(kept), len(how.problems.problems) - len(kept)) < 2:
        what = f"{len(how.problems.problems)} problems leave too few to fit a direction and to steer on others"
        raise BadInput(what, where=how.problems.name, do="give a dozen problems or more")
    return kept


def ask_about(
    loaded: Loaded, how: How, problems: Iterable[Problem], samples: int, temperature: float, seed: int, batch: int
) -> Asking:
    """Those problems under the template of `how`."""
    asked = tuple(problems)
    prompts, _ = prompt_ids(loaded.tokenizer, how.text, [p.prompt for p in asked], how.prefix)
    ids = tuple(tuple(prompt) for prompt in prompts)
    return Asking(asked, ids, samples, how.max_new, temperature, seed, how.extract, batch)


def last_states(
    own: Backend, loaded: Loaded, prompts: tuple[tuple[int, ...], ...], sites: list[Site], batch: int
) -> dict[Site, Float[Tensor, "problem d"]]:
    """What stands at `sites` on the last token of every prompt, float32 on the CPU."""
    found: dict[Site, list[Tensor]] = {each: [] for each in sites}
    device = loaded.model.get_input_embeddings().weight.device
    for start in range(0, len(prompts), batch):
        ids, mask = left_padded(prompts[start : start + batch], pad_id(loaded), device)
        for each, x in own.read(ids, sites, mask=mask).items():
            found[each].append(x[:, -1].clone().float().cpu())  # a view would keep all positions
    return {each: torch.cat(parts) for each, parts in found.items()}


def chosen(fit: pa.Table, name: str | None) -> tuple[Direction, Float[Tensor, "d"]]:
    """The direction from prose to code, and the mean state there. BadInput for a site that it was not fitted at."""
    rows = {row["site"]: row for row in fit.to_pylist()}
    if name is None:
        apart = {place: row["scale"] / row["spread"] for place, row in rows.items()}
        name = next(place for place, value in apart.items() if value >= ENOUGH * max(apart.values()))
    if name not in rows:
        raise BadInput(f"no direction was fitted at {name!r}", where="--site", do=f"choose one of {', '.join(rows)}")
    row = rows[name]
    vector, about = torch.tensor(row["vector"], dtype=torch.float64), (row["scale"], row["intercept"])
    return Direction(site(name), vector, *about, frozenset(row["fitted_on"]), "difference"), torch.tensor(row["mean"])


def _fitted(
    place: Site, states: Float[Tensor, "problem d"], code: Bool[np.ndarray, "problem sample"], asking: Asking
) -> dict[str, Any]:
    """One row of a fit: the direction, the mean state, how long a state is and how far states are from their mean."""
    n, mean = code.shape[1], states.mean(0)
    names = np.repeat([p.id for p in asking.problems], n)
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
        "n_problems": len(states),
    }
