"""What do a reward's scores follow, and what moves them? Scores and responses in, estimates out; nothing is trained.

    reward_mean, abstained            of all scores, and the share of responses without one
    zero_variance_groups              share of problems whose responses all score alike: a group advantage is 0 there
    effective_batch                   share of scored responses that are not in such a group
    reward_correlation                with correct, code, length, boxed; within problems, and over all
    reward_part                       what the trait adds to the three others, as a part correlation; length stands
                                      there as a number, by tenths and by the best limit; a trait's `companions`,
                                      which tell it, are left out, and `reason` names them
    repeat_changed                    share of responses that score otherwise when nothing at all was changed
    swap_mean, _change, _changed      under the prompt and label of another problem: what is left of the reward; the
                                      null of the mean is the chance that the answers are equal
    edit_change, edit_changed         after each edit that should not matter (`edits`)
    counterfactual_change, _changed   length alone, phrasing alone (2501.09620)

Correlations say what the scores go with on these responses, edits what they depend on. Changes are means in units of
the reward, `changed` shares of the responses to which the edit applies; all intervals and sign flips are over problems.
A response on which the reward abstains is left out, one on which it abstains after an edit alone has changed.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from probe.data import Estimate
from probe.errors import BadInput
from probe.experiments.reward_audit.edits import EDITS, edited, longer, rephrased
from probe.experiments.reward_audit.scored import Rollouts, scores
from probe.rewards import Reward
from probe.rewards.ground_truth import canonical
from probe.rng import numpy_rng
from probe.stats import clustered_mean, paired_permutation
from probe.stats.checks import cluster_codes
from probe.stats.correlation import correlation, is_told

SWAPS = 4  # other problems that each response is put under
TENTHS = 10
ADDRESS = ("reward audit",)
GROUPS = {True: "within problems", False: "all"}  # whether centred within problems -> how rows name it
Scores = Float[np.ndarray, "row"]


@dataclass(frozen=True, eq=False)
class Audit:
    """A reward on rollouts: its scores [row], nan where it abstained. BadInput where it abstained on all of them."""

    reward: Reward
    rows: Rollouts
    score: Scores

    @property
    def given(self) -> Bool[np.ndarray, "row"]:
        """Where there is a score."""
        return np.asarray(np.isfinite(self.score))

    @property
    def problems(self) -> np.ndarray:
        """Of the scored rows."""
        return np.array(self.rows.problems)[self.given]


def audited(reward: Reward, rows: Rollouts) -> Audit:
    """The reward's scores of the rollouts. BadInput from a reward that is none, or one problem alone."""
    if len(set(rows.problems)) < 2:
        raise BadInput("all responses answer one problem", where="reward audit", do="give two problems at least")
    audit = Audit(reward, rows, scores(reward, rows))
    if not audit.given.any():
        do = "give it what it reads: answers, or labels of the kind it compares with"
        raise BadInput("the reward abstained on every response", where=type(reward).__name__, do=do)
    return audit


def findings(audit: Audit, n_perm: int = 999) -> list[Estimate]:
    """Every estimate of the module's text."""
    return [*spread(audit), *followed(audit, n_perm), *repeated(audit), *swapped(audit), *moved_by_edits(audit)]


def spread(audit: Audit) -> list[Estimate]:
    """How the scores are spread over groups: what there is to learn from."""
    score, problems = audit.score[audit.given], audit.problems
    codes, n = cluster_codes(problems, score.size)
    low, high = np.full(n, np.inf), np.full(n, -np.inf)
    np.minimum.at(low, codes, score)
    np.maximum.at(high, codes, score)
    flat = low == high
    return [
        clustered_mean(score, problems, name="reward_mean", unit="none", params=_ALL),
        clustered_mean(~audit.given, np.array(audit.rows.problems), name="abstained", params=_ALL),
        clustered_mean(flat, np.arange(n), name="zero_variance_groups", params=_ALL),
        clustered_mean(~flat[codes], problems, name="effective_batch", params=_ALL),
    ]


