"""From evidence to rows: account for the change, see whether the model was destroyed, decide, and write it down."""

import pyarrow as pa

from probe.experiments.explain.evidence import needs_of
from probe.experiments.explain.rows import rows_of
from probe.measurements import Row, RowKey
from probe.measures import PairData
from probe.measures.collapse import Collapse
from probe.stats.accounting.account import Evidence, account
from probe.stats.accounting.verdict import Finding, decide


def verdict_rows(key: RowKey, evidence: Evidence, tables: tuple[pa.Table, pa.Table], labels: Finding) -> list[Row]:
    """The rows of one pair; `tables` are RESPONSES of before and after, the ones in `evidence.asked`."""
    data = PairData(*tables, address=key.address)
    destroyed = any(each.name == "destroyed" and each.value == 1.0 for each in Collapse()(data))
    found = account(evidence, address=(*key.address, "explain"))
    return rows_of(key, found, decide(found, needs_of(evidence), destroyed=destroyed), labels, evidence.k)
