"""Lenses, patching and recovery: identities to the bit, worked examples, planted heads, guards, flat nulls."""

import math

import numpy as np
import pytest
import torch
from outside_checkpoints import perturb, tiny
from scipy import stats
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from probe.errors import BadInput
from probe.interventions.logit_lens import lens, lens_metric
from probe.interventions.patching import Fork, direct, measure, patch, random_source, sites_of
from probe.interventions.recovery import Gap, recovery, share
from probe.models.hooks.anatomy import anatomy
from probe.models.hooks.edits import Edit, Replace
from probe.models.hooks.forward_hooks import read, run
from probe.models.hooks.sites import Site, output_projection, site
from probe.rng import numpy_rng, torch_rng

ARCHITECTURES = ("qwen2", "llama", "olmo2", "gemma2")
VOCAB = 40
FORK = Fork((3, 4), (5,))


def prompts(n: int = 6, length: int = 7, seed: int = 0) -> Tensor:
    return torch.randint(6, VOCAB, (n, length), generator=torch_rng("prompts", seed))


def names(n: int) -> list[str]:
    return [f"p{i}" for i in range(n)]


@pytest.fixture(params=ARCHITECTURES)
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    return tiny(request.param, VOCAB)


# lens


def test_the_last_layer_is_the_model(model: PreTrainedModel) -> None:
    ids = prompts()
    truth = run(model, ids).logits.float()
    found = lens(model, ids, [3, 5, 7], positions=(-1, 2))
    assert found.logit.shape == (len(anatomy(model).blocks) + 1, 6, 2, 3)
    there = truth[:, [-1, 2]]
    torch.testing.assert_close(found.logit[-1], there[..., [3, 5, 7]], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found.logprob[-1], there.log_softmax(-1)[..., [3, 5, 7]], atol=1e-6, rtol=1e-5)
    order = there.argsort(-1, descending=True).argsort(-1)
    assert torch.equal(found.rank[-1], order[..., [3, 5, 7]])


def test_a_lens_worked_by_hand() -> None:
    """Blocks that write nothing: every layer is the embedding, its norm taken, times the head."""
    model = tiny("llama", VOCAB)
    with torch.no_grad():
        for block in model.model.layers:
            block.self_attn.o_proj.weight.zero_()
            block.mlp.down_proj.weight.zero_()
    ids = torch.tensor([[9, 11]])
    x = model.model.embed_tokens.weight[11].double()
    normed = x / (x.pow(2).mean() + model.config.rms_norm_eps).sqrt() * model.model.norm.weight.double()
    by_hand = normed @ model.lm_head.weight.double().T
    found = lens(model, ids, [3, 20])
    for layer in range(3):
        torch.testing.assert_close(found.logit[layer, 0, 0].double(), by_hand[[3, 20]], atol=1e-5, rtol=1e-5)


