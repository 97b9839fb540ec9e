"""Streamed scores and KL against a plain float64 computation of the whole table, and against values worked by hand."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from probe.errors import BadInput
from probe.rng import torch_rng
from probe.tokens import stream
from probe.tokens.stream import Head, StreamScores, stream_kl, stream_scores

HEADS: dict[str, dict] = {
    "plain": {},
    "biased": {"bias": True},
    "capped": {"softcap": 5.0},
    "scaled": {"scale": 0.25},
    "all": {"bias": True, "softcap": 7.0, "scale": 1.5},
}
SHAPES = [
    (1, 8, 3),  # tokens, d_model, words
    (5, 4, 2),
    (7, 16, 50),
    (3, 8, 128),
    (20, 32, 256),
    (1, 16, 2049),  # one word left over
    (40, 16, 2048 + 128),
    (33, 24, 2 * 2048 + 77),
    (600, 16, 6001),  # several tiles of tokens, too
]


def drawn(n: int, d: int, words: int, *, spread: float = 2.0, bias: bool = False, **rest: float) -> tuple:
    """States, head and targets."""
    rng = torch_rng("stream", n, d, words)
    weight = torch.randn(words, d, generator=rng) * spread / d**0.5
    biases = torch.randn(words, generator=rng) if bias else None
    targets = torch.randint(words, (n,), generator=rng)
    return torch.randn(n, d, generator=rng) * 2, Head(weight, biases, **rest), targets


def table(hidden: Tensor, head: Head, temperature: float = 1.0) -> Tensor:
    """Log-probs of all words in float64."""
    logits = hidden.double() @ head.weight.double().T
    logits = head.scale * (logits if head.bias is None else logits + head.bias.double())
    logits = logits if head.softcap is None else head.softcap * torch.tanh(logits / head.softcap)
    return torch.log_softmax(logits / temperature, -1)


def plain(hidden: Tensor, head: Head, targets: Tensor, temperature: float = 1.0) -> StreamScores:
    logp = table(hidden, head, temperature)
    chosen, top = logp.gather(1, targets[:, None]), logp.topk(2).values
    return StreamScores(chosen[:, 0], -(logp.exp() * logp).sum(-1), top[:, 0] - top[:, 1], (logp > chosen).sum(-1))


def plain_kl(hidden_p: Tensor, head_p: Head, hidden_q: Tensor, head_q: Head, temperature: float = 1.0) -> Tensor:
    p, q = table(hidden_p, head_p, temperature), table(hidden_q, head_q, temperature)
    return (p.exp() * (p - q)).sum(-1)


def assert_close(found: StreamScores, expected: StreamScores, atol: float) -> None:
    for name in ("logprob", "entropy", "margin"):
        difference = (getattr(found, name).double() - getattr(expected, name)).abs().max().item()
        assert difference <= atol, f"{name}: {difference}"


def as_dtype(head: Head, dtype: torch.dtype) -> Head:
    return replace(head, weight=head.weight.to(dtype), bias=None if head.bias is None else head.bias.to(dtype))


# ---- by hand


def test_three_words_by_hand() -> None:
    """Probabilities 1/2, 1/4, 1/4 from logits log 2, 0, 0."""
    head = Head(torch.tensor([[math.log(2.0)], [0.0], [0.0]]))
    found = stream_scores(torch.ones(3, 1), head, torch.tensor([0, 1, 2]))
    assert found.logprob.exp().tolist() == pytest.approx([0.5, 0.25, 0.25])
    assert found.entropy.tolist() == pytest.approx([1.5 * math.log(2)] * 3)
    assert found.margin.tolist() == pytest.approx([math.log(2)] * 3)
    assert found.rank.tolist() == [0, 1, 1]  # an equal word is not above
    assert found.rank.dtype == torch.long


def test_order_of_scale_bias_softcap_and_temperature_by_hand() -> None:
    head = Head(torch.tensor([[1.0], [3.0]]), torch.tensor([0.5, -1.0]), softcap=2.0, scale=0.5)
    logits = [2 * math.tanh(0.5 * (4 * w + b) / 2) / 0.7 for w, b in ((1, 0.5), (3, -1))]
    found = stream_scores(torch.tensor([[4.0]]), head, torch.tensor([0]), temperature=0.7)
    assert found.margin.item() == pytest.approx(logits[1] - logits[0], rel=1e-5)
    assert found.logprob.item() == pytest.approx(-math.log(1 + math.exp(logits[1] - logits[0])), rel=1e-5)
    assert found.rank.item() == 1


def test_kl_by_hand() -> None:
    """KL((1/2, 1/4, 1/4) || (1/4, 1/4, 1/2)) = log(2)/2 - log(2)/4."""
    p, q = (Head(torch.tensor(column)[:, None].log()) for column in ([0.5, 0.25, 0.25], [0.25, 0.25, 0.5]))
    assert stream_kl(torch.ones(1, 1), p, torch.ones(1, 1), q).item() == pytest.approx(math.log(2) / 4)


def test_equal_words_far_apart_have_no_margin_and_are_not_above_each_other() -> None:
    """Whole numbers, so that products are exact: ties are ties, within a tile and across tiles."""
    rng, words = torch_rng("ties"), 3 * 2048 + 5
    weight = torch.randint(-3, 4, (words, 6), generator=rng).float()
    hidden = torch.randint(-3, 4, (50, 6), generator=rng).float()
    targets = torch.randint(words, (50,), generator=rng)
    found, expected = (f(hidden, Head(weight), targets) for f in (stream_scores, plain))
    assert found.rank.tolist() == expected.rank.tolist()
    assert found.margin.tolist() == expected.margin.round(decimals=9).tolist()
    assert (found.margin == 0).any() and (found.margin > 0).any()


# ---- against the whole table


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_scores_are_those_of_the_whole_table(shape: tuple[int, int, int], kind: str) -> None:
    hidden, head, targets = drawn(*shape, **HEADS[kind])
    for temperature in (1.0, 0.6):
        expected = plain(hidden, head, targets, temperature)
        assert_close(stream_scores(hidden, head, targets, temperature=temperature), expected, 2e-5)
        exact = stream_scores(hidden.double(), as_dtype(head, torch.float64), targets, temperature=temperature)
        assert_close(exact, expected, 1e-12)  # no error in the method, only that of fp32
        assert exact.rank.tolist() == expected.rank.tolist()


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_kl_is_that_of_the_whole_table(shape: tuple[int, int, int], kind: str) -> None:
    hidden, head, _ = drawn(*shape, **HEADS[kind])
    other_hidden, other, _ = drawn(shape[0], 2 * shape[1], shape[2], spread=1.0)  # another width
    sides = (hidden, head, other_hidden, other)
    for temperature in (1.0, 0.6):
        expected = plain_kl(*sides, temperature)
        torch.testing.assert_close(stream_kl(*sides, temperature=temperature).double(), expected, atol=2e-5, rtol=1e-6)
        doubles = (hidden.double(), as_dtype(head, torch.float64), other_hidden, other)
        torch.testing.assert_close(stream_kl(*doubles, temperature=temperature), expected, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("states", ["half", "full"])
def test_half_precision_weights_are_scored_in_fp32(dtype: torch.dtype, states: str) -> None:
    hidden, head, targets = drawn(300, 64, 5000, bias=True)
    hidden, head = hidden.to(dtype if states == "half" else torch.float32), as_dtype(head, dtype)
    found = stream_scores(hidden, head, targets, temperature=0.8)
    assert_close(found, plain(hidden, head, targets, 0.8), 2e-5)
    assert {x.dtype for x in found[:3]} == {torch.float32}
    nudged = replace(head, weight=head.weight * 1.125)
    divergence = stream_kl(hidden, head, hidden, nudged)
    torch.testing.assert_close(divergence.double(), plain_kl(hidden, head, hidden, nudged), atol=2e-5, rtol=1e-6)


def test_a_real_vocabulary_and_width() -> None:
    """V = 151,936, d = 896: the stated error, from bf16 and from fp32 weights."""
    rng = torch_rng("real head")
    hidden = torch.randn(12, 896, generator=rng) * torch.linspace(0.2, 4, 12)[:, None]
    head = Head(torch.randn(151_936, 896, generator=rng).mul_(0.1).bfloat16())
    targets = torch.randint(151_936, (12,), generator=rng)
    expected = plain(hidden, head, targets)
    for kept in (head, as_dtype(head, torch.float32)):
        found = stream_scores(hidden, kept, targets)
        assert_close(found, expected, 3e-5)  # of logits up to 50
        assert (found.rank - expected.rank).abs().max() <= 2  # words closer than fp32 tells apart
    assert expected.entropy.min() < 2 and expected.entropy.max() > 11


# ---- invariances


@pytest.mark.parametrize(("words", "logits"), [(128, 128), (200, 1000), (1000, 10_000), (4096, 2**20)])
def test_nothing_depends_on_the_tiles(monkeypatch: pytest.MonkeyPatch, words: int, logits: int) -> None:
    hidden, head, targets = drawn(64, 16, 3001, bias=True, softcap=9.0)
    other = Head(head.weight.flip(0))
    scores, divergence = stream_scores(hidden, head, targets), stream_kl(hidden, head, hidden, other)
    monkeypatch.setitem(stream.TILES, "cpu", (words, logits))
    again = stream_scores(hidden, head, targets)
    assert_close(again, scores, 1e-5)
    assert again.rank.tolist() == scores.rank.tolist()
    torch.testing.assert_close(stream_kl(hidden, head, hidden, other), divergence, atol=1e-5, rtol=1e-6)


def test_a_tile_is_all_that_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tensor made on the way is as large as two tiles, though the whole table is 40."""
    hidden, head, targets = drawn(256, 8, 40 * 512)
    monkeypatch.setitem(stream.TILES, "cpu", (512, 256 * 512))
    sizes: list[int] = []

    class Sizes(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Callable, types: tuple, args: tuple = (), kwargs: dict | None = None
        ) -> object:
            made = func(*args, **(kwargs or {}))
            sizes.extend(x.numel() for x in (made if isinstance(made, tuple) else (made,)) if isinstance(x, Tensor))
            return made

    with Sizes():
        stream_scores(hidden, head, targets)
    largest_operand = head.weight.numel()
    assert max(sizes) <= max(2 * 256 * 512, largest_operand)
    assert 256 * len(head.weight) > 10 * max(sizes)


