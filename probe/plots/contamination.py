"""Has a checkpoint read the problems it is measured on? Completed questions and NLLs, suspects beside controls.

Above: given the first part of a question, how often does the checkpoint write the rest of it, word for word? Below: how
many nats a token do it question and answer cost? Controls cannot have leaked: they are the null of both. Where RL came
in between, hollow marks are before it and filled ones after (2601.11061: the answer gets likelier, the question not).
"""

from collections.abc import Sequence

from matplotlib.axes import Axes

from probe.measurements import VARIES, Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import caption, counts, not_drawn
from probe.plots._frame import finish, head, name_columns, panels
from probe.plots._marks import AFTER, BEFORE, bar, key, plain_numbers
from probe.plots._replicates import columns_of, estimate, limits, pick
from probe.plots._style import COLUMN, DOUBLE, FAMILIES, GREY, Look, handles, look, ordered, styled
from probe.plots._words import interval, listing, number, plain, sentence, signed, span

GROUPS = {"suspect": Look("#D55E00", "o", "-", "suspects"), "control": Look("#0072B2", "s", "--", "controls (null)")}
NLLS = {"prompt_nll": "question", "answer_nll": "answer"}
JOB = ("family", "size", "base_seed", "reward", "rl_seed", "step", "kind")
SIGNS = ("completion_exact", "completion_rouge_l", "completion_answer", *NLLS, "leak_flag")
MOST = 4  # checkpoints that fit beside each other
GIVEN = 60  # % of the question that titles speak of, where it was measured
LEAK = key("leak: Holm p < .01, difference at least .05 (NLL: .1)")
Job = tuple[object, ...]


@figures.register("contamination")
@styled
def contamination(rows: Rows) -> Drawing | None:
    """One column per checkpoint or pair; None where no leak was looked for."""
    chosen = pick(rows, name=SIGNS)
    if not chosen:
        return None
    families = ordered((row.get("family") for row in chosen), FAMILIES)
    jobs = sorted({_job(row) for row in chosen}, key=lambda job: (families.index(job[0]), str(job)))
    shown, paired = jobs[:MOST], pick(chosen, side="after")
    width, height = COLUMN if len(shown) == 1 else DOUBLE, 1.7 if paired else 1.45
    figure, axes = panels(2, len(shown), width=width, height=height, sharey="row")
    table: list[Row] = []
    for column, job in enumerate(shown):
        mine = [row for row in chosen if _job(row) == job]
        table += _completions(axes[0, column], mine) + _nlls(axes[1, column], mine)
        likelier, completed = _leaks(mine)
        verdict = "suspects likelier, not completed" if likelier else "no sign of a leak"
        head(axes[0, column], "leak: suspects are completed, controls are not" if completed else verdict)
        head(axes[1, column], _changes(mine), 6)
    if len(shown) > 1:
        name_columns(axes[0], [_name(job) for job in shown])
    axes[0, 0].set_ylabel("completed word for word")
    legend = [*handles(list(GROUPS.values())), *([BEFORE, AFTER] if paired else []), LEAK]
    return finish(figure, _title(chosen, shown), _caption(chosen, len(jobs) - len(shown)), table, legend)


def _job(row: Row) -> Job:
    return tuple(row.get(name) for name in JOB)


def _name(job: Job) -> str:
    """A base with its seed, or a checkpoint from outside, and what it became; a run bears its base's name."""
    family, size, seed, after = job[:4]
    base = f"{look(family, FAMILIES).label} {seed}" if size else plain(family)
    return f"{base} → {plain(str(after).removeprefix(f'{family}-{size}-{seed}-'))}" if after else base


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
                bar(axes, place, estimate(row), style, hollow=_is_hollow(side, rows))
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
                bar(axes, spots[side], estimate(row), style, flat=True, hollow=_is_hollow(side, rows))
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
    return columns_of(row, kept, mark="null" if row["group"] == "control" else "group")


def _leaks(rows: Sequence[Row]) -> tuple[bool, bool]:
    """Whether a flag of the last checkpoint is up, and whether one of completion is."""
    flags = [str(row["sign"]) for row in pick(rows, name="leak_flag", side=_last(rows)) if row["value"] == 1]
    return bool(flags), any(sign.startswith("completion") for sign in flags)


def _last(rows: Sequence[Row]) -> str:
    return "after" if pick(rows, side="after") else "before"


def _title(rows: Sequence[Row], jobs: list[Job]) -> str:
    text, leaks = [], []
    for job in jobs:
        mine, name = [row for row in rows if _job(row) == job], _name(job)
        exact = pick(mine, name="completion_exact", side=_last(mine))
        given = {row["given"] for row in exact}
        share = GIVEN if GIVEN in given else max(given, default=0)
        shares = {row["group"]: number(row["value"]) for row in exact if row["given"] == share}
        values = [shares.get(group, "?") for group in GROUPS]
        leaks += [name] if _leaks(mine)[1] else []
        text.append(f"{name} completes {values[0]} from {share}%, and {values[1]} of controls")
    if len(jobs) == 1:
        verb = "has read its test questions" if leaks else "shows no sign of having read its test questions"
        return f"{_name(jobs[0])} {verb}: it{text[0].removeprefix(_name(jobs[0]))}"
    message = f"have read their test questions: {listing(leaks)}" if leaks else "no sign of a leak"
    return f"{sentence(message)}. {'; '.join(text)}"


def _caption(rows: Sequence[Row], left_out: int) -> str:
    n = [counts(pick(rows, name="prompt_nll", group=group), "n") for group in GROUPS]
    each = " and ".join(span(size, noun) for size, noun in zip(n, ("suspect", "control"), strict=True))
    bars = "bars: 95 % interval over problems (Wilson; t for NLLs)"
    null = "controls, which cannot have been read"
    drawn = "questions completed, NLL of question and of boxed answer (greedy, no template)"
    return caption(drawn, f"{each} per checkpoint", bars, null, not_drawn(left_out, "checkpoint"))


def _changes(rows: list[Row]) -> str:
    """Changes of NLL, paired by problem."""
    text = []
    for group, style in GROUPS.items():
        changes = {what: pick(rows, name=name, side="change", group=group) for name, what in NLLS.items()}
        moved = [(what, row) for what, some in changes.items() for row in some]
        parts = [f"{what} {signed(row['value'])} {interval(*limits(row))}" for what, row in moved]
        text += [f"{style.label.partition(' ')[0]}: {', '.join(parts)}"] if parts else []
    return f"change, {'; '.join(text)}" if text else ""
