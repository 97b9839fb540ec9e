"""Texts of models, up to a million characters, through every reader of answers and detector, and through the grader."""

import json
from collections.abc import Callable

from torture.inputs import strange
from torture.scene import Scene, case
from torture.verdict import judge


def readers() -> dict[str, Callable[[str], object]]:
    """Everything that reads a text of a model or a published answer."""
    from probe import strategy
    from probe.rewards import rewards
    from probe.tasks import (
        answers,
        arithmetic,
        code_blocks,
        equations,
        extractors,
        final_answer,
        gold,
        grading,
        normalise,
        validity,
    )
    from probe.tasks.reading import dress, groups, numerals, regions, unicode, units, words

    reward = {f"reward {name}": _rewarded(rewards.get(name)) for name in ("format", "python")}
    return (
        reward
        | extractors.ONE_RULE
        | {
            "own_turn": answers.own_turn,
            "final_answer_at": final_answer.final_answer_at,
            "blocks": lambda text: list(code_blocks.blocks(text)),
            "arithmetic": arithmetic.read,
            "equations": equations.equations,
            "gold_answer": gold.gold_answer,
            "marked_answer": gold.marked_answer,
            "normalise": normalise.normalise,
            "undress": dress.undress,
            "plain": unicode.plain,
            "number": numerals.number,
            "group": groups.group,
            "region": regions.region,
            "units": units.split,
            "clock": words.clock,
            "is_word": words.is_word,
            "is_readable": grading.is_readable,
            "cheap": lambda text: grading.cheap(text, "5"),
            "cheap gold": lambda text: grading.cheap("5", text),
            "check_text": validity.check_text,
            "trace_valid": lambda text: validity.trace_valid("A:1+2=", text),
            "detect": strategy.detect,
            "mentions_python": strategy.mentions_python,
        }
    )


def _rewarded(kind: Callable[[], Callable[..., object]]) -> Callable[[str], object]:
    return lambda text: kind()(completions=[text], prompts=["1+1="], answers=["2"])


@case("input", "text", 7)
def text(scene: Scene) -> None:
    """One adversarial text through one reader; then through all of them at once."""
    rng = scene.rng
    given = strange.adversarial(rng)
    chosen = rng.choice((*sorted(readers()), "all"))

    def call() -> None:
        for name, read in readers().items():
            if chosen in (name, "all"):
                read(given)

    scene.count("input")
    ran = scene.call(call, f"{chosen} of {given[:40]!r}... ({len(given)} characters)")
    scene.faults += judge(ran, False)


@case("input", "graded", 4)
def graded(scene: Scene) -> None:
    """Adversarial answers and texts in a file that is imported and graded, worker and all."""
    rng = scene.rng
    rows = []
    for i in range(rng.choice((1, 3))):
        body = strange.adversarial(rng) if rng.random() < 0.5 else strange.text(rng, 300)
        gold = strange.text(rng, 300) if rng.random() < 0.5 else rng.choice(("x+1", "\\frac{1}{2}", "5", "(1,2)"))
        rows.append({"problem": f"p{i}", "text": f"{body} \\boxed{{{_answer(scene)}}}", "answer": gold})
    written = "".join(json.dumps(row) + "\n" for row in rows)
    (scene.folder / "file.jsonl").write_text(written)
    how = rng.choice(("boxed", "answer_tag", "final_number"))
    scene.check("import-rollouts", "file.jsonl", "--out", "out.parquet", "--grade", how, bad=None)


def _answer(scene: Scene) -> str:
    rng = scene.rng
    towers = ("9^{9^{9^9}}", "10000000!", "(" * 60 + "1" + ")" * 60, "x^{x^{x^x}}", "\\sqrt" * 90 + "2", "1/0", "0^0")
    return rng.choice((*towers, strange.text(rng, 300), "1+x", "\\sum_{i=1}^{10^{9}} i", "\\binom{10^9}{5}"))
