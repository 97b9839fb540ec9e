"""The sparse products: the same pairs as a full topk, and the gradients of dense autograd, for every activation."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from probe.dictionaries.activation import BatchTopK, TopK
from probe.dictionaries.fitting.objective import forward
from probe.dictionaries.fitting.options import Fit
from probe.dictionaries.fitting.pairs import above, largest_of_batch, largest_of_rows, pairs
from probe.dictionaries.fitting.parameters import Parameters, start
from probe.dictionaries.fitting.sparse import asked, decode
from probe.rng import torch_rng

N, D, ROWS, K = 24, 6, 40, 3
BASE = Fit(N, K, dtype="float64", rms=2.0, bandwidth=0.4, batch=ROWS, held=ROWS)
FITS = {
    "topk": replace(BASE, activation="topk"),
    "batchtopk": BASE,
    "jumprelu": replace(BASE, activation="jumprelu"),
    "matryoshka": replace(BASE, activation="matryoshka", prefixes=(4, 11)),
}
PAIRED = {
    "difference": replace(BASE, difference=-0.6),
    "only the difference": replace(BASE, difference=-1.0),
    "partition": replace(BASE, partition=(5, 3)),
    "delta": replace(BASE, partition=(5, 3), delta=0.7),
}


def drawn(*shape: int, of: str = "x") -> Tensor:
    return torch.randn(*shape, generator=torch_rng("test", "sparse", of, *shape), dtype=torch.float64)


@pytest.mark.parametrize(("rows", "n", "k"), [(1, 5, 1), (7, 33, 4), (50, 40, 40), (64, 500, 7), (300, 129, 2)])
def test_pairs_are_those_of_a_full_topk(rows: int, n: int, k: int) -> None:
    pre = drawn(rows, n) - 1.0  # some rows have fewer than k above 0
    for place, dense in (
        (largest_of_rows(pre, k), TopK(k)(pre)),
        (largest_of_batch(pre, k * rows), BatchTopK(k)(pre)),
        (above(pre, pre[0].clamp(min=0)), torch.where(pre > pre[0].clamp(min=0), pre, 0)),
    ):
        assert torch.equal(place, dense.flatten().nonzero()[:, 0])


def test_a_batch_whose_sample_misleads_still_gives_its_largest() -> None:
    pre = -drawn(200, 64).abs()
    pre.view(-1)[::61] = 5.0 + drawn(len(pre.view(-1)[::61])).abs()  # what is looked at is all that is large
    pre.view(-1)[1:200:61] = 1.0
    dense = BatchTopK(2)(pre)
    assert torch.equal(largest_of_batch(pre, 400), dense.flatten().nonzero()[:, 0])


def test_pairs_by_latent_are_the_same_pairs() -> None:
    at = pairs(largest_of_batch(drawn(30, 11), 70), 30, 11)
    assert (len(at), at.rows, at.n_latents) == (70, 30, 11)
    assert torch.equal(at.row * 11 + at.latent, at.place)
    for latent in range(11):
        mine = at.order[at.latent_starts[latent] : at.latent_starts[latent + 1]]
        assert torch.equal(mine, (at.latent == latent).nonzero()[:, 0])


def test_no_active_pair_at_all() -> None:
    W, at = drawn(5, 3).requires_grad_(), pairs(torch.zeros(0, dtype=torch.int64), 4, 5)
    out = decode(torch.zeros(0, dtype=torch.float64, requires_grad=True), W, at)
    out.sum().backward()
    assert torch.equal(out, torch.zeros(4, 3, dtype=torch.float64))
    assert W.grad is not None and not W.grad.any()


def test_products_by_hand() -> None:
    """Two rows, three latents, of which (0, 2), (1, 0) and (1, 2) are active."""
    at = pairs(torch.tensor([2, 3, 5]), 2, 3)
    W = torch.tensor([[1.0, 0.0], [9.0, 9.0], [0.0, 2.0]], requires_grad=True)
    f = torch.tensor([3.0, 4.0, 5.0], requires_grad=True)
    out = decode(f, W, at)
    assert out.tolist() == [[0.0, 6.0], [4.0, 10.0]]
    out.backward(torch.tensor([[1.0, 10.0], [100.0, 1000.0]]))
    assert f.grad is not None and W.grad is not None
    assert f.grad.tolist() == [20.0, 100.0, 2000.0]
    assert W.grad.tolist() == [[400.0, 4000.0], [0.0, 0.0], [503.0, 5030.0]]
    z, b_dec = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.zeros(2, requires_grad=True)
    b_enc = torch.zeros(3, requires_grad=True)
    W.grad = None
    asked(z @ W.detach().T, z, W, b_enc, b_dec, at).backward(torch.tensor([1.0, 10.0, 100.0]))
    assert b_enc.grad is not None and b_dec.grad is not None
    assert W.grad.tolist() == [[30.0, 40.0], [0.0, 0.0], [301.0, 402.0]]
    assert b_enc.grad.tolist() == [10.0, 0.0, 101.0]
    assert b_dec.grad.tolist() == [-10.0, -202.0]


class Rectangle(torch.autograd.Function):
    """1[h > theta] whose gradient is a rectangle's, densely."""

    @staticmethod
    def forward(ctx, h: Tensor, theta: Tensor, width: float) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(h, theta)
        ctx.width = width
        return (h > theta).to(h)

    @staticmethod
    def backward(ctx, *grads: Tensor):  # type: ignore[no-untyped-def]
        h, theta = ctx.saved_tensors
        return None, (-grads[0] * ((h - theta).abs() < ctx.width / 2) / ctx.width).sum(0), None


