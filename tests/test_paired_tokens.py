"""One text under two models: choices against a plain float64 computation, pieces that spell the text, the artifact."""

import copy
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from probe.checkpoints.checkpoint import Checkpoint
from probe.checkpoints.outside import Folder
from probe.checkpoints.pair import Pair
from probe.data import PAIRED, SIDES
from probe.engine.executor import make
from probe.errors import BadInput
from probe.experiments.compare.job import CompareJob
from probe.experiments.responses import ROLLOUTS
from probe.experiments.token_view.job import PairedTokensJob
from probe.models.loading.load import Loaded, save_folder
from probe.rollouts.elicitation import Elicitation
from probe.rollouts.options import SamplingOptions
from probe.store import Store
from probe.tasks.benchmarks import problems
from probe.tokens.alternatives import alternatives
from probe.tokens.paired import paired_tokens
from probe.tokens.pieces import pieces

Texts = tuple[list[list[int]], list[list[int]]]


@pytest.fixture(scope="module")
def texts(organism: Loaded) -> Texts:
    asked, said = ["A:1+2*3    =", "B:3+5*2-6+1="], ["```python\nx=1\nx=x+2#3\nprint(x)\n```\n\\boxed{2}<eos>", "."]
    return organism.tokenizer(asked)["input_ids"], organism.tokenizer(said)["input_ids"]


@pytest.fixture(scope="module")
def nudged(organism: Loaded) -> Loaded:
    """The organism with every weight moved a little."""
    model, rng = copy.deepcopy(organism.model), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * p.std(correction=0) * torch.randn(p.shape, generator=rng))
    return Loaded(model, organism.tokenizer)


def rows_of(texts: Texts) -> list[dict[str, object]]:
    return [
        {"problem": f"p{i}", "sample": 0, "prompt_ids": prompt, "completion_ids": completion}
        for i, (prompt, completion) in enumerate(zip(*texts, strict=True))
    ]


