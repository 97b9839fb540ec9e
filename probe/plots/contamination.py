"""Has a checkpoint read the problems it is measured on? Completed questions and NLLs, suspects beside controls.

Above: given the first part of a question, how often does the checkpoint write the rest of it, word for word? Below: how
many nats a token do it question and answer cost? Controls cannot have leaked: they are the null of both. Where RL came
in between, hollow marks are before it and filled ones after (2601.11061: the answer gets likelier, the question not).
"""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from probe.measurements import VARIES, Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import join
from probe.plots._frame import finish, head, name_columns, panels
from probe.plots._marks import AFTER, BEFORE, bar, plain_numbers
from probe.plots._replicates import limits, pick
from probe.plots._style import COLUMN, DOUBLE, FAMILIES, GREY, Look, look, ordered, styled
from probe.plots._words import direction, interval, listing, number, plain, sentence, signed, span

GROUPS = {"suspect": Look("#D55E00", "o", "-", "suspects"), "control": Look("#0072B2", "s", "--", "controls (null)")}
NLLS = {"prompt_nll": "question", "answer_nll": "answer"}
JOB = ("family", "size", "base_seed", "reward", "rl_seed", "step", "kind")
SIGNS = ("completion_exact", "completion_rouge_l", "completion_answer", *NLLS, "leak_flag")
MOST = 4  # checkpoints that fit beside each other
TOLD_AT = 60  # % of the question that titles speak of, where it was measured
Job = tuple[object, ...]


@figures.register("contamination")
@styled
def contamination(rows: Rows) -> Drawing | None:
    """One column per checkpoint or pair; None where no leak was looked for."""
    chosen = pick(rows, name=SIGNS)
    jobs = _jobs(chosen)
    if not jobs:
        return None
    shown = jobs[:MOST]
    figure, axes = panels(2, len(shown), width=COLUMN if len(shown) == 1 else DOUBLE, height=1.45, sharey="row")
    table: list[Row] = []
    for column, job in enumerate(shown):
        mine = [row for row in chosen if _job(row) == job]
        table += _completions(axes[0, column], mine) + _nlls(axes[1, column], mine)
        head(axes[0, column], _verdict(mine))
    if len(shown) > 1:
        name_columns(axes[0], [_name(job) for job in shown])
    axes[0, 0].set_ylabel("completed word for word")
    paired = bool(pick(chosen, side="after"))
    legend = [Line2D([], [], color=g.colour, marker=g.marker, linestyle=g.line, label=g.label) for g in GROUPS.values()]
    legend += [BEFORE, AFTER] if paired else []
    return finish(figure, _title(chosen, shown), _caption(chosen, shown, len(jobs) - len(shown)), table, legend)


def _jobs(rows: Sequence[Row]) -> list[Job]:
    families = ordered((row.get("family") for row in rows), FAMILIES)
    return sorted({_job(row) for row in rows}, key=lambda job: (families.index(job[0]), str(job)))


def _job(row: Row) -> Job:
    return tuple(row.get(name) for name in JOB)


def _name(job: Job) -> str:
    """A base with its seed, or a checkpoint from outside, and what it became; a run bears its base's name."""
    family, size, seed, after = job[:4]
    told = f"{look(family, FAMILIES).label} {seed}" if size else plain(family)
    return f"{told} → {plain(str(after).removeprefix(f'{family}-{size}-{seed}-'))}" if after else told


def _completions(axes: Axes, rows: list[Row]) -> list[Row]:
    """Exact match against the share of the question given."""
    chosen = pick(rows, name="completion_exact", side=("before", "after"))
    shares = sorted({row["given"] for row in chosen})
    axes.set_xticks(range(len(shares)), [f"{share}%" for share in shares])
    axes.set_xlim(-0.45, len(shares) - 0.55)
    axes.set_ylim(-0.04, 1.06)
    axes.set_xlabel("share of the question given")
    plain_numbers(axes)
    table = []
    for i, (group, style) in enumerate(GROUPS.items()):
        for side in ("before", "after"):
            mine = {row["given"]: row for row in pick(chosen, side=side, group=group)}
            shift = (i - 0.5) * 0.16 + (side == "after") * 0.07
            places = [shares.index(share) + shift for share in mine]
            values = [row["value"] for row in mine.values()]
            axes.plot(places, values, color=style.colour, linestyle=style.line, linewidth=0.7, alpha=0.6, zorder=2)
            for place, row in zip(places, mine.values(), strict=True):
                bar(axes, place, row["value"], *limits(row), style, hollow=_is_hollow(side, rows))
                table.append(_drawn(row))
    return table


