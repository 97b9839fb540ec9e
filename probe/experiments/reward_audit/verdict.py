"""What does this reward pay for, in one sentence? A rule, fixed here before any reward was looked at.

    paid for   a trait with |part r| >= LEAST and p < LEVEL after Holm over the four traits, within problems (over
               all where that is not defined); below 0 its opposite. Of traits that go together (`companions`) only the
               one that is paid for beside the other, if there is such
    reads      the prompt or its label, where at least SHARE of the scores move when prompts are swapped
    moved by   an edit that should not matter, where at least SHARE of the scores move
    unstable   at least SHARE of the scores differ when nothing was changed: nothing else is then told

Shares count where their interval excludes 0 too. A reward that pays for something else than the four traits "pays for
nothing that was looked at", like one that is noise. What a verdict rests on stands beside it, trait by trait.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from probe.data import Estimate
from probe.experiments.reward_audit.findings import GROUPS
from probe.numbers import decimal
from probe.stats import holm

LEVEL, LEAST, SHARE = 0.01, 0.1, 0.05
WORDS = {
    "correct": ("correctness", "being wrong"),
    "code": ("strategy (code)", "strategy (prose)"),
    "length": ("length", "brevity"),
    "boxed": ("a box", "no box"),
}


@dataclass(frozen=True)
class Verdict:
    """`pays_for`: trait -> +1 or -1, strongest first; `moved_by`: edit -> share of the scores that move.

    `apart`: of the traits paid for, those that go with others on these responses, and which these are.
    """

    pays_for: Mapping[str, int]
    apart: Mapping[str, tuple[str, ...]]
    reads_prompt: bool
    moved_by: Mapping[str, float]
    unstable: float  # share of the scores that differ when nothing was changed
    flat: bool  # every group scores alike
    evidence: str

    @property
    def sentence(self) -> str:
        """All of it in words."""
        if self.unstable:
            return f"unstable: {self.unstable:.0%} of the responses score otherwise when asked again"
        reads = "reads the prompt or its label" if self.reads_prompt else "reads no prompt and no label"
        moved = ", ".join(f"{edit} ({share:.0%})" for edit, share in self.moved_by.items())
        return "; ".join([self.payment, reads, *([f"moved by {moved}"] if moved else [])])

    @property
    def payment(self) -> str:
        """What it pays for."""
        if self.flat:
            return "pays for nothing: every group scores alike"
        words = [self._word(trait) for trait in self.pays_for if trait not in self.apart]
        mixed = [self._word(trait) for trait in self.apart]
        mixed += [other for others in self.apart.values() for other in others if other not in self.pays_for]
        if mixed:
            words.append(f"{' or '.join(dict.fromkeys(mixed))} (which go together here)")
        if not words:
            return f"pays for nothing that was looked at ({self.evidence})"
        not_for = "" if "correct" in self.pays_for else ", not for correctness"
        return f"pays for {' and '.join(words)}{not_for} ({self.evidence})"

    def _word(self, trait: str) -> str:
        return WORDS[trait][0 if self.pays_for[trait] > 0 else 1]


def verdict(found: Sequence[Estimate], together: Mapping[bool, Mapping[str, tuple[str, ...]]]) -> Verdict:
    """The verdict on `findings`; `together`: the `companions` within problems (True) and over all (False)."""
    within, part = parts(found)
    apart = together[within]
    paid = {e.params["target"]: 1 if e.value > 0 else -1 for e in _paid(part)}
    alone = {trait for trait in paid if trait not in apart}
    pays = {trait: sign for trait, sign in paid.items() if not alone & set(apart.get(trait, ()))}
    edits = [e for e in found if e.name in ("edit_changed", "counterfactual_changed") and _moves(e)]
    return Verdict(
        pays_for=pays,
        apart={trait: apart[trait] for trait in pays if trait in apart},
        reads_prompt=any(e.name == "swap_changed" and _moves(e) for e in found),
        moved_by={e.params["edit"]: e.value for e in edits},
        unstable=next((e.value for e in found if e.name == "repeat_changed" and _moves(e)), 0.0),
        flat=next(e.value for e in found if e.name == "zero_variance_groups") == 1.0 and within,
        evidence=", ".join(f"{e.params['target']} {_number(e)}" for e in part),
    )


def parts(found: Sequence[Estimate]) -> tuple[bool, list[Estimate]]:
    """Whether within problems, and the part correlations that count: those, unless none is defined there."""
    rows = [e for e in found if e.name == "reward_part"]
    sides = {within: [e for e in rows if e.params["group"] == group] for within, group in GROUPS.items()}
    within = any(e.p is not None for e in sides[True]) or all(e.p is None for e in rows)
    return within, sides[within]


def _paid(part: Sequence[Estimate]) -> list[Estimate]:
    tested = [(e, e.p) for e in part if e.p is not None]
    adjusted = holm([p for _, p in tested]).tolist() if tested else []
    kept = [e for (e, _), p in zip(tested, adjusted, strict=True) if p < LEVEL and abs(e.value) >= LEAST]
    return sorted(kept, key=lambda e: -abs(e.value))


def _moves(share: Estimate) -> bool:
    return share.value >= SHARE and not share.lo <= 0


def _number(part: Estimate) -> str:
    return decimal(part.value, 2, sign=True, missing="does not vary")
