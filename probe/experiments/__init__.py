"""Which experiments are there? One folder each: its job (what it needs, what it leaves) and its estimates.

    @experiments.register("steer")
    @dataclass(frozen=True)
    class SteerJob(PairExperiment): ...

An experiment on a pair that has no command of its own is run by `probe NAME BEFORE [AFTER]`. Figures are in
`probe.plots`.
"""

from typing import TYPE_CHECKING

from probe.registry import Registry

if TYPE_CHECKING:
    from probe.experiments.experiment import Experiment

experiments: "Registry[type[Experiment]]" = Registry("experiment", "probe.experiments")