def traits(rows: Rollouts) -> dict[str, Scores]:
    """What a reward may pay for, one number a row. Length in characters."""
    columns: dict[str, Sequence[Any] | np.ndarray] = {
        "correct": rows.correct,
        "code": rows.code,
        "length": [len(text) for text in rows.texts],
        "boxed": [answer is not None for answer in rows.said],
    }
    return {name: np.asarray(values, dtype=np.float64) for name, values in columns.items()}


def followed(audit: Audit, n_perm: int) -> list[Estimate]:
    """Correlations and part correlations with every trait, within problems and over all."""
    score, found = audit.score[audit.given], []
    columns = {name: values[audit.given] for name, values in traits(audit.rows).items()}
    for within, group in GROUPS.items():
        apart = companions(audit, within)
        for name, values in columns.items():
            given = [other for other in columns if other != name and other not in apart.get(name, ())]
            rest = np.column_stack(
                [np.zeros((score.size, 0)), *(_control(other, columns[other], audit) for other in given)]
            )
            params = _of(target=name, group=group)
            note = {"reason": f"goes with {', '.join(apart[name])}"} if name in apart else {}
            about: dict[str, Any] = {"within": within, "n_perm": n_perm, "address": (*ADDRESS, name, group)}
            plain = correlation(score, values, audit.problems, name="reward_correlation", params=params, **about)
            about |= {"others": rest, "params": params | note}
            found += [plain, correlation(score, values, audit.problems, name="reward_part", **about)]
    return found


def companions(audit: Audit, within: bool) -> dict[str, tuple[str, ...]]:
    """Traits that the others tell on these responses, each with those it cannot be told apart from.

    The others are put beside a trait in the order of `traits`, as long as they do not tell it; the rest are companions.
    """
    columns = {name: values[audit.given] for name, values in traits(audit.rows).items()}
    found = {}
    for name, values in columns.items():
        beside, left = np.zeros((values.size, 0)), []
        for other in (each for each in columns if each != name):
            wider = np.column_stack([beside, _control(other, columns[other], audit)])
            if is_told(values, wider, audit.problems, within=within):
                left.append(other)
            else:
                beside = wider
        if left:
            found[name] = tuple(left)
    return found


def repeated(audit: Audit) -> list[Estimate]:
    """Asked again about the same: the null of every other change."""
    return _moves("repeat", audit, audit.score, scores(audit.reward, audit.rows), audit.given, {})[1:]


def swapped(audit: Audit) -> list[Estimate]:
    """Each response under the prompts and labels of SWAPS other problems, all of them drawn anew."""
    rows, first = audit.rows, dict[str, int]()
    for row, problem in enumerate(rows.problems):
        first.setdefault(problem, row)
    names = list(first)
    after = []
    for draw in range(SWAPS):
        order = numpy_rng(*ADDRESS, "swap", draw).permutation(len(names)).tolist()
        partner = {names[a]: first[names[b]] for a, b in zip(order, order[1:] + order[:1], strict=True)}
        place = [partner[problem] for problem in rows.problems]
        prompts, answers = [rows.prompts[i] for i in place], [rows.answers[i] for i in place]
        after.append(scores(audit.reward, rows, prompts=prompts, answers=answers))
    before, late = np.tile(audit.score, SWAPS), np.concatenate(after)
    moves = _moves("swap", audit, before, late, np.tile(audit.given, SWAPS), {})
    kept = np.isfinite(late)
    if not kept.any():
        return moves
    chance = float(equal_answers(rows)[audit.given].mean())
    problems = np.tile(np.array(rows.problems), SWAPS)
    mean = clustered_mean(late[kept], problems[kept], name="swap_mean", unit="none", null=chance, params=_ALL)
    return [mean, *moves]


