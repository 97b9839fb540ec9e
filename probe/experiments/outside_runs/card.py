"""What does the card of a checkpoint that was trained from outside weights say? What the run is a function of."""

from collections.abc import Mapping
from typing import Any

from probe.models.loading.card import PACKAGE, Card, package_version


def card(base: str, reward: str, step: int, recipe: dict[str, Any], inputs: tuple[str, ...], labels: dict) -> str:
    """The card after `step` batches; `recipe` and `inputs` are those of the job, `labels` its report."""
    lora = recipe["lora"]
    trained = f"a LoRA adapter of rank {lora['rank']}" if lora else "every weight"
    asked = recipe["prompts"], recipe["samples"], recipe["updates"]
    use = f"probe compare {base} {base}+THIS_FOLDER" if lora else f"probe compare {base} THIS_FOLDER"
    return Card(
        f"{base} after {step} batches of GRPO under the reward {reward}",
        f"Trained: {trained}, by {PACKAGE} {package_version()}, seed {recipe['seed']}. A batch is {asked[0]} prompts x"
        f" {asked[1]} responses and {asked[2]} updates. Made to study what the reward changes, not to be used.",
        {
            "what changed": f"`{use}`",
            "problems": str(recipe["problems"]),
            "made from": ", ".join(inputs),
            "labels": labels_said(recipe, labels),
        },
        {
            "base_model": base,
            "library_name": "peft" if lora else "transformers",
            "tags": ["grpo", "rlvr", PACKAGE],
        },
        recipe,
    ).text()


def labels_said(recipe: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """One line of the report."""
    said = f"{recipe['labels']['labels']}, {report['kept']} of {report['problems']} problems kept"
    for name, meaning in (("right", "of them right"), ("leak", "right among majorities spelled otherwise")):
        share = report.get(name)
        if share and share["n"]:
            said += f"; {meaning}: {share['value']:.3f} [{share['lo']:.3f}, {share['hi']:.3f}], n = {share['n']}"
    return said