def test_an_offset_of_all_logits_changes_nothing() -> None:
    hidden, head, targets = drawn(30, 16, 2500)
    found = stream_scores(hidden, head, targets)
    for offset in (-1e4, 1e4):
        moved = stream_scores(hidden, replace(head, bias=torch.full((2500,), offset)), targets)
        assert_close(
            moved, StreamScores(*(x.double() for x in found)), 5e-3
        )  # the logits themselves have an ulp of 1e-3
    exact = stream_scores(hidden.double(), as_dtype(head, torch.float64), targets)
    moved = replace(as_dtype(head, torch.float64), bias=torch.full((2500,), 1e4, dtype=torch.float64))
    assert_close(stream_scores(hidden.double(), moved, targets), exact, 1e-10)


@pytest.mark.parametrize("words", [2, 5, 2100])
def test_rank_zero_is_the_first_choice_and_every_rank_occurs_once(words: int) -> None:
    hidden, head, _ = drawn(1, 8, words)
    found = stream_scores(hidden.expand(words, -1), head, torch.arange(words))
    order = table(hidden, head)[0].argsort(descending=True)
    assert found.rank[order[0]] == 0 and found.logprob.argmax() == order[0]
    assert found.rank.unique().numel() >= words - 2  # two words may be equal in fp32
    assert found.logprob.double().exp().sum().item() == pytest.approx(1, abs=1e-5)


