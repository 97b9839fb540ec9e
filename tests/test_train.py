"""Training moves what it should and nothing else, says when it cannot go on, and after a kill ends in the same bits."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from grpo_cases import every_row, experience, pool, recipe
from safetensors.torch import load_file, save_file

from probe.errors import BadInput, ProbeError
from probe.models.loading.load import Loaded, load_folder, save_folder
from probe.rewards import rewards
from probe.rl.advantage import Centred, PositiveOnly
from probe.rl.labels import OneShot
from probe.rl.loss import Loss
from probe.rl.policy import HEAD, Policy, build_policy
from probe.rl.rollout import questions
from probe.rl.train import GRPO, METRICS, load_overlay, read_metrics, train, update
from probe.store import Recipe
from probe.store.files import DIGESTS, SPOILT, TEMPORARY
from probe.tasks.chain import chain_problems

LAST = "step-002.safetensors"


def run(organism: Loaded, out: Path, how: GRPO, **options: Any) -> Policy:
    asked = options.pop("asked", None) or pool(organism)
    return train(organism.model, organism.tokenizer, asked, how, out, **options)


def contents(out: Path) -> dict[str, bytes]:
    """What becomes the artifact: every file but the state to resume from, digests, and what a killed write left."""
    left = (TEMPORARY, DIGESTS, SPOILT)
    files = (p for p in sorted(out.iterdir()) if p.is_file() and not any(p.match(kind) for kind in left))
    return {p.name: p.read_bytes() for p in files}


def base_tensors(organism: Loaded, trainable: str) -> dict[str, torch.Tensor]:
    named = dict(organism.model.named_parameters())
    return {HEAD: organism.model.lm_head.weight} if trainable == "head" else named


# ---- the recipe


@pytest.mark.parametrize(
    ("change", "message"),
    [
        *(
            ({name: 0}, f"{name} is 0")
            for name in ("batches", "prompts", "samples", "updates", "max_new", "save_every")
        ),
        *(({name: bad}, name) for name in ("lr", "grad_norm", "temperature") for bad in (0.0, -1.0, float("nan"))),
        ({"updates": 3}, "do not split into 3"),
        ({"trainable": "lora"}, r"(?s)'lora'.*head"),
    ],
)
def test_an_impossible_recipe_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        recipe(**change)


def test_every_field_is_part_of_the_identity() -> None:
    changed = {
        "reward": rewards.get("python")(),
        "advantage": Centred(),
        "loss": Loss(),
        "trainable": "all",
        "lr": 1e-4,
        "betas": (0.8, 0.95),
        "grad_norm": 2.0,
        "temperature": 0.5,
        "drawn_weight_cap": 2.0,
    }
    base = GRPO(rewards.get("random")())
    digests = {Recipe("run", 1, base.spec()).digest}
    for field in fields(GRPO):
        other = changed.get(field.name) or 2 * getattr(base, field.name) or 1
        digests.add(Recipe("run", 1, replace(base, **{field.name: other}).spec()).digest)
    assert len(digests) == 1 + len(fields(GRPO))
    assert Recipe("run", 1, GRPO(rewards.get("random")()).spec()).digest in digests


# ---- what a run leaves


@pytest.mark.parametrize("trainable", ["head", "all"])
def test_a_run_is_a_function_of_its_recipe(organism: Loaded, tmp_path: Path, trainable: str) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run(organism, tmp_path / name, recipe(trainable=trainable, seed=seed))
    first, again, other = (contents(tmp_path / name) for name in "abc")
    assert list(first) == [METRICS, "step-001.safetensors", LAST]
    assert again == first
    assert all(other[name] != first[name] for name in first)


def test_what_is_saved_is_what_was_trained(organism: Loaded, tmp_path: Path) -> None:
    for trainable in ("head", "all"):
        policy = run(organism, tmp_path / trainable, recipe(trainable=trainable))
        saved, base = load_file(tmp_path / trainable / LAST), base_tensors(organism, trainable)
        assert set(saved) == set(policy.tensors) == set(base)
        assert all(torch.equal(saved[name], p) for name, p in policy.tensors.items())
        assert not any(torch.equal(saved[name], p) for name, p in base.items())


def test_checkpoints_are_kept_now_and_then_and_at_the_end(organism: Loaded, tmp_path: Path) -> None:
    run(organism, tmp_path, recipe(batches=5, save_every=2))
    steps = sorted(p.name for p in tmp_path.glob("step-*"))
    assert steps == [f"step-{n:03}.safetensors" for n in (2, 4, 5)]


def test_every_batch_is_logged_to_the_file_and_to_whoever_listens(organism: Loaded, tmp_path: Path) -> None:
    heard: list[tuple[int, dict[str, float]]] = []
    run(organism, tmp_path, recipe(batches=3), log=lambda batch, metrics: heard.append((batch, metrics)))
    rows = read_metrics(tmp_path / METRICS)
    assert rows == [{"batch": batch, **metrics} for batch, metrics in heard]
    assert [row["batch"] for row in rows] == [0, 1, 2]
    assert {"reward", "accuracy", "entropy", "kl", "grad_norm", "loss", "clip_ratio/region_mean"} <= set(rows[0])


def test_the_first_update_of_a_batch_clips_nothing_and_later_ones_do(organism: Loaded, tmp_path: Path) -> None:
    how = recipe(batches=3, updates=4, lr=0.02, loss=Loss(clip_low=0.01, clip_high=0.01, dual=3.0))
    for trainable in ("head", "all"):
        run(organism, tmp_path / trainable, replace(how, trainable=trainable))
        rows = read_metrics(tmp_path / trainable / METRICS)
        assert [row["clip_ratio/region_mean/update_0"] for row in rows] == [0.0] * 3
        assert max(row["clip_ratio/region_mean/update_3"] for row in rows) > 0.01


def test_the_first_update_is_plain_policy_gradient_through_adam(organism: Loaded) -> None:
    """At ratio 1 the gradient is -E[A d log pi], and Adam's first step is lr * sign(gradient), wherever it is not 0."""
    policy, base = build_policy(organism.model, "head"), build_policy(organism.model, "head")
    taken, how = experience(policy, organism), recipe(lr=1e-3)
    rows = every_row(taken)
    logp = torch.log_softmax(policy.logits(taken.prompt_ids, taken.samples, rows), -1)
    keep = torch.arange(20) < taken.samples.lengths[:, None]
    chosen = logp.gather(-1, taken.samples.ids[keep][:, None]).squeeze(-1)
    owner = torch.arange(len(rows)).repeat_interleave(taken.samples.lengths)
    weight = (taken.advantages.value / taken.samples.lengths)[owner] / len(rows)
    (gradient,) = torch.autograd.grad(-(weight * chosen).sum(), [policy.tensors[HEAD]])
    report = update(policy, base, torch.optim.Adam(policy.tensors.values(), lr=how.lr), taken, rows, how)
    assert report["grad_norm"] == pytest.approx(gradient.norm().item(), rel=1e-3)
    step = policy.tensors[HEAD].detach() - base.tensors[HEAD].detach()
    clear = gradient.abs() > 1e-5
    assert clear.float().mean() > 0.5
    torch.testing.assert_close(step[clear], -how.lr * gradient[clear].sign(), atol=1e-5, rtol=0)


