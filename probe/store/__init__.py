"""Has this been computed before, from exactly this, and is it whole? Content-addressed artifacts on disk.

    $PROBE_STORE (default .probe/)
      <stage>/<first 16 hex of the digest>/   spec.json + what `make` wrote: finished, checksummed, never changed
      partial/<stage>-<16 hex>/               work in progress; survives a kill, so that `make` can go on from it
      damaged/                                artifacts whose checksums failed, set aside and never read
      locks/                                  one lock per digest being written
      published/                              data sets that were fetched (probe.tasks.published_data); never swept

    digest = sha256(canonical JSON {stage, version, params, inputs})

`version` is bumped by hand when a change of the code changes numbers. Left out: remote stores, and pickle of any kind.
"""

from probe.store.artifact import Artifact, Damaged
from probe.store.core import Store
from probe.store.files import DiskFull, file_digest, write_atomic, write_table
from probe.store.gc import Removal
from probe.store.lineage import Lineage
from probe.store.recipe import Recipe

__all__ = [
    "Artifact",
    "Damaged",
    "DiskFull",
    "Lineage",
    "Recipe",
    "Removal",
    "Store",
    "file_digest",
    "write_atomic",
    "write_table",
]
