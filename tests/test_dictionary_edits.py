"""Turning latents by hand: decode with the latent changed plus the error, in a tiny Llama, and while it generates."""

import pytest
import torch
from outside_checkpoints import tiny
from planted_pairs import SITE, dictionary, features, sparse, written
from torch import Tensor

from probe.dictionaries.activation import Activation, BatchTopK, JumpReLU, ReLU, TopK
from probe.dictionaries.causes.edits import ClampLatents, ScaleLatents, ablate, stand_alone
from probe.dictionaries.dictionary import Dictionary, Normalise
from probe.errors import BadInput
from probe.models.hooks.edits import Edit, apply
from probe.models.hooks.forward_hooks import editing, read, run
from probe.rng import torch_rng

ALIKE = {"atol": 1e-5, "rtol": 1e-5}
KINDS: list[Activation] = [ReLU(), TopK(3), JumpReLU(torch.linspace(0, 2, 40))]


def one(activation: Activation, normalise: Normalise = "none", *, d: int = 32, n: int = 40) -> Dictionary:
    """A dictionary of one model that explains next to nothing: there is error to be kept."""
    rng = torch_rng("one model")
    W_dec, b_dec = torch.randn(n, 1, d, generator=rng), torch.randn(1, d, generator=rng)
    W_enc = torch.randn(1, d, n, generator=rng) / d**0.5
    return dictionary(
        W_dec, W_enc=W_enc, models=("one",), activation=activation, scale=[0.7], b_dec=b_dec, normalise=normalise
    )


def states(*shape: int) -> Tensor:
    return 2 * torch.randn(shape, generator=torch_rng("states", *shape))


@pytest.mark.parametrize("normalise", ["none", "layer_norm", "constant_norm"])
@pytest.mark.parametrize("activation", KINDS, ids=lambda each: type(each).__name__)
def test_an_edit_is_decode_with_the_latent_changed_and_the_error(activation: Activation, normalise: Normalise) -> None:
    found, x = one(activation, normalise), states(2, 7, 32)
    rows = x.reshape(-1, 1, 32)
    f = found.encode(rows)
    error = rows - found.decode(f, rows)
    chosen = f.sum(0).topk(3).indices.tolist()
    for change, wanted in (
        (ScaleLatents(found, tuple(chosen), 2.5), 2.5 * f[:, chosen]),
        (ablate(found, chosen), 0 * f[:, chosen]),
        (ClampLatents(found, tuple(chosen), 1.5), torch.full((14, 3), 1.5)),
        (ClampLatents(found, tuple(chosen), (0.5, 0.0, 4.0)), torch.tensor([0.5, 0, 4]).expand(14, 3)),
    ):
        changed = f.clone()
        changed[:, chosen] = wanted
        expected = (found.decode(changed, rows) + error).view(2, 7, 32)
        assert (expected - x).abs().max() > 0.1
        torch.testing.assert_close(change(x), expected, **ALIKE)


def test_by_hand() -> None:
    W_dec = torch.tensor([[[1.0, 0, 0]], [[0, 2, 0]]])
    found = dictionary(W_dec, models=("one",), scale=[0.5])
    x = torch.tensor([[[4.0, -4, 7], [2, 4, 0]]])  # f = x . W_dec / |W_dec|^2 * .5: [2 0], [1 1]
    assert found.encode(x.view(2, 1, 3)).tolist() == [[2, 0], [1, 1]]
    assert ablate(found, [0])(x).tolist() == [[[0, -4, 7], [0, 4, 0]]]
    assert ScaleLatents(found, (1,), 3.0)(x).tolist() == [[[4, -4, 7], [2, 12, 0]]]
    assert ClampLatents(found, (1,), 2.0)(x).tolist() == [[[4, 4, 7], [2, 8, 0]]]
    assert ablate(found, [0, 1])(x).tolist() == [[[0, -4, 7], [0, 0, 0]]]


def test_identities() -> None:
    found, x = one(ReLU()), states(1, 9, 32)
    assert ScaleLatents(found, (1, 2), 1.0)(x).equal(x)
    torch.testing.assert_close(ClampLatents(found, (3,), 0.0)(x), ablate(found, [3])(x))
    silent = JumpReLU(torch.full((40,), 1e6))
    assert ablate(one(silent), [0, 5])(x).equal(x)  # what does not fire has nothing to take out
    both = ablate(found, [4, 6])(x) - x
    torch.testing.assert_close(both, ablate(found, [4])(x) + ablate(found, [6])(x) - 2 * x, **ALIKE)


def test_half_precision_is_edited_in_single() -> None:
    x = states(1, 5, 32).bfloat16()
    change = ScaleLatents(one(ReLU()), (0, 1), 3.0)
    assert apply(change, x, None).equal(change(x.float()).bfloat16())