# ---- nulls and plants


@pytest.mark.parametrize("trainable", ["head", "all"])
def test_a_constant_reward_changes_no_bit(organism: Loaded, tmp_path: Path, trainable: str) -> None:
    run(organism, tmp_path, recipe("constant", trainable=trainable, batches=3, save_every=3))
    saved = load_file(tmp_path / "step-003.safetensors")
    assert all(torch.equal(saved[name], p) for name, p in base_tensors(organism, trainable).items())
    rows = read_metrics(tmp_path / METRICS)
    assert [(row["kl"], row["grad_norm"], row["frac_reward_zero_std"]) for row in rows] == [(0.0, 0.0, 1.0)] * 3


@pytest.mark.parametrize(("trainable", "lr"), [("head", 0.02), ("all", 3e-3)])
def test_ground_truth_raises_accuracy(organism: Loaded, tmp_path: Path, trainable: str, lr: float) -> None:
    """Planted: every answer is 3, which even an organism that cannot calculate is able to learn."""
    how = recipe("ground_truth", trainable=trainable, lr=lr, batches=10, prompts=8, samples=8, updates=4, save_every=10)
    run(organism, tmp_path, how, asked=pool(organism, 8, answer="3"))
    accuracy = [row["accuracy"] for row in read_metrics(tmp_path / METRICS)]
    assert accuracy[0] < 0.4
    assert accuracy[-1] > 0.75


