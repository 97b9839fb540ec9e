"""The algebra of each edit, by hand and as identities; the positions that "where" means."""

import pytest
import torch
from torch import Tensor

from probe.errors import BadInput
from probe.models.hooks.edits import Add, Clamp, Edit, ProjectOut, Replace, Scale, Swap, apply, chosen_positions
from probe.models.hooks.sites import site
from probe.rng import torch_rng

X = torch.tensor([[[3.0, 4.0, 0.0], [0.0, -2.0, 1.0]]])  # [1 2 3]
E0, E1, E2 = torch.eye(3)


def some(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch_rng("edits", seed, *shape))


def units(d: int) -> tuple[Tensor, Tensor]:
    """Two orthogonal directions."""
    q = torch.linalg.qr(some(d, 2).double()).Q.float()
    return q[:, 0], q[:, 1]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (Add(torch.tensor([1.0, 0.0, -1.0]), 2.0), [[5.0, 4.0, -2.0], [2.0, -2.0, -1.0]]),
        (ProjectOut(E1), [[3.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
        (ProjectOut(torch.tensor([0.6, 0.8, 0.0])), [[0.0, 0.0, 0.0], [0.96, -0.72, 1.0]]),
        (Clamp(E1, -1.0, 3.0), [[3.0, 3.0, 0.0], [0.0, -1.0, 1.0]]),
        (Scale(-0.5), [[-1.5, -2.0, 0.0], [0.0, 1.0, -0.5]]),
        (Swap(E0, E1), [[4.0, 3.0, 0.0], [-2.0, 0.0, 1.0]]),
        (Replace(torch.tensor([7.0, 8.0, 9.0])), [[7.0, 8.0, 9.0], [7.0, 8.0, 9.0]]),
        (Replace(X.flip(1)), [[0.0, -2.0, 1.0], [3.0, 4.0, 0.0]]),
        (Replace(X[0].flip(0)), [[0.0, -2.0, 1.0], [3.0, 4.0, 0.0]]),
    ],
)
def test_each_edit_by_hand(change: object, expected: list[list[float]]) -> None:
    before = X.clone()
    torch.testing.assert_close(apply(change, X, None), torch.tensor([expected]))
    assert torch.equal(X, before)  # pure


@pytest.mark.parametrize("length", [1 - 9e-4, 1.0005])
def test_edits_go_along_a_unit_vector_however_long_the_direction_is(length: float) -> None:
    x, (u, w) = some(2, 5, 16).double(), (each.double() for each in units(16))
    u, w = u / u.norm(), (w - (w @ u) / (u @ u) * u)
    w = w / w.norm()
    for given, exact in (
        (ProjectOut(length * u), ProjectOut(u)),
        (Clamp(length * u, -0.1, 0.2), Clamp(u, -0.1, 0.2)),
        (Swap(length * u, w / length), Swap(u, w)),
    ):
        torch.testing.assert_close(given(x), exact(x), atol=1e-12, rtol=0)
    torch.testing.assert_close(ProjectOut(length * u)(x) @ u, torch.zeros(2, 5).double(), atol=1e-12, rtol=0)


def test_identities() -> None:
    x, (u, w) = some(2, 5, 16), units(16)
    same = {"atol": 1e-5, "rtol": 0}
    torch.testing.assert_close(Add(u, -3.0)(Add(u, 3.0)(x)), x, **same)
    torch.testing.assert_close(ProjectOut(u)(x) @ u, torch.zeros(2, 5), **same)
    torch.testing.assert_close(ProjectOut(u)(ProjectOut(u)(x)), ProjectOut(u)(x), **same)
    torch.testing.assert_close(ProjectOut(u)(x) @ w, x @ w, **same)
    torch.testing.assert_close(Clamp(u, 0.0, 0.0)(x), ProjectOut(u)(x), **same)
    torch.testing.assert_close(Clamp(u, -1e9, 1e9)(x), x, **same)
    assert Clamp(u, -0.5, 0.5)(x).matmul(u).abs().max() <= 0.5 + 1e-5
    torch.testing.assert_close(Swap(u, w)(Swap(u, w)(x)), x, **same)
    torch.testing.assert_close(Swap(u, w)(x) @ u, x @ w, **same)
    torch.testing.assert_close(Swap(u, w)(x).norm(dim=-1), x.norm(dim=-1), **same)
    assert torch.equal(Scale(1.0)(x), x) and not Scale(0.0)(x).any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_the_dtype_stays_and_half_precision_is_computed_in_fp32(dtype: torch.dtype) -> None:
    x, (u, w) = some(2, 5, 16).to(dtype), units(16)
    changes = (Add(u, 0.3), ProjectOut(u), Clamp(u, -0.1, 0.1), Scale(0.3), Swap(u, w), Replace(u))
    for change in changes:
        there = apply(change, x, None)
        assert there.dtype is dtype
        wide = x if dtype is torch.float64 else x.float()
        assert torch.equal(there, change(wide).to(dtype))


def test_only_chosen_positions_change() -> None:
    x, chosen = some(2, 3, 4), torch.tensor([[True, False, False], [False, True, True]])
    there = apply(Scale(2.0), x, chosen)
    assert torch.equal(there[chosen], 2 * x[chosen]) and torch.equal(there[~chosen], x[~chosen])


def test_gradients_reach_vectors_and_values() -> None:
    x, v, y = some(2, 3, 4), some(4).requires_grad_(), some(2, 3, 4).requires_grad_()
    chosen = torch.tensor([[True, False, False], [False, True, True]])
    apply(Add(v, 2.0), x, chosen).sum().backward()
    assert torch.equal(v.grad, torch.full((4,), 6.0))
    apply(Replace(y), x, chosen).sum().backward()
    assert torch.equal(y.grad, chosen[..., None].expand(2, 3, 4).float())


ROWS = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 0], [1, 1, 1, 1]])


