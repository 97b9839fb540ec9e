"""The verdict in one sentence, and what the explanations H1 to H6 are called."""

from probe.numbers import bracketed, decimal
from probe.stats.accounting.account import Account, Draws, estimate_of
from probe.stats.accounting.atoms import CLAIMANTS, alone, total
from probe.stats.accounting.verdict import Verdict

WORDS = {
    "strategy": "H1 strategy mix",
    "sharpening": "H2 sharpening",
    "leak": "H3 contamination",
    "prompt": "H4 prompt or format",
    "labels": "H5 label leakage",
    "acquired": "H6 acquisition or loss",
}


def sentence(account: Account, verdict: Verdict) -> str:
    """What happened to accuracy, and what explains it."""
    change = _said(account.change)
    if verdict.state == "destroyed":
        return f"the model is destroyed (accuracy {change}): this is no effect to explain"
    if verdict.state == "no change":
        return f"accuracy did not change beyond chance ({change}): there is nothing to explain"
    moved = f"accuracy {'rose' if account.change[0] > 0 else 'fell'} ({change})"
    if verdict.main is None:
        return f"{moved}, and {_open(verdict)}"
    main = verdict.main
    own = _said(alone(account.pieces, main))
    text = f"{moved}, mainly by {WORDS[main]}: {_said(total(account.pieces, main))}, of which {own} alone"
    also = [WORDS[name] for name in CLAIMANTS if _is(verdict, name, "supported") and name != main]
    return f"{text}; also supported: {', '.join(also)}" if also else text


def _open(verdict: Verdict) -> str:
    left = [WORDS[name] for name in CLAIMANTS if _is(verdict, name, "undecided")]
    return f"it is undecided by what: {', '.join(left)} are open" if left else "every explanation here is excluded"


def _is(verdict: Verdict, name: str, standing: str) -> bool:
    return verdict.findings[name].standing == standing


def _said(draws: Draws) -> str:
    found = estimate_of(draws)
    return f"{_number(found.value)} {bracketed(found.lo, found.hi, _number)}"


def _number(value: float) -> str:
    return decimal(value, 2, sign=True)
