"""Plain hooks read what stands in the model and change what goes on from there, and leave nothing behind."""

import copy
from collections.abc import Callable

import pytest
import torch
from outside_checkpoints import KINDS, tiny
from torch import Tensor
from transformers import FalconConfig, FalconForCausalLM, PreTrainedModel

from probe.errors import BadInput, ProbeError
from probe.models.hooks.anatomy import anatomy, final_hidden
from probe.models.hooks.edits import Add, Edit, ProjectOut, Replace, Scale
from probe.models.hooks.forward_hooks import editing, read, run
from probe.models.hooks.sites import Site, site
from probe.models.sampling.transformers_sampler import generate
from probe.rng import torch_rng

VOCAB = 61
IDS = torch.randint(2, VOCAB, (2, 11), generator=torch_rng("hooks ids"))
LEFT = torch.ones_like(IDS)
LEFT[0, :4] = 0
V = torch.randn(32, generator=torch_rng("hooks vector"))


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    return tiny(request.param, VOCAB, eos=1, pad=0)


@pytest.fixture(scope="module")
def qwen() -> PreTrainedModel:
    return tiny("qwen2", VOCAB, eos=1, pad=0)


def n_hooks(model: PreTrainedModel) -> int:
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in model.modules())


def logits(model: PreTrainedModel, ids: Tensor = IDS) -> Tensor:
    return model(input_ids=ids, use_cache=False).logits


@torch.no_grad()
def test_the_stream_is_the_sum_of_what_blocks_write(model: PreTrainedModel) -> None:
    n = model.config.num_hidden_layers
    sites = [Site(kind, i) for i in range(n) for kind in ("resid", "attn", "mlp")] + [Site("resid", n)]
    there = read(model, IDS, sites)
    behind = hasattr(anatomy(model).blocks[0], "post_feedforward_layernorm")  # OLMo 2, Gemma: norms behind both
    embedded = model.get_input_embeddings()(IDS)
    torch.testing.assert_close(there[Site("resid", 0)], embedded)  # Gemma's is scaled within the embedding
    for i, block in enumerate(anatomy(model).blocks):
        attn, mlp = there[Site("attn", i)], there[Site("mlp", i)]
        if behind:
            attn, mlp = block.post_attention_layernorm(attn), block.post_feedforward_layernorm(mlp)
        torch.testing.assert_close(there[Site("resid", i + 1)], there[Site("resid", i)] + attn + mlp, atol=1e-5, rtol=0)
    torch.testing.assert_close(anatomy(model).final_norm(there[Site("resid", n)]), final_hidden(model, IDS))


@torch.no_grad()
def test_heads_side_by_side_are_what_attention_projects(model: PreTrainedModel) -> None:
    there = read(model, IDS, [Site("attn", 1), *(Site("head", 1, h) for h in (2, 0, 3, 1))])
    z = torch.cat([there[Site("head", 1, h)] for h in range(4)], -1)
    torch.testing.assert_close(anatomy(model).attention[1].o_proj(z), there[Site("attn", 1)])


@torch.no_grad()
def test_run_and_read_say_the_same_and_without_edits_nothing_changes(model: PreTrainedModel) -> None:
    sites = [site(name) for name in ("head.0.1", "resid.1", "mlp.1", "resid.0", "attn.0")]
    before, plain = n_hooks(model), logits(model)
    both = run(model, IDS, sites)
    assert torch.equal(both.logits, plain)
    alone = read(model, IDS, sites)
    assert list(alone) == list(both.read) == sites
    assert all(torch.equal(alone[s], both.read[s]) for s in sites)
    assert read(model, IDS, []) == {} and n_hooks(model) == before


@pytest.mark.parametrize("name", ["resid.1", "attn.1", "mlp.0", "head.1.2", "resid.2"])
@torch.no_grad()
def test_what_stands_there_put_there_again_changes_not_a_bit(qwen: PreTrainedModel, name: str) -> None:
    where = site(name)
    value = read(qwen, IDS, [where])[where]
    assert torch.equal(run(qwen, IDS, edits=[Edit(where, Replace(value))]).logits, logits(qwen))


def test_reading_goes_no_further_than_the_last_site() -> None:
    model = tiny("qwen2", VOCAB)
    model.model.layers[1].mlp.register_forward_pre_hook(lambda *_: pytest.fail("too far"))
    there = read(
        model, IDS, [site("resid.1"), site("attn.1"), site("resid.0")], edits=[Edit(site("resid.2"), Scale(0.0))]
    )
    assert len(there) == 3 and not any(x.requires_grad for x in there.values())


@torch.no_grad()
def test_a_site_is_read_after_its_edits_which_act_in_order(qwen: PreTrainedModel) -> None:
    where = site("resid.1")
    plain = read(qwen, IDS, [where])[where]
    one, other = Edit(where, Add(V)), Edit(where, Scale(2.0), "last")
    added, doubled = read(qwen, IDS, [where], edits=[one, other]), read(qwen, IDS, [where], edits=[other, one])
    torch.testing.assert_close(added[where][:, -1], 2 * (plain[:, -1] + V))
    torch.testing.assert_close(doubled[where][:, -1], 2 * plain[:, -1] + V)
    torch.testing.assert_close(added[where][:, :-1], plain[:, :-1] + V)


