"""probe audit-reward: what does a reward pay for?"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from probe.cli import settings
from probe.cli.experiment_command import present
from probe.cli.groups import command
from probe.cli.show import interval, number, p_value, shown, table
from probe.errors import BadInput

if TYPE_CHECKING:
    from probe.experiments.result import Result
    from probe.experiments.reward_audit.sources import FromCheckpoint
    from probe.rewards import Reward

ROLLOUTS = "Responses in a file: columns problem, text and answer, as `probe sample` and `import-rollouts` write."
HEAD = ("measure", "value", "95 % interval", "n", "problems", "null", "p")


@command("audit-reward", place=145)
def audit_reward(
    reward: Annotated[str, typer.Argument(help="A reward of `probe ls rewards`, or JSON: '{\"reward\": ...}'.")],
    run: settings.Asking,
    checkpoint: Annotated[str | None, typer.Argument(help=settings.CHECKPOINT)] = None,
    rollouts: Annotated[Path | None, typer.Option("--rollouts", help=ROLLOUTS)] = None,
    labels: Annotated[
        Literal["gold", "offline_majority", "wrong_majority"],
        typer.Option(help="What the reward compares with; `incorrect` means wrong_majority."),
    ] = "gold",
    extract: Annotated[
        Literal["boxed", "answer_tag", "minerva", "marked", "final_number", "auto"],
        typer.Option(help="Where the answer stands in a text of the file."),
    ] = "boxed",
    samples: settings.Samples = 8,
    temperature: settings.Warm = 1.0,
) -> None:
    """Find out what a reward pays for, without training on it.

    On the responses of a checkpoint or of a file: what its scores go with (correctness, strategy, length, a box), each
    given the others, within problems; what is left under the prompt of another problem; which edits that should not
    matter move it; and how many groups it leaves without any difference. One sentence says what it comes to.
    """
    from probe.experiments.reward_audit.job import AuditJob
    from probe.experiments.reward_audit.sources import FromFile

    if (checkpoint is None) == (rollouts is None):
        raise BadInput("one source of responses is needed", where="audit-reward", do="name a checkpoint or --rollouts")
    source = FromFile(_there(rollouts), extract) if rollouts else _sampled(run, str(checkpoint), samples, temperature)
    job = AuditJob(_reward(reward), source, labels)
    title = f"{job.label}, labels {labels}"
    present(job, run, lambda result: _show(result, title), title=title, summary=_verdict)


def _sampled(run: settings.Asking, name: str, samples: int, temperature: float) -> "FromCheckpoint":
    from probe.experiments.responses import SampleJob
    from probe.experiments.reward_audit.sources import FromCheckpoint

    one = run.checkpoint(name)
    return FromCheckpoint(SampleJob(one, *run.of(one, samples=samples, temperature=temperature), run.compute()))


def _there(path: Path) -> Path:
    if not path.is_file():
        raise BadInput("no such file", where=str(path), do="write one: probe sample NAME --out FILE.parquet")
    return path


def _reward(said: str) -> "Reward":
    """By its name, or as a plain dict in JSON."""
    from probe.rewards import rewards
    from probe.rewards.compose import from_spec

    if not said.lstrip().startswith("{"):
        return rewards.get(said)()
    try:
        return from_spec(json.loads(said))
    except (json.JSONDecodeError, RecursionError) as err:
        raise BadInput(
            f"this is no JSON: {err}", where="REWARD", do='write {"reward": "random", "gamma": 0.1}'
        ) from err


def _verdict(result: "Result") -> dict[str, Any]:
    return {"verdict": next(row["reason"] for row in result.rows if row["name"] == "verdict")}


def _show(result: "Result", title: str) -> None:
    from probe.measurements import label

    rows = [row for row in result.rows if row["name"] != "verdict"]
    table(
        HEAD,
        [
            (
                f"{row['name']} {label(row)}".strip(),
                number(row["value"]) or row["reason"],
                interval(row["lo"], row["hi"]),
                row["n"],
                row["n_problems"],
                number(row["null"]),
                p_value(row["p"]),
            )
            for row in rows
        ],
        title,
        right=HEAD[1:],
    )
    shown(f"{title}: {_verdict(result)['verdict']}")
