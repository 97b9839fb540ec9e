"""What did RLVR do to a real model? Published paired outputs of Qwen2.5-7B on MATH-500, before and after (2507.16806).

They lie in $PROBE_REAL_DATA, else in `../shared/data` beside the working directory, and come with no checkpoint: what
is measured is what can be read from text. Where the folder is absent there is nothing to do.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from probe.errors import BadInput
from probe.studies import studies

if TYPE_CHECKING:
    from probe.engine.job import Job

PLACE, DEFAULT, DATASET = "PROBE_REAL_DATA", "../shared/data", "rlcr_math500"


@studies.register("real")
def real() -> "list[Job]":
    """Qwen2.5-7B before and after RLVR and RLCR, from published outputs."""
    from probe.experiments.published_outputs.job import published_job

    folder = real_folder()
    return [published_job([folder])] if folder else []


def real_folder() -> Path | None:
    """Where the paired outputs are, if they are anywhere. BadInput where $PROBE_REAL_DATA names nothing."""
    named = os.environ.get(PLACE)
    if named and not Path(named).is_dir():
        raise BadInput("there is no such folder", where=f"{PLACE}={named}", do=f"unset {PLACE}, or name a folder")
    folder = Path(named or DEFAULT) / DATASET
    return folder if folder.is_dir() else None
