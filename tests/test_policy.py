"""Both parameterisations say what they sampled, a batch of experience is addressed, and its metrics are by hand."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from grpo_cases import every_row, experience, nudge, pool

from probe.data import Problem
from probe.models.loading.load import Loaded
from probe.models.sampling.organism_sampler import Samples
from probe.rl.advantage import GroupNormalised, reward_table
from probe.rl.metrics import kl_to_base, mean_rows, rollout_metrics
from probe.rl.policy import HEAD, Policy, build_policy, join, token_scores, valid
from probe.rl.rollout import Experience, decode_texts, draw_questions, questions, row_addresses, score
from probe.tokens.forks import forks

NAMES = ("head", "all")


@pytest.fixture(params=NAMES)
def policy(request: pytest.FixtureRequest, organism: Loaded) -> Policy:
    return build_policy(organism.model, request.param)


def by_hand() -> Samples:
    """Two prompts, two samples each, at most three tokens."""
    ids = torch.tensor([[5, 6, 1], [7, 1, 0], [1, 0, 0], [8, 9, 4]])
    lengths, stopped = torch.tensor([3, 2, 1, 3]), torch.tensor([True, True, True, False])
    logprob = torch.tensor([[-1.0, -2.0, -0.5], [-0.1, -0.2, 0.0], [-3.0, 0.0, 0.0], [-1.0, -1.0, -1.0]])
    entropy = torch.tensor([[0.1, 0.2, 0.3], [0.4, 0.5, 0.0], [0.6, 0.0, 0.0], [0.7, 0.8, 0.9]])
    return Samples(ids, lengths, stopped, logprob, entropy, None)


def test_valid_positions_by_hand() -> None:
    kept = valid(by_hand(), torch.tensor([2, 0]))
    assert kept.tolist() == [[True, False, False], [True, True, True]]


def test_prompts_and_completions_are_joined_by_hand() -> None:
    ids, predicts = join([[3, 3], [2, 4, 2]], by_hand(), torch.tensor([3, 1]), 2, 0)
    assert ids.tolist() == [[2, 4, 2, 8, 9, 4], [3, 3, 7, 1, 0, 0]]
    assert predicts.int().tolist() == [[0, 0, 1, 1, 1, 0], [0, 1, 1, 0, 0, 0]]


def test_token_scores_by_hand() -> None:
    logits = torch.tensor([[0.0, 1.0, 2.0]] * 3).log_softmax(-1).requires_grad_()
    samples = replace(by_hand(), ids=torch.tensor([[2, 1, 0], [0, 0, 0], [9, 9, 9], [9, 9, 9]]))
    samples.lengths[:2] = torch.tensor([2, 1])
    logprob, entropy = token_scores(logits, samples, torch.arange(2), 0.5)
    p = torch.softmax(torch.tensor([0.0, 2.0, 4.0]), 0)  # at T = .5
    expected = [[p[2].log(), p[1].log(), 0.0], [p[0].log(), 0.0, 0.0]]
    torch.testing.assert_close(logprob, torch.tensor(expected))
    h = -(p * p.log()).sum()
    torch.testing.assert_close(entropy, torch.tensor([[h, h, 0.0], [h, 0.0, 0.0]]))
    assert logprob.requires_grad
    assert not entropy.requires_grad


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_a_fresh_policy_scores_what_it_sampled(policy: Policy, organism: Loaded, temperature: float) -> None:
    """Its ratio is 1, so that nothing can be clipped in a first update."""
    taken = experience(policy, organism, temperature=temperature)
    logprob, entropy = score(policy, taken, every_row(taken), temperature)
    torch.testing.assert_close(logprob, taken.samples.logprob, atol=2e-5, rtol=0)
    torch.testing.assert_close(entropy, taken.samples.entropy, atol=2e-5, rtol=0)


def test_a_changed_policy_samples_from_what_it_became(policy: Policy, organism: Loaded) -> None:
    before = experience(policy, organism)
    nudge(policy)
    taken = experience(policy, organism)
    logprob, _ = score(policy, taken, every_row(taken), 1.0)
    torch.testing.assert_close(logprob, taken.samples.logprob, atol=2e-5, rtol=0)
    old, _ = score(policy, before, every_row(before), 1.0)
    assert (old - before.samples.logprob).abs().max() > 1e-3


def test_both_parameterisations_are_one_model(organism: Loaded) -> None:
    head, full = (experience(build_policy(organism.model, name), organism) for name in NAMES)
    assert head.texts == full.texts
    torch.testing.assert_close(head.samples.logprob, full.samples.logprob, atol=2e-5, rtol=0)


def test_rows_are_scored_in_the_order_asked(policy: Policy, organism: Loaded) -> None:
    taken = experience(policy, organism)
    whole, _ = score(policy, taken, every_row(taken), 1.0)
    rows = torch.tensor([9, 2, 14])
    some, _ = score(policy, taken, rows, 1.0)
    torch.testing.assert_close(some, whole[rows], atol=2e-5, rtol=0)


def test_gradients_reach_the_trained_tensors(policy: Policy, organism: Loaded) -> None:
    taken = experience(policy, organism)
    score(policy, taken, every_row(taken), 1.0)[0].sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in policy.tensors.values())


def test_the_gradient_of_the_head_is_the_same_behind_either_door(organism: Loaded) -> None:
    """d log pi / d head = (onehot - p) hidden^T, here by autograd through the model with an untied head."""
    policy = build_policy(organism.model, "head")
    taken = experience(policy, organism)
    score(policy, taken, every_row(taken), 1.0)[0].sum().backward()
    whole = build_policy(organism.model, "all")
    whole.model.lm_head.weight = torch.nn.Parameter(organism.model.lm_head.weight.detach().clone())
    score(whole, taken, every_row(taken), 1.0)[0].sum().backward()
    torch.testing.assert_close(policy.tensors[HEAD].grad, whole.model.lm_head.weight.grad, atol=1e-3, rtol=1e-4)


def test_training_a_policy_leaves_its_base_alone(policy: Policy, organism: Loaded) -> None:
    before = [p.clone() for p in organism.model.parameters()]
    nudge(policy)
    assert all(torch.equal(a, b) for a, b in zip(before, organism.model.parameters(), strict=True))
    assert all(p.grad is None for p in organism.model.parameters())


def test_trained_tensors_have_their_names_in_the_checkpoint(organism: Loaded) -> None:
    assert list(build_policy(organism.model, "head").tensors) == [HEAD]
    named = dict(organism.model.named_parameters())
    assert list(build_policy(organism.model, "all").tensors) == list(named)


def test_questions_are_drawn_once_each_where_there_are_enough(organism: Loaded) -> None:
    asked = pool(organism, 8)
    drawn = [q.problem.id for q in draw_questions(asked, 8, seed=0, batch=0)]
    assert sorted(drawn) == sorted(q.problem.id for q in asked)
    assert drawn != [q.problem.id for q in draw_questions(asked, 8, seed=0, batch=1)]
    assert drawn != [q.problem.id for q in draw_questions(asked, 8, seed=1, batch=0)]
    assert drawn == [q.problem.id for q in draw_questions(asked, 8, seed=0, batch=0)]
    assert len(draw_questions(asked, 20, seed=0, batch=0)) == 20  # with replacement, where it must be


def test_copies_of_one_problem_have_their_own_draws(organism: Loaded) -> None:
    """One-shot training: four slots of one problem are four independent groups."""
    asked = pool(organism, 1) * 4
    addresses = row_addresses(asked, 4, batch=2)
    assert len(set(addresses)) == 16
    taken = experience(build_policy(organism.model, "head"), organism, asked, n_samples=8)
    groups = [tuple(map(tuple, g)) for g in taken.samples.ids.view(4, 8, -1).tolist()]
    assert len(set(groups)) == 4
    assert len({tuple(row) for row in taken.rewards.value.tolist()}) > 1


def test_experience_is_a_function_of_its_address(organism: Loaded) -> None:
    policy = build_policy(organism.model, "head")
    first, again = experience(policy, organism), experience(policy, organism)
    assert first.texts == again.texts
    assert torch.equal(first.rewards.value, again.rewards.value)
    assert first.texts != experience(policy, organism, seed=1).texts
    assert first.texts != experience(policy, organism, batch=1).texts
    fewer = experience(policy, organism, n_samples=2)
    assert fewer.texts == [t for i, t in enumerate(first.texts) if i % 4 < 2]


def test_a_reward_is_told_about_each_response(organism: Loaded) -> None:
    told: dict[str, Any] = {}

    def listen(**info: Any) -> list[float | None]:
        told.update(info)
        return [float(i % 4 == 1) for i in range(len(info["completions"]))]

    asked = questions(
        [q.problem for q in pool(organism, 2)], {q.problem.id: "5" for q in pool(organism, 2)}, organism.tokenizer
    )
    taken = experience(build_policy(organism.model, "head"), organism, asked, reward=listen, seed=7, batch=3)
    first, second = asked[0].problem, asked[1].problem
    assert told["prompts"] == [first.prompt] * 4 + [second.prompt] * 4
    assert told["answers"] == ["5"] * 8  # the label, which need not be the answer
    assert told["completions"] == taken.texts
    assert told["group"] == [0] * 4 + [1] * 4
    assert told["address"] == [(7, 3, slot, p.id, s) for slot, p in enumerate((first, second)) for s in range(4)]
    assert taken.rewards.value.tolist() == [[0, 1, 0, 0]] * 2
    assert taken.advantages.value.view(2, 4)[0].tolist() == pytest.approx([-0.5, 1.5, -0.5, -0.5])


def test_texts_hold_no_stop_token_and_no_prompt(organism: Loaded) -> None:
    taken = experience(build_policy(organism.model, "head"), organism)
    assert decode_texts(taken.samples, organism.tokenizer) == taken.texts
    assert not any("<eos>" in text or "<pad>" in text for text in taken.texts)
    asked = [problem.prompt for problem in taken.problems]
    assert not any(prompt in text for prompt in asked for text in taken.texts)
    ids = zip(taken.samples.ids.tolist(), taken.samples.lengths.tolist(), strict=True)
    assert taken.texts == [organism.tokenizer.decode(row[:n], skip_special_tokens=True) for row, n in ids]


def hand_experience() -> Experience:
    problems = tuple(Problem(f"p{i}", "A:1+1=", answer, "hand") for i, answer in enumerate("23"))
    texts = ["```python\nx=1\n```\n\\boxed{2}", "So \\boxed{3}", "no box", "Python: \\boxed{3}"]
    table = reward_table([1.0, 0.0, None, 1.0], 2)
    return Experience(problems, [[5], [5]], by_hand(), texts, table, GroupNormalised()(table))


def test_rollout_metrics_by_hand() -> None:
    found = rollout_metrics(hand_experience())
    entropies = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    logprobs = torch.tensor([-1.0, -2.0, -0.5, -0.1, -0.2, -3.0, -1.0, -1.0, -1.0])
    expected = {
        "accuracy": 2 / 4,
        "strategy/python": 2 / 4,
        "parse_rate": 3 / 4,
        "completions/mean_length": 9 / 4,
        "completions/clipped_ratio": 1 / 4,
        "entropy": entropies.mean().item(),
        "entropy/fork": 0.85,  # a fifth of nine tokens: the top two
        "probability": logprobs.exp().mean().item(),
        "kept_ratio": 3 / 4,
        "reward": 2 / 3,
    }
    assert {k: found[k] for k in expected} == pytest.approx(expected)


@pytest.mark.parametrize("tied", [False, True])
def test_the_forks_of_the_log_are_those_of_the_measures(tied: bool) -> None:
    taken = hand_experience()
    entropy = torch.linspace(0.1, 1.1, 12).view(4, 3)  # the 80th percentile has three of eleven tokens at or above it
    entropy = entropy.clamp(max=0.5) if tied else entropy
    samples = replace(taken.samples, entropy=entropy, lengths=torch.tensor([3, 3, 3, 2]))
    seen = entropy.flatten()[:11]
    logged = rollout_metrics(replace(taken, samples=samples))["entropy/fork"]
    assert logged == pytest.approx(seen[torch.from_numpy(forks(seen.numpy()))].mean().item())
    assert tied or logged == pytest.approx(seen[-2:].mean().item())


def test_mean_rows_by_hand() -> None:
    assert mean_rows([{"a": 1.0, "b": 4.0}, {"a": 3.0}, {"c": 5.0}]) == {"a": 2.0, "b": 4.0, "c": 5.0}
    assert list(mean_rows([{"b": 1.0}, {"a": 1.0}])) == ["b", "a"]


def test_kl_to_base_is_zero_for_the_base_and_by_hand_otherwise(policy: Policy, organism: Loaded) -> None:
    base = build_policy(organism.model, "head")
    taken = experience(base, organism)
    assert kl_to_base(build_policy(organism.model, "head"), base, taken, 1.0) == 0.0
    nudge(policy, 0.2)
    total, tokens = 0.0, 0
    for row in range(0, 16, 4):  # the first sample of each prompt
        p, q = (
            (x.logits(taken.prompt_ids, taken.samples, torch.tensor([row])).detach().double() / 0.7).log_softmax(-1)
            for x in (policy, base)
        )
        total, tokens = total + float((p.exp() * (p - q)).sum()), tokens + len(p)
    found = kl_to_base(policy, base, taken, 0.7)
    assert found == pytest.approx(total / tokens, rel=1e-4)
    assert found > 0.001
