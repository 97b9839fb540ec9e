"""Did the run learn from "wrong" labels that are partly right? (H5: 2603.16140)

The share of right ones among "wrong" labels has no amount in units of accuracy: what they brought, only a run on labels
that are all wrong would tell. So H5 is excluded where no wrong labels were used, or where they are wrong for certain,
and otherwise undecided. Labels made here are compared with the true answers in canonical form, which is exact for
chains. Left out: labels of checkpoints from outside, which are not published with them.
"""

from probe.checkpoints.pair import Pair
from probe.rl.labels import spec
from probe.stats.accounting.verdict import Finding

UNKNOWN = "the labels that the run was trained on"
PARTLY = "a run on labels that are all wrong: majority labels are partly right"
RIGHT = ("gold", "one_shot")


def label_finding(pair: Pair | None) -> Finding:
    """Where H5 stands for the run behind `after`; p is nan: nothing is tested."""
    run = pair.after.run if pair and pair.after else None
    if run is None:
        return Finding("undecided", UNKNOWN, float("nan"))
    source = str(spec(run.labels)["labels"])
    if source in RIGHT:
        return Finding("excluded", "trained on no wrong labels", float("nan"))
    if source == "wrong_majority":
        return Finding("excluded", "every label is checked to be wrong", float("nan"))
    return Finding("undecided", PARTLY, float("nan"))