def crosscoder() -> tuple[Dictionary, Tensor, Tensor]:
    """Four shared features, one of after alone; both models on the same text, after with a bias of its own."""
    truth = features(5, 12, "edits")
    W_dec = written(truth, [[1, 1, 1, 1, 0], [1] * 5])
    b_dec = torch.stack([torch.zeros(12), torch.ones(12)]).double()
    found, f = dictionary(W_dec, scale=[0.5, 2.0], b_dec=b_dec), sparse(50, 5, "edits")
    return found, found.decode(f), f


def test_one_model_standing_for_both_reads_what_both_hold() -> None:
    found, x, f = crosscoder()
    alone = stand_alone(found, "after")
    torch.testing.assert_close(alone.encode(x[:, 1:]), f, atol=1e-12, rtol=0)
    half = found.side("after").encode(x[:, 1:])
    torch.testing.assert_close(half[:, :4], f[:, :4] / 2, atol=1e-12, rtol=0)  # what it would miss
    h = x[:, 1].view(1, 50, 12)
    expected = found.decode(f * torch.tensor([0.0, 1, 1, 1, 1]).double())[:, 1]
    torch.testing.assert_close(ablate(alone, [0])(h)[0], expected, atol=1e-12, rtol=0)
    other = stand_alone(found, "before")
    assert ablate(other, [4])(x[:, :1].view(1, 50, 12)).equal(x[:, :1].view(1, 50, 12))  # before has no such direction
    single = one(ReLU())
    assert stand_alone(single, "one").W_enc.equal(single.W_enc)


@torch.no_grad()
def test_in_a_llama() -> None:
    """Through the hooks, at chosen positions, and the edited site is what the formula says."""
    model = tiny("llama", 64).eval()
    ids = torch.tensor([[3, 5, 7, 9, 4, 6]])
    found, where = one(TopK(8)), torch.tensor([[False, True, True, False, False, True]])
    h = read(model, ids, [SITE])[SITE]
    latents = tuple(found.encode(h.view(-1, 1, 32)).sum(0).topk(4).indices.tolist())
    change = ClampLatents(found, latents, 3.0)
    told = run(model, ids, [SITE], edits=[Edit(SITE, change, where)])
    rows = h.view(-1, 1, 32)
    f = found.encode(rows)
    changed = f.clone()
    changed[:, list(latents)] = 3.0
    wanted = h + torch.where(where[..., None], (found.decode(changed) - found.decode(f)).view(h.shape), 0.0)
    torch.testing.assert_close(told.read[SITE], wanted, **ALIKE)
    plain = run(model, ids)
    assert (told.logits - plain.logits).abs().max() > 1e-3
    torch.testing.assert_close(told.logits[:, 0], plain.logits[:, 0])  # nothing before it was edited
    same = run(model, ids, edits=[Edit(SITE, ScaleLatents(found, latents, 1.0))])
    assert same.logits.equal(plain.logits)


@torch.no_grad()
def test_while_it_generates() -> None:
    """Cached generation under the edit is what uncached forwards under the edit say, token by token."""
    model = tiny("llama", 64).eval()
    ids, found = torch.tensor([[3, 5, 7, 9]]), one(ReLU())
    edit = Edit(SITE, ClampLatents(found, (0, 1, 2), 5.0))
    plain = model.generate(ids, max_new_tokens=8, do_sample=False, pad_token_id=0)
    with editing(model, [edit]):
        edited = model.generate(ids, max_new_tokens=8, do_sample=False, pad_token_id=0)
    by_hand = ids
    for _ in range(edited.shape[1] - 4):
        by_hand = torch.cat([by_hand, run(model, by_hand, edits=[edit]).logits[:, -1:].argmax(-1)], dim=1)
    assert edited.equal(by_hand) and not edited.equal(plain)


def test_bad_edits() -> None:
    found, pair = one(ReLU()), crosscoder()[0]
    with pytest.raises(BadInput, match="by a dictionary of 2"):
        ablate(pair, [0])
    with pytest.raises(BadInput, match="no model is called"):
        stand_alone(pair, "later")
    for latents in ([], [40], [-1], [1, 1]):
        with pytest.raises(BadInput, match="latents"):
            ablate(found, latents)
    with pytest.raises(BadInput, match="BatchTopK"):
        ablate(one(BatchTopK(3)), [0])
    with pytest.raises(BadInput, match="a factor of nan"):
        ScaleLatents(found, (0,), float("nan"))
    for value in (float("inf"), (1.0, 2.0)):
        with pytest.raises(BadInput, match="values"):
            ClampLatents(found, (0,), value)
    with pytest.raises(BadInput, match="activations of shape"):
        ablate(found, [0])(states(1, 2, 31))
