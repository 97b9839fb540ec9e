"""What does the card of a checkpoint that was made here say? Of an organism, and of a GRPO run from one."""

from typing import TYPE_CHECKING, Any

from probe.models.loading.card import PACKAGE, Card, package_version

if TYPE_CHECKING:
    from probe.checkpoints.checkpoint import Checkpoint
    from probe.checkpoints.organism_job import OrganismJob
    from probe.checkpoints.run_job import RunJob

ONLY = "Made to study what a reward changes inside a model, not to be used."
TAGS = ["model-organism", "rlvr", PACKAGE]


def organism_card(job: "OrganismJob", *, untied: bool = False) -> Card:
    """Of a pretrained organism; `untied` where its output head is a copy of the embedding."""
    trunk = job.trunk
    said = (
        f"A model organism: a tiny language model, pretrained by {PACKAGE} {package_version()} on made-up arithmetic."
    )
    facts = {"family": f"{job.family}, size {job.size}, seed {job.seed}"}
    facts |= {"goes on from": trunk.label} if trunk else {}
    facts |= {"output head": "untied from the embedding, with the same values"} if untied else {}
    facts |= {"made by": f"recipe {job.recipe.digest}"}
    facts |= {"what RL will change": "`probe forecast THIS_FOLDER`"}
    return Card(job.label, f"{said} {ONLY}", facts, _head(TAGS), job.recipe.params)


def run_card(job: "RunJob", step: int) -> Card:
    """Of an organism after `step` batches of a run."""
    how, base = job.grpo, job.organism.label
    trained = {"head": "the output head", "all": "every weight"}.get(str(how.trainable), str(how.trainable))
    return Card(
        f"{base} after {step} batches of GRPO under the reward {job.name}",
        f"Trained: {trained}, by {PACKAGE} {package_version()}, seed {how.seed}. A batch is {how.prompts} prompts x"
        f" {how.samples} responses and {how.updates} updates. {ONLY}",
        {
            "what changed": f"`probe compare {base} THIS_FOLDER`",
            "labels": str(job.recipe.params["labels"]["labels"]),
            "made from": ", ".join(job.recipe.inputs),
            "made by": f"recipe {job.recipe.digest}",
        },
        _head(["grpo", *TAGS], base=base),
        job.recipe.params,
    )


def card_of(checkpoint: "Checkpoint") -> Card:
    """Of any checkpoint that was made here."""
    if checkpoint.run is not None:
        return run_card(checkpoint.run, checkpoint.step)
    assert checkpoint.organism is not None
    return organism_card(checkpoint.organism)


def _head(tags: list[str], base: str = "") -> dict[str, Any]:
    return ({"base_model": base} if base else {}) | {"library_name": "transformers", "tags": tags}
