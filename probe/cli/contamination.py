"""probe contamination: has a checkpoint read these problems?"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from probe.cli import settings
from probe.cli.experiment_command import present
from probe.cli.groups import command
from probe.cli.show import interval, number, p_value, say, shown, table

if TYPE_CHECKING:
    from probe.experiments.contamination.job import ContaminationJob

Rows = Sequence[dict[str, Any]]
SIGNS = ("completion_exact", "completion_rouge_l", "completion_answer", "prompt_nll", "answer_nll")
TOLD = dict(
    zip(SIGNS, ("exact match", "ROUGE-L", "answer right", "NLL of the question", "NLL of the answer"), strict=True)
)
LEAK = ("sign", "suspects", "controls", "difference", "95 % interval", "n", "p", "p (Holm)", "leak")
MOVED = ("sign", "group", "change", "95 % interval", "n", "null", "p", "p (Holm)")
SHOWN = (60, None)  # of the shares, in the table of changes
Control = Annotated[str | None, typer.Option(help="Problems that cannot have leaked: a name or a file [chain: fresh].")]


@command("contamination", place=80)
def contamination(
    name: settings.Before,
    run: settings.Settings,
    after: settings.MaybeAfter = None,
    problems: settings.Problems = settings.CHAIN,
    control: Control = None,
    limit: settings.Limit = None,
    max_new: Annotated[int | None, typer.Option("--max-new", min=1, help="New tokens [chain: 32, else 1024].")] = None,
    batch: settings.Batch = None,
) -> None:
    """Look for signs that problems were read in training.

    The checkpoint is given the beginning of every problem and goes on; it scores every question and answer. Suspected
    problems are held against controls that it cannot have read. With AFTER: what RL changed, problem by problem.
    """
    from probe.experiments.contamination.job import ContaminationJob
    from probe.experiments.contamination.problem_sets import sets
    from probe.rollouts.options import Compute
    from probe.tasks.benchmarks import problems as problem_set

    fresh = problem_set(control, limit=limit) if control else None
    both = sets(problem_set(problems, limit=limit), fresh)
    pair = run.pair(name, after)
    job = ContaminationJob(pair, both, max_new or both.max_new, Compute(batch or 64))
    present(job, run, lambda result: _show(result.rows, job), summary=lambda result: {"left_out": both.left_out})


def _show(rows: Rows, job: "ContaminationJob") -> None:
    """A table a checkpoint, and one of the changes."""
    asked = f"{job.sets.suspect.name} against {job.sets.control.name}"
    for side, one in job.pair.sides.items():
        mine = [row for row in rows if row["side"] == side]
        table(LEAK, list(_leak_lines(mine)), f"{one.name}: {asked}", right=LEAK[1:])
        shown(f"{one.name}: {_verdict(mine)}{_auroc(mine)}")
    moved = [row for row in rows if row["side"] == "change" and row["given"] in SHOWN]
    if moved:
        title = f"{job.pair.label}: changes, paired by problem (--json has all)"
        table(MOVED, _moved_lines(moved), title, right=MOVED[2:])
    if job.sets.left_out:
        say(f"{job.sets.left_out} problems are too short to be cut and were left out")


def _leak_lines(mine: Rows) -> Any:
    at = {(row["name"], row["group"], row["given"]): row for row in mine}
    for flag in _flags(mine):
        groups = ("suspect", "control", "difference")
        suspects, controls, apart = (at[flag["sign"], group, flag["given"]] for group in groups)
        yield (
            _sign(flag["sign"], flag["given"]),
            number(suspects["value"]),
            number(controls["value"]),
            number(apart["value"], sign=True),
            interval(apart["lo"], apart["hi"]),
            apart["n"],
            p_value(apart["p"]),
            p_value(flag["p"]),
            "yes" if flag["value"] else "no",
        )


def _flags(mine: Rows) -> list[dict[str, Any]]:
    return [row for row in mine if row["name"] == "leak_flag"]


def _sign(name: str, given: int | None) -> str:
    """A sign, for a reader."""
    return f"{TOLD[name]} {'(nats a token)' if given is None else f'({given}% given)'}"


def _verdict(mine: Rows) -> str:
    raised = [row["sign"] for row in _flags(mine) if row["value"]]
    if any(sign.startswith("completion") for sign in raised):
        return "the suspects are remembered: questions are completed that controls are not"
    if raised:
        return "suspects are likelier than controls, and not completed: a leak, or easier problems"
    return "no sign of a leak"


def _auroc(mine: Rows) -> str:
    """Where something leaks and it is known what: how well single problems can be told apart."""
    from probe.experiments.contamination.job import ALL_SIGNS

    row = next((row for row in mine if (row["name"], row["sign"]) == ("leak_auroc", ALL_SIGNS)), None)
    if row is None or not any(flag["value"] for flag in _flags(mine)):
        return ""
    told = f"AUROC {number(row['value'])} {interval(row['lo'], row['hi'])}"
    return f"; of the {row['n']} suspects, the leaked ones are told from the others with {told} (null .5)"


def _moved_lines(moved: Rows) -> list[tuple[str, ...]]:
    """Holm's family is what is shown."""
    from probe.stats import holm

    lines: list[tuple[str, ...]] = []
    for row, adjusted in zip(moved, holm([row["p"] for row in moved]).tolist(), strict=True):
        group = row["group"]
        numbers = (number(row["value"], sign=True), interval(row["lo"], row["hi"]), str(row["n"]), number(row["null"]))
        who = "suspects - controls" if group == "difference" else f"{group}s"
        lines.append((_sign(row["name"], row["given"]), who, *numbers, p_value(row["p"]), p_value(adjusted)))
    return lines