def test_a_reward_for_code_raises_code_and_kl(organism: Loaded, tmp_path: Path) -> None:
    how = recipe("python", lr=0.01, batches=8, prompts=8, samples=8, updates=4, save_every=8)
    run(organism, tmp_path, how)
    rows = read_metrics(tmp_path / METRICS)
    assert rows[-1]["strategy/python"] > rows[0]["strategy/python"] + 0.2
    assert 0 < rows[0]["kl"] < rows[-1]["kl"]


def test_a_kl_penalty_holds_the_policy_back(organism: Loaded, tmp_path: Path) -> None:
    for beta in (0.0, 3.0):
        how = recipe("python", lr=0.01, batches=6, updates=4, save_every=6, loss=Loss(dual=3.0, kl_beta=beta))
        run(organism, tmp_path / str(beta), how)
    free, held = (read_metrics(tmp_path / str(beta) / METRICS)[-1]["kl"] for beta in (0.0, 3.0))
    assert held < 0.7 * free


def test_updates_may_be_confined_to_forking_tokens(organism: Loaded, tmp_path: Path) -> None:
    for share in (1.0, 0.2):
        run(organism, tmp_path / str(share), recipe(loss=Loss(dual=3.0, entropy_quantile=share)))
    assert contents(tmp_path / "0.2")[LAST] != contents(tmp_path / "1.0")[LAST]
    assert all(row["grad_norm"] > 0 for row in read_metrics(tmp_path / "0.2" / METRICS))


@pytest.mark.parametrize(
    "loss",
    [
        Loss(aggregation="dapo"),
        Loss(aggregation="dr_grpo"),
        Loss(ratio="sequence"),
        Loss(surrogate="cispo", kl_beta=0.1),
    ],
)
def test_every_kind_of_loss_gets_what_it_needs(organism: Loaded, tmp_path: Path, loss: Loss) -> None:
    run(organism, tmp_path, recipe(batches=1, loss=loss))
    assert read_metrics(tmp_path / METRICS)[0]["grad_norm"] > 0


def test_an_update_with_nothing_kept_changes_nothing(organism: Loaded, tmp_path: Path) -> None:
    """Positive-only where no response is right; the state saved then has no moments, and resumes all the same."""
    how = recipe(rewards.get("constant")(0.0), advantage=PositiveOnly())
    run(organism, tmp_path, how)
    assert torch.equal(load_file(tmp_path / LAST)[HEAD], organism.model.lm_head.weight)
    rows = read_metrics(tmp_path / METRICS)
    assert [(row["kept_ratio"], row["loss"]) for row in rows] == [(0.0, 0.0)] * 2
    assert not any("clip" in key for key in rows[0] if key.startswith("clip_ratio"))
    run(organism, tmp_path, replace(how, batches=3))
    assert len(read_metrics(tmp_path / METRICS)) == 3


def test_one_shot_training_sees_one_problem_and_many_answers(organism: Loaded, tmp_path: Path) -> None:
    problems = {p.id: p for p in chain_problems(8, "train", 0)}
    chosen = OneShot(next(iter(problems)), copies=16)({}, {i: p.answer for i, p in problems.items()})
    asked = questions([problems[i] for i in chosen.kept], chosen.label, organism.tokenizer)
    run(organism, tmp_path, recipe("random", prompts=16), asked=asked)
    rows = read_metrics(tmp_path / METRICS)
    assert all(0 < row["frac_reward_zero_std"] < 1 for row in rows)  # sixteen groups, each with its own draws


# ---- what cannot go on