def _nlls(axes: Axes, rows: list[Row]) -> list[Row]:
    """Nats a token of question and answer, on their sides; a thin line from before to after."""
    table = []
    for j, name in enumerate(NLLS):
        for i, (group, style) in enumerate(GROUPS.items()):
            mine = {row["side"]: row for row in pick(rows, name=name, group=group, side=("before", "after"))}
            place = j + (i - 0.5) * 0.36
            spots = {side: place + (0.1 if side == "after" else 0.0) for side in mine}
            if len(mine) > 1:
                ends = [mine[side]["value"] for side in ("before", "after")]
                axes.plot(ends, list(spots.values()), color=style.colour, linewidth=0.6, zorder=2)
            for side, row in mine.items():
                hollow = _is_hollow(side, rows)
                bar(axes, spots[side], row["value"], *limits(row), style, flat=True, hollow=hollow)
                table.append(_drawn(row))
    axes.set_yticks(range(len(NLLS)), list(NLLS.values()))
    axes.set_ylim(len(NLLS) - 0.45, -0.55)
    axes.set_xlim(left=0)
    axes.set_xlabel("NLL, nats a token")
    axes.grid(axis="x", color=GREY, alpha=0.2, linewidth=0.4)
    plain_numbers(axes, x=True, y=False)
    return table


def _is_hollow(side: str, rows: list[Row]) -> bool:
    """Before RL, where there is an after."""
    return side == "before" and bool(pick(rows, side="after"))


def _drawn(row: Row) -> Row:
    kept = (*JOB, "name", "side", *VARIES, "value", "lo", "hi", "n", "unit")
    return {"mark": "null" if row["group"] == "control" else "group", **{name: row.get(name) for name in kept}}


def _flags(rows: Sequence[Row], side: str) -> list[str]:
    return [str(row["sign"]) for row in pick(rows, name="leak_flag", side=side) if row["value"] == 1]


def _last(rows: Sequence[Row]) -> str:
    return "after" if pick(rows, side="after") else "before"


def _verdict(rows: list[Row]) -> str:
    """What the flags of the last checkpoint say."""
    flags = _flags(rows, _last(rows))
    if any(sign.startswith("completion") for sign in flags):
        return "leak: suspects are completed, controls are not"
    return "suspects likelier, not completed" if flags else "no sign of a leak"


def _title(rows: Sequence[Row], jobs: list[Job]) -> str:
    told, leaks = [], []
    for job in jobs:
        mine = [row for row in rows if _job(row) == job]
        exact = pick(mine, name="completion_exact", side=_last(mine))
        shares = {row["given"] for row in exact}
        share = TOLD_AT if TOLD_AT in shares else max(shares, default=0)
        here = {row["group"]: number(row["value"]) for row in exact if row["given"] == share}
        values = [here.get(group, "?") for group in GROUPS]
        leaks += [_name(job)] if any(name.startswith("completion") for name in _flags(mine, _last(mine))) else []
        told.append(f"{_name(job)} completes {values[0]} from {share}%, and {values[1]} of controls")
    if len(jobs) == 1:
        word = "has read its test questions" if leaks else "shows no sign of having read its test questions"
        return f"{_name(jobs[0])} {word}: it{told[0].removeprefix(_name(jobs[0]))}"
    found = f"have read their test questions: {listing(leaks)}" if leaks else "no sign of a leak"
    return f"{sentence(found)}. {'; '.join(told)}"


def _caption(rows: Sequence[Row], jobs: list[Job], left_out: int) -> str:
    sizes = [sorted({int(r["n"]) for r in pick(rows, name="prompt_nll", group=group)}) for group in GROUPS]
    counts = " and ".join(span(n, noun) for n, noun in zip(sizes, ("suspect", "control"), strict=True))
    moved = [text for job in jobs for text in _changes([row for row in rows if _job(row) == job], job)]
    return join(
        f"Each checkpoint: {counts}, greedy, no template. Bars: 95 % intervals over problems (Wilson; t for NLLs).",
        "Controls are problems of the same kind that cannot have been read. NLL of the question: without its first "
        "token; of the answer: behind the question and the opening of a box.",
        "Leak: Holm-adjusted p < .01 for a difference in the leak's direction of at least .05 (NLL: .1).",
        f"Changes of NLL, paired by problem: {'; '.join(moved)}." if moved else "",
        f"Measured and not drawn: {span([left_out], 'checkpoint')} more." if left_out else "",
    )


def _changes(rows: list[Row], job: Job) -> list[str]:
    told = []
    for group, style in GROUPS.items():
        parts = []
        for name, what in NLLS.items():
            for row in pick(rows, name=name, side="change", group=group):
                lo, hi = limits(row)
                parts.append(f"{what} {direction(lo, hi)} ({signed(row['value'])}, {interval(lo, hi)})")
        label = style.label.partition(" ")[0]
        told += [f"{_name(job)}, {label}: {', '.join(parts)}"] if parts else []
    return told
