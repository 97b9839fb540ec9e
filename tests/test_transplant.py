"""Transplanted weights, borrowed outputs, weight differences: exact restoring, planted layers, ranks and sparsity."""

import copy
import math

import numpy as np
import pytest
import torch
from outside_checkpoints import tiny
from torch import Tensor
from transformers import PreTrainedModel

from probe.errors import BadInput
from probe.interventions.patching import Fork, measure, sites_of
from probe.interventions.recovery import Gap, recovery, share
from probe.interventions.transplant import borrowing, part_modules, perturbed, transplanted
from probe.interventions.weight_difference import cosines, singular_values, weight_changes
from probe.models.hooks.anatomy import anatomy
from probe.models.hooks.forward_hooks import read, run
from probe.models.hooks.sites import Site, site
from probe.models.sampling.residual_bias import give_biases
from probe.models.sampling.transformers_sampler import generate
from probe.rng import torch_rng

ARCHITECTURES = ("qwen2", "llama", "olmo2", "gemma2")  # gemma2 ties embedding and head
VOCAB = 40
FORK = Fork((3,), (5,))
IDS = torch.randint(6, VOCAB, (8, 6), generator=torch_rng("ids"))
NAMES = [f"p{i}" for i in range(8)]


def logits(model: PreTrainedModel) -> Tensor:
    with torch.no_grad():
        return run(model, IDS).logits


def fork(model: PreTrainedModel) -> np.ndarray:
    return measure(model, IDS, FORK).double().numpy()


def moved(model: PreTrainedModel, part: str, size: float = 0.3) -> PreTrainedModel:
    """A copy with one part's weights changed."""
    other = copy.deepcopy(model)
    with torch.no_grad():
        for weight in part_modules(other)[part].parameters():
            weight.add_(torch.randn(weight.shape, generator=torch_rng("moved", part)), alpha=size)
    return other


@pytest.fixture(params=ARCHITECTURES)
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    return tiny(request.param, VOCAB)


@pytest.fixture
def after(model: PreTrainedModel) -> PreTrainedModel:
    return tiny(model.config.model_type, VOCAB, seed=1)


# transplants


def test_every_part_makes_the_donor_and_none_is_left(model: PreTrainedModel, after: PreTrainedModel) -> None:
    own, kept = logits(model), dict(model.named_parameters())
    every = [name for name in part_modules(model) if not name.startswith(("attn.", "mlp."))]
    with transplanted(model, after, every):
        assert torch.equal(logits(model), logits(after))
    assert torch.equal(logits(model), own)
    assert all(weight is kept[name] for name, weight in model.named_parameters())


def test_it_restores_whatever_happens(model: PreTrainedModel, after: PreTrainedModel) -> None:
    own = logits(model)
    with pytest.raises(ZeroDivisionError), transplanted(model, after, ["block.0", "head"]):
        raise ZeroDivisionError
    assert torch.equal(logits(model), own)


def test_the_layer_that_was_changed_carries_it_all(model: PreTrainedModel) -> None:
    """after = before with one block's MLP changed: recovery 1 there and in its block, exactly 0 elsewhere."""
    other = moved(model, "mlp.1")
    gap = Gap(np.zeros(8), np.ones(8), NAMES)
    start, end = fork(model), fork(other)
    for part in part_modules(model):
        with transplanted(model, other, [part]):
            where = (fork(model) - start) / (end - start)
        expected = 1.0 if part in ("mlp.1", "block.1") else 0.0
        assert (where == expected).all(), part
        assert recovery(where, gap, name="r").value == expected


def test_tied_parts_are_transplanted_alone() -> None:
    model, other = tiny("gemma2", VOCAB), tiny("gemma2", VOCAB, seed=1)
    embed, head = model.get_input_embeddings(), model.get_output_embeddings()
    with transplanted(model, other, ["head"]):
        assert head.weight is other.get_output_embeddings().weight
        assert embed.weight is not head.weight
    assert embed.weight is head.weight


def test_unknown_parts_and_other_shapes() -> None:
    model = tiny("llama", VOCAB)
    with pytest.raises(BadInput, match=r"mlp\.7"), transplanted(model, model, ["mlp.7"]):
        pass
    with pytest.raises(BadInput, match="one shape"), transplanted(model, tiny("llama", VOCAB + 1), ["embed"]):
        pass
    with pytest.raises(BadInput, match="dtype"), transplanted(model, tiny("llama", VOCAB).bfloat16(), ["mlp.0"]):
        pass


# borrowed outputs


