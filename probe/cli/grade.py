"""probe grade: is the answer of each response right, and which rule says so?"""

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

import typer

from probe.cli import settings
from probe.cli.groups import command
from probe.cli.show import emit, number, shown, table

AT_ONCE = 256  # responses between two looks at how far it is


@command("grade", place=145)
def grade(
    file: Annotated[Path, typer.Argument(help="Responses: the columns problem, text and answer, in any format.")],
    extract: Annotated[
        Literal["boxed", "answer_tag", "minerva", "marked", "final_number", "auto"],
        typer.Option(help="Where the answer stands in a text; auto takes the first strict rule that finds one."),
    ] = "auto",
    strict: Annotated[
        list[str] | None,
        typer.Option(
            "--strict",
            metavar="POLICY",
            help="missing_base, missing_unit or percent_or_fraction shall not forgive; may be given several times.",
        ),
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Rules by verdicts, with an example of each.")] = False,
    as_json: settings.AsJson = False,
) -> None:
    """Grade a file of responses.

    Every verdict comes from one rule, in the order of the README. What a policy forgives (a missing unit, a missing
    base, percent or fraction) is counted under the policy's name.
    """
    from probe.cli.waiting import worked_off
    from probe.data import Outcome
    from probe.experiments.published_outputs.files import read_answers
    from probe.tasks.grading import Grader
    from probe.tasks.rules import RULES

    columns = read_answers(file)
    with Grader(extract=extract, strict=strict or ()) as grader:
        pairs = list(zip(columns["text"], columns["answer"], strict=True))
        grades = []
        for part in worked_off(pairs, AT_ONCE, "responses"):
            grades += grader.grade_many(*map(list, zip(*part, strict=True)))
    counts = Counter((each.rule, str(each.outcome)) for each in grades)
    read = Counter(each.extractor or "nothing" for each in grades)
    right = sum(each.outcome is Outcome.right for each in grades) / len(grades)
    if as_json:
        rules = [{"rule": rule, "outcome": outcome, "n": n} for (rule, outcome), n in sorted(counts.items())]
        return emit(
            {"n": len(grades), "right": right, "rules": rules, "extractors": dict(read), "grader": grader.version}
        )
    if explain:
        first = {
            (g.rule, str(g.outcome)): (gold, g.prediction) for g, gold in zip(grades, columns["answer"], strict=True)
        }
        outcomes = [str(each) for each in Outcome]
        rows = [
            (rule, *(counts[rule, outcome] or "" for outcome in outcomes), _example(rule, first))
            for rule in RULES
            if any(counts[rule, outcome] for outcome in outcomes)
        ]
        table(("rule", *outcomes, "one of them: gold, answer"), rows, right=outcomes)
    shown(f"{len(grades)} responses, {number(right)} right")
    shown("answers read by " + ", ".join(f"{name}: {n}" for name, n in read.most_common()))


def _example(rule: str, first: dict[tuple[str, str], tuple[str, str | None]]) -> str:
    gold, answer = next(pair for (name, _), pair in first.items() if name == rule)
    return f"{gold[:24]}, {(answer or 'none')[:24]}"
