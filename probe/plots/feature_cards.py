"""What are the latents that tell code best, and which audits do they pass? A card each, of one pair.

From the left: activations above 0 by strategy; how often it fires in each model's own answers; what one unit does to
the logits of the tokens that it moves most in the base, by the direct path, before and after; its strongest contexts,
its tokens, and the audits. The latents are the first of the ranking by the half of the problems that chose them.
"""

from collections.abc import Sequence
from math import isfinite
from typing import Any

from matplotlib.axes import Axes

from probe.measurements import Row, Rows
from probe.plots import Drawing, _pairs, figures
from probe.plots._captions import caption, counts, not_drawn
from probe.plots._cards import COLOURS, Audit, audits, context, visible
from probe.plots._features import cells
from probe.plots._frame import finish, panels, wrap
from probe.plots._marks import bar, key, null_handle, null_line, plain_numbers
from probe.plots._replicates import columns_of, estimate, pick
from probe.plots._style import DOUBLE, SMALL, Look, styled
from probe.plots._words import listing, number, span

STRATEGIES = {"code": Look("#0072B2", "o", "-", "in code"), "prose": Look("#E69F00", "s", "--", "in prose")}
LOGITS = Look("#333333", "D", "", "logit effect")
RATIOS = (1.0, 0.75, 0.95, 2.7)
ROOM = DOUBLE * RATIOS[3] / sum(RATIOS) - 0.75  # inches of the text
HEIGHT, STEP = 1.75, 0.08  # of a card in inches; of a line of text in cards
CONTEXTS = 4
LEAST = 0.01  # of its activation, for a token to be printed
RUN = ("family", "size", "base_seed", "reward", "rl_seed")
COLUMNS = (*RUN, "name", "side", "group", "part", "edit", "k", "bin", "latent")
NUMBERS = ("value", "lo", "hi", "n", "n_problems", "null", "p", "reason")
CARD = ("latent_histogram", "latent_context", "latent_token", "latent_logit", "latent_rate", "latent_match")
AUDITED = ("latent_auroc", "direction_auroc", "latent_token_share", "latent_kept_share")


@figures.register("feature_cards")
@styled
def feature_cards(rows: Rows) -> Drawing | None:
    """None where no latent has a card."""
    found = [c for c in cells(rows, (*CARD, *AUDITED)) if pick(c.rows, name="latent_histogram")]
    if not found:
        return None
    runs = [sorted({_run(row) for row in pick(c.rows, name="latent_histogram")}, key=repr) for c in found]
    mine = [row for row in found[0].rows if _run(row) == runs[0][0]]
    latents = list(dict.fromkeys(row["latent"] for row in pick(mine, name="latent_histogram")))
    figure, axes = panels(len(latents), 4, width=DOUBLE, height=HEIGHT, width_ratios=RATIOS)
    table: list[Row] = []
    for i, latent in enumerate(latents):
        own = [row for row in mine if row.get("latent") == latent]
        table += [*_histogram(axes[i, 0], own), *_rates(axes[i, 1], own), *_logits(axes[i, 2], own)]
        table += _text(axes[i, 3], own, audits(mine, latent))
        axes[i, 0].set_title(f"latent {latent}", fontsize=SMALL, weight="bold", pad=3)
        axes[i, 0].set_ylabel("share of rows")
    table += [_told(row, "audit") for row in pick(mine, name="direction_auroc")]
    for axis, text in zip(axes[0, 1:3], ("fires, of rows", "logit of a token"), strict=True):
        axis.set_title(text, fontsize=SMALL, color="#333333", pad=3)
    for axis, text in zip(axes[-1, :3], ("activation", "before ○, after ●", "by one unit"), strict=True):
        axis.set_xlabel(text)
    legend = [*(style.handle() for style in STRATEGIES.values()), key("before", "D", markerfacecolor="white")]
    legend += [key("after", "D"), null_handle("most of a random direction"), key("✓ passed  ✗ failed  ? open")]
    name = _pairs.pair_name(mine[0], found[0].among)
    return finish(figure, _title(mine, latents, name), _caption(mine, sum(map(len, runs)) - 1), table, legend)


def _run(row: Row) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in RUN)


def _told(row: Row, mark: str, **more: Any) -> Row:
    """In the table text is as it is drawn."""
    told = columns_of(row, (*COLUMNS, *NUMBERS), mark=mark)
    return told | {"reason": visible(row["reason"], 80) if row.get("reason") else None} | more


