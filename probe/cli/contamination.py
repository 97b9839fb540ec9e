"""probe contamination: has a checkpoint read these problems?"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from probe.cli import asking
from probe.cli.app import app
from probe.cli.names import CHECKPOINT, ManifestFile, subject
from probe.cli.options import FIGURES, AsJson, Dry, Figures, Root, Workers, open_store
from probe.cli.plans import announce
from probe.cli.show import emit, interval, messages, number, p_value, say, shown, table

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


@app.command("contamination")
def contamination(
    name: Annotated[str, typer.Argument(help=CHECKPOINT)],
    after: Annotated[str | None, typer.Argument(help="The same after RL.")] = None,
    problems: asking.Problems = asking.CHAIN,
    control: Control = None,
    limit: asking.Limit = None,
    max_new: Annotated[int | None, typer.Option("--max-new", min=1, help="New tokens [chain: 32, else 1024].")] = None,
    dtype: asking.DtypeOption = "float32",
    device_map: asking.DeviceMap = None,
    batch: asking.Batch = 64,
    dry: Dry = False,
    workers: Workers = None,
    store: Root = None,
    figures: Figures = FIGURES,
    manifest: ManifestFile = None,
    as_json: AsJson = False,
) -> None:
    """Look for signs that problems were read in training.

    The checkpoint is given the beginning of every problem and goes on; it scores every question and answer. Suspected
    problems are held against controls that it cannot have read. With AFTER: what RL changed, problem by problem.
    """
    from probe.engine.progress import Progress
    from probe.engine.runner import plan, pool_size
    from probe.experiments.contamination import job as leak
    from probe.experiments.contamination.problem_sets import sets
    from probe.tasks.benchmarks import problems as problem_set

    held = open_store(store)
    first, second = (subject(each, manifest, dtype, device_map) if each else None for each in (name, after))
    assert first is not None
    fresh = problem_set(control, limit=limit) if control else None
    both = sets(problem_set(problems, limit=limit), fresh)
    job = leak.ContaminationJob(first, second, both, max_new or both.max_new, batch)
    if dry:
        return announce(plan([job], held), held, pool_size(workers), job.label, as_json)
    with Progress(messages(), held, pool_size(workers)) as progress:
        hear: dict[str, Any] = {"on_plan": progress.on_plan, "on_done": progress.on_done, "on_part": progress.on_part}
        rows = leak.contamination(job, held, workers=workers, **hear).to_pylist()
    if as_json:
        emit({"digest": job.recipe.digest, "left_out": both.left_out, "measurements": rows})
    else:
        _show(rows, job)
    from probe.experiments.study import draw

    draw(rows, [job.recipe.digest], figures, lambda file: say(f"drew {file.with_suffix('.png')}"), ("contamination",))


def _show(rows: Rows, job: "ContaminationJob") -> None:
    """A table a checkpoint, and one of the changes."""
    asked = f"{job.sets.suspect.name} against {job.sets.control.name}"
    for side, one in (("before", job.before), ("after", job.after)):
        mine = [row for row in rows if row["side"] == side]
        if one is not None:
            table(LEAK, list(_leak_lines(mine)), f"{one.name}: {asked}", right=LEAK[1:])
            shown(f"{one.name}: {_verdict(mine)}{_auroc(mine)}")
    moved = [row for row in rows if row["side"] == "change" and row["given"] in SHOWN]
    if moved and job.after is not None:
        title = f"{job.before.name} -> {job.after.name}: changes, paired by problem (--json has all)"
        table(MOVED, _moved_lines(moved), title, right=MOVED[2:])
    if job.sets.left_out:
        say(f"{job.sets.left_out} problems are too short to be cut and were left out")
    say(f"kept as measurements {job.recipe.digest[:16]}")


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
