"""A policy over any causal LM says what it samples, however it is cut, and starts as its base to the bit."""

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from grpo_cases import experience as organism_experience
from grpo_cases import recipe
from outside_policies import KINDS, LORA, NEW, batch, every, loaded, nudge, policy, questions, small
from torch import Tensor

from probe.errors import BadInput, ProbeError
from probe.models.hooks.anatomy import anatomy
from probe.models.loading.load import Loaded
from probe.models.loading.organism import build_model, build_tokenizer
from probe.models.sampling.organism_sampler import Samples
from probe.models.sampling.transformers_sampler import generate
from probe.rl.causal_policy import BaseOf, CausalPolicy, Memory
from probe.rl.gradient import advantage_of, cut
from probe.rl.head_scores import head_scores
from probe.rl.lora import Lora, linear_maps, merged
from probe.rl.loss import Loss
from probe.rl.metrics import kl_to_base, rollout_metrics
from probe.rl.policy import FullPolicy, LargePolicy, Policy, valid
from probe.rl.rollout import score
from probe.rl.train import update
from probe.rng import torch_rng, uniforms


def log_probs(model: Any, prompt: list[int], completion: list[int], temperature: float = 1.0) -> Tensor:
    """[completion d_vocab], float64: the plain forward over one row."""
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([prompt + completion]), use_cache=False).logits[0, len(prompt) - 1 : -1]
    return torch.log_softmax(logits.double() / temperature, -1)