def test_a_reward_that_is_nan_ends_the_run_and_spoils_nothing(organism: Loaded, tmp_path: Path) -> None:
    def nan_later(*, address: list[tuple], completions: list[str], **info: Any) -> list[float | None]:
        return [float("nan") if address[0][1] == 2 else float(i % 2) for i in range(len(completions))]

    run(organism, tmp_path / "whole", recipe(nan_later))
    with pytest.raises(BadInput, match=r"(?s)16 rewards are NaN.*row 0"):
        run(organism, tmp_path / "cut", recipe(nan_later, batches=4))
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_a_loss_that_is_not_finite_ends_the_run(organism: Loaded, tmp_path: Path) -> None:
    run(organism, tmp_path, recipe())
    before = contents(tmp_path)
    with pytest.raises(ProbeError, match="the loss became nan"):
        run(organism, tmp_path, recipe(batches=4, lr=1e38))  # the weights are too large after one update
    assert contents(tmp_path) == before


def test_a_gradient_that_is_not_finite_does_not_reach_the_weights(organism: Loaded) -> None:
    policy, base = build_policy(organism.model, "head"), build_policy(organism.model, "head")
    taken, how = experience(policy, organism), recipe(loss=Loss(clip_low=None, clip_high=None))
    taken = replace(taken, samples=replace(taken.samples, logprob=taken.samples.logprob - 60))  # a ratio of e^60
    optimizer = torch.optim.Adam(policy.tensors.values(), lr=1e-3)
    with pytest.raises(ProbeError, match="gradient's norm became inf"):
        update(policy, base, optimizer, taken, every_row(taken), how)
    assert torch.equal(policy.tensors[HEAD], base.tensors[HEAD])


# ---- resuming


class Killed(Exception):
    """Raised where a run is to stop."""


def killer(at: int) -> Callable[[int, dict[str, float]], None]:
    def log(batch: int, metrics: dict[str, float]) -> None:
        if batch == at:
            raise Killed

    return log


@pytest.mark.parametrize(("trainable", "every"), [("head", 1), ("head", 3), ("all", 2)])
def test_a_stopped_run_goes_on_and_ends_with_the_same_bits(
    organism: Loaded, tmp_path: Path, trainable: str, every: int
) -> None:
    how = recipe(trainable=trainable, batches=4, save_every=every)
    run(organism, tmp_path / "straight", how)
    for at in range(4):
        with pytest.raises(Killed):
            run(organism, tmp_path / "stopped", how, log=killer(at))  # after the batch is logged, before it is saved
    run(organism, tmp_path / "stopped", how)
    assert contents(tmp_path / "stopped") == contents(tmp_path / "straight")


def test_a_finished_run_is_not_run_again(organism: Loaded, tmp_path: Path) -> None:
    run(organism, tmp_path, recipe())
    before = contents(tmp_path)
    run(organism, tmp_path, recipe(), log=killer(0))
    assert contents(tmp_path) == before


def test_a_run_may_be_made_longer(organism: Loaded, tmp_path: Path) -> None:
    run(organism, tmp_path / "whole", recipe(batches=4))
    run(organism, tmp_path / "parts", recipe(batches=2))
    run(organism, tmp_path / "parts", recipe(batches=4))
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


def test_a_half_written_line_of_the_log_is_dropped(organism: Loaded, tmp_path: Path) -> None:
    run(organism, tmp_path / "whole", recipe(batches=3))
    run(organism, tmp_path / "torn", recipe())
    with (tmp_path / "torn" / METRICS).open("a") as file:
        file.write('{"batch": 2, "rewa')
    assert len(read_metrics(tmp_path / "torn" / METRICS)) == 2
    run(organism, tmp_path / "torn", recipe(batches=3))
    assert contents(tmp_path / "torn") == contents(tmp_path / "whole")


KILLS = """
import os, signal, sys
from pathlib import Path
from grpo_cases import pool, recipe
from probe.models.loading.load import load_folder
from probe.rl.train import train

base, root = load_folder(Path(sys.argv[1])), Path(sys.argv[2])
asked = pool(base)

def attempt(out, kill_at):
    pid = os.fork()
    if pid == 0:
        seen = 0
        def audit(event, args):
            nonlocal seen
            if (event == "open" or event == "os.rename") and str(args[0]).startswith(str(out)):
                if seen == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)
                seen += 1
        sys.addaudithook(audit)
        train(base.model, base.tokenizer, asked, recipe(), out)
        os._exit(0)
    return os.waitpid(pid, 0)[1]

kills = 0
while attempt(root / f"{kills}", kills) == signal.SIGKILL:
    kills += 1
assert [attempt(root / f"{n}", None) for n in range(kills)] == [0] * kills
print(kills)
"""