@torch.no_grad()
def test_one_heads_edit_leaves_the_others(qwen: PreTrainedModel) -> None:
    heads = [Site("head", 0, h) for h in range(4)]
    plain = read(qwen, IDS, heads)
    there = read(qwen, IDS, heads, edits=[Edit(heads[2], Scale(0.0)), Edit(heads[3], Scale(3.0), "last")])
    assert not there[heads[2]].any()
    assert torch.equal(there[heads[3]][:, -1], 3 * plain[heads[3]][:, -1])
    assert torch.equal(there[heads[3]][:, :-1], plain[heads[3]][:, :-1])
    assert all(torch.equal(there[h], plain[h]) for h in heads[:2])


def test_edits_move_only_what_comes_behind_them(qwen: PreTrainedModel) -> None:
    where = torch.zeros_like(IDS, dtype=torch.bool)
    where[1, 6] = True
    moved = (run(qwen, IDS, edits=[Edit(site("resid.1"), Add(V), where)]).logits - logits(qwen)).abs().sum(-1) > 0
    assert not moved[0].any() and not moved[1, :6].any() and moved[1, 6:].all()


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("where", ["all", "last", "new"])
@torch.no_grad()
def test_padding_changes_nothing(model: PreTrainedModel, side: str, where: str) -> None:
    edits = [Edit(site("resid.1"), Add(V), where), Edit(site("attn.1"), Scale(0.5), where)]
    mask = LEFT if side == "left" else LEFT.flip(1)
    together = run(model, IDS, [site("mlp.1")], mask=mask, edits=edits)
    for row in range(2):
        kept = mask[row].bool()
        alone = run(model, IDS[row][kept][None], [site("mlp.1")], edits=edits)
        torch.testing.assert_close(together.logits[row][kept], alone.logits[0], atol=2e-5, rtol=1e-4)
        read_there = together.read[site("mlp.1")][row][kept]
        torch.testing.assert_close(read_there, alone.read[site("mlp.1")][0], atol=2e-5, rtol=1e-4)


def test_gradients_reach_vectors_and_what_was_read(qwen: PreTrainedModel) -> None:
    v = V.clone().requires_grad_()
    ran = run(qwen, IDS, [site("mlp.0")], edits=[Edit(site("resid.1"), Add(v, 2.0), "last")])
    there = ran.read[site("mlp.0")]
    (dv, dmlp) = torch.autograd.grad(ran.logits[:, -1, 5].sum(), [v, there])
    step, direction = 1e-2, V.roll(1) / V.norm()
    up, down = (
        run(qwen, IDS, edits=[Edit(site("resid.1"), Add(V + s * direction, 2.0), "last")]).logits[:, -1, 5].sum()
        for s in (step, -step)
    )
    torch.testing.assert_close(dv @ direction, (up - down) / (2 * step), atol=1e-2, rtol=1e-2)
    assert dmlp[:, -1].any()


def test_half_precision_stays(qwen: PreTrainedModel) -> None:
    half = copy.deepcopy(qwen).to(torch.bfloat16)
    ran = run(half, IDS, [site("resid.1")], edits=[Edit(site("resid.1"), ProjectOut(V / V.norm()))])
    assert ran.logits.dtype is ran.read[site("resid.1")].dtype is torch.bfloat16


def greedy(model: PreTrainedModel, max_new: int = 6) -> Tensor:
    prompts = [[3, 4, 5], [6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]]
    return generate(model, prompts, n_samples=1, max_new=max_new, stop=[], pad=0, uniforms=None).ids


def test_within_editing_generation_is_steered_and_behind_it_no_more(model: PreTrainedModel) -> None:
    usual, before = greedy(model), n_hooks(model)
    with editing(model, [Edit(site("resid.1"), Add(5 * V), "new")]):
        steered = greedy(model)
    assert not torch.equal(steered, usual)
    assert torch.equal(greedy(model), usual) and n_hooks(model) == before


@torch.no_grad()
def test_editing_goes_by_the_mask_of_each_forward(qwen: PreTrainedModel) -> None:
    edits = [Edit(site("resid.1"), Add(V), "last")]
    mask = LEFT.flip(1)
    wanted = run(qwen, IDS, mask=mask, edits=edits).logits
    with editing(qwen, edits):
        assert torch.equal(qwen(input_ids=IDS, attention_mask=mask).logits[0, :7], wanted[0, :7])
        assert not torch.equal(qwen(input_ids=IDS).logits[0, :7], wanted[0, :7])
    with editing(qwen, edits, mask=mask):
        assert torch.equal(qwen(input_ids=IDS).logits[0, :7], wanted[0, :7])


@torch.no_grad()
def test_editings_within_each_other_and_around_reading_add_up(qwen: PreTrainedModel) -> None:
    where = site("resid.1")
    with editing(qwen, [Edit(where, Add(V))]), editing(qwen, [Edit(where, Scale(2.0))]):
        there = read(qwen, IDS, [where])[where]
    torch.testing.assert_close(there, 2 * (read(qwen, IDS, [where])[where] + V))


