"""Variants of the recipe: each changes what it says, by hand; recipes that were there before keep their digests."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from grpo_cases import every_row, experience, pool, recipe
from typer.testing import CliRunner

from probe.api import run_of
from probe.checkpoints.checkpoint import of_organism
from probe.checkpoints.organism_job import OrganismJob
from probe.checkpoints.resolve import job_of
from probe.checkpoints.run_job import RunJob
from probe.cli import app
from probe.errors import BadInput
from probe.models.loading.load import Loaded, save_folder
from probe.models.loading.manifest import load_manifest
from probe.rewards import rewards
from probe.rewards.compose import from_spec, spec
from probe.rewards.random import Random
from probe.rl.advantage import Advantages, reward_table
from probe.rl.labels import Gold
from probe.rl.loss import Loss, normalised_over, policy_loss
from probe.rl.policy import build_policy
from probe.rl.train import GRPO, read_metrics, train, update
from probe.rl.variants import variants
from probe.store import Recipe, Store

NAMES = variants.names()
GOLDEN = {  # of `GRPO(reward()).spec()`, taken before there were variants
    "random": "6f58aa542a3e2e721abc2200c40685ccb3e678157d4598f2a01d1352618c47b6",
    "ground_truth": "17e2656b33417fbe5946c8a4e86dc196ac39ef3634f88ad04485e1baf97ebba6",
}
BASE = OrganismJob("latent-code", "tiny", 0)


def of(name: str, **changes: Any) -> GRPO:
    return variants.get(name)(GRPO(Random(), **changes))


@pytest.mark.parametrize("reward", GOLDEN)
def test_recipes_that_were_there_before_keep_their_digests(reward: str) -> None:
    assert Recipe("run", 1, GRPO(rewards.get(reward)()).spec()).digest == GOLDEN[reward]


@pytest.mark.parametrize("name", NAMES)
def test_a_variant_changes_the_recipe_and_nothing_around_it(name: str) -> None:
    before, after = GRPO(Random(), seed=7, batches=9), of(name, seed=7, batches=9)
    kept = {f: v for f, v in vars(before).items() if f not in ("reward", "loss", "advantage")}
    assert {f: vars(after)[f] for f in kept} == kept
    assert after != before and after.spec() != before.spec()
    assert len({str(of(each).spec()) for each in NAMES}) == len(NAMES)


def token(ratio: float, advantage: float, loss: Loss) -> float:
    """The gradient, ascending, of one token's log-prob, with an old probability of one half."""
    old = torch.full((1, 1), 0.5, dtype=torch.float64).log()
    now = (old + torch.tensor(ratio, dtype=torch.float64).log()).requires_grad_()
    mask, value = torch.tensor([[True]]), torch.tensor([advantage], dtype=torch.float64)
    return -torch.autograd.grad(policy_loss(now, old, value, mask, loss=loss), now)[0].item()


PULLS = {  # at ratio 1.5 with A > 0, at .5 with A < 0, at 5 with A < 0
    "old_dropped": (1.0, -1.0, -1.0),
    "no_clip": (1.5, -0.5, -5.0),
    "upper_clip": (0.0, -0.5, 0.0),  # dual clip 3 stays
    "lower_clip": (1.5, 0.0, 0.0),
    "rloo": (1.0, -1.0, -1.0),
    "centred": (0.0, 0.0, 0.0),
}


@pytest.mark.parametrize(("name", "wanted"), PULLS.items())
def test_clips_by_hand(name: str, wanted: tuple[float, float, float]) -> None:
    loss = of(name).loss
    got = token(1.5, 1.0, loss), token(0.5, -1.0, loss), token(5.0, -1.0, loss)
    assert got == pytest.approx(wanted, abs=1e-12)


VALUES: dict[str, list[float]] = {  # of rewards 1, 0, 0, 0
    "positive_only": [1, 0, 0, 0],
    "negative_only": [0, -1, -1, -1],
    "weighted": [0.1, -1, -1, -1],
    "centred": [0.75, -0.25, -0.25, -0.25],
    "rloo": [1, -1 / 3, -1 / 3, -1 / 3],
}


@pytest.mark.parametrize(("name", "wanted"), VALUES.items())
def test_advantages_by_hand(name: str, wanted: list[float]) -> None:
    assert of(name).advantage(reward_table([1.0, 0.0, 0.0, 0.0], 4)).value.tolist() == pytest.approx(wanted)


SPLITS = ("forks_only", "non_forks_only")
ENTROPY = torch.tensor([[0.1, 0.9, 0.2, 0.3, 0.0], [0.8, 0.15, 0.05, 0.25, 0.4]])  # the top 20 % of ten: .9 and .8


def test_forks_and_non_forks_by_hand() -> None:
    """Ten tokens at ratio 1 with A = 1: the two forks pull by 1/2 each, the eight others by 1/8."""
    mask, old = torch.ones(2, 5, dtype=torch.bool), torch.zeros(2, 5)
    fork = ENTROPY >= 0.8
    for name, chosen in zip(SPLITS, (fork, ~fork), strict=True):
        loss, now = of(name).loss, old.clone().requires_grad_()
        counted = normalised_over(ENTROPY, mask, loss)
        assert torch.equal(counted, chosen)
        value = policy_loss(now, old, torch.ones(2), mask, loss=loss, entropy=ENTROPY, n_tokens=int(counted.sum()))
        pull = -torch.autograd.grad(value, now)[0]
        assert value.item() == pytest.approx(-1)
        assert torch.allclose(pull, chosen / chosen.sum())