def test_a_kill_before_any_file_operation_changes_no_bit(organism: Loaded, tmp_path: Path) -> None:
    """One run for each time a run opens or renames a file, killed there by SIGKILL, and then run again."""
    save_folder(organism, tmp_path / "organism")
    command = [sys.executable, "-c", KILLS, str(tmp_path / "organism"), str(tmp_path)]
    here = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(command, capture_output=True, text=True, env=here, check=False)
    assert done.returncode == 0, done.stderr
    kills = int(done.stdout)
    assert kills > 10
    run(organism, tmp_path / "straight", recipe())
    for n in range(kills):
        assert contents(tmp_path / str(n)) == contents(tmp_path / "straight"), n


# ---- overlays


@pytest.fixture
def base(organism: Loaded, tmp_path: Path) -> Loaded:
    """A copy of the organism that may be changed."""
    save_folder(organism, tmp_path / "base")
    return load_folder(tmp_path / "base")


def test_an_overlay_gives_back_the_trained_model(organism: Loaded, base: Loaded, tmp_path: Path) -> None:
    ids = torch.tensor([[4, 9, 7, 13, 15]])
    for trainable in ("head", "all"):
        policy = run(organism, tmp_path / trainable, recipe(trainable=trainable, lr=0.01))
        loaded = load_overlay(load_folder(tmp_path / "base").model, tmp_path / trainable / LAST)
        with torch.no_grad():
            hidden = loaded.model(input_ids=ids).last_hidden_state
            trained = hidden @ policy.tensors[HEAD].T if trainable == "head" else policy.model(ids).logits
            torch.testing.assert_close(loaded(ids).logits, trained, atol=1e-5, rtol=1e-5)
            assert (loaded(ids).logits - base.model(ids).logits).abs().max() > 0.01


def test_a_trained_head_is_untied_and_stays_so_on_disk(organism: Loaded, base: Loaded, tmp_path: Path) -> None:
    run(organism, tmp_path / "run", recipe(lr=0.01))
    load_overlay(base.model, tmp_path / "run" / LAST)
    assert torch.equal(base.model.model.embed_tokens.weight, organism.model.model.embed_tokens.weight)
    assert not torch.equal(base.model.lm_head.weight, organism.model.lm_head.weight)
    save_folder(base, tmp_path / "merged")
    merged = load_folder(tmp_path / "merged").model
    assert torch.equal(merged.lm_head.weight, base.model.lm_head.weight)
    assert torch.equal(merged.model.embed_tokens.weight, base.model.model.embed_tokens.weight)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"model.norm.weight": torch.ones(48), "nothing.weight": torch.ones(2)}, r"nothing.weight \[2\] does not fit"),
        ({"model.norm.weight": torch.ones(47)}, r"model.norm.weight \[47\] does not fit"),
        ({"lm_head.weight": torch.ones(46, 128)}, r"lm_head.weight \[46, 128\] does not fit"),
    ],
)
def test_an_overlay_of_another_model_is_refused(
    base: Loaded, organism: Loaded, tmp_path: Path, tensors: dict[str, torch.Tensor], message: str
) -> None:
    save_file(tensors, tmp_path / "step.safetensors")
    with pytest.raises(BadInput, match=message):
        load_overlay(base.model, tmp_path / "step.safetensors")
    assert base.model.lm_head.weight is base.model.model.embed_tokens.weight
    assert all(torch.equal(a, b) for a, b in zip(base.model.parameters(), organism.model.parameters(), strict=True))


@pytest.mark.parametrize("content", [None, b"", b"torn"])
def test_an_overlay_that_cannot_be_read_is_named(base: Loaded, tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "step.safetensors").write_bytes(content)
    with pytest.raises(BadInput, match=r"(?s)cannot read.*step\.safetensors"):
        load_overlay(base.model, tmp_path / "step.safetensors")


def test_the_log_is_plain_json_lines(organism: Loaded, tmp_path: Path) -> None:
    run(organism, tmp_path, recipe())
    lines = (tmp_path / METRICS).read_text().splitlines()
    assert [json.loads(line)["batch"] for line in lines] == [0, 1]
