"""Has this been computed before, from exactly this, and is it whole? Content-addressed artifacts on disk.

    $PROBE_STORE (default .probe/)
      <stage>/<first 16 hex of the digest>/   spec.json + what `make` wrote: finished, checksummed, never changed
      partial/<stage>-<16 hex>/               work in progress; survives a kill, so that `make` can go on from it;
                                              a digest beside each file (`unfinished`)
      damaged/                                what its checksum did not fit, or was foreign: set aside, never read
      slurm/                                  scripts and logs of jobs that went to Slurm (probe.engine.grid.slurm)
      locks/                                  one lock per digest being written
      leases/                                 what running processes are about to read: never swept
      published/                              what was fetched (probe.tasks.published_data); never swept

    digest = sha256(canonical JSON {stage, version, params, inputs})

`version` is bumped by hand when a change of the code changes numbers. Where $PROBE_STORE is a URL (s3://bucket/prefix,
file:///shared/probe), artifacts lie there (`remote`), and this folder, below $PROBE_CACHE, holds the machine's copies.
Left out: pickle of any kind.
"""

from probe.store.artifact import Artifact, Damaged
from probe.store.bucket import Unreachable
from probe.store.core import Store
from probe.store.files import DiskFull, file_digest, write_atomic, write_table
from probe.store.gc import Removal
from probe.store.lineage import Lineage
from probe.store.recipe import Recipe
from probe.store.unfinished import is_kept, keep, keep_log, keep_table

__all__ = [
    "Artifact",
    "Damaged",
    "DiskFull",
    "Lineage",
    "Recipe",
    "Removal",
    "Store",
    "Unreachable",
    "file_digest",
    "is_kept",
    "keep",
    "keep_log",
    "keep_table",
    "write_atomic",
    "write_table",
]