def test_every_variant_is_pinned_by_hand() -> None:
    """A new one is written down here: its pull on a token, its advantages, its tokens, or its reward."""
    assert {*PULLS, *VALUES, *SPLITS, "antithetic"} == set(NAMES)


def test_the_tokens_normalised_over_are_all_unless_the_loss_says_otherwise() -> None:
    mask = torch.rand(2, 5) < 2
    mask[0, 3:] = False
    for loss in (Loss(), Loss(entropy_quantile=0.2), Loss(normalise_over="selected")):
        assert torch.equal(normalised_over(ENTROPY, mask, loss), mask)


def test_the_antithetic_reward_turns_every_draw_round() -> None:
    batch: dict[str, Any] = {"completions": ["x"] * 40, "address": [(0, "p", i) for i in range(40)]}
    drawn, turned = Random(0.3, seed=4)(**batch), Random(0.3, seed=4, flipped=True)(**batch)
    assert [1 - one for one in drawn if one is not None] == turned
    assert of("antithetic").reward == Random(flipped=True)
    assert variants.get("antithetic")(of("antithetic")) == GRPO(Random())
    assert spec(Random()) == {"reward": "random", "gamma": 0.5, "seed": 0}
    assert spec(Random(flipped=True)) == {"reward": "random", "gamma": 0.5, "seed": 0, "flipped": True}
    assert from_spec(spec(Random(flipped=True))) == Random(flipped=True)
    with pytest.raises(BadInput, match="only draws have an antithesis"):
        variants.get("antithetic")(GRPO(rewards.get("format")()))


def test_an_antithetic_pair_starts_in_opposite_directions() -> None:
    advantage = GRPO(Random()).advantage
    batch: dict[str, Any] = {"completions": ["x"] * 16, "address": [(0, "p", i) for i in range(16)]}
    one, other = (advantage(reward_table(Random(flipped=flip)(**batch), 8)).value for flip in (False, True))
    assert one.any() and torch.allclose(one, -other, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_every_variant_trains(name: str, organism: Loaded, tmp_path: Path) -> None:
    small = variants.get(name)(recipe("random"))
    policy = train(organism.model, organism.tokenizer, pool(organism), small, tmp_path / name)
    rows = read_metrics(tmp_path / name / "metrics.jsonl")
    assert len(rows) == small.batches
    moved = [not torch.equal(tensor, organism.model.lm_head.weight) for tensor in policy.tensors.values()]
    assert all(moved)
    if name in ("old_dropped", "no_clip", "rloo"):
        assert all(row["clip_ratio/region_mean"] == 0 for row in rows)


def test_a_variant_runs_by_name_from_the_manifest_and_from_python(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(
        'version: 1\ntemplates: {none: {text: "{prompt}"}}\n'
        "organisms: {raw: {family: latent-code, size: tiny, seed: 0}}\n"
        "runs:\n  plain: {base: raw, reward: format, seed: 3}\n"
        "  forks: {base: raw, reward: format, seed: 3, variant: forks_only}\n"
        "  odd: {base: raw, reward: format, variant: forks}\n"
    )
    manifest = load_manifest(tmp_path / "m.yaml")
    plain, forks = job_of("plain", manifest), job_of("forks", manifest)
    assert isinstance(plain, RunJob) and isinstance(forks, RunJob)
    assert forks.name == "format forks_only"
    assert forks.grpo == variants.get("forks_only")(plain.grpo)
    assert forks.recipe.digest != plain.recipe.digest
    assert run_of(of_organism(BASE), "format", Gold(), variant="forks_only", seed=3) == forks
    assert replace(forks, grpo=plain.grpo).recipe.digest == plain.recipe.digest
    with pytest.raises(BadInput, match="no variant named 'forks'"):
        job_of("odd", manifest)


@pytest.mark.parametrize("name", ["forks_only", "non_forks_only"])
def test_the_loop_divides_by_the_tokens_it_updates(name: str, organism: Loaded) -> None:
    """Before the first step every ratio is 1: with A = 1 throughout, a mean over the updated tokens is exactly -1."""
    how = variants.get(name)(recipe("random"))
    policy, base = build_policy(organism.model, "head"), build_policy(organism.model, "head")
    taken = experience(policy, organism)
    ones = Advantages(torch.ones(len(taken.texts)), torch.ones(len(taken.texts), dtype=torch.bool))
    optimizer = torch.optim.Adam(policy.tensors.values(), lr=how.lr)
    told = update(policy, base, optimizer, replace(taken, advantages=ones), every_row(taken), how)
    assert told["loss"] == pytest.approx(-1, abs=1e-4)


def test_a_variant_is_trained_and_kept_at_the_command_line(organism: Loaded, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.build(BASE.recipe, lambda work: save_folder(organism, work))

    def words(*given: str) -> Any:
        return CliRunner().invoke(app, ["train", *given, "--store", str(store.root), "--workers", "1"])

    out = tmp_path / "out"
    done = words("latent-code-tiny-0", "random", "--variant", "old_dropped", "--seed", "5", "--out", str(out))
    assert done.exit_code == 0, done.output
    made = run_of(of_organism(BASE), Random(seed=5), Gold(), variant="old_dropped", seed=5)
    assert store.holds(made.recipe) and (out / "config.json").exists()
    for given, says in (
        (("latent-code-tiny-0", "random", "--variant", "old_droped"), "old_dropped"),
        (("latent-code-tiny-0", "--variant", "old_dropped"), "give REWARD"),
        (("latent-code-tiny-0-format-0", "random"), "is no organism"),
        (("latent-code-tiny-0", "format", "--variant", "antithetic"), "antithesis"),
    ):
        wrong = words(*given)
        assert wrong.exit_code == 2 and says in wrong.stderr, wrong.stderr