def dense_loss(p: Parameters, fit: Fit, y: Tensor, dead: Tensor) -> Tensor:
    """The formulas of `objective`, written with tables [row latent] and autograd alone."""
    z = y - p.b_dec
    pre, l0 = z @ p.W_enc.T + p.b_enc, torch.tensor(0.0)
    if fit.activation == "jumprelu":
        theta = p.log_threshold.exp()
        on = Rectangle.apply(pre, theta, fit.bandwidth)
        l0 = on.sum() / len(y)
        # f = h 1[h > theta]; of the thresholds' gradient the paper has theta where h stands
        f = pre * (pre > theta) + theta.detach() * (on - on.detach())
    else:
        f = TopK(K)(pre) if fit.activation == "topk" else BatchTopK(K)(pre)
    loss = torch.tensor(0.0, dtype=torch.float64)
    for width in (*fit.prefixes, N):
        e = f[:, :width] @ p.W_dec[:width] + p.b_dec - y
        loss = loss + e.square().sum() / len(y)
        if fit.difference:
            b, a = e.chunk(2, 1)
            loss = loss + 2 * fit.difference * (b * a).sum() / len(y)
    if fit.delta:
        own = f[:, : fit.own] @ p.W_dec[: fit.own] - z.detach()
        b, a = own.chunk(2, 1)
        loss = loss + fit.delta * (a - b).square().sum() / len(y)
    if dead.any():
        h = (z.detach() @ p.W_enc.T + p.b_enc).masked_fill(~dead, -torch.inf)
        most = fit.aux_k or y.shape[1] // 2
        top = h.topk(min(most, int(dead.sum())))
        aux = torch.zeros_like(h).scatter(1, top.indices, top.values) @ p.W_dec + e.detach()
        loss = loss + fit.aux * min(1, int(dead.sum()) / most) * aux.square().sum() / len(y)
    if fit.activation == "jumprelu":
        loss = loss + fit.l0_weight * y.shape[1] * fit.rms**2 * (l0 / K - 1) ** 2
    return loss


CASES = [(name, fit, m) for name, fit in FITS.items() for m in (1, 2)] + [(n, f, 2) for n, f in PAIRED.items()]


@pytest.mark.parametrize("n_dead", [0, 2, 9])
@pytest.mark.parametrize(("name", "fit", "models"), CASES, ids=[f"{name}-{m}" for name, _, m in CASES])
def test_gradients_are_those_of_dense_autograd(name: str, fit: Fit, models: int, n_dead: int) -> None:
    x = drawn(ROWS, models, D, of=name)
    fit = replace(fit, aux_k=4 if n_dead == 9 else None)
    p = start(fit, [x])
    with torch.no_grad():
        for tensor, size in ((p.W_enc, 0.2), (p.b_enc, 0.3), (p.b_dec, 0.5)):
            tensor += size * drawn(*tensor.shape, of="moved")
        p.log_threshold.add_(0.3 * drawn(N, of="thresholds") - 0.2)
    y, dead = p.flat(x), torch.arange(N) >= N - n_dead
    step = forward(p, fit, y, K, dead)
    leaves = list(p.learned(fit).values())
    ours = torch.autograd.grad(step.loss, leaves)
    exact = dense_loss(p, fit, y, dead)
    theirs = torch.autograd.grad(exact, leaves)
    assert step.loss.item() == pytest.approx(exact.item(), rel=1e-12)
    for name, mine, true in zip(p.learned(fit), ours, theirs, strict=True):
        assert true.abs().max() > 0
        assert (mine - true).abs().max() <= 1e-6 * true.abs().max(), name


def test_single_precision_is_as_near_as_dense_single_precision() -> None:
    fit = replace(FITS["topk"], dtype="float32")
    x = drawn(ROWS, 2, D)
    p, exact = start(fit, [x]), start(FITS["topk"], [x])
    none = torch.zeros(N, dtype=torch.bool)
    ours = torch.autograd.grad(forward(p, fit, p.flat(x), K, none).loss, p.W_dec)[0]
    true = torch.autograd.grad(dense_loss(exact, FITS["topk"], exact.flat(x), none), exact.W_dec)[0]
    assert (ours - true).abs().max() <= 1e-5 * true.abs().max()


def test_difference_of_minus_one_is_an_sae_on_the_difference() -> None:
    """An antisymmetric pair reads and writes x_after - x_before alone: loss and gradient of the SAE 2 W_dec on it."""
    fit = replace(BASE, difference=-1.0)
    x = drawn(ROWS, 2, D)
    pair = start(fit, [x])
    with torch.no_grad():
        pair.scale.fill_(1.0)
        pair.b_dec.copy_(x.mean(0).flatten())
        for W in (pair.W_enc, pair.W_dec):
            W[:, :D] = -W[:, D:]
    none = torch.zeros(N, dtype=torch.bool)
    step = forward(pair, fit, pair.flat(x), K, none)
    both = torch.autograd.grad(step.loss, (pair.W_enc, pair.W_dec, pair.b_enc))
    one, of = start(BASE, [x[:, 1:] - x[:, :1]]), x[:, 1] - x[:, 0]
    with torch.no_grad():
        one.W_enc.copy_(pair.W_enc[:, D:])
        one.W_dec.copy_(2 * pair.W_dec[:, D:])
        one.b_dec.copy_(of.mean(0))
    alone = forward(one, BASE, of, K, none)
    sae = torch.autograd.grad(alone.loss, (one.W_enc, one.W_dec, one.b_enc))
    torch.testing.assert_close(step.loss, alone.loss)
    torch.testing.assert_close(both[2], sae[2])
    torch.testing.assert_close(both[0][:, D:] - both[0][:, :D], sae[0])  # along moves that keep it antisymmetric
    torch.testing.assert_close(both[1][:, D:], sae[1])
    torch.testing.assert_close(both[1][:, :D], -sae[1])
