"""What a run on weights from outside left, as checkpoints: its kept steps, and a random change as large as its own."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from outside_checkpoints import save_tiny

import probe
from probe.checkpoints.checkpoint import Checkpoint
from probe.checkpoints.outside import Folder
from probe.checkpoints.pair import Pair
from probe.engine.executor import make
from probe.errors import BadInput
from probe.experiments.outside_runs.curve import OutsideCurveJob
from probe.experiments.outside_runs.job import OutsideRunJob, step_files
from probe.experiments.outside_runs.kept import NULL, checkpoint_of, drawn_like, length, random_change_of
from probe.experiments.outside_runs.recipe import recipe_of
from probe.models.loading.adapter import load_adapter
from probe.models.loading.load import load_folder
from probe.rl.causal_policy import Memory
from probe.rl.labels import Gold
from probe.rl.lora import Lora
from probe.rng import torch_rng
from probe.rollouts.elicitation import Elicitation
from probe.rollouts.options import SamplingOptions
from probe.store import Store
from probe.tasks.benchmarks import problems

SIZES: dict[str, Any] = {"prompts": 2, "samples": 4, "updates": 2, "batches": 2, "save_every": 1, "max_new": 6}
TWICE = SamplingOptions(samples=2, max_new=6)


def asked(first: int, n: int = 3) -> Elicitation:
    every = problems("random-calculation", limit=first + n)
    return Elicitation(replace(every, problems=every.problems[first:], pin=f"{first} and {n}"))


def run_of(folder: Path, reward: str = "random", lora: int | None = 2) -> OutsideRunJob:
    grpo, how = recipe_of(reward, lora=lora, lr=0.02, **SIZES)
    base = Checkpoint("base", Folder(folder, "base"))
    return OutsideRunJob(reward, base, asked(3), grpo, Gold(), how, memory=Memory(tokens=200, rows=8))


@pytest.mark.parametrize("lora", [2, None], ids=["lora", "all"])
def test_a_kept_step_is_a_checkpoint(tmp_path: Path, lora: int | None) -> None:
    base = save_tiny("llama", tmp_path / "base")
    store, run = Store(tmp_path / "s"), run_of(base, lora=lora)
    first, last = checkpoint_of(run, 1), checkpoint_of(run)
    assert (first.step, last.step, last.name) == (1, 2, "base random seed 0@2")
    assert run.recipe.digest in last.inputs and not first.is_same(last) and last.is_same(checkpoint_of(run, 2))
    assert last.is_outside and last.family == "base" and last.trained is not None and last.trained.name == "random"
    make(last.needs, store)
    read = last.load(store)
    files = step_files(store.get(run.recipe), 2)
    folder = next(iter(files.values())).parent
    again = load_adapter(load_folder(base), folder) if lora else load_folder(folder)
    plain, ids = load_folder(base).model, torch.tensor([[5, 9, 40, 41, 7]])
    with torch.no_grad():
        assert torch.equal(read.model(ids).logits, again.model(ids).logits)
        assert not torch.equal(read.model(ids).logits, plain(ids).logits)


def test_what_is_not_kept_or_cannot_be_read_is_refused(tmp_path: Path) -> None:
    run = run_of(save_tiny("llama", tmp_path / "base"))
    with pytest.raises(BadInput, match=r"no step 3 is kept.*\n?.*1, 2"):
        checkpoint_of(run, 3)
    over = replace(run, checkpoint=checkpoint_of(run))  # LoRA on LoRA
    with pytest.raises(BadInput, match="an adapter on top of an adapter"):
        checkpoint_of(over)
    with pytest.raises(BadInput, match="every weight was trained"):
        random_change_of(replace(run, lora=None))


def test_a_random_change_is_as_long_in_every_matrix_and_points_elsewhere(tmp_path: Path) -> None:
    lora, trained = Lora(4, 8.0), {}
    for name, rows in (("model.q", 24), ("model.up", 64)):
        trained[f"{name}.lora_A.weight"] = torch.randn(4, 32, generator=torch_rng("made", name, "a"))
        trained[f"{name}.lora_B.weight"] = torch.randn(rows, 4, generator=torch_rng("made", name, "b"))
    drawn = drawn_like(trained, lora, 0)
    assert set(drawn) == set(trained)
    for name in ("model.q", "model.up"):
        a, b = f"{name}.lora_A.weight", f"{name}.lora_B.weight"
        old, new = (each[b].detach() @ each[a].detach() for each in (trained, drawn))
        assert new.norm() == pytest.approx(float(old.norm()), rel=1e-4)
        assert length(trained[a], trained[b]) == pytest.approx(float(old.norm()), rel=1e-5)
        assert abs(torch.nn.functional.cosine_similarity(old.flatten(), new.flatten(), dim=0)) < 0.1
    again, other = drawn_like(trained, lora, 0), drawn_like(trained, lora, 1)
    assert all(torch.equal(drawn[name], again[name]) and not torch.equal(drawn[name], other[name]) for name in drawn)
    zero = {name: each * (".lora_A." in name) for name, each in trained.items()}
    assert all(not each.any() for name, each in drawn_like(zero, lora, 0).items() if ".lora_B." in name)


def test_the_curve_of_a_run_beside_a_random_change(tmp_path: Path) -> None:
    base = save_tiny("qwen2", tmp_path / "base")
    store, run = Store(tmp_path / "s"), run_of(base)
    job = OutsideCurveJob("mine", run, asked(0), TWICE)
    make([job], store)
    rows = store.get(job.recipe).read_table().to_pylist()
    told = {(row["reward"], row["kind"], row["step"]) for row in rows if row["name"] == "code_share"}
    assert told == {("random", "rl", 1), ("random", "rl", 2), (f"{NULL} as under random", "null", 2)}
    assert all(row["clip"] == "0.2" and row["family"] == "base" and row["temperature"] == 1.0 for row in rows)
    shares = [row for row in rows if row["name"] == "code_share" and row["side"] == "change" and not row["strategy"]]
    assert len(shares) == 3 and all(row["n_problems"] == 3 for row in shares)
    logged = [row for row in rows if row["name"] == "train/reward"]
    assert [row["step"] for row in logged] == [1, 2]
    assert {"before", "after", "change"} <= {row["side"] for row in rows if row["name"] == "held_out_entropy"}


def test_a_pair_of_a_run_is_measured_like_any_other(tmp_path: Path) -> None:
    base = save_tiny("llama", tmp_path / "base")
    run = run_of(base)
    pair, null = (Pair(run.checkpoint, after) for after in (checkpoint_of(run), random_change_of(run)))
    assert (pair.kind, null.kind) == ("rl", "null") and not null.is_null
    assert pair.informative is False
    key = pair.reward_key("mine", 1.0)
    assert (key.reward, key.rl_seed, key.step) == ("random", 0, 2)


def test_the_python_face_trains_any_causal_model(tmp_path: Path) -> None:
    base, store = save_tiny("qwen2", tmp_path / "base"), Store(tmp_path / "s")
    ask, where = {"limit": 4, "max_new": 6}, {"store": store, "progress": False}
    how: dict[str, Any] = {"problems": "random-calculation", "ask": ask, "lora": 2, "where": where, **SIZES}
    made = probe.train_outside(str(base), "random", **how)
    assert len(made.log) == 2 and "reward" in made.log[0]
    assert (made.pair.kind, made.null_pair.kind) == ("rl", "null") and made.checkpoint.step == 2
    assert store.holds(made.job.recipe) and not store.holds(made.null_pair.trained.needs[0].recipe)
    assert len(made.job.elicitation.problems.problems) == 4 and "kept after 1, 2 batches" in repr(made)
    with pytest.raises(BadInput, match="is made here"):
        probe.train_outside("latent-code-tiny-0", "random", problems="gsm8k")
    with pytest.raises(BadInput, match="no preset 'paper'"):
        probe.train_outside(str(base), "random", problems="random-calculation", preset="paper")