def plain(loaded: Loaded, texts: Texts, temperature: float) -> np.ndarray:
    """Float64 log-probs [token d_vocab], one text at a time."""
    model, found = copy.deepcopy(loaded.model).double(), []
    for prompt, completion in zip(*texts, strict=True):
        with torch.no_grad():
            logits = model(torch.tensor([prompt + completion])).logits[0, len(prompt) - 1 : -1]
        found.append(torch.log_softmax(logits / temperature, -1))
    return torch.cat(found).numpy()


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_choices_are_those_of_a_plain_computation(
    organism: Loaded, nudged: Loaded, texts: Texts, temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("probe.tokens.alternatives.LOGITS", 200)  # few tokens at a time
    found = alternatives(organism.model, nudged.model, *texts, k=3, temperature=temperature)
    logs = [plain(loaded, texts, temperature) for loaded in (organism, nudged)]
    for side, log in enumerate(logs):
        assert np.array_equal(found.ids[:, 3 * side : 3 * side + 3], np.argsort(-log, axis=1)[:, :3])
    for told, log in ((found.before, logs[0]), (found.after, logs[1])):
        assert np.allclose(told, np.take_along_axis(log, found.ids, axis=1), atol=1e-4)


def test_choices_of_nothing_are_refused(organism: Loaded, texts: Texts) -> None:
    for k in (0, 10**6):
        with pytest.raises(BadInput, match="choices"):
            alternatives(organism.model, organism.model, *texts, k=k)


def test_paired_rows_by_hand(organism: Loaded, nudged: Loaded, texts: Texts) -> None:
    table = paired_tokens(rows_of(texts), organism, nudged, choices=3)  # type: ignore[arg-type]
    assert table.schema == PAIRED and table.num_rows == sum(map(len, texts[1]))
    logs = dict(zip(SIDES, (plain(loaded, texts, 1.0) for loaded in (organism, nudged)), strict=True))
    for side in SIDES:
        at_token = logs[side][np.arange(table.num_rows), table["token"].to_numpy()]
        assert np.allclose(table[f"logprob_{side}"].to_numpy(), at_token, atol=1e-4)
        assert table[f"rank_{side}"].to_pylist() == (logs[side] > at_token[:, None] + 1e-9).sum(1).tolist()
        assert sum(table[f"fork_{side}"].to_pylist()) == round(0.2 * table.num_rows)
    p, q = (np.exp(logs[side]) for side in SIDES)
    assert np.allclose(table["kl"].to_numpy(), (p * (np.log(p) - np.log(q))).sum(1), atol=1e-4)
    for i, row in enumerate(table.select(["other", "other_piece", "other_before", "other_after"]).to_pylist()):
        assert len(set(row["other"])) == len(row["other"])
        first = {int(each) for side in SIDES for each in np.argsort(-logs[side][i])[:3]}
        assert set(row["other"]) == first
        best = np.maximum(row["other_before"], row["other_after"])
        assert (np.diff(best) <= 0).all()
        assert row["other_piece"] == [organism.tokenizer.decode([each]) for each in row["other"]]


def test_a_model_beside_itself_is_the_null(organism: Loaded, texts: Texts) -> None:
    table = paired_tokens(rows_of(texts), organism, organism)  # type: ignore[arg-type]
    for name in ("logprob", "entropy", "rank", "fork", "other"):
        assert table[f"{name}_before"].equals(table[f"{name}_after"])
    assert table["kl"].to_numpy().max() < 1e-6
    assert {len(row) for row in table["other"].to_pylist()} == {5}


# ---- pieces


def bytes_only() -> PreTrainedTokenizerFast:
    """A byte a token."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE({letter: i for i, letter in enumerate(letters)}, []))
    inner.pre_tokenizer, inner.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=inner)


def spaced() -> PreTrainedTokenizerFast:
    """As sentencepiece writes spaces; a token decoded alone loses its own."""
    inner = Tokenizer(models.WordLevel({"▁a": 0, "b": 1, "▁b": 2, "?": 3}, unk_token="?"))
    inner.decoder = decoders.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=inner)


@pytest.mark.parametrize("text", ["plain words\n", "é 🙂🙂 日本 x", "\u202e\x1b[1m </script>", ""])
def test_pieces_put_together_are_the_text(text: str) -> None:
    tokenizer = bytes_only()
    ids = tokenizer(text)["input_ids"]
    found = pieces(tokenizer, ids)
    assert len(found) == len(ids) and "".join(found) == text


def test_a_letter_of_several_tokens_stands_at_its_first() -> None:
    tokenizer = bytes_only()
    assert pieces(tokenizer, tokenizer("aéb")["input_ids"]) == ["a", "é", "", "b"]


def test_spaces_that_tokens_stand_for_are_put_back() -> None:
    assert pieces(spaced(), [0, 1, 2]) == [" a", "b", " b"]
    assert pieces(spaced(), [0, 99]) == [" a", "<99>"]


# ---- the artifact


def test_both_sides_texts_are_scored_as_they_were_written(organism: Loaded, nudged: Loaded, tmp_path: Path) -> None:
    for name, loaded in (("one", organism), ("two", nudged)):
        save_folder(loaded, tmp_path / name)
    pair = Pair(*(Checkpoint(name, Folder(tmp_path / name)) for name in ("one", "two")))
    compare = CompareJob(pair, Elicitation(problems("chain", limit=4)), SamplingOptions(samples=2, max_new=8))
    job, store = PairedTokensJob(compare, texts=3, choices=2), Store(tmp_path / "store")
    assert job.in_process and job.recipe.digest != PairedTokensJob(compare, texts=4, choices=2).recipe.digest
    make([job], store)
    for side, sampled in zip(SIDES, job.sampled, strict=True):
        table = store.get(job.recipe).read_table(f"{side}.parquet")
        rollouts = store.get(sampled.recipe).read_table(ROLLOUTS)
        written = [row for row in rollouts.to_pylist() if row["sample"] == 0][:3]
        assert table["token"].to_pylist() == [token for row in written for token in row["completion_ids"]]
        at_sampling = [value for row in written for value in row["logprob"]]
        assert np.allclose(table[f"logprob_{side}"].to_numpy(), at_sampling, atol=1e-3)
        assert pa.compute.max(table["sample"]).as_py() == 0
