"""What a worker on another machine runs: strings in, one job made in the store, a string out.

An error goes back as JSON, so that the other side can raise it without the worker's modules; what is worth another try
is raised here, for whoever starts workers again.
"""

import json
import os
import sys
from typing import Any

from probe.engine.grid.source import Source
from probe.engine.job import one_thread
from probe.engine.pool import make_one
from probe.errors import BadInput, ProbeError
from probe.store import Unreachable

ERRORS = {"BadInput": BadInput, "ProbeError": ProbeError}


def make_named(function: str, arguments: tuple[str, ...], digest: str, address: str = "") -> str:
    """Make one job in the store at `address` [$PROBE_STORE]; "" where it is made, else the error (`error_in`)."""
    try:
        if address:
            os.environ["PROBE_STORE"] = address  # what a job opens itself, and what its source looks at
        os.environ["OMP_NUM_THREADS"] = "1"  # read by torch, should it be loaded only later
        job = Source(function, arguments).job(digest)
        if "torch" in sys.modules:
            one_thread()
        make_one(job, os.environ.get("PROBE_STORE", ""))
    except Unreachable:
        raise
    except Exception as err:
        return _told(err)
    return ""


def error_in(said: str) -> ProbeError | None:
    """The error of what `make_named` returned."""
    if not said:
        return None
    told: dict[str, Any] = json.loads(said)
    return ERRORS[told["kind"]](told["what"], where=told["where"], do=told["do"])


def _told(err: Exception) -> str:
    if isinstance(err, ProbeError):
        kind = "BadInput" if isinstance(err, BadInput) else "ProbeError"
        return json.dumps({"kind": kind, "what": err.what, "where": err.where, "do": err.do})
    do = "mend the cause and run the same command again: finished work is kept"
    what = f"failed: {type(err).__name__}: {err}"
    return json.dumps({"kind": "ProbeError", "what": what, "where": "worker", "do": do})