def test_the_lens_reads_any_metric(model: PreTrainedModel) -> None:
    ids = prompts()
    found = lens_metric(model, ids, FORK)
    targets = lens(model, ids, [3, 4, 5]).logit[:, :, 0]
    torch.testing.assert_close(found, targets[..., :2].logsumexp(-1) - targets[..., 2], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("targets", [[], [VOCAB], [-1]])
def test_a_lens_for_no_token(targets: list[int]) -> None:
    with pytest.raises(BadInput, match="ids from 0"):
        lens(tiny("llama", VOCAB), prompts(), targets)


# metrics


def test_metrics() -> None:
    logits = torch.tensor([[0.0, 1.0, 3.0, -2.0], [1.0, 0.0, 0.0, 0.0]])
    assert Fork((2,), (1,))(logits).tolist() == [2.0, 0.0]
    both = Fork((1, 2), (0,))(logits)
    torch.testing.assert_close(both, torch.tensor([math.log(math.e + math.e**3), math.log(2) - 1]))


@pytest.mark.parametrize(("code", "prose"), [((), (1,)), ((1,), ()), ((1, 2), (2,))])
def test_no_fork(code: tuple[int, ...], prose: tuple[int, ...]) -> None:
    with pytest.raises(BadInput, match="no fork"):
        Fork(code, prose)


def test_the_metric_is_of_the_models_own_logits(model: PreTrainedModel) -> None:
    ids = prompts()
    torch.testing.assert_close(measure(model, ids, FORK), FORK(run(model, ids).logits[:, -1].float()).detach())


# patching: identities


def test_self_patching_changes_nothing_to_the_bit(model: PreTrainedModel) -> None:
    ids = prompts()
    sites = sites_of(model)
    own = read(model, ids, sites)
    plain = measure(model, ids, FORK)
    for each in patch(model, ids, own, FORK, positions=(-1, -4, None)):
        assert torch.equal(each.values, plain), each.site
    for each in direct(model, ids, {s: v for s, v in own.items() if s.kind != "resid"}, FORK):
        assert torch.equal(each.values, plain), each.site


def test_full_patching_is_the_source_to_the_bit(model: PreTrainedModel) -> None:
    ids, other = prompts(seed=0), prompts(seed=1)
    blocks = len(anatomy(model).blocks)
    source = read(model, other, [Site("resid", 0), Site("resid", blocks)])
    there = measure(model, other, FORK)
    found = {
        (each.site.layer, each.position): each.values for each in patch(model, ids, source, FORK, positions=(-1, None))
    }
    for key in ((0, None), (blocks, -1), (blocks, None)):
        assert torch.equal(found[key], there), key
    assert not torch.equal(found[0, -1], there)


def test_left_padding_changes_no_patch(model: PreTrainedModel) -> None:
    ids, other = prompts(4, 6, 0), prompts(4, 6, 1)
    padded, padded_other = (torch.cat([torch.zeros(4, 3, dtype=torch.long), one], 1) for one in (ids, other))
    mask = (torch.arange(9) >= 3).long().expand(4, 9)
    sites = sites_of(model)
    bare = list(patch(model, ids, read(model, other, sites), FORK, positions=(-2, None)))
    source = read(model, padded_other, sites, mask=mask)
    for one, two in zip(bare, patch(model, padded, source, FORK, positions=(-2, None), mask=mask), strict=True):
        torch.testing.assert_close(one.values, two.values, atol=2e-4, rtol=1e-4)


def test_direct_effects_are_what_the_stream_carries() -> None:
    """In a pre-norm model the direct path is by hand: the last state plus what the component wrote more."""
    model, ids, other = tiny("llama", VOCAB), prompts(seed=0), prompts(seed=1)
    parts = anatomy(model)
    base, source = (read(model, x, [*sites_of(model)]) for x in (ids, other))
    found = {
        str(each.site): each.values
        for each in direct(model, ids, {s: v for s, v in source.items() if s.kind != "resid"}, FORK)
    }
    end = base[site("resid.2")][:, -1]
    for name in ("attn.0", "mlp.0", "attn.1", "mlp.1"):
        moved = end + (source[site(name)] - base[site(name)])[:, -1]
        by_hand = FORK(parts.logits(parts.final_norm(moved))).detach()
        torch.testing.assert_close(found[name], by_hand, atol=1e-4, rtol=1e-4)
    head, size = site("head.0.2"), 8
    rows = output_projection(parts.attention[0]).weight[:, 2 * size : 3 * size]
    moved = end + (source[head] - base[head])[:, -1] @ rows.T
    torch.testing.assert_close(
        found[str(head)], FORK(parts.logits(parts.final_norm(moved))).detach(), atol=1e-4, rtol=1e-4
    )


def test_bad_patches() -> None:
    model, ids = tiny("llama", VOCAB), prompts()
    source = read(model, ids, [Site("resid", 1)])
    with pytest.raises(BadInput, match="equal length"):
        list(patch(model, ids[:, 1:], source, FORK))
    with pytest.raises(BadInput, match="no position -8"):
        list(patch(model, ids, source, FORK, positions=(-8,)))
    with pytest.raises(BadInput, match="no component"):
        list(direct(model, ids, source, FORK))
    right = torch.ones_like(ids)
    right[0, -1] = 0
    with pytest.raises(BadInput, match="on the left"):
        measure(model, ids, FORK, mask=right)


# patching: planted truths


def copier() -> PreTrainedModel:
    """One head of one block copies the first token into the last position; nothing else writes anything."""
    config = LlamaConfig(
        vocab_size=VOCAB,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=0,
    )
    with torch.random.fork_rng(devices=[]):
        model = LlamaForCausalLM(config).eval()
    perturb(model)  # what transformers drew depends on the tests that ran before
    rng = torch_rng("copier")
    with torch.no_grad():
        for block in model.model.layers:
            block.self_attn.o_proj.weight.zero_()
            block.mlp.down_proj.weight.zero_()
        model.model.embed_tokens.weight.normal_(0, 1, generator=rng)
        model.lm_head.weight.normal_(0, 1, generator=rng)
        attention = model.model.layers[1].self_attn
        attention.q_proj.weight.zero_()  # it looks everywhere alike
        attention.o_proj.weight[:, 16:24].normal_(0, 1, generator=rng)  # head 2
        written = attention.o_proj.weight @ attention.v_proj.weight @ model.model.embed_tokens.weight.T
        model.lm_head.weight.zero_()
        model.lm_head.weight[4] = 3 * torch.nn.functional.normalize(written[:, 4] - written[:, 3], dim=0)
    return model


def test_the_head_that_copies_is_found_and_no_other() -> None:
    model = copier()
    ids = prompts(12, 6)
    other = ids.clone()
    ids[:, 0], other[:, 0] = 3, 4
    sites, fork = sites_of(model), Fork((4,), (5,))
    source = read(model, other, sites)
    gap = Gap(measure(model, ids, fork).double().numpy(), measure(model, other, fork).double().numpy(), names(12))
    assert not gap.undefined
    found = {
        (str(p.site), p.position): share(p.values.numpy(), gap)
        for p in patch(model, ids, source, fork, positions=(-1, -6))
    }
    for layer in range(2):
        for head in range(4):
            carries = (layer, head) == (1, 2)
            assert found[f"head.{layer}.{head}", -1] == pytest.approx(float(carries), abs=1e-5)
    assert found["attn.1", -1] == pytest.approx(1, abs=1e-5)
    assert found["resid.1", -6] == pytest.approx(1, abs=1e-5)
    assert found["resid.1", -1] == pytest.approx(0, abs=1e-5)
    assert found["mlp.1", -1] == 0
    paths = direct(model, ids, {s: v for s, v in source.items() if s.kind == "head"}, fork)
    for each in paths:
        assert share(each.values.numpy(), gap) == pytest.approx(float(str(each.site) == "head.1.2"), abs=1e-5)


def test_the_random_source_keeps_the_norm_of_every_change() -> None:
    model, ids, other = tiny("llama", VOCAB), prompts(seed=0), prompts(seed=1)
    base, source = (read(model, x, sites_of(model)) for x in (ids, other))
    drawn = random_source(source, base, "test", 0)
    for each in source:
        torch.testing.assert_close((drawn[each] - base[each]).norm(dim=-1), (source[each] - base[each]).norm(dim=-1))
        assert not torch.allclose(drawn[each], source[each])
    again = random_source(source, base, "test", 0)
    assert all(torch.equal(drawn[each], again[each]) for each in drawn)


def test_nulls_are_flat() -> None:
    """Twelve groups of eight addressed draws: the first of each, ranked among the others, has a p like any other."""
    model, fork, ids = copier(), Fork((4,), (5,)), prompts(12, 6)
    other = ids.clone()
    ids[:, 0], other[:, 0] = 3, 4
    base, source = (read(model, x, sites_of(model)) for x in (ids, other))
    gap = Gap(measure(model, ids, fork).double().numpy(), measure(model, other, fork).double().numpy(), names(12))
    for each in (site("resid.1"), site("attn.1"), site("head.1.2")):
        draws = [random_source({each: source[each]}, base, "null", draw) for draw in range(96)]
        patched = [p.values.numpy() for d in draws for p in patch(model, ids, d, fork, positions=(None,))]
        groups = [patched[8 * group : 8 * group + 8] for group in range(12)]  # draws in two groups would tie their p
        found = [recovery(one, gap, name="null", draws=others) for one, *others in groups]
        assert stats.kstest([one.p for one in found], "uniform").pvalue > 1e-3
        assert len({round(one.value, 6) for one in found}) == 12


# recovery


def test_recovery_by_hand() -> None:
    gap = Gap(np.array([0.0, 0.0, 1.0]), np.array([2.0, 2.1, 2.9]), names(3))
    found = recovery([1.0, 1.0, 2.0], gap, name="r")
    assert found.value == pytest.approx(3 / 6)
    assert found.lo < 0.5 < found.hi
    assert (found.n, found.n_problems, found.unit, found.null) == (3, 3, "ratio", 0.0)


def test_nothing_is_zero_and_everything_is_one() -> None:
    rng = numpy_rng("recovery")
    target = rng.normal(size=20)
    gap = Gap(target, target + 2 + 0.3 * rng.normal(size=20), names(20))
    nothing, everything = (recovery(x, gap, name="r") for x in (gap.target, gap.source))
    assert (nothing.value, nothing.lo, nothing.hi, nothing.p) == (0.0, 0.0, 0.0, 1.0)
    assert (everything.value, everything.lo, everything.hi) == pytest.approx((1.0, 1.0, 1.0))


def test_equal_runs_have_no_recovery_and_a_reason() -> None:
    gap = Gap(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0]), names(3))
    found = recovery([5.0, 6.0, 7.0], gap, name="r", draws=[[1.0, 1.0, 1.0]])
    assert math.isnan(found.value) and math.isnan(found.lo) and math.isnan(found.hi)
    assert "agree" in found.params["reason"]
    assert math.isnan(share([5.0, 6.0, 7.0], gap))


