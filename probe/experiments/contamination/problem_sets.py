"""Which problems are suspected to have leaked, and which cannot have?

Controls must be problems of the same kind that the checkpoint cannot have read: made after it, or drawn afresh. Chains
have fresh ones, drawn here; a benchmark has none of its own. A control that is a suspect too would hide the leak.
"""

import functools
from dataclasses import dataclass, replace

from probe.data import Problem
from probe.errors import BadInput
from probe.grammar import GRAMMARS
from probe.models.loading.organism import MAX_NEW_TOKENS
from probe.tasks.benchmarks import CHAINS, ProblemSet
from probe.tasks.chain import chain_problems
from probe.tasks.partial import Unit, can_cut, cut, unit_of

CONTROL_SEED = 1  # of the fresh chains
MAX_NEW = 1024  # tokens: the rest of a question and an answer to it


@dataclass(frozen=True)
class Sets:
    """Suspected problems and controls, all long enough to be cut; `left_out` counts those that were not."""

    suspect: ProblemSet
    control: ProblemSet
    unit: Unit
    left_out: int

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Suspects, then controls."""
        return (*self.suspect.problems, *self.control.problems)

    @property
    def pin(self) -> str:
        """What they are, for recipes."""
        sizes = f"{len(self.suspect.problems)}+{len(self.control.problems)}"
        return f"{self.suspect.pin} against {self.control.pin}, {sizes} by {self.unit}"

    @property
    def max_new(self) -> int:
        """Tokens to allow by default."""
        return 12 + MAX_NEW_TOKENS if self.unit == "sign" else MAX_NEW

    def beginnings(self, percent: int) -> ProblemSet:
        """The first `percent` of every question, with the whole question's answer."""
        cuts = [replace(p, prompt=cut(p.prompt, percent, self.unit).given) for p in self.problems]
        name = f"{self.suspect.name} first {percent}%"
        return replace(self.suspect, name=name, problems=tuple(cuts), pin=f"{self.pin}, first {percent}%")


def sets(suspect: ProblemSet, control: ProblemSet | None = None) -> Sets:
    """Suspects and controls, ready to be cut. BadInput where they overlap, lack a control, or are too short or few."""
    control = control or _fresh(suspect)
    shared = {p.prompt for p in suspect.problems} & {p.prompt for p in control.problems}
    if shared or {p.id for p in suspect.problems} & {p.id for p in control.problems}:
        what = f"{len(shared)} control problems are suspects too, or bear their ids"
        raise BadInput(what, where=control.name, do="give fresh problems: a leaked control hides the leak")
    unit = unit_of([p.prompt for p in suspect.problems])
    kept = [tuple(p for p in each.problems if can_cut(p.prompt, unit)) for each in (suspect, control)]
    if min(map(len, kept)) < 2:
        what = f"{len(kept[0])} suspects and {len(kept[1])} controls can be cut"
        raise BadInput(what, where=f"{suspect.name} and {control.name}", do="give more, or longer, questions")
    left_out = len(suspect.problems) + len(control.problems) - sum(map(len, kept))
    return Sets(replace(suspect, problems=kept[0]), replace(control, problems=kept[1]), unit, left_out)


@functools.cache  # a plan asks for them at every pair
def _fresh(suspect: ProblemSet) -> ProblemSet:
    """Chains like the suspects, of another seed."""
    grammar = GRAMMARS.get(suspect.name)
    if grammar is None:
        do = "--control FILE or NAME: problems of the same kind, made after the checkpoint or drawn afresh"
        raise BadInput(f"{suspect.name} has no controls of its own", do=do)
    asked = {p.prompt for p in suspect.problems}
    drawn = chain_problems(2 * CHAINS, "test", CONTROL_SEED, grammar)  # some of them are asked
    fresh = tuple(p for p in drawn if p.prompt not in asked)[: len(suspect.problems)]
    return replace(suspect, name="fresh chains", problems=fresh, pin=f"{suspect.pin} seed {CONTROL_SEED}")
