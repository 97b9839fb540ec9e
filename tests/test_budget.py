"""Memory and time worked out by hand for a 7B pair, from the manifest and from a checkpoint's own files."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from outside_checkpoints import save_tiny

from probe.checkpoints.pair import Pair
from probe.checkpoints.resolve import resolve
from probe.data import Problem
from probe.engine.grid.resources import Resources
from probe.engine.job import Job
from probe.errors import BadInput
from probe.experiments.budget import BANDWIDTH, CORE_FLOPS, FLOPS, PROMPT, SLACK, Budget, Work, budget, peak, size_of
from probe.experiments.compare.job import CompareJob
from probe.experiments.resources import GPU, resources
from probe.models.loading.manifest import load_manifest
from probe.rollouts.elicitation import Elicitation
from probe.rollouts.options import Compute, SamplingOptions
from probe.tasks.benchmarks import ProblemSet

MANIFEST = load_manifest(Path(__file__).parents[1] / "checkpoints_manifest.yaml")
PAIR = ("qwen2.5-math-7b", "qwen2.5-math-7b-ground_truth-150")
N = 500


def job(dtype: str = "bfloat16", samples: int = 8, **changes: object) -> CompareJob:
    problems = ProblemSet("math500", tuple(Problem(str(i), "q", "1", "math500") for i in range(N)), "public", "", "")
    before, after = (resolve(name, MANIFEST, dtype=dtype) for name in PAIR)
    options = SamplingOptions(samples=samples, max_new=3072)
    return CompareJob(Pair(before, after), Elicitation(problems), options, compute=Compute(64), **changes)  # type: ignore[arg-type]


def needed(*jobs: Job) -> Budget:
    found = budget(jobs)
    assert found is not None
    return found


def test_a_7b_pair_by_hand() -> None:
    found = needed(job())
    assert found.weights == 2 * 7_615_616_512 * 2
    assert found.cache == 2 * 28 * 4 * 128 * 2 * 64 * (PROMPT + 3072)  # 57 kB a token
    assert found.memory == max(found.weights / 2 + found.cache, found.weights) + SLACK
    step = (7_615_616_512 * 2 + 64 * 57_344 * (PROMPT + 1536)) / BANDWIDTH  # slower than its launches and its products
    steps = (-(-N * 8 // 64) + -(-N // 64)) * 3072  # sampled, then greedy: two jobs with a last batch each
    prefill = 2 * 7_615_616_512 * (N * 8 + N) * PROMPT / FLOPS["bfloat16"]
    assert found.sampling_hours == pytest.approx(2 * (steps * max(step, 28e-3) + prefill) / 3600)
    assert found.reading_hours == pytest.approx(2 * 4 * 7_615_616_512 * N * (PROMPT + 3072) / FLOPS["bfloat16"] / 3600)
    assert found.hours == found.sampling_hours + found.reading_hours


def test_it_grows_with_what_is_asked() -> None:
    small, prompts = needed(job()), needed(job(prompts=(("boxed", MANIFEST.template("boxed")),)))
    assert prompts.sampling_hours > small.sampling_hours and prompts.cache == small.cache
    assert needed(job(samples=16)).sampling_hours > 1.5 * small.sampling_hours
    assert needed(job("float32")).weights == 2 * small.weights


def test_a_folder_tells_its_own_size(tmp_path: Path) -> None:
    folder = save_tiny("llama", tmp_path / "m")
    size = size_of(resolve(str(folder), MANIFEST))
    model = resolve(str(folder), MANIFEST)
    stored = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    assert (size.shape.layers, size.shape.d_model, size.shape.kv_heads, size.shape.d_head) == (2, 32, 2, 8)
    assert size.parameters == pytest.approx(stored / 4, rel=0.01) and model.name == "m"


def test_small_models_are_also_told_for_a_core_by_hand() -> None:
    """Without its weights: from the manifest alone. Nothing is said of what no core could do."""
    assert needed(job()).core_hours == 0.0
    small = resolve("smollm2-135m", MANIFEST)
    found = needed(replace(job(), pair=Pair(small, small)))
    sampled, read = (2 * N * 8 + N) * (PROMPT + 3072), 2 * N * (PROMPT + 3072)  # greedy, both sides are one job
    assert found.core_hours == pytest.approx(2 * 134_515_008 * (sampled + 2 * read) / CORE_FLOPS / 3600)


def test_what_cannot_be_known_is_said(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(BadInput, match="does not say the shape"):
        size_of(resolve(str(tmp_path), MANIFEST))
    with pytest.raises(BadInput, match="needs no GPU"):
        size_of(resolve("latent-code-tiny-0", MANIFEST))


@dataclass(frozen=True)
class Working(Job):
    """A job that says what it does to checkpoints."""

    work: tuple[Work, ...]


def test_what_a_job_takes_of_a_node_by_hand() -> None:
    """One core on organisms; on a GPU as many as the peak fills and memory to load; without one, memory for all."""
    before, after = (resolve(name, MANIFEST, dtype="bfloat16", device_map="auto") for name in PAIR)
    weights, cache = 7_615_616_512, 2 * 28 * 4 * 128 * 2 * 64 * (PROMPT + 3072)
    one = Working((Work(before, rows=64, new=3072),))
    assert resources(one) == Resources(1, 1, SLACK + 4 * weights)
    assert peak(one.work) == 2 * weights + cache + SLACK < GPU
    four = Working((Work(before, rows=64, new=3072, copies=4), Work(after, read=10)))
    assert resources(four) == Resources(1, 2, SLACK + 4 * weights)
    assert GPU < peak(four.work) == 5 * 2 * weights + cache + SLACK < 2 * GPU
    here = replace(before, device_map=None)
    assert resources(Working((Work(here, rows=64, new=3072),))) == Resources(1, 0, 2 * weights + cache + SLACK)
    organism = resolve("latent-code-tiny-0", MANIFEST)
    assert resources(Working((Work(organism, rows=64, new=20),))) == Resources(1, 0, 0.0) == resources(Working(()))