def test_reading_within_editing_may_stop_before_the_edit(qwen: PreTrainedModel) -> None:
    early, late = site("resid.0"), Edit(site("resid.2"), Scale(0.0))
    with editing(qwen, [late]):
        there = read(qwen, IDS, [early])[early]
    assert torch.equal(there, read(qwen, IDS, [early])[early])
    with pytest.raises(BadInput, match="positions of an edit"), editing(qwen, [late]):
        read(qwen, IDS, [early], edits=[Edit(early, Add(V), torch.ones(2, 3, dtype=torch.bool))])


def test_one_head_is_read_without_its_neighbours(qwen: PreTrainedModel) -> None:
    where = site("head.1.2")
    there = read(qwen, IDS, [where])[where]
    assert there.untyped_storage().nbytes() == there.numel() * there.itemsize
    ran = run(qwen, IDS, [where]).read[where]  # where it is what the model goes on with
    assert torch.equal(there, ran) and ran.untyped_storage().nbytes() > there.untyped_storage().nbytes()


@torch.no_grad()
def test_a_model_that_writes_over_what_was_read_is_found_out() -> None:
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": VOCAB}
    with torch.random.fork_rng(devices=[]):
        falcon = FalconForCausalLM(FalconConfig(parallel_attn=True, bias=False, **shape)).eval()
    mlp, stream = site("mlp.0"), site("resid.1")
    with pytest.raises(ProbeError, match=r"wrote over what was read at mlp.0"):
        run(falcon, IDS, [mlp, stream])  # it adds attention to what the MLP put out, in place
    assert torch.equal(read(falcon, IDS, [stream])[stream], run(falcon, IDS, [stream]).read[stream])


@pytest.mark.parametrize("mask", [LEFT[:1], LEFT[:, :5], LEFT[None], torch.ones(4, 11)], ids=lambda m: str(m.shape))
@pytest.mark.parametrize("call", [read, run])
def test_a_mask_of_something_else_is_an_error(qwen: PreTrainedModel, call: Callable, mask: Tensor) -> None:
    with pytest.raises(BadInput, match=r"the ids are \(2, 11\)"):
        call(qwen, IDS, [site("resid.1")], mask=mask)


@pytest.mark.parametrize("where", ["last", torch.ones(2, 11, dtype=torch.bool)])
def test_a_text_in_the_making_takes_only_all_and_new(qwen: PreTrainedModel, where: str | Tensor) -> None:
    before = n_hooks(qwen)
    with pytest.raises(BadInput, match="mean a whole text"), editing(qwen, [Edit(site("resid.1"), Add(V), where)]):
        greedy(qwen)
    assert n_hooks(qwen) == before


UNKNOWN = [Site("resid", 3), Site("attn", 2), Site("mlp", 7), Site("head", 0, 4), Site("head", 2, 0), Site("resid", -1)]


@pytest.mark.parametrize("where", UNKNOWN, ids=str)
def test_an_unknown_site_is_an_error_never_ignored(qwen: PreTrainedModel, where: Site) -> None:
    before, edit = n_hooks(qwen), Edit(where, Scale(0.0))
    for use in (
        lambda: read(qwen, IDS, [site("resid.0"), where]),
        lambda: read(qwen, IDS, [site("resid.0")], edits=[edit]),
        lambda: run(qwen, IDS, [where]),
        lambda: run(qwen, IDS, edits=[edit]),
        lambda: editing(qwen, [edit]).__enter__(),
    ):
        with pytest.raises(BadInput, match=f"this model has no {where}"):
            use()
    assert n_hooks(qwen) == before


def raising(x: Tensor) -> Tensor:
    raise ValueError("from within an edit")


@pytest.mark.parametrize("call", [read, run])
def test_hooks_are_gone_whatever_happens(qwen: PreTrainedModel, call: Callable) -> None:
    before = n_hooks(qwen)
    with pytest.raises(ValueError, match="within an edit"):
        call(qwen, IDS, [site("resid.2")], edits=[Edit(site("attn.1"), raising)])
    with pytest.raises(BadInput, match=r"positions of an edit are .2, 3."):
        call(qwen, IDS, [site("resid.2")], edits=[Edit(site("attn.1"), Add(V), torch.ones(2, 3, dtype=torch.bool))])
    assert n_hooks(qwen) == before


def test_a_site_that_the_forward_never_reaches_is_an_error() -> None:
    model = tiny("qwen2", VOCAB)
    model.model.unused_norm = copy.deepcopy(model.model.norm)  # taken for the final norm, and never called
    edit = Edit(site("resid.2"), Scale(0.0))
    for use in (
        lambda: read(model, IDS, [site("resid.0"), site("resid.2")]),
        lambda: run(model, IDS, [site("resid.2")]),
        lambda: run(model, IDS, edits=[edit]),
    ):
        with pytest.raises(ProbeError, match=r"resid.2 was not reached"):
            use()
    with pytest.raises(ProbeError, match=r"resid.2 was not reached"), editing(model, [edit]):
        logits(model)
