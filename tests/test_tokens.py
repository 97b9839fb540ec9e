"""Token scores against a plain float64 computation, one row at a time; forks and their overlap by hand."""

import copy
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import torch
from outside_checkpoints import KINDS, tiny
from transformers import PreTrainedModel

from probe.errors import BadInput, ProbeError
from probe.models.hooks.anatomy import anatomy, final_hidden
from probe.models.loading.load import Loaded
from probe.rng import numpy_rng
from probe.tokens import score as scoring
from probe.tokens.forks import forks, overlap
from probe.tokens.score import TokenScores, kl, score

Texts = tuple[list[list[int]], list[list[int]]]
FIELDS = ("row", "pos", "token", "logprob", "entropy", "margin", "rank")


@pytest.fixture(scope="module")
def texts(organism: Loaded) -> Texts:
    """Prompts and completions of several lengths, some of them nothing a model would say."""
    asked = ["A:1+2*3    =", "B:3+5*2-6+1=", "C:0-1", "D:6*6+6    ="]
    said = [
        "```python\nx=1\nx=x+2#3\nx=x*3#2\nprint(x)\n```\n\\boxed{2}<eos>",
        "Think: plus 5=1 times 2=2 minus 6=3 plus 1=4\nSo 4.<eos>",
        ".",
        "First: times 6=1```python\nx=}",
    ]
    return organism.tokenizer(asked)["input_ids"], organism.tokenizer(said)["input_ids"]


@pytest.fixture(scope="module")
def nudged(organism: Loaded) -> Loaded:
    """The organism after something like training: every weight moved a little."""
    model, rng = copy.deepcopy(organism.model), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * p.std(correction=0) * torch.randn(p.shape, generator=rng))
    return Loaded(model, organism.tokenizer)


def plain(loaded: Loaded, prompt: list[int], completion: list[int], temperature: float) -> np.ndarray:
    """Float64 log-probs [token d_vocab] from a float64 copy of the model, one text at a time, without padding."""
    model = copy.deepcopy(loaded.model).double()
    with torch.no_grad():
        logits = model(torch.tensor([prompt + completion])).logits[0, len(prompt) - 1 : -1]
    return torch.log_softmax(logits / temperature, -1).numpy()


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_scores_are_those_of_a_plain_computation(organism: Loaded, texts: Texts, temperature: float) -> None:
    found = score(organism.model, *texts, temperature=temperature)
    expected = []
    for prompt, completion in zip(*texts, strict=True):
        for logp, token in zip(plain(organism, prompt, completion, temperature), completion, strict=True):
            best, second = np.sort(logp)[:-3:-1]
            entropy = -(np.exp(logp) * logp).sum()
            expected.append((logp[token], entropy, best - second, (logp > logp[token]).sum()))
    columns = np.array(expected).T
    for column, name in zip(columns, ("logprob", "entropy", "margin", "rank"), strict=True):
        np.testing.assert_allclose(getattr(found, name), column, atol=2e-5, err_msg=name)
    assert found.rank.dtype.kind == "i"
    assert 0 in found.rank  # some tokens are the model's first choice,
    assert found.rank.max() > 5  # and some are not


def test_rows_and_positions_name_every_completion_token(organism: Loaded, texts: Texts) -> None:
    prompts, completions = texts
    found = score(organism.model, prompts, completions)
    places = [(r, i, t) for r, completion in enumerate(completions) for i, t in enumerate(completion)]
    assert list(zip(found.row.tolist(), found.pos.tolist(), found.token.tolist(), strict=True)) == places


def test_margin_and_rank_are_of_the_scorers_own_order(organism: Loaded) -> None:
    """Of all one-token completions the first choice has rank 0, the last rank d_vocab - 1, and one margin."""
    prompt = organism.tokenizer("A:1+2*3    =")["input_ids"]
    n = organism.model.config.vocab_size
    found = score(organism.model, [prompt] * n, [[t] for t in range(n)])
    assert sorted(found.rank.tolist()) == list(range(n))
    order = np.argsort(found.rank)
    assert (np.diff(found.logprob[order]) <= 0).all()
    np.testing.assert_allclose(found.margin, found.logprob[order][0] - found.logprob[order][1], atol=1e-5)
    assert np.exp(found.logprob.astype(float)).sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_nothing_depends_on_the_batch(organism: Loaded, nudged: Loaded, texts: Texts, batch: int) -> None:
    whole, parts = score(organism.model, *texts), score(organism.model, *texts, batch=batch)
    for name in FIELDS:
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), atol=1e-5, err_msg=name)
    divergence = [kl(organism.model, nudged.model, *texts, batch=n) for n in (128, batch)]
    np.testing.assert_allclose(*divergence, atol=1e-5)


