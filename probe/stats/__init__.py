"""Statistics of the suite, numpy and scipy only. Every result is a `probe.data.Estimate` or a plain array.

passk          what would k samples solve                       intervals   mean, ratio, proportion, by problem
bootstrap      any statistic, whole problems resampled          replicates  over training seeds
permutation    paired sign flips; Holm                          calibration Brier, ECE, AUROC, reliability
switches       gain shared out over strategy switches           oaxaca      gain = mix + parse + within
price          what a small step under a reward changes         forecast_skill   did it come true
accounting     rival explanations of a gain, and a verdict (a package: import its modules)
"""

from probe.stats.bootstrap import clustered_bootstrap
from probe.stats.calibration import auroc, brier, ece, reliability
from probe.stats.intervals import clustered_mean, clustered_ratio, wilson
from probe.stats.oaxaca import PARTS, Graded, gain_estimates, gain_parts
from probe.stats.passk import pass_at_k
from probe.stats.permutation import holm, paired_permutation
from probe.stats.replicates import seeds_mean, two_level
from probe.stats.switches import CELLS, switch_contributions, switch_counts, switch_estimates

__all__ = [
    "CELLS",
    "PARTS",
    "Graded",
    "auroc",
    "brier",
    "clustered_bootstrap",
    "clustered_mean",
    "clustered_ratio",
    "ece",
    "gain_estimates",
    "gain_parts",
    "holm",
    "paired_permutation",
    "pass_at_k",
    "reliability",
    "seeds_mean",
    "switch_contributions",
    "switch_counts",
    "switch_estimates",
    "two_level",
    "wilson",
]
