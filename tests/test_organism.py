"""Organisms have the stated size, are ordinary checkpoints to other tools, and fail clearly where a file is broken."""

import json
import shutil
from collections.abc import Callable
from itertools import combinations, islice
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from probe.errors import BadInput
from probe.grammar import PLAIN, lettered
from probe.models.loading.load import Loaded, load_folder, save_folder
from probe.models.loading.organism import MAX_NEW_TOKENS, build_model, build_tokenizer, vocabulary
from probe.rng import numpy_rng, torch_rng
from probe.tasks.chain import draw_chains
from probe.tasks.corpus import corpus, family

WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def saved(organism: Loaded, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("organism") / "checkpoint"
    save_folder(organism, folder)
    return folder


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "copy"))


def texts() -> list[str]:
    return [t for batch in corpus(family("latent-code"), 5, 40, 2) for pair in batch for t in pair]


def some_ids(rows: int = 4, length: int = 15) -> torch.Tensor:
    return torch.randint(len(vocabulary()), (rows, length), generator=torch_rng("test ids"))


@pytest.mark.parametrize(("size", "about"), [("tiny", 60_000), ("small", 650_000)])
def test_sizes_are_as_stated(size: str, about: int) -> None:
    model = build_model(size, 0)
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(about, rel=0.06)
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_initialisation_has_the_stated_spread() -> None:
    for name, weight in build_model("small", 0).named_parameters():
        if weight.ndim == 1:
            assert (weight == 1).all(), name
        else:
            std = 0.05 if "embed" in name else 0.6 / weight.shape[1] ** 0.5
            assert weight.std().item() == pytest.approx(std, rel=0.05), name


def test_initialisation_is_a_function_of_its_seed() -> None:
    weights = [torch.cat([p.flatten() for p in build_model("tiny", s).parameters()]) for s in (0, 0, 1)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_initialisation_takes_nothing_from_ambient_state() -> None:
    before = torch.get_rng_state()
    first = build_model("tiny", 0)
    torch.rand(5)
    assert torch.equal(first.lm_head.weight, build_model("tiny", 0).lm_head.weight)
    torch.set_rng_state(before)
    build_model("tiny", 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_initialisation_and_corpus_share_no_stream() -> None:
    """At every seed, the two weight sizes, the chains and the traces start on different numbers."""
    streams = {
        (what, seed): numpy_rng(*what, seed).random(64)
        for seed in (0, 1)
        for what in (("organism init", "tiny"), ("organism init", "small"), ("corpus chains",), ("corpus traces",))
    }
    assert not any(set(a) & set(b) for a, b in combinations(streams.values(), 2))
    chains = [list(islice(draw_chains(numpy_rng("corpus chains", seed)), 20)) for seed in (0, 1)]
    assert chains[0] != chains[1]


def test_vocabulary_has_no_token_twice() -> None:
    for grammar in (*map(lettered, (7, 10, 100)), PLAIN):
        assert len(set(vocabulary(grammar))) == len(vocabulary(grammar))


def test_the_longest_trace_fits() -> None:
    text = "```python\nx=3\nx=x+1#4\nx=x+1#5\nx=x+1#6\nx=x+1#0\nprint(x)\n```\n\\boxed{0}<eos>"
    assert len(build_tokenizer()(text)["input_ids"]) == 19 < MAX_NEW_TOKENS


def test_the_saved_folder_loads_as_an_ordinary_checkpoint(organism: Loaded, saved: Path) -> None:
    """The trap: for some model types AutoTokenizer puts its own class in place of the checkpoint's tokenizer."""
    model = AutoModelForCausalLM.from_pretrained(saved, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(saved)
    with torch.no_grad():
        assert torch.equal(model(some_ids()).logits, organism.model(some_ids()).logits)
    ids = organism.tokenizer(texts())["input_ids"]
    assert tokenizer(texts())["input_ids"] == ids
    assert tokenizer.batch_decode(ids) == texts()
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id) == (0, 1)
    assert len(tokenizer) == model.config.vocab_size == len(vocabulary())


def test_load_folder_gives_back_what_was_saved(organism: Loaded, saved: Path) -> None:
    loaded = load_folder(saved)
    assert not loaded.model.training
    assert loaded.model.lm_head.weight is loaded.model.model.embed_tokens.weight
    assert all(torch.equal(a, b) for a, b in zip(loaded.model.parameters(), organism.model.parameters(), strict=True))
    assert loaded.tokenizer(texts())["input_ids"] == organism.tokenizer(texts())["input_ids"]


def test_padding_is_on_the_right_and_masks_nothing_that_counts(organism: Loaded) -> None:
    batch = organism.tokenizer(["A:1+2*3    =", "A:1"], padding=True)
    assert batch["input_ids"][1][2:] == [0] * (len(batch["input_ids"][0]) - 2)


def cut(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:5000])


def edit(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        tensors = load_file(folder / WEIGHTS)
        change(tensors)
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})

    return apply


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (lambda f: (f / "config.json").unlink(), "no config.json"),
    "torn config": (lambda f: (f / "config.json").write_text("{"), "cannot load"),
    "empty config": (lambda f: (f / "config.json").write_text("{}"), "model_type"),
    "no weights": (lambda f: (f / WEIGHTS).unlink(), "no safetensors"),
    "pickled weights": (lambda f: (f / WEIGHTS).rename(f / "pytorch_model.bin"), "never read"),
    "cut weights": (cut, "cannot load"),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "cannot load"),
    "torn tokenizer": (lambda f: (f / "tokenizer.json").write_text("{"), "cannot load"),
    "a tensor missing": (edit(lambda t: t.pop("model.layers.1.mlp.up_proj.weight")), "missing.*up_proj"),
    "NaN": (edit(lambda t: t["model.norm.weight"][:1].fill_(float("nan"))), "not finite.*model.norm"),
    "infinite": (edit(lambda t: t["model.norm.weight"][:1].fill_(float("inf"))), "not finite"),
    "wrong shape": (edit(lambda t: t.update({"model.norm.weight": torch.ones(3)})), "cannot load"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_checkpoint_is_bad_input_that_names_the_folder(copy: Path, name: str) -> None:
    spoil, message = BROKEN[name]
    spoil(copy)
    with pytest.raises(BadInput, match=f"(?s){message}") as caught:
        load_folder(copy)
    assert str(copy) in str(caught.value)


def test_remote_code_is_not_run(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M"}}
    (copy / "config.json").write_text(json.dumps(config))
    (copy / "evil.py").write_text(f"open({str(copy / 'ran')!r}, 'w')\nclass C: pass\nclass M: pass\n")
    with pytest.raises(BadInput):
        load_folder(copy)
    assert not (copy / "ran").exists()


def test_an_unknown_size_is_named() -> None:
    with pytest.raises(BadInput, match=r"(?s)'huge'.*small"):
        build_model("huge", 0)