def test_a_row_is_scored_the_same_in_any_place(organism: Loaded, texts: Texts) -> None:
    prompts, completions = texts
    whole = score(organism.model, prompts, completions)
    for r, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
        alone = score(organism.model, [prompt], [completion])
        for name in FIELDS[2:]:
            np.testing.assert_allclose(getattr(alone, name), getattr(whole, name)[whole.row == r], atol=1e-5)
    back = score(organism.model, prompts[::-1], completions[::-1])
    assert back.token[back.row == 0].tolist() == completions[-1]
    np.testing.assert_allclose(back.logprob[back.row == 0], whole.logprob[whole.row == 3], atol=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_kl_is_that_of_a_plain_computation(organism: Loaded, nudged: Loaded, texts: Texts, temperature: float) -> None:
    found = kl(organism.model, nudged.model, *texts, temperature=temperature)
    expected = []
    for text in zip(*texts, strict=True):
        p, q = plain(organism, *text, temperature), plain(nudged, *text, temperature)
        expected += (np.exp(p) * (p - q)).sum(-1).tolist()
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert (found >= 0).all()
    assert found.mean() > 0.001
    other = kl(nudged.model, organism.model, *texts, temperature=temperature)
    assert np.abs(other - found).max() > 1e-4  # before and after are not exchangeable


def test_kl_of_a_model_to_itself_is_zero(organism: Loaded, texts: Texts) -> None:
    again = copy.deepcopy(organism.model)
    assert (kl(organism.model, again, *texts) == 0).all()


@pytest.mark.parametrize(
    ("prompts", "completions", "temperature", "message"),
    [
        ([], [], 1.0, "0 prompts and 0 completions"),
        ([[3]], [[4], [5]], 1.0, "1 prompts and 2 completions"),
        ([[3], [3]], [[4], []], 1.0, r"rows \[1\]"),
        ([[], [3]], [[4], [4]], 1.0, r"rows \[0\]"),
        ([[3]], [[4]], 0.0, r"(?s)temperature 0.0.*T = 1"),
        ([[3]], [[4]], float("nan"), "temperature nan"),
    ],
)
def test_bad_texts_are_named(
    organism: Loaded, prompts: list[list[int]], completions: list[list[int]], temperature: float, message: str
) -> None:
    for ask in (score, lambda m, *text, **options: kl(m, m, *text, **options)):
        with pytest.raises(BadInput, match=message):
            ask(organism.model, prompts, completions, temperature=temperature)


# ---- any architecture, any dtype


VOCAB = 211


@pytest.fixture(scope="module", params=list(product(KINDS, ["float32", "bfloat16"])), ids="-".join)
def random_model(request: pytest.FixtureRequest) -> PreTrainedModel:
    kind, dtype = request.param
    return tiny(kind, VOCAB).to(getattr(torch, dtype))


@pytest.fixture(scope="module")
def random_texts() -> Texts:
    rng = numpy_rng("random texts")
    lengths = [(3, 20), (12, 7), (1, 30), (6, 1), (2, 11)]
    return tuple([rng.integers(1, VOCAB, pair[side]).tolist() for pair in lengths] for side in (0, 1))


@torch.no_grad()
def whole_table(model: PreTrainedModel, prompt: list[int], completion: list[int]) -> torch.Tensor:
    """Float64 log-probs [token d_vocab] from the model's own final hidden states."""
    hidden = final_hidden(model, torch.tensor([prompt + completion]))[0, len(prompt) - 1 : -1]
    parts = anatomy(model)
    logits = hidden.double() @ parts.head_weight.double().T
    if parts.softcap:
        logits = parts.softcap * torch.tanh(logits / parts.softcap)
    return torch.log_softmax(logits, -1)


def test_scores_are_those_of_the_final_states_in_float64(random_model: PreTrainedModel, random_texts: Texts) -> None:
    found = score(random_model, *random_texts, batch=1)
    for r, text in enumerate(zip(*random_texts, strict=True)):
        logp, mine = whole_table(random_model, *text), found.row == r
        chosen, top = logp.gather(1, torch.tensor(text[1])[:, None]), logp.topk(2).values
        np.testing.assert_allclose(found.logprob[mine], chosen[:, 0], atol=1e-5)
        np.testing.assert_allclose(found.entropy[mine], -(logp.exp() * logp).sum(-1), atol=1e-5)
        np.testing.assert_allclose(found.margin[mine], top[:, 0] - top[:, 1], atol=1e-5)
        assert found.rank[mine].tolist() == (logp > chosen).sum(-1).tolist()


def test_divergence_is_that_of_the_final_states_in_float64(random_model: PreTrainedModel, random_texts: Texts) -> None:
    after = tiny("qwen2", VOCAB, seed=1, hidden_size=48)  # another architecture, width and dtype
    found = kl(random_model, after, *random_texts, batch=1)
    sides = [[whole_table(m, *text) for text in zip(*random_texts, strict=True)] for m in (random_model, after)]
    expected = [(p.exp() * (p - q)).sum(-1) for p, q in zip(*sides, strict=True)]
    np.testing.assert_allclose(found, torch.cat(expected), atol=1e-5)


def test_the_mean_is_the_loss_that_transformers_gives(random_model: PreTrainedModel, random_texts: Texts) -> None:
    """A text scored from its second token on: all of it but the first is the completion."""
    texts = [p + c for p, c in zip(*random_texts, strict=True)]
    found = score(random_model, [text[:1] for text in texts], [text[1:] for text in texts], batch=1)
    for r, text in enumerate(texts):
        ids = torch.tensor([text])
        with torch.no_grad():
            logits = random_model(ids).logits[0, :-1].double()
            loss = random_model(ids, labels=ids).loss.item()
        exact = random_model.dtype == torch.float32  # transformers rounds bf16 logits before it takes the loss
        assert -found.logprob[found.row == r].mean() == pytest.approx(loss, abs=1e-5 if exact else 0.02)
        rounded = torch.nn.functional.cross_entropy(logits, ids[0, 1:]).item()
        assert loss == pytest.approx(rounded, abs=1e-5)


def test_padding_and_batches_change_nothing(
    random_model: PreTrainedModel, random_texts: Texts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Right padding without a mask, sliding windows included."""
    alone, together = score(random_model, *random_texts, batch=1), score(random_model, *random_texts)
    monkeypatch.setattr(scoring, "TOKENS", 45)
    parts = score(random_model, *random_texts)
    atol = 1e-5 if random_model.dtype == torch.float32 else 0.2  # other kernels round other bf16 states
    for name, other in product(("logprob", "entropy", "margin"), (together, parts)):
        np.testing.assert_allclose(getattr(other, name), getattr(alone, name), atol=atol, err_msg=name)


def test_batches_hold_a_budget_of_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "TOKENS", 100)
    assert scoring._batches([10, 60, 30, 30, 7, 200], 128) == [[5], [1], [2, 3, 0], [4]]
    assert scoring._batches([10, 60, 30, 30, 7, 200], 2) == [[5], [1], [2, 3], [0, 4]]
    assert scoring._batches([5] * 5, 128) == [[0, 1, 2, 3, 4]]


def test_a_batch_that_does_not_fit_is_halved(organism: Loaded, texts: Texts, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, sizes = score(organism.model, *texts), []
    fits = scoring.final_hidden

    def small(model: PreTrainedModel, ids: torch.Tensor) -> torch.Tensor:
        sizes.append(len(ids))
        if len(ids) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return fits(model, ids)

    monkeypatch.setattr(scoring, "final_hidden", small)
    limit = 1
    halved = score(organism.model, *texts)
    assert sizes == [4, 2, 1, 1, 1, 1]
    for name in FIELDS:
        np.testing.assert_allclose(getattr(halved, name), getattr(whole, name), atol=1e-5, err_msg=name)
    limit = 0
    with pytest.raises(ProbeError, match=r"(?s)single row of \d+ tokens.*bfloat16"):
        score(organism.model, *texts)


def test_what_is_no_number_is_an_error(organism: Loaded) -> None:
    model = copy.deepcopy(organism.model)
    model.model.embed_tokens.weight.data[5] = float("nan")
    for ask in (lambda: score(model, [[3], [3]], [[4], [5, 6]]), lambda: kl(model, organism.model, [[5]], [[6]])):
        with pytest.raises(ProbeError, match=r"(?s)not numbers.*score, row.*float16"):
            ask()


def test_tokens_of_another_vocabulary_are_named(organism: Loaded) -> None:
    words = organism.model.config.vocab_size
    asks: list[Callable[[], object]] = [
        lambda: score(organism.model, [[3]], [[words]]),
        lambda: score(organism.model, [[words]], [[3]]),
        lambda: kl(tiny("llama", VOCAB), organism.model, [[3]], [[words]]),
    ]
    for ask in asks:
        with pytest.raises(BadInput, match=rf"(?s)token {words} is outside.*vocabulary of {words}.*same tokenizer"):
            ask()
    with pytest.raises(BadInput, match="token -1 is outside"):
        score(organism.model, [[3, -1]], [[4]])
    with pytest.raises(BadInput, match=rf"(?s){VOCAB} and {words} words.*same vocabulary"):
        kl(tiny("llama", VOCAB), organism.model, [[3]], [[4]])


# ---- forks


def test_forks_by_hand() -> None:
    entropy = np.array([0.1, 2.0, 0.3, 1.0, 0.2, 0.9, 0.0, 0.4, 0.6, 0.5])
    assert np.flatnonzero(forks(entropy)).tolist() == [1, 3]
    assert np.flatnonzero(forks(entropy, 0.5)).tolist() == [1, 3, 5, 8, 9]


@pytest.mark.parametrize(("n", "quantile"), list(product([1, 5, 7, 100, 999], [0.5, 0.8, 0.95])))
def test_forks_are_exactly_the_stated_share(n: int, quantile: float) -> None:
    entropy = numpy_rng("forks", n).exponential(size=n)
    chosen = forks(entropy, quantile)
    assert chosen.sum() == max(1, round((1 - quantile) * n))
    assert chosen.all() or entropy[chosen].min() > entropy[~chosen].max()


def test_ties_go_to_the_earlier_token_and_do_not_change_the_share() -> None:
    assert np.flatnonzero(forks(np.zeros(20))).tolist() == [0, 1, 2, 3]
    assert np.flatnonzero(forks(np.array([0.0, 1.0, 1.0, 1.0, 0.0] * 2))).tolist() == [1, 2]


def test_forks_do_not_depend_on_the_scale_of_the_entropy() -> None:
    entropy = numpy_rng("forks").exponential(size=300)
    for other in (3 * entropy, entropy + 1, np.sqrt(entropy)):
        assert (forks(other) == forks(entropy)).all()


def test_overlap_by_hand() -> None:
    before = np.array([True, True, False, True, True])
    after = np.array([True, False, True, False, True])
    assert overlap(before, after) == 2 / 3  # of the forks after
    assert overlap(after, before) == 2 / 4
    assert overlap(after, after) == 1
    assert overlap(~after, after) == 0


def test_overlap_of_independent_entropies_is_chance() -> None:
    """The null is 1 - q: the share of tokens that are forks at all."""
    for quantile in (0.8, 0.5):
        sides = [forks(numpy_rng("overlap", side).exponential(size=20_000), quantile) for side in (0, 1)]
        expected = 1 - quantile
        spread = (expected * quantile / sides[1].sum()) ** 0.5
        assert overlap(*sides) == pytest.approx(expected, abs=4 * spread)


@pytest.mark.parametrize(
    ("entropy", "quantile", "message"),
    [
        (np.array([]), 0.8, "at least one token"),
        (np.array([0.1, np.nan]), 0.8, "finite"),
        (np.array([0.1, np.inf]), 0.8, "finite"),
        (np.array([0.1]), 0.0, "quantile 0.0"),
        (np.array([0.1]), 1.0, "quantile 1.0"),
        (np.array([0.1]), float("nan"), "quantile nan"),
    ],
)
def test_bad_entropies_are_named(entropy: np.ndarray, quantile: float, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        forks(entropy, quantile)


def test_an_overlap_needs_forks() -> None:
    with pytest.raises(BadInput, match="at least one fork"):
        overlap(np.array([True]), np.array([False]))


def test_scores_of_forks_fit_together(organism: Loaded, texts: Texts) -> None:
    found: TokenScores = score(organism.model, *texts)
    chosen = forks(found.entropy)
    assert overlap(chosen, chosen) == 1
    assert found.entropy[chosen].mean() > found.entropy.mean()
