"""What does a prompt alone do to a checkpoint, without any RL? Code, accuracy and answers read, prompt by prompt.

A mark is a share of greedy responses with its interval over problems; the hollow one is the prompt of the study, which
the others are held against (dashed: the null, that a prompt changes nothing). "best prompt" is chosen on one half of
the problems and told on the other; forced first words come on top of the study's prompt. Drawn for the first
checkpoint.
"""

from collections.abc import Sequence

from matplotlib.axes import Axes

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import PROBLEMS, caption, counts, not_drawn
from probe.plots._frame import finish, panels
from probe.plots._marks import bar, key, null_handle, null_line, plain_numbers
from probe.plots._replicates import columns_of, estimate, pick
from probe.plots._style import DOUBLE, Look, styled
from probe.plots._words import direction, listing, number, plain, signed, span

MEASURED = {"code_share": "code share", "accuracy": "accuracy", "parse_rate": "answer read"}
LOOK, FORCED = Look("#0072B2", "o"), "forced prefix"
KEPT = ("family", "reward", "name", "side", "value", "lo", "hi", "n", "n_problems", "p")
OWN = "the study's prompt"


@figures.register("prompt_shares")
@styled
def prompt_shares(rows: Rows) -> Drawing | None:
    """A row a prompt, a panel a measure; None where no other prompt was tried."""
    tried = [row for row in pick(rows, kind="prompt", temperature=0.0, name=tuple(MEASURED)) if not row.get("strategy")]
    if not any(row["reward"] != FORCED for row in tried):
        return None
    who = list(dict.fromkeys((row.get("family"), row.get("base_seed"), row.get("size")) for row in tried))
    mine = [row for row in tried if (row.get("family"), row.get("base_seed"), row.get("size")) == who[0]]
    told = {(row["reward"], row["name"], row["side"]): row for row in reversed(mine)}  # pairs of one base repeat them
    mine = list(reversed(told.values()))
    prompts = list(dict.fromkeys(str(row["reward"]) for row in mine))
    figure, axes = panels(1, len(MEASURED), width=DOUBLE, height=0.5 + 0.19 * len(prompts), sharey=True)
    table: list[Row] = []
    for axis, name in zip(axes[0], MEASURED, strict=True):
        table += _panel(axis, pick(mine, name=name), prompts)
        axis.set_xlabel(MEASURED[name])
    axes[0, 0].set_yticks(range(len(prompts) + 1), [OWN, *map(plain, prompts)])
    axes[0, 0].set_ylim(len(prompts) + 0.6, -0.6)
    legend = [key(OWN, "o", markerfacecolor="white"), key("another", "o"), null_handle("a prompt changes nothing")]
    n = f"{span(counts(mine, 'n'), 'greedy response')} to {span(counts(mine, 'n_problems'), 'problem')} under each"
    text = caption("one checkpoint under other prompts", n, PROBLEMS, OWN, not_drawn(len(who) - 1, "checkpoint"))
    return finish(figure, _title(mine, prompts), text, table, legend)


def _panel(axes: Axes, rows: Sequence[Row], prompts: Sequence[str]) -> list[Row]:
    own = next((row for row in pick(rows, side="before") if row["reward"] != FORCED), None)
    table: list[Row] = []
    if own:
        null_line(axes, own["value"], upright=True)
        bar(axes, 0, estimate(own), LOOK, flat=True, hollow=True)
        table += [columns_of(own, KEPT, mark=mark, null=own["value"]) for mark in ("own", "null")]
    for row in pick(rows, side="after"):
        bar(axes, 1 + prompts.index(str(row["reward"])), estimate(row), LOOK, flat=True)
        table.append(columns_of(row, KEPT, mark="prompt"))
    table += [columns_of(row, KEPT, mark="change") for row in pick(rows, side="change")]
    axes.set_xlim(-0.04, 1.04)
    plain_numbers(axes, x=True, y=False)
    return table


def _title(rows: Sequence[Row], prompts: Sequence[str]) -> str:
    """What the share of code does under each, and only what its interval shows."""
    changes = {str(row["reward"]): row for row in pick(rows, name="code_share", side="change")}
    told = []
    for prompt in prompts:
        row = changes.get(prompt)
        said = direction(row["lo"], row["hi"]) if row and row.get("lo") is not None else ""
        if row and said in ("rises", "falls"):
            told.append(f"{said} by {signed(abs(row['value']))[1:]} under {plain(prompt)}")
    own = next(iter(pick(rows, name="code_share", side="before")), None)
    start = f"{plain(rows[0].get('family'))} writes code in {number(own['value'])}" if own else "Other prompts"
    return f"{start}: it {listing(told)}" if told else f"{start}: no other prompt shows a change"