# ---- extremes


@pytest.mark.parametrize("words", [3, 400, 2500])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_extreme_logits_stay_finite(words: int, dtype: torch.dtype) -> None:
    rng = torch_rng("extreme", words)
    logits = torch.where(torch.rand(words, generator=rng) < 0.5, -1e4, 1e4)
    logits[0], logits[-1] = 1e4, -1e4
    head, one = Head(logits[:, None].to(dtype)), torch.ones(2, 1)
    other = Head(-head.weight)
    found = stream_scores(one, head, torch.tensor([0, words - 1]))
    expected = plain(one, head, torch.tensor([0, words - 1]))
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours.double(), theirs.double(), atol=1e-4, rtol=1e-6)
    divergence = stream_kl(one, head, one, other)
    torch.testing.assert_close(divergence.double(), plain_kl(one, head, one, other), atol=1e-4, rtol=1e-6)


def test_a_certain_and_an_even_distribution() -> None:
    even = stream_scores(torch.zeros(1, 4), Head(torch.ones(3000, 4)), torch.tensor([7]))
    assert even.entropy.item() == pytest.approx(math.log(3000), abs=1e-5)
    assert (even.margin.item(), even.rank.item()) == (0, 0)
    certain = stream_scores(torch.ones(1, 1), Head(torch.eye(3000, 1) * 500), torch.tensor([0]))
    assert [x.item() for x in certain] == [0, 0, 500, 0]


