"""probe steer: does moving the residual stream by hand do what RL did?"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from probe.cli import settings
from probe.cli.experiment_command import present
from probe.cli.groups import command
from probe.cli.show import interval, number, p_value, shown, table
from probe.errors import BadInput

if TYPE_CHECKING:
    from probe.checkpoints.pair import Pair
    from probe.rollouts.elicitation import Elicitation
    from probe.rollouts.options import SamplingOptions

Rows = Sequence[dict[str, Any]]
MEASURES = {"code_share": "code share", "accuracy": "accuracy", "parse_rate": "parsed"}
DOSES = ("side", "coefficient", *(part for name in MEASURES.values() for part in (name, "95 % interval", "random")))
PARTS = ("of RL's change in", "how", "coefficient", "share", "95 % interval", "random: most", "n", "p")
WAYS = {
    "recovered matched": "base steered to RL's code share",
    "recovered best": "base steered to its best accuracy",
    "removed project out": "direction projected out after RL",
    "removed clamp": "direction clamped to the base's mean",
    "removed back": "trained model steered back",
}
SiteName = Annotated[str | None, typer.Option("--site", help="resid.i [where code and prose are first far apart].")]
Doses = Annotated[
    str | None,
    typer.Option("--coefficients", help="Numbers with commas, 0 among them; 1: from mean to mean."),
]


@command("steer", place=100)
def steer(
    name: settings.Before,
    run: settings.Asking,
    after: settings.MaybeAfter = None,
    site: SiteName = None,
    coefficients: Doses = None,
    randoms: Annotated[int, typer.Option(min=1, help="Random directions of equal length: the null.")] = 20,
    where: Annotated[
        Literal["fork", "new", "all"],
        typer.Option(help="fork: the prompt's last token alone; new: every new one too; all: the prompt as well."),
    ] = "fork",
    samples: Annotated[int, typer.Option(min=1, help="Per problem and coefficient.")] = 2,
    temperature: Annotated[float, typer.Option(min=0.0, max=100.0, help="0 is greedy.")] = 1.0,
    backend: settings.BackendName = "hooks",
    toward: Annotated[
        str | None,
        typer.Option("--toward", help="A prompt template: go from the own prompt's mean state to that under it."),
    ] = None,
) -> None:
    """Steer a checkpoint between code and prose by hand.

    The direction is the difference of the mean states, at the prompt's last token, of samples that go on in code and in
    prose. It is added in growing amounts, beside random directions of equal length. With AFTER: how much of RL's change
    does steering the base recover, and ablating the direction in the trained model remove? With --toward the direction
    is that from one prompt to another, and every new token is steered.
    """
    from probe.experiments.steering.job import COEFFICIENTS, SteerJob

    pair = run.pair(name, after)
    elicitation, options = run.of(pair.before, temperature=temperature, samples=samples)
    if toward is not None:
        return _toward(toward, pair, elicitation, options, run, site, coefficients, randoms)
    doses = _numbers(coefficients) if coefficients else COEFFICIENTS
    job = SteerJob(pair, elicitation, options, site, doses, randoms, where, backend, run.compute(batch=256))
    present(job, run, lambda result: _show(result.rows, job.label, randoms))


def _toward(
    name: str,
    pair: "Pair",
    asked: "Elicitation",
    options: "SamplingOptions",
    run: settings.Asking,
    site: str | None,
    coefficients: str | None,
    randoms: int,
) -> None:
    """From one prompt to another."""
    from dataclasses import replace

    from probe.experiments.steering.prompts import COEFFICIENTS, PromptSteerJob
    from probe.models.loading.manifest import load_manifest

    if pair.after is not None:
        raise BadInput("--toward steers one checkpoint", where=pair.label, do="leave AFTER out")
    there = replace(asked, template=name, text=load_manifest(run.manifest).template(name))
    doses = _numbers(coefficients) if coefficients else COEFFICIENTS
    compute = run.compute(batch=256)
    job = PromptSteerJob(pair.before, asked, there, options, site, doses, randoms, compute=compute)
    present(job, run, lambda result: _show_prompts(result.rows, job.label, randoms))


def _show_prompts(rows: Rows, title: str, randoms: int) -> None:
    plain = [{**row, "name": row["name"].removeprefix("prompt_"), "side": ""} for row in rows]
    table(DOSES[1:], [line[1:] for line in _dose_lines(plain)], f"{title} (random: all {randoms})", right=DOSES[1:])
    for row in plain:
        if row["name"] == "itself_code_share":
            value = f"{number(row['value'])} {interval(row['lo'], row['hi'])}"
            shown(f"that prompt itself: code share {value} (n {row['n']})")


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in settings.split(text))
    except ValueError as err:
        raise BadInput(f"{text!r} are no numbers", where="--coefficients", do="give -4,-2,0,2,4 or the like") from err


def _show(rows: Rows, title: str, randoms: int) -> None:
    from probe.measurements import label

    place = next(row for row in rows if row["name"] == "steer_distance")
    relative = next(row["value"] for row in rows if row["name"] == "steer_distance_of_norm")
    place_text = f"at {place['site']}; c = 1 is {number(place['value'])}, {number(relative)} of a state's length"
    table(DOSES, list(_dose_lines(rows)), f"{title}: {place_text} (random: all {randoms})", right=DOSES[1:])
    for row in rows:
        if row["name"] == "steer_range_code_share":
            spread = f"{number(row['value'])} {interval(row['lo'], row['hi'])}"
            null = f"random directions {number(row['null'])} on average, p {p_value(row['p'])}"
            shown(f"{row['side']}: code share moves by {spread} from c = {label(row)} (n {row['n']}; {null})")
    lines = list(_share_lines(rows))
    if lines:
        table(PARTS, lines, "How much of RL's change (null 0)", right=PARTS[2:])


def _dose_lines(rows: Rows) -> Any:
    known = {(row["name"], row["side"], _dose(row)): row for row in rows}
    for name, side, dose in list(known):
        if name != "steer_code_share":
            continue
        cells: list[str] = [side, f"{dose:g}" if isinstance(dose, float) else str(dose)]
        for measure in MEASURES:
            row = known[f"steer_{measure}", side, dose]
            null = _random(rows, row)
            span = f"{number(min(null), 2)} to {number(max(null), 2)}" if null else ""
            cells += [number(row["value"]), interval(row["lo"], row["hi"]), span]
        yield cells


def _share_lines(rows: Rows) -> Any:
    doses = {row["edit"]: f"{row['value']:g}" for row in rows if row["name"] == "steer_dose"}
    for row in rows:
        kind, _, measure = row["name"].partition("_")
        if kind not in ("recovered", "removed") or measure not in MEASURES:
            continue
        null = [value for value in _random(rows, row) if value == value]
        numbers = number(row["value"]), interval(row["lo"], row["hi"])
        value = numbers if numbers[0] else ("none: RL's change may be 0", "")
        most = number(max(null, key=abs)) if null else ""
        way = WAYS[f"{kind} {row['edit']}"]
        yield MEASURES[measure], way, doses.get(row["edit"], ""), *value, most, row["n"], p_value(row["p"])


def _dose(row: dict[str, Any]) -> float | str | None:
    """The coefficient, or another way in which the direction was used."""
    dose: float | str | None = row["edit"] if row["coefficient"] is None else row["coefficient"]
    return dose


def _random(rows: Rows, own: dict[str, Any]) -> list[float]:
    """The same of every random direction."""
    mine = (row for row in rows if row["name"] == f"{own['name']}_random" and row["side"] == own["side"])
    return [row["value"] for row in mine if _dose(row) == _dose(own)]
