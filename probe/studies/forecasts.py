"""Do forecasts from a base alone come true? The factorial's bases, forecast, and their first two batches of RL.

Every cell of `probe.families.factorial` on six bases (three Llama-shaped, three Qwen2-shaped), forecast from 16
responses to each training problem, then trained for two batches under the five rewards of `why`; and for ten under
`python`, to tell which of them respond. The constants of the mean field (`probe.experiments.forecast.pace`) were chosen
on two other bases, which this study was run on before; none of these six was looked at for it.
"""

from typing import TYPE_CHECKING

from probe.studies import studies

if TYPE_CHECKING:
    from probe.engine.job import Job

BASES = (("mini", 1), ("mini-qwen2", 11), ("mini", 2), ("mini-qwen2", 12), ("mini", 4), ("mini-qwen2", 14))
BATCHES = 2
FIGURES = ("forecast_realised", "responders")


@studies.register("forecasts", order=60, in_all=False, apart=True, figures=FIGURES)  # half an hour on two cores
def forecasts() -> "list[Job]":
    """Forecasts of first changes, and those changes, over the factorial of organisms."""
    from dataclasses import replace

    from probe.checkpoints.checkpoint import of_organism
    from probe.checkpoints.organism_job import OrganismJob
    from probe.experiments.forecast.job import AS_TRAINED, ForecastJob, trained_on
    from probe.experiments.response_law.job import LawJob
    from probe.experiments.rl_runs.first_change import FirstChangeJob
    from probe.families.factorial import CELLS, cell
    from probe.rollouts.elicitation import chains
    from probe.studies.why import ON_ALL, ON_SOME, run_of

    targets: list[Job] = []
    for size, seed in BASES:
        for organism in (OrganismJob(cell(*levels), size, seed) for levels in CELLS):
            base, grammar = of_organism(organism), organism.grammar
            options = replace(AS_TRAINED, max_new=grammar.max_new)
            targets.append(ForecastJob(base, trained_on(base, chains(grammar)), options))
            targets += [FirstChangeJob("forecasts", run_of(organism, name, BATCHES)) for name in (*ON_ALL, *ON_SOME)]
            targets.append(LawJob("forecasts", run_of(organism, "python")))
    return targets
