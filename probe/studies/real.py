"""What did RLVR do to a real model? Published paired outputs of Qwen2.5-7B on MATH-500, before and after (2507.16806).

They lie below $PROBE_REAL_DATA, else where `probe fetch` put them, and come with no checkpoint: what is measured is
what can be read from text. Where they are absent there is nothing to do.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from probe.studies import studies

if TYPE_CHECKING:
    from probe.engine.job import Job

DATASET = "rlcr_math500"
FIGURES = ("real_strategy", "real_outcomes", "real_calibration")


@studies.register("real", order=10, apart=True, figures=FIGURES, dataset=DATASET)
def real(store: Path | None = None) -> "list[Job]":
    """Qwen2.5-7B before and after RLVR and RLCR, from published outputs."""
    from probe.experiments.published_outputs.job import published_job

    folder = real_folder(store)
    return [published_job([folder])] if folder else []


def real_folder(store: Path | None = None) -> Path | None:
    """Where the paired outputs are, if they are anywhere. BadInput where $PROBE_REAL_DATA names nothing."""
    from probe.store import Store
    from probe.tasks.published_data import held_at

    return held_at(DATASET, Store(store).root)
