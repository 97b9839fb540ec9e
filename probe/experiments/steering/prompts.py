"""Does one direction do what a prompt does? Steered under one prompt, along the mean difference to another.

    v = mean of resid at the last token under `toward` - the same under the own prompt, on problems kept for that
    x + c v, from the prompt's last token on, under the own prompt; random directions of that length beside it

c = 1 is the distance between the two prompts. Rows are those of `estimates.responses` and `ranges`, named prompt_...;
`prompt_itself_<measure>` is what `toward` does to the same problems when it is asked, in code and in accuracy.
Where two samples under one prompt differ by the draw alone, no direction of the question tells code from prose, and
this is the one there is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from probe.checkpoints.checkpoint import Checkpoint
from probe.data import Outcome, Strategy
from probe.engine.job import Job
from probe.errors import BadInput
from probe.experiments import experiments
from probe.experiments.experiment import CheckpointJob, Experiment
from probe.experiments.responses import RESPONSES, SampleJob
from probe.experiments.steering.directions import COMPUTE, FIT, FitJob, chosen, fitted_on
from probe.experiments.steering.estimates import Doses, ranges, responses
from probe.experiments.steering.job import SAMPLED, DoseJob
from probe.interventions.steering import NULL_DRAWS, Where
from probe.measurements import RowKey, Rows, row_of
from probe.models.hooks.sites import site_columns
from probe.rollouts.elicitation import Elicitation
from probe.rollouts.options import Compute, SamplingOptions
from probe.stats import clustered_mean
from probe.store import Store

COEFFICIENTS = (-1.0, 0.0, 0.5, 1.0, 1.5, 2.0)


@experiments.register("steer-prompts")
@dataclass(frozen=True)
class PromptSteerJob(CheckpointJob, Experiment):
    """One checkpoint, steered from one prompt toward another."""

    FIGURES: ClassVar = ("prompt_steering",)
    checkpoint: Checkpoint
    elicitation: Elicitation
    toward: Elicitation
    options: SamplingOptions = SAMPLED
    site: str | None = None
    coefficients: tuple[float, ...] = COEFFICIENTS
    randoms: int = NULL_DRAWS
    where: Where = "new"
    compute: Compute = field(default=COMPUTE, compare=False)

    def __post_init__(self) -> None:
        if self.elicitation.problems != self.toward.problems or self.elicitation.text == self.toward.text:
            do = "give another template for the same problems"
            raise BadInput("the two prompts must differ, and ask the same problems", where="steer-prompts", do=do)
        assert self.doses  # wrong options are told now

    @property
    def params(self) -> Mapping[str, Any]:
        return {"study": "inside", "what": "prompt steering", "toward": self.toward.template}

    @property
    def label(self) -> str:
        return f"{self.checkpoint.name} steered from {self.elicitation.template} to {self.toward.template}"

    @property
    def fit(self) -> FitJob:
        """The direction from one prompt to the other."""
        options = replace(FIT, seed=self.options.seed, max_new=self.options.max_new, sampler=self.options.sampler)
        return FitJob(self.checkpoint, self.elicitation, options, compute=self.compute, toward=self.toward)

    @property
    def doses(self) -> DoseJob:
        """What is answered along it."""
        how = (self.site, self.coefficients, self.randoms, self.where, self.options, self.compute)
        return DoseJob(self.checkpoint, self.fit, *how)

    @property
    def itself(self) -> SampleJob:
        """What `toward` is answered with, on the problems that are steered on."""
        kept = {p.id for p in fitted_on(self.toward)}
        whole = self.toward.problems
        others = tuple(p for p in whole.problems if p.id not in kept)
        asked = replace(self.toward, problems=replace(whole, problems=others, pin=f"{whole.pin}, those not fitted on"))
        return SampleJob(self.checkpoint, asked, self.options, self.compute)

    @property
    def needs(self) -> tuple[Job, ...]:
        return (self.fit, self.doses, self.itself)

    @property
    def key(self) -> RowKey:
        """What its rows are about; `reward` is the prompt it is steered toward."""
        about = {"reward": self.toward.template, "temperature": self.options.temperature}
        return self.checkpoint.key("inside", "prompt", **about)

    def measure(self, store: Store) -> Rows:
        doses = Doses.read(store.get(self.doses.recipe).read_table())
        place = chosen(store.get(self.fit.recipe).read_table(), self.site)[0].site
        found = (*responses(doses), *ranges(doses))
        rows = store.get(self.itself.recipe).read_table(RESPONSES).to_pylist()
        said = {
            "code_share": [row["strategy"] == Strategy.code for row in rows],
            "accuracy": [row["outcome"] == Outcome.right for row in rows],
        }
        names = [row["problem"] for row in rows]
        itself = [clustered_mean(values, names, name=f"itself_{name}") for name, values in said.items()]
        where = site_columns(place)
        named = [replace(e, name=f"prompt_{e.name}", params=e.params | where) for e in (*found, *itself)]
        return [row_of(self.key, each) for each in named]