def test_what_is_borrowed_is_the_donors(model: PreTrainedModel, after: PreTrainedModel) -> None:
    own = logits(model)
    for where in sites_of(model):
        with borrowing(model, after, [where]):
            found = read(model, IDS, [where])[where]
        assert torch.equal(found, read(after, IDS, [where])[where]), where
    assert torch.equal(logits(model), own)


def test_borrowing_the_last_state_and_head_makes_the_donor(model: PreTrainedModel, after: PreTrainedModel) -> None:
    last = Site("resid", len(anatomy(model).blocks))
    with borrowing(model, after, [last]), transplanted(model, after, ["norm", "head"]):
        assert torch.equal(logits(model), logits(after))


def test_borrowing_from_an_equal_changes_nothing(model: PreTrainedModel) -> None:
    own = logits(model)
    for donor in (model, copy.deepcopy(model)):
        for where in sites_of(model, ("attn", "mlp")):
            with borrowing(model, donor, [where]):
                assert torch.equal(logits(model), own)


def test_cached_generation_borrows_what_a_whole_forward_does(model: PreTrainedModel, after: PreTrainedModel) -> None:
    """Greedy decoding with a cache against forwards over all that was written, prompts of two lengths."""
    prompts = [[7, 8, 9, 10], [11, 12]]
    with borrowing(model, after, [site("mlp.0"), site("attn.1")]):
        made = generate(model, prompts, n_samples=1, max_new=5, stop=[], pad=0, uniforms=None)
        for prompt, new in zip(prompts, made.ids.tolist(), strict=True):
            for step in range(5):
                truth = run(model, torch.tensor([prompt + new[:step]])).logits[0, -1]
                assert truth[new[step]] > truth.max() - 1e-4
    plain = generate(model, prompts, n_samples=1, max_new=5, stop=[], pad=0, uniforms=None)
    assert not torch.allclose(plain.entropy, made.entropy, atol=1e-3)


def test_a_changed_layer_is_carried_by_its_output(model: PreTrainedModel) -> None:
    other = moved(model, "mlp.1")
    start, end = fork(model), fork(other)
    for name, there in (("mlp.1", end), ("attn.0", start), ("mlp.0", start), ("attn.1", start)):
        with borrowing(model, other, [site(name)]):
            np.testing.assert_array_equal(fork(model), there)


# random weights


def test_random_changes_have_the_norm_of_the_real_ones(model: PreTrainedModel, after: PreTrainedModel) -> None:
    own, kept = logits(model), {name: w.detach().clone() for name, w in model.named_parameters()}
    its = dict(after.named_parameters())
    with perturbed(model, after, "test", 0):
        for name, weight in model.named_parameters():
            size = (its[name] - kept[name]).norm()
            torch.testing.assert_close((weight - kept[name]).norm(), size, rtol=1e-4, atol=1e-6)
        tied = model.get_output_embeddings().weight is model.get_input_embeddings().weight
        assert tied == (model.config.model_type == "gemma2")
        assert not torch.equal(logits(model), own)
    assert torch.equal(logits(model), own)


def test_only_the_part_asked_for_is_moved() -> None:
    model, after = tiny("llama", VOCAB), tiny("llama", VOCAB, seed=1)
    kept = dict(model.named_parameters())
    with perturbed(model, after, "test", 0, parts=["mlp.1"]):
        changed = {name for name, weight in model.named_parameters() if weight is not kept[name]}
    assert changed == {f"model.layers.1.mlp.{name}_proj.weight" for name in ("gate", "up", "down")}


def test_random_changes_recover_nothing_on_average() -> None:
    """Small ones, over 24 draws: first order is symmetric."""
    model = tiny("llama", VOCAB)
    other = moved(model, "block.1", 0.01)
    with torch.no_grad():  # a change with a direction, so that there is a gap
        part_modules(other)["head"].weight[3].add_(
            0.2 * read(model, IDS, [Site("resid", 2)])[Site("resid", 2)][:, -1].mean(0)
        )
    start = fork(model)
    gap = Gap(start, start + 1.0, NAMES)
    shares = []
    for draw in range(24):
        with perturbed(model, other, "null", draw, parts=["block.1"]):
            shares.append(share(fork(model), gap))
    assert abs(np.mean(shares)) < 4 * np.std(shares, ddof=1) / math.sqrt(24)


# weight differences


def with_delta(name: str, delta: Tensor) -> tuple[PreTrainedModel, PreTrainedModel]:
    before = tiny("llama", VOCAB)
    after = copy.deepcopy(before)
    with torch.no_grad():
        dict(after.named_parameters())[name].add_(delta)
    return before, after