def gradients(taught: Policy, taken: Any, how: Any, base: Any = None) -> tuple[dict[str, Tensor], dict[str, float]]:
    """Of one update on all rows, before the step, by name; and what it reports."""
    held: dict[str, Tensor] = {}

    class Keeps(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:
            held.update({name: p.grad.clone() for name, p in taught.tensors.items() if p.grad is not None})

    said = update(
        taught, base, Keeps(taught.tensors.values(), lr=0.0), taken, every(taken), replace(how, grad_norm=1e9)
    )
    return held, said


def assert_alike(one: dict[str, Tensor], other: dict[str, Tensor], rel: float = 1e-5) -> None:
    """Relative to the norm of the whole gradient."""
    assert one.keys() == other.keys()
    whole = torch.cat([each.flatten().double() for each in other.values()])
    apart = torch.cat([(one[name] - other[name]).flatten().double() for name in other])
    assert whole.norm() > 1e-6
    assert apart.norm() <= rel * whole.norm(), float(apart.norm() / whole.norm())


@pytest.mark.parametrize("lora", [None, LORA], ids=["all", "lora"])
@pytest.mark.parametrize("kind", KINDS)
def test_it_scores_what_it_sampled_and_what_the_plain_forward_says(kind: str, lora: Lora | None) -> None:
    made = loaded(kind)
    taught = policy(made, lora, memory=small())
    nudge(taught, 0.02)
    taken = batch(taught, made, temperature=0.8)
    assert isinstance(taught, LargePolicy) and taken.samples.drawn is None
    parts = taught.parts(taken.prompt_ids, taken.samples, every(taken))
    assert len(parts) > 3 and sorted(torch.cat(parts).tolist()) == list(range(16))
    for part in parts:
        logprob, entropy = score(taught, taken, part, 0.8)
        torch.testing.assert_close(logprob, taken.samples.logprob[part], atol=2e-5, rtol=0)
        torch.testing.assert_close(entropy, taken.samples.entropy[part], atol=2e-5, rtol=0)
        for at, row in enumerate(part.tolist()):
            completion = taken.samples.ids[row, : taken.samples.lengths[row]].tolist()
            logp = log_probs(taught.model, taken.prompt_ids[row // 4], completion, 0.8)
            n = len(completion)
            torch.testing.assert_close(logprob[at, :n].double(), logp[range(n), completion], atol=2e-5, rtol=0)
            assert not logprob[at, n:].any()


@pytest.mark.parametrize("kind", KINDS)
def test_lora_starts_at_its_base_to_the_bit(kind: str) -> None:
    made = loaded(kind)
    taught = policy(made)
    ids = torch.randint(len(made.tokenizer), (2, 20), generator=torch_rng("lora start"))
    with torch.no_grad():
        assert torch.equal(taught.model(ids).logits, made.model(ids).logits)
    taken = batch(taught, made)
    draws = torch.stack(
        [torch.from_numpy(uniforms(NEW, "rollout", 0, 0, slot, f"p/{slot}", s)) for slot in range(4) for s in range(4)]
    )
    plain = generate(
        made.model, taken.prompt_ids, n_samples=4, max_new=NEW, stop=taught.stop, pad=taught.pad, uniforms=draws
    )
    assert torch.equal(taken.samples.ids, plain.ids) and torch.equal(taken.samples.logprob, plain.logprob)
    assert kl_to_base(taught, BaseOf(taught), taken, 1.0) == 0.0
    nudge(taught)
    assert kl_to_base(taught, BaseOf(taught), taken, 1.0) > 1e-4
    frozen = {n: p for n, p in taught.model.named_parameters() if not n.count("lora_")}
    same = {n.replace(".base_layer", ""): p for n, p in frozen.items()}
    assert all(torch.equal(p, same[n]) and not same[n].requires_grad for n, p in made.model.named_parameters())


def test_the_first_a_is_drawn_from_its_address_and_rank_and_targets_are_kept() -> None:
    made = loaded()
    one, again, other = policy(made), policy(made), policy(made, seed=1)
    assert all(torch.equal(p, again.tensors[n]) for n, p in one.tensors.items())
    a, b = ({n: p for n, p in one.tensors.items() if f".lora_{x}." in n} for x in "AB")
    assert all(p.shape[0] == 4 and p.abs().max() <= p.shape[1] ** -0.5 for p in a.values())
    assert not any(p.any() for p in b.values()) and not any(torch.equal(p, other.tensors[n]) for n, p in a.items())
    assert len(a) == len(b) == 2 * len(linear_maps(made.model)) == 14
    assert {n.split(".")[-3] for n in policy(made, Lora(2, 4.0, ("q_proj",))).tensors} == {"q_proj"}
    with pytest.raises(BadInput, match=r"(?s)cannot be put there.*q_proj"):
        policy(made, Lora(2, 4.0, ("W_pack",)))


def test_merging_is_undone_to_the_bit() -> None:
    made = loaded()
    taught = policy(made)
    nudge(taught)
    ids = torch.randint(len(made.tokenizer), (2, 9), generator=torch_rng("merge"))
    held = {n: p.clone() for n, p in taught.model.named_parameters()}
    with torch.no_grad():
        apart = taught.model(ids).logits
        with merged(taught.model):
            together = taught.model(ids).logits
        torch.testing.assert_close(together, apart, atol=1e-5, rtol=1e-5)
        assert torch.equal(taught.model(ids).logits, apart)
    assert (apart - made.model(ids).logits).abs().max() > 1e-3
    assert all(torch.equal(p, held[n]) for n, p in taught.model.named_parameters())
    assert all(p.requires_grad for p in taught.tensors.values())


LOSSES = {
    "grpo": Loss(),
    "dapo, dual, KL": Loss(aggregation="dapo", dual=3.0, kl_beta=0.1),
    "bnpo": Loss(aggregation="bnpo"),
    "dr_grpo": Loss(aggregation="dr_grpo"),
    "luspo, sequence": Loss(aggregation="luspo", ratio="sequence"),
    "vespo": Loss(surrogate="vespo"),
    "forks": Loss(aggregation="dapo", entropy_quantile=0.3, normalise_over="selected"),
}


OTHERS = [(kind, "grpo") for kind in KINDS if kind != "llama"]


@pytest.mark.parametrize(("kind", "name"), [*(("llama", name) for name in LOSSES), *OTHERS])
def test_micro_batches_sum_to_the_whole(kind: str, name: str) -> None:
    made, how = loaded(kind), recipe("random", loss=LOSSES[name], max_new=NEW)
    found = []
    for memory in (Memory(), small(), small(1)):
        taught = policy(made, memory=memory)
        taken = batch(taught, made)
        nudge(taught, 0.1)  # the ratio is not 1
        found.append(gradients(taught, taken, how, BaseOf(taught)))
        assert len(cut(taught, taken, every(taken), how)[0]) == 1 or memory != Memory()
    (whole, said), *others = found
    for one, report in others:
        assert_alike(one, whole)
        assert report == pytest.approx(said, rel=1e-4, abs=1e-6)


def test_rows_without_an_advantage_are_left_out_of_the_work_alone() -> None:
    made, how = loaded(), recipe("random", max_new=NEW)
    taught = policy(made, None)
    taken = batch(taught, made)
    flat = torch.arange(16) // 4 != 1
    value = taken.advantages.value * flat
    taken = replace(taken, advantages=replace(taken.advantages, value=value))
    parts, whole = cut(taught, taken, every(taken), how)
    assert sorted(torch.cat(parts).tolist()) == (value != 0).nonzero().flatten().tolist()
    assert whole is not None and whole.n_sequences == 16
    skipped, _ = gradients(taught, taken, how)
    worked, _ = gradients(taught, taken, replace(how, loss=Loss(kl_beta=1e-12)), BaseOf(policy(made)))
    assert_alike(skipped, worked)
    none = replace(taken, advantages=replace(taken.advantages, value=torch.zeros(16)))
    zero, said = gradients(taught, none, how)
    assert said == {"loss": 0.0, "grad_norm": 0.0} and not any(each.any() for each in zero.values())


@pytest.mark.parametrize("kind", ["qwen2", "gemma2"])
def test_the_head_in_portions_is_the_head(kind: str) -> None:
    model = loaded(kind).model
    parts, rng = anatomy(model), torch_rng("head")
    hidden = torch.randn(23, 32, generator=rng)
    targets, push = torch.randint(330, (23,), generator=rng), torch.randn(23, generator=rng)
    found = []
    for most in (None, 4 * parts.head_weight.shape[0], 1):
        own = hidden.clone().requires_grad_()
        model.zero_grad()
        logprob, entropy = head_scores(own, parts, targets, 0.7, logits=most)
        (logprob * push).sum().backward()
        found.append((logprob.detach(), entropy, own.grad, parts.head_weight.grad.clone()))  # type: ignore[union-attr]
        assert not entropy.requires_grad and logprob.dtype == torch.float32
    logp = (parts.logits(hidden) / 0.7).log_softmax(-1)
    torch.testing.assert_close(found[0][0], logp[range(23), targets])
    torch.testing.assert_close(found[0][1], -(logp.exp() * logp).sum(-1))
    for other in found[1:]:
        for mine, whole in zip(other, found[0], strict=True):
            torch.testing.assert_close(mine, whole, atol=1e-5, rtol=1e-5)
    assert not head_scores(hidden, parts, targets, 0.7, entropy=False)[1].any()


@pytest.mark.parametrize("lora", [None, LORA], ids=["all", "lora"])
def test_blocks_that_are_computed_again_change_nothing(lora: Lora | None) -> None:
    made, how = loaded("gemma3"), recipe("random", max_new=NEW)
    kept, again = policy(made, lora), policy(made, lora, memory=Memory(recompute=True))
    taken = batch(again, made)
    assert torch.equal(batch(kept, made).samples.ids, taken.samples.ids)
    ran: list[int] = []
    handle = anatomy(again.model).mlp[0].register_forward_hook(lambda *_: ran.append(1))
    there, _ = gradients(again, taken, how)
    handle.remove()
    assert len(ran) == 2  # once more in the backward pass
    here, _ = gradients(kept, taken, how)
    assert_alike(there, here, rel=1e-6)
    assert not any("forward" in vars(block) for block in anatomy(again.model).blocks)


def test_the_first_gradient_is_the_organism_policys() -> None:
    """One model behind both doors: the very samples, the very loss, and gradients to 1e-5 of their norm."""
    organism = Loaded(build_model("tiny", 0), build_tokenizer())
    full = FullPolicy(organism.model)
    taught = policy(organism, None, memory=small(200))
    taken, there = (organism_experience(each, organism) for each in (full, taught))
    assert taken.texts == there.texts
    torch.testing.assert_close(there.samples.logprob, taken.samples.logprob, atol=2e-5, rtol=0)
    for loss in (Loss(dual=3.0), Loss(aggregation="dapo", entropy_quantile=0.2)):
        how = recipe(loss=loss)
        (ours, said), (theirs, told) = gradients(taught, taken, how), gradients(full, taken, how)
        assert_alike(ours, theirs)
        assert said["loss"] == pytest.approx(told["loss"], rel=1e-5, abs=1e-7)
        assert said["grad_norm"] == pytest.approx(told["grad_norm"], rel=1e-5)


@pytest.mark.parametrize("lora", [None, LORA], ids=["all", "lora"])
def test_in_bf16_old_log_probs_are_the_forwards_and_the_samplers_are_kept_beside(lora: Lora | None) -> None:
    made = loaded()
    if lora is not None:
        made.model.to(torch.bfloat16)
    taught = policy(made, lora, half=True, memory=small())
    taken = batch(taught, made)
    samples, keep = taken.samples, valid(taken.samples, every(taken))
    assert all(p.dtype == torch.float32 for p in taught.tensors.values()) and samples.logprob.dtype == torch.float32
    for part in taught.parts(taken.prompt_ids, samples, every(taken)):
        torch.testing.assert_close(score(taught, taken, part, 1.0)[0], samples.logprob[part], atol=0.05, rtol=0)
    assert samples.drawn is not None
    gap = (samples.logprob - samples.drawn)[keep].abs()
    said = rollout_metrics(taken)
    assert said["sampling/sampling_logp_difference/mean"] == pytest.approx(gap.mean().item())
    assert said["sampling/sampling_logp_difference/max"] == pytest.approx(gap.max().item()) and gap.max() < 0.3
    held, report = gradients(taught, taken, recipe("random", max_new=NEW))
    assert report["grad_norm"] > 0 and all(each.dtype == torch.float32 for each in held.values())
    assert report["clip_ratio/region_mean"] == 0


class Off:
    """Another engine: the very tokens, log-probs that are off, no entropies."""

    def __init__(self, model: Any, by: float, **ends: Any) -> None:
        self.model, self.by, self.ends = model, by, ends

    def __call__(self, prompts: list[list[int]], **how: Any) -> Samples:
        found = generate(self.model, prompts, **how, **self.ends)
        return replace(found, logprob=found.logprob + self.by, entropy=torch.full_like(found.entropy, float("nan")))


def test_another_engines_log_probs_are_never_used_but_to_weigh() -> None:
    made = loaded()
    own = policy(made, None)
    by = -0.7  # it thinks less of its tokens: they are weighed up
    other = policy(made, None, sampler=lambda model: Off(model, by, stop=own.stop, pad=own.pad))
    taken, there = batch(own, made), batch(other, made)
    torch.testing.assert_close(there.samples.logprob, taken.samples.logprob, atol=2e-5, rtol=0)
    torch.testing.assert_close(there.samples.entropy, taken.samples.entropy, atol=2e-5, rtol=0)
    assert rollout_metrics(there)["sampling/sampling_logp_difference/mean"] == pytest.approx(0.7, abs=1e-4)
    assert not any("sampling" in name for name in rollout_metrics(taken))
    plain, weighed, capped = (
        gradients(other, there, recipe("random", max_new=NEW, drawn_weight_cap=cap))[0] for cap in (None, 10.0, 1.5)
    )
    weight = torch.tensor(0.7).exp()
    assert_alike(weighed, {n: each * weight for n, each in plain.items()})
    assert_alike(capped, {n: each * 1.5 for n, each in plain.items()})
    rows = every(there)
    assert advantage_of(there, rows, recipe("random")).ndim == 1
    assert torch.equal(advantage_of(taken, rows, recipe("random", drawn_weight_cap=2.0)), taken.advantages.value)
    for bad in (-1.0, 0.0, float("inf")):
        with pytest.raises(BadInput, match="drawn_weight_cap"):
            recipe("random", drawn_weight_cap=bad)


def test_what_cannot_be_trained_is_refused() -> None:
    made = loaded()
    half = Loaded(copy.deepcopy(made.model).to(torch.bfloat16), made.tokenizer)
    for how in ({"lora": None, "half": True}, {"lora": LORA, "half": False}):
        with pytest.raises(BadInput, match=r"(?s)bfloat16 cannot be trained so.*float32"):
            CausalPolicy(half, **how)
    for bad in ({"tokens": 0}, {"rows": 0}):
        with pytest.raises(BadInput, match="give 1 or more"):
            Memory(**bad)
    for rank, alpha in ((0, 1.0), (2, 0.0), (2, float("nan"))):
        with pytest.raises(BadInput, match="give a rank >= 1"):
            Lora(rank, alpha)
    taught = policy(made, None)
    with pytest.raises(BadInput, match="before training is not held"):
        kl_to_base(taught, taught, batch(taught, made), 1.0)


def test_a_full_memory_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    made = loaded()
    taught = policy(made)
    taken = batch(taught, made)
    before = {n: p.clone() for n, p in taught.tensors.items()}
    monkeypatch.setattr(torch.Tensor, "backward", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError("full")))
    with pytest.raises(ProbeError, match=r"(?s)no room in memory for an update.*--micro-tokens"):
        gradients(taught, taken, recipe("random", max_new=NEW))
    assert all(torch.equal(p, before[n]) for n, p in taught.tensors.items())


def test_a_reward_that_raises_is_named() -> None:
    made = loaded()

    def broken(**info: Any) -> list[float | None]:
        raise KeyError("answer")

    with pytest.raises(
        ProbeError, match=r"(?s)the reward broken raised KeyError.*on response 0.*batch 0.*last kept step"
    ):
        batch(policy(made), made, broken)
    assert len(questions(made)) == 4