def test_kl_is_zero_for_equal_operands_and_never_negative() -> None:
    hidden, head, _ = drawn(200, 32, 4500, bias=True, softcap=6.0)
    copy = Head(head.weight.clone(), head.bias.clone(), head.softcap)
    assert (stream_kl(hidden, head, hidden.clone(), copy) == 0).all()
    nearly = replace(head, weight=head.weight * (1 + 1e-7))
    assert (stream_kl(hidden, head, hidden, nearly) >= 0).all()


def test_no_tokens_give_no_scores() -> None:
    _, head, _ = drawn(1, 8, 300)
    found = stream_scores(torch.empty(0, 8), head, torch.empty(0, dtype=torch.long))
    assert [len(x) for x in found] == [0] * 4
    assert len(stream_kl(torch.empty(0, 8), head, torch.empty(0, 8), head)) == 0


def test_weights_that_ask_for_gradients_are_read_and_left_alone() -> None:
    hidden, head, targets = drawn(5, 8, 300)
    before = head.weight.clone()
    learned = Head(torch.nn.Parameter(head.weight))
    assert not stream_scores(hidden.requires_grad_(), learned, targets).logprob.requires_grad
    assert torch.equal(learned.weight, before)


# ---- bad input


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden": torch.ones(2, 5)}, r"states \(2, 5\), weight \(9, 4\)"),
        ({"targets": torch.tensor([1])}, "1 targets for 2 states"),
        ({"targets": torch.tensor([1, 9])}, r"(?s)vocabulary of 9: \[1, 9\].*one token id"),
        ({"targets": torch.tensor([-1, 1])}, "vocabulary of 9"),
        ({"head": Head(torch.ones(9, 4), torch.ones(3))}, r"bias \(3,\)"),
        ({"head": Head(torch.ones(9, 4), softcap=0.0)}, "softcap 0.0"),
        ({"head": Head(torch.ones(1, 4)), "targets": torch.tensor([0, 0])}, "vocabulary of 1"),
        ({"temperature": 0.0}, "(?s)temperature 0.0.*T = 1"),
        ({"temperature": float("nan")}, "temperature nan"),
        ({"temperature": float("inf")}, "temperature inf"),
    ],
)
def test_bad_operands_are_named(change: dict, message: str) -> None:
    given = {"hidden": torch.ones(2, 4), "head": Head(torch.ones(9, 4)), "targets": torch.tensor([1, 2])} | change
    with pytest.raises(BadInput, match=message):
        stream_scores(**given)


def test_two_vocabularies_have_no_kl() -> None:
    one, other = Head(torch.ones(9, 4)), Head(torch.ones(8, 4))
    with pytest.raises(BadInput, match=r"(?s)9 and 8 words.*same vocabulary"):
        stream_kl(torch.ones(2, 4), one, torch.ones(2, 4), other)
    with pytest.raises(BadInput, match="2 and 3 states"):
        stream_kl(torch.ones(2, 4), one, torch.ones(3, 4), one)
