"""What an account and its verdict leave in the measurement table.

    explained_change     the change itself (side "change"), and the base against itself (side "null")
    explained_total      all that an explanation (`part`) can account for; explained_alone, explained_common: what only
                         it accounts for, and the rest; explained_share: the overlaps split evenly, sums to the change
    explained_rest       what no supported explanation accounts for
    explained_best_prompt   what the base's best prompt gives the base; explained_pass_at_k: at the largest k
    explained_verdict    1 supported, 0 excluded, nan undecided; `reason` says what would decide; p after Holm
    explained_state      1 changed, 0 no change, nan destroyed; `reason` is the verdict in a sentence

Amounts are fractions (of accuracy), null 0, intervals over problems. What was not measured has no amount, and is taken
to overlap nothing: beside it, alone is what is alone at most.
"""

import math
from collections.abc import Iterator, Mapping

from probe.data import Estimate
from probe.experiments.explain.words import WORDS, sentence
from probe.measurements import Row, RowKey, row_of
from probe.stats.accounting.account import Account, Draws, estimate_of
from probe.stats.accounting.atoms import alone, shares, total, unclaimed
from probe.stats.accounting.verdict import Finding, Verdict

STANDINGS = {"supported": 1.0, "excluded": 0.0, "undecided": math.nan}
STATES = {"changed": 1.0, "no change": 0.0, "destroyed": math.nan}


def rows_of(key: RowKey, account: Account, verdict: Verdict, labels: Finding, k: int) -> list[Row]:
    """All rows of one pair at one temperature."""
    estimates = [*_amounts(account, verdict, k), *_verdicts(account, verdict, labels)]
    return [row_of(key, each, verdict.state == "destroyed") for each in estimates]


def _amounts(account: Account, verdict: Verdict, k: int) -> Iterator[Estimate]:
    pieces, split = account.pieces, shares(account.pieces)

    def told(name: str, draws: Draws, **params: object) -> Estimate:
        about = {"side": "change", **params}
        return estimate_of(draws, f"explained_{name}", account.n, account.n_problems, **about)

    yield told("change", account.change)
    for name in account.measured:
        whole, own = total(pieces, name), alone(pieces, name)
        amounts = {"total": whole, "alone": own, "common": whole - own, "share": split[name]}
        for word, draws in amounts.items():
            yield told(word, draws, part=name)
    supported = [name for name, found in verdict.findings.items() if found.standing == "supported"]
    yield told("rest", unclaimed(pieces, supported))
    if account.null is not None:
        yield told("change", account.null, side="null")
    if account.best_prompt is not None:
        yield told("best_prompt", account.best_prompt)
    if account.solved is not None:
        yield told("pass_at_k", account.solved, k=k)


def _verdicts(account: Account, verdict: Verdict, labels: Finding) -> Iterator[Estimate]:
    findings: Mapping[str, Finding] = {**verdict.findings, "labels": labels}

    def told(name: str, value: float, p: float | None, **params: object) -> Estimate:
        about = {"side": "", **params}
        return Estimate(name, value, math.nan, math.nan, account.n, account.n_problems, "none", None, p, about)

    for name in WORDS:
        found = findings[name]
        p = None if math.isnan(found.p_holm) else found.p_holm
        yield told("explained_verdict", STANDINGS[found.standing], p, part=name, reason=found.why or found.standing)
    yield told("explained_state", STATES[verdict.state], None, reason=sentence(account, verdict))