GATE, MODULE = "model.layers.1.mlp.gate_proj.weight", "mlp.1.gate_proj.weight"


@pytest.mark.parametrize("rank", [1, 2, 4])
def test_planted_rank(rank: int) -> None:
    """Orthogonal directions of equal weight: stable rank and n90 are their number."""
    left = torch.linalg.qr(torch.randn(64, rank, generator=torch_rng("left")))[0]
    right = torch.linalg.qr(torch.randn(32, rank, generator=torch_rng("right")))[0]
    before, after = with_delta(GATE, left @ right.T)
    found = {each.module: each for each in weight_changes(before, after)}
    one = found[MODULE]
    assert one.stable_rank == pytest.approx(rank, rel=1e-4)
    assert one.n90 == rank
    assert one.norm == pytest.approx(math.sqrt(rank), rel=1e-4)
    assert one.top_share == pytest.approx(1)
    weight = dict(before.named_parameters())[GATE].detach().double()
    assert one.relative == pytest.approx(math.sqrt(rank) / float(weight.norm()), rel=1e-4)
    assert all(each.norm == 0 and each.unchanged == 1 for name, each in found.items() if name != MODULE)
    assert all(math.isnan(each.stable_rank) for name, each in found.items() if name != MODULE)


def test_planted_sparsity() -> None:
    kept = torch.zeros(64 * 32)
    kept[torch.randperm(64 * 32, generator=torch_rng("kept"))[:256]] = 0.5
    before, after = with_delta(GATE, kept.view(64, 32))
    one = next(each for each in weight_changes(before, after) if each.module == MODULE)
    assert one.sparsity == one.unchanged == 1 - 256 / 2048


def test_a_gaussian_change_is_not_sparse_and_of_high_rank() -> None:
    before, after = with_delta(GATE, torch.randn(64, 32, generator=torch_rng("gaussian")))
    one = next(each for each in weight_changes(before, after) if each.module == MODULE)
    assert one.sparsity == pytest.approx(0.008, abs=0.008)
    assert one.stable_rank > 8
    assert one.unchanged == 0


def test_every_parameter_once(model: PreTrainedModel, after: PreTrainedModel) -> None:
    found = weight_changes(model, after)
    assert len({each.module for each in found}) == len(found) == len(list(model.parameters()))
    assert sum(each.entries for each in found) == sum(weight.numel() for weight in model.parameters())
    assert {each.part for each in found} <= set(part_modules(model))
    assert ("head" in {each.part for each in found}) == (model.config.model_type != "gemma2")


def test_an_untied_head_is_a_module_of_its_own() -> None:
    before = tiny("qwen3", VOCAB)
    after = copy.deepcopy(before)
    after.lm_head.weight = torch.nn.Parameter(after.lm_head.weight.detach() + 1)
    for one, two in ((before, after), (after, before)):
        found = {each.part: each for each in weight_changes(one, two)}
        assert found["embed"].norm == 0
        assert found["head"].norm == pytest.approx(math.sqrt(VOCAB * 32))
        assert found["head"].stable_rank == pytest.approx(1)


def test_singular_values() -> None:
    matrix = torch.randn(30, 20, generator=torch_rng("matrix"))
    truth = torch.linalg.svdvals(matrix.double())
    for one in (matrix, matrix.T):
        torch.testing.assert_close(singular_values(one), truth)


def test_cosines() -> None:
    before, after = with_delta(GATE, torch.ones(64, 32))
    assert cosines(before, after, after)[MODULE] == pytest.approx(1)
    _, opposite = with_delta(GATE, -2 * torch.ones(64, 32))
    assert cosines(before, after, opposite)[MODULE] == pytest.approx(-1)
    assert math.isnan(cosines(before, after, before)[MODULE])
    far = [cosines(before, after, tiny("llama", VOCAB, seed=s))[MODULE] for s in range(2, 12)]
    assert max(map(abs, far)) < 5 / math.sqrt(2048)


def test_different_blocks() -> None:
    with pytest.raises(BadInput, match="different blocks"):
        weight_changes(tiny("llama", VOCAB), tiny("llama", VOCAB, num_hidden_layers=3))
    with pytest.raises(BadInput, match="one shape"):
        weight_changes(tiny("llama", VOCAB), tiny("llama", VOCAB + 1))


def test_a_vector_that_was_added_is_no_change_of_a_matrix() -> None:
    before = tiny("qwen2", VOCAB)
    after = copy.deepcopy(before)
    give_biases(after, ["model.layers.0.mlp.down_proj.bias"])
    with pytest.raises(BadInput, match=r"down_proj.bias is there after and not before"):
        weight_changes(before, after)
