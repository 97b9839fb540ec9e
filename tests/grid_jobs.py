"""Jobs for tests of other places: workers there call these functions by name. A study of real jobs, made in seconds."""

from toy_jobs import Toy, diamond

from probe.engine.job import Job
from probe.families import Family, families
from probe.studies import studies


@families.register("quick-code")
def quick_code() -> Family:
    """Code and prose in equal parts, hardly trained."""
    return Family((0.5, 0.5, 0.5, 0.5), 1.0, 1.0, 1.0, 1.0, steps={"tiny": 4})


@studies.register("quick", order=5, in_all=False)
def quick() -> list[Job]:
    """Two organisms of a few steps, and two RL batches of each."""
    from probe.checkpoints.organism_job import OrganismJob
    from probe.checkpoints.run_job import RunJob
    from probe.rewards import rewards
    from probe.rl.labels import Gold
    from probe.rl.train import GRPO

    small = {"batches": 2, "save_every": 2, "prompts": 4, "samples": 4, "updates": 1, "seed": 9}
    recipe = GRPO(rewards.get("format")(), **small)  # type: ignore[arg-type]
    return [RunJob("format", OrganismJob("quick-code", "tiny", seed), recipe, Gold()) for seed in (0, 1)]


TOYS = {
    "diamond": diamond(),
    "clearly": diamond(fails="clearly"),
    "obscurely": diamond(fails="obscurely"),
    "fatally": diamond(fails="fatally"),
    "twice": Toy("top", (Toy("hurt", fails="twice"), Toy("other"))),
}


def toys(name: str) -> list[Job]:
    """Toys of `toy_jobs`."""
    return [TOYS[name]]