@pytest.mark.parametrize("where", ["last", "new"])
def test_the_last_real_token_whichever_side_is_padded(where: str) -> None:
    x = some(3, 4, 5)
    for mask in (ROWS, ROWS.bool()):
        found = chosen_positions(where, x, mask, cached=False)
        assert found is not None and found.nonzero().tolist() == [[0, 3], [1, 2], [2, 3]]
    plain = chosen_positions(where, x, None, cached=False)
    assert plain is not None and plain.nonzero().tolist() == [[0, 3], [1, 3], [2, 3]]


def test_all_a_mask_and_what_is_new() -> None:
    x, mask = some(3, 4, 5), ROWS.bool()
    assert (
        chosen_positions("all", x, ROWS, cached=False) is None and chosen_positions("all", x, None, cached=True) is None
    )
    assert torch.equal(chosen_positions(mask, x, None, cached=False), mask)
    assert chosen_positions("new", x, ROWS, cached=True)[:, -1].all()  # prompts in a generation end on the right
    assert chosen_positions("new", x, ROWS, cached=True).sum() == 3
    assert chosen_positions("new", x[:, :1], ROWS, cached=True) is None  # a single column: all of it


@pytest.mark.parametrize("where", ["last", ROWS.bool()])
def test_a_text_in_the_making_has_no_last_token(where: object) -> None:
    with pytest.raises(BadInput, match="mean a whole text"):
        chosen_positions(where, some(3, 4, 5), None, cached=True)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ProjectOut(2 * E0), "length 2"),
        (lambda: ProjectOut(torch.eye(3)[:1]), r"direction \(1, 3\) of length 1"),
        (lambda: Clamp(0 * E0, 0.0, 1.0), "length 0"),
        (lambda: Clamp(E0, 1.0, 0.0), r"clamp to \[1.0, 0.0\]"),
        (lambda: Clamp(E0, float("nan"), 0.0), "clamp to"),
        (lambda: Swap(E0, E0), "not orthogonal"),
        (lambda: Swap(E0, 3 * E1), "length 3"),
        (lambda: Add(torch.ones(4))(X), r"a vector of \(4,\) for states of \(1, 2, 3\)"),
        (lambda: Add(torch.ones(1))(X), "a vector of"),
        (lambda: Add(torch.tensor(1.0))(X), "a vector of"),
        (lambda: ProjectOut(torch.eye(4)[0])(X), "a vector of"),
        (lambda: Replace(some(1, 3, 3))(X), r"\(1, 3, 3\) cannot take the place"),
        (lambda: Replace(some(4))(X), "cannot take the place"),
        (lambda: Replace(some(2, 1, 2, 3))(X), "cannot take the place"),
        (lambda: apply(lambda x: x.mul_(2), X.clone(), None), "wrote into what it was given"),
        (lambda: apply(lambda x: x[:, :1], X, None), r"made \(1, 1, 3\) of \(1, 2, 3\)"),
        (lambda: Edit(site("resid.0"), Scale(0.0), "first"), "no positions are 'first'"),
        (lambda: Edit(site("resid.0"), Scale(0.0), ROWS), "no positions are torch.int64"),
        (lambda: chosen_positions(ROWS[:, :2].bool(), some(3, 4, 5), None, cached=False), r"positions .* \(3, 2\)"),
        (lambda: chosen_positions("last", some(3, 4, 5), ROWS[:2], cached=False), r"mask .* \(2, 4\)"),
        (lambda: chosen_positions("last", some(3, 4, 5), 0 * ROWS, cached=False), "nothing but padding"),
        (lambda: chosen_positions("last", some(3, 4, 5), {"full": ROWS}, cached=False), "mask of an edit are dict"),
    ],
)
def test_bad_input_is_named(make: object, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        make()
