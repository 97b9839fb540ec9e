"""What does whoever finds the folder of a trained checkpoint need to know? Its README.md, a Hugging Face model card.

Only what the run is a function of, and what its labels were: no dates and no paths, so the same run has the same card.
"""

import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGE = "rlvr-probe"


def card(base: str, reward: str, step: int, recipe: dict[str, Any], inputs: tuple[str, ...], labels: dict) -> str:
    """The card after `step` batches; `recipe` and `inputs` are those of the job, `labels` its report."""
    lora = recipe["lora"]
    head = ["---", f"base_model: {json.dumps(base)}", f"library_name: {'peft' if lora else 'transformers'}"]
    head += ["tags: [grpo, rlvr, rlvr-probe]", "---"]
    trained = f"a LoRA adapter of rank {lora['rank']}" if lora else "every weight"
    asked = recipe["prompts"], recipe["samples"], recipe["updates"]
    use = f"probe compare {base} {base}+THIS_FOLDER" if lora else f"probe compare {base} THIS_FOLDER"
    lines = [
        f"# {base} after {step} batches of GRPO under the reward {reward}",
        "",
        f"Trained: {trained}, by {PACKAGE} {package_version()}, seed {recipe['seed']}. A batch is {asked[0]} prompts x"
        f" {asked[1]} responses and {asked[2]} updates. Made to study what the reward changes, not to be used.",
        "",
        f"* what changed: `{use}`",
        f"* problems: {recipe['problems']}",
        f"* made from: {', '.join(inputs)}",
        f"* labels: {labels_said(recipe, labels)}",
        "",
        "## Recipe",
        "",
        "```json",
        json.dumps(recipe, indent=2, sort_keys=True),
        "```",
    ]
    return "\n".join([*head, *lines, ""])


def package_version() -> str:
    """Of this package, as it is installed."""
    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        return "(not installed)"


def labels_said(recipe: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """One line of the report."""
    said = f"{recipe['labels']['labels']}, {report['kept']} of {report['problems']} problems kept"
    for name, meaning in (("right", "of them right"), ("leak", "right among majorities spelled otherwise")):
        share = report.get(name)
        if share and share["n"]:
            said += f"; {meaning}: {share['value']:.3f} [{share['lo']:.3f}, {share['hi']:.3f}], n = {share['n']}"
    return said