def test_a_gap_within_its_spread_has_no_recovery() -> None:
    rng = numpy_rng("small gap")
    for draw in range(20):
        target = rng.normal(size=30)
        gap = Gap(target, target + rng.normal(size=30), names(30))
        t = abs((gap.source - gap.target).mean()) / ((gap.source - gap.target).std(ddof=1) / math.sqrt(30))
        assert bool(gap.undefined) == (t < 3), draw
        found = recovery(target + 1, gap, name="r")
        assert math.isnan(found.value) if t < 3 else abs(found.value) < 20


def test_one_problem_has_no_recovery() -> None:
    gap = Gap(np.array([0.0]), np.array([1.0]), names(1))
    assert "one problem" in gap.undefined


def test_problems_are_the_clusters() -> None:
    """Repeating every row changes neither value nor interval."""
    rng = numpy_rng("clusters")
    target = rng.normal(size=15)
    source, patched = target + 2 + rng.normal(size=15), target + 1 + 0.5 * rng.normal(size=15)
    once = recovery(patched, Gap(target, source, names(15)), name="r")
    thrice = recovery(np.tile(patched, 3), Gap(np.tile(target, 3), np.tile(source, 3), names(15) * 3), name="r")
    assert (thrice.value, thrice.lo, thrice.hi) == pytest.approx((once.value, once.lo, once.hi))
    assert (thrice.n, thrice.n_problems) == (45, 15)


