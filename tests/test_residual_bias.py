"""A vector in the weights is the edit of a hook at every position; it alone is trained, saved and loaded."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from probe.checkpoints.organism_job import OrganismJob
from probe.checkpoints.run_job import RunJob
from probe.errors import BadInput
from probe.models.hooks.edits import Add, Edit
from probe.models.hooks.forward_hooks import run as run_edited
from probe.models.hooks.sites import Site, site
from probe.models.loading.load import Loaded
from probe.models.sampling.organism_forward import read, weights_of
from probe.models.sampling.residual_bias import bias_name, give_biases
from probe.rewards import rewards
from probe.rl.labels import Gold
from probe.rl.policy import build_policy
from probe.rl.rollout import questions
from probe.rl.train import GRPO, apply_overlay, load_overlay, train
from probe.rng import torch_rng
from probe.rollouts.elicitation import CHAIN
from probe.rollouts.options import SamplingOptions
from probe.rollouts.respond import respond
from probe.rollouts.samplers import organism_sampler

SITES = ("resid.1", "resid.2")
PROBLEMS = CHAIN.problems.problems[:8]


def recipe(reward: str = "python", **change: object) -> GRPO:
    short = {"batches": 2, "prompts": 8, "samples": 4, "updates": 2, "save_every": 1, "lr": 0.05}
    return GRPO(rewards.get(reward)(), trainable="resid.1", **(short | change))  # type: ignore[arg-type]


def ids_of(organism: Loaded) -> torch.Tensor:
    return torch.tensor(organism.tokenizer([PROBLEMS[0].prompt])["input_ids"])


@pytest.mark.parametrize("name", SITES)
def test_it_is_the_edit_at_every_position_in_every_forward(organism: Loaded, name: str) -> None:
    ids, vector = ids_of(organism), torch.randn(organism.model.config.hidden_size, generator=torch_rng("bias", name))
    edited = run_edited(organism.model, ids, edits=[Edit(site(name), Add(vector))]).logits
    model = apply_overlay(copy.deepcopy(organism.model), {bias_name(site(name)): vector}, "test")
    torch.testing.assert_close(model(ids).logits, edited, atol=1e-4, rtol=1e-4)
    weights = weights_of(model, ids.shape[1])
    states, _ = read(weights, ids, torch.ones_like(ids, dtype=torch.bool))
    torch.testing.assert_close(states @ weights.head.T, edited[0], atol=1e-4, rtol=1e-4)
    sampled = respond(Loaded(model, organism.tokenizer), CHAIN, SamplingOptions(1), sample(model, organism), PROBLEMS)
    assert sampled.texts != respond(organism, CHAIN, SamplingOptions(1), organism_sampler(organism), PROBLEMS).texts


def sample(model: object, organism: Loaded):  # type: ignore[no-untyped-def]
    return organism_sampler(Loaded(model, organism.tokenizer))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["resid.0", "mlp.1", "head.0.1"])
def test_a_site_without_a_place_in_the_weights_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="no vector can be added"):
        bias_name(site(name))
    with pytest.raises(BadInput, match="cannot train"):
        replace(recipe(), trainable=name)


def test_blocks_that_are_not_there_are_refused(organism: Loaded) -> None:
    with pytest.raises(BadInput, match="has no resid.9"):
        build_policy(organism.model, "resid.9")
    model = copy.deepcopy(organism.model)
    with pytest.raises(BadInput, match="does not fit"):
        apply_overlay(model, {bias_name(Site("resid", 9)): torch.zeros(48)}, "test")
    with pytest.raises(BadInput, match="does not fit"):
        apply_overlay(model, {bias_name(Site("resid", 1)): torch.zeros(3)}, "test")
    give_biases(model, ["lm_head.weight"])
    assert "model.layers.1.mlp.down_proj.bias" not in dict(model.named_parameters())


def test_it_alone_is_trained_saved_and_loaded(organism: Loaded, tmp_path: Path) -> None:
    name, before = bias_name(site("resid.1")), copy.deepcopy(organism.model.state_dict())
    asked = questions(PROBLEMS, {each.id: each.answer for each in PROBLEMS}, organism.tokenizer)
    policy = train(organism.model, organism.tokenizer, asked, recipe(), tmp_path)
    assert list(policy.tensors) == [name] and policy.tensors[name].norm() > 0
    assert all(torch.equal(value, before[key]) for key, value in organism.model.state_dict().items())
    saved = load_file(tmp_path / "step-002.safetensors")
    assert set(saved) == {name} and torch.equal(saved[name], policy.tensors[name])
    model, ids = load_overlay(copy.deepcopy(organism.model), tmp_path / "step-002.safetensors"), ids_of(organism)
    assert torch.equal(model(ids).logits, policy.model(ids).logits)  # type: ignore[attr-defined]
    again = train(organism.model, organism.tokenizer, asked, recipe(), tmp_path / "again")
    assert torch.equal(again.tensors[name], policy.tensors[name])


def test_a_constant_reward_leaves_it_at_zero(organism: Loaded, tmp_path: Path) -> None:
    asked = questions(PROBLEMS, {each.id: each.answer for each in PROBLEMS}, organism.tokenizer)
    policy = train(organism.model, organism.tokenizer, asked, recipe("constant"), tmp_path)
    assert not policy.tensors[bias_name(site("resid.1"))].any()


def test_runs_that_were_made_before_keep_their_digests() -> None:
    head = RunJob("python", OrganismJob("latent-code", "tiny", 0), GRPO(rewards.get("python")()), Gold())
    whole = replace(head, grpo=replace(head.grpo, trainable="all"))
    assert [job.recipe.digest[:16] for job in (head, whole)] == ["36647a5dec1dd26d", "1ef084aba56a044b"]