def _histogram(axes: Axes, rows: Sequence[Row]) -> list[Row]:
    table: list[Row] = []
    for group, style in STRATEGIES.items():
        mine = sorted(pick(rows, name="latent_histogram", group=group), key=lambda row: row["bin"])
        edges, values = ([row[name] for row in mine] for name in ("bin", "value"))
        axes.step(edges, values, where="post", color=style.colour, linestyle=style.line)
        table += [_told(row, "histogram") for row in mine]
    axes.set_ylim(bottom=0)
    plain_numbers(axes, x=True)
    return table


def _rates(axes: Axes, rows: Sequence[Row]) -> list[Row]:
    table: list[Row] = []
    for place, (group, style) in enumerate(STRATEGIES.items()):
        for side, shift in (("before", -0.15), ("after", 0.15)):
            for row in pick(rows, name="latent_rate", group=group, side=side):
                bar(axes, place + shift, estimate(row), style, flat=True, hollow=side == "before")
                table.append(_told(row, "rate"))
    axes.set_ylim(1.5, -0.5)
    most = max((value for row in table for value in (row["value"], row["hi"]) if isfinite(value)), default=1.0) or 1.0
    axes.set_xlim(-0.05 * most, 1.1 * most)
    axes.set_yticks([])
    plain_numbers(axes, x=True, y=False)
    return table


def _logits(axes: Axes, rows: Sequence[Row]) -> list[Row]:
    """The tokens that it raises above those that it lowers, the most at either end."""
    table: list[Row] = []
    mine = pick(rows, name="latent_logit")
    order = sorted({(row["part"] == "down", row["k"] if row["part"] == "up" else -row["k"]) for row in mine})
    names = [""] * len(order)
    for row in mine:
        place = order.index((row["part"] == "down", row["k"] if row["part"] == "up" else -row["k"]))
        shift = -0.15 if row["side"] == "before" else 0.15
        bar(axes, place + shift, (row["value"], float("nan"), float("nan")), LOGITS, flat=True, hollow=shift < 0)
        names[place] = visible(row["reason"], 9)
        table.append(_told(row, "logit"))
    for value in sorted({row["null"] for row in mine if row["side"] == "before"}):
        null_line(axes, value, upright=True)
        table.append({"mark": "null", "name": "latent_logit", "value": value})
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    plain_numbers(axes, x=True, y=False)
    return table


def _text(axes: Axes, rows: Sequence[Row], found: Sequence[Audit]) -> list[Row]:
    """Contexts, tokens, audits, a line each."""
    axes.set_axis_off()
    contexts = pick(rows, name="latent_context")[:CONTEXTS]
    tokens = pick(rows, name="latent_token")
    lines = [(context(row["reason"]), "#000000") for row in contexts]
    said = ", ".join(f"{visible(row['reason'], 14)} {number(row['value'])}" for row in tokens if row["value"] >= LEAST)
    lines += [(line, "#555555") for line in wrap(f"on tokens: {said}", SMALL, ROOM)[:2]] if tokens else []
    lines += [(line, COLOURS[audit.said]) for audit in found for line in wrap(audit.line, SMALL, ROOM)]
    for place, (line, colour) in enumerate(lines):
        put = axes.text(0, 0.97 - STEP * place, line, transform=axes.transAxes, size=SMALL, color=colour, va="baseline")
        put.set_in_layout(False)
    table = [_told(row, "context", reason=context(row["reason"])) for row in contexts]
    table += [_told(row, "token") for row in tokens]
    return table + [_told(row, "audit") for name in (*AUDITED, "latent_match") for row in pick(rows, name=name)]


def _title(rows: Sequence[Row], latents: Sequence[int], name: str) -> str:
    told = [(latent, audits(rows, latent)) for latent in latents]
    each = listing(f"latent {latent} passes {sum(a.said == 'passed' for a in found)}" for latent, found in told)
    return f"Of {len(told[0][1])} audits of the latents that tell code best, {each} ({name})"


def _caption(rows: Sequence[Row], others: int) -> str:
    own, told = pick(rows, name="latent_histogram"), pick(rows, name="latent_auroc")
    read = sum({row["group"]: row["n"] for row in own}.values())
    n = f"{span([read], 'row')} of {span([max(counts(own, 'n_problems'))], 'problem')}"
    n += f", AUROC on {span(counts(told, 'n_problems'), 'problem')} that chose nothing"
    null = "mean over random directions of its norm"
    return caption("« »: the token read", n, "bars: 95 % interval by problem", null, not_drawn(others))