def test_the_interval_covers() -> None:
    """95 % of 400 worlds, within what 400 can tell."""
    covered = 0
    for world in range(400):
        rng = numpy_rng("coverage", world)
        base = rng.normal(size=40)
        gap = Gap(base, base + 1 + rng.normal(size=40), names(40))
        if gap.undefined:
            continue
        found = recovery(base + 0.4 * (gap.source - base) + 0.3 * rng.normal(size=40), gap, name="r")
        covered += found.lo <= 0.4 <= found.hi
    assert 0.92 < covered / 400 < 0.98


def test_p_counts_draws() -> None:
    gap = Gap(np.zeros(4), np.ones(4), names(4))
    draws = [np.full(4, x) for x in (0.1, -0.6, 0.2, 0.5)]  # the median of all is .2: .3 away, .1, .8, 0, .3
    assert recovery(np.full(4, 0.5), gap, name="r", draws=draws).p == 3 / 5
    assert recovery(np.full(4, 1.9), gap, name="r", draws=draws).p == 1 / 5
    assert recovery(np.full(4, 1.9), gap, name="r", draws=draws).null == pytest.approx(0.05)


def test_p_of_exchangeable_draws_is_uniform() -> None:
    """Nulls that are far from 0 and skewed, as those of activations are."""
    gap, found = Gap(np.zeros(2), np.ones(2), names(2)), []
    for world in range(300):
        pool = 0.3 + numpy_rng("exchangeable", world).exponential(size=21)
        found.append(recovery(np.full(2, pool[0]), gap, name="r", draws=[np.full(2, x) for x in pool[1:]]).p)
    assert all(np.mean(np.array(found) <= level) <= level + 2.6 * math.sqrt(level / 300) for level in (0.05, 0.2, 0.5))
    assert np.mean(found) == pytest.approx(0.52, abs=0.05)


def test_patching_composes_with_other_edits() -> None:
    """A replaced last state is the source's, whatever was patched before it."""
    model, ids, other = tiny("llama", VOCAB), prompts(seed=0), prompts(seed=1)
    source = read(model, other, [Site("resid", 1), Site("resid", 2)])
    edits = [Edit(where, Replace(value)) for where, value in source.items()]
    assert torch.equal(measure(model, ids, FORK, edits=edits), measure(model, other, FORK))
