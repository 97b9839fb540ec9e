"""Which responses of two systems answer the same sample of the same problem, and what is left out of a comparison?

Two files rarely hold the same problems: a run may have been cut off, a problem filtered, a label lost. What both sides
have is compared, the rest is counted and said.
"""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from probe.errors import BadInput

KEY = ["problem", "sample"]


@dataclass(frozen=True)
class LeftOut:
    """Pairs without a label on one side, and responses that only one side has; of how many problems."""

    unlabelled: int = 0
    only_before: int = 0
    only_after: int = 0
    shared: int = 0

    def said(self, before: str, after: str) -> list[str]:
        """In words; nothing where nothing is left out."""
        notes = []
        for name, n in ((before, self.only_before), (after, self.only_after)):
            if n:
                notes.append(f"{n} responses of {name} are left out: the other side has none to the same problem")
        if self.unlabelled:
            notes.append(f"{after}: {self.unlabelled} pairs are left out, as one of the two has no label")
        return [*notes, f"{self.shared} pairs of responses are compared"] if notes else []


def shared(before: pa.Table, after: pa.Table) -> tuple[pa.Table, pa.Table, LeftOut]:
    """The responses that both sides have, graded. BadInput where there are none."""
    keys = [_keys(table) for table in (before, after)]
    both = keys[0].join(keys[1], KEY, join_type="inner")
    labelled = both
    for table in (before, after):
        ungraded = _keys(table.filter(pc.is_null(table["outcome"])))
        labelled = labelled.join(ungraded, KEY, join_type="left anti") if ungraded.num_rows else labelled
    before_only, after_only = (each.num_rows - both.num_rows for each in keys)
    left = LeftOut(both.num_rows - labelled.num_rows, before_only, after_only, labelled.num_rows)
    if not labelled.num_rows:
        what, do = "no problem is answered on both sides", "give files on the same problems, with the same ids"
        if both.num_rows:
            what, do = "no response is labelled on both sides", "grade with probe: --grading probe"
        raise BadInput(what, where=str(before["checkpoint"][0]), do=do)
    if not (left.unlabelled or left.only_before or left.only_after):
        return before, after, left
    return *(table.join(labelled, KEY, join_type="left semi") for table in (before, after)), left


def _keys(table: pa.Table) -> pa.Table:
    return table.select(KEY).group_by(KEY).aggregate([])