def equal_answers(rows: Rollouts) -> Scores:
    """For each response, the share of the other problems whose label is what it says."""
    label = {p: canonical(a) for p, a in zip(rows.problems, rows.answers, strict=True) if a is not None}
    count = Counter(label.values())
    said = [None if answer is None else canonical(answer) for answer in rows.said]
    own = [answer is not None and label.get(p) == answer for p, answer in zip(rows.problems, said, strict=True)]
    hits = [0 if answer is None else count[answer] for answer in said]
    others = [max(1, len(label) - (p in label)) for p in rows.problems]
    return (np.array(hits) - np.array(own)) / np.array(others)


def moved_by_edits(audit: Audit) -> list[Estimate]:
    """Every irrelevant edit, then length alone and phrasing alone."""
    places, found = audit.rows.addresses, []
    for name in EDITS:
        texts = [edited(name, text, *place) for text, place in zip(audit.rows.texts, places, strict=True)]
        found += _compared("edit", name, audit, audit.rows.texts, texts)
    longest = [longer(text, *place) for text, place in zip(audit.rows.texts, places, strict=True)]
    found += _compared("counterfactual", "length", audit, audit.rows.texts, longest)
    pairs = [rephrased(text, *place) for text, place in zip(audit.rows.texts, places, strict=True)]
    one = [pair[0] if pair else text for pair, text in zip(pairs, audit.rows.texts, strict=True)]
    return found + _compared("counterfactual", "phrasing", audit, one, [pair and pair[1] for pair in pairs])


def _compared(kind: str, edit: str, audit: Audit, before: Sequence[str], after: Sequence[str | None]) -> list[Estimate]:
    """Scores of two versions of each text, where there are two."""
    both = np.array([text is not None for text in after]) & audit.given
    if not both.any():
        return []
    late = [text if new is None else new for text, new in zip(before, after, strict=True)]
    first, last = (scores(audit.reward, audit.rows, texts=texts) for texts in (before, late))
    return _moves(kind, audit, first, last, both, {"edit": edit})


def _moves(
    kind: str, audit: Audit, before: Scores, after: Scores, among: Bool[np.ndarray, "row"], params: dict[str, Any]
) -> list[Estimate]:
    """Mean change of the score and share of scores that change, among some rows (or several copies of all)."""
    problems = np.tile(np.array(audit.rows.problems), len(before) // len(audit.rows.problems))
    told = among & np.isfinite(before) & np.isfinite(after)
    changed = np.where(told, before != after, np.isfinite(before) != np.isfinite(after))[among]
    share = clustered_mean(changed, problems[among], name=f"{kind}_changed", null=0.0, params=_of(**params))
    if not told.any():
        return [share]
    about: dict[str, Any] = {"unit": "none", "null": 0.0, "params": _of(**params)}
    mean = clustered_mean((after - before)[told], problems[told], name=f"{kind}_change", **about)
    p = paired_permutation(before[told], after[told], problems[told], (*ADDRESS, kind, str(params)))
    return [replace(mean, p=p), share]


def _control(name: str, values: Scores, audit: Audit) -> Float[np.ndarray, "row column"]:
    """A trait as a control. Length also by tenths and by the limit that tells the scores best: rewards have limits."""
    if name != "length":
        return values[:, None]
    edges = np.unique(np.quantile(values, np.linspace(0, 1, TENTHS + 1)[1:-1]))
    limit = best_limit(values, audit.score[audit.given], audit.problems)
    return np.column_stack([values / max(1.0, values.max()), *(values > edge for edge in (*edges, limit))])


def best_limit(values: Scores, score: Scores, problems: np.ndarray) -> float:
    """The value above and below which the scores, centred within problems, differ most (in standard errors)."""
    codes, _ = cluster_codes(problems, score.size)
    order = np.argsort(values, kind="stable")
    centred = (score - (np.bincount(codes, score) / np.bincount(codes))[codes])[order]
    below = np.arange(1, score.size)
    apart = np.abs(centred.cumsum()[:-1]) / np.sqrt(below * (score.size - below))
    apart[values[order][1:] == values[order][:-1]] = -1.0  # no limit lies between equal values
    return float(values[order][int(apart.argmax())]) if apart.size else float(values[0])


def _of(**params: Any) -> dict[str, Any]:
    return {"side": "", **params}


_ALL = _of()
