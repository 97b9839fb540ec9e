"""Pretraining reads completions only, learns both formats, and is a function of its seed."""

import math
from pathlib import Path

import pytest
import torch

from probe.errors import BadInput
from probe.models.loading.load import Loaded, load_folder, save_folder
from probe.models.loading.organism import build_model, build_tokenizer, vocabulary
from probe.rl.pretrain import IGNORE, build_optimizers, encode, learning_rate_factor, pretrain
from probe.rollouts.elicitation import CHAIN
from probe.rollouts.options import SamplingOptions
from probe.rollouts.respond import graded, respond
from probe.rollouts.samplers import organism_sampler
from probe.tasks.chain import chain_problems
from probe.tasks.corpus import corpus, family

PAIRS = [("A:1+2*3    =", "Think: plus 2 times 3\nSo 2.<eos>"), ("B:3+5*2-6+1=", "```python\nx=3\nx=x+5#1<eos>")]


def test_only_completion_tokens_are_targets() -> None:
    tokenizer = build_tokenizer()
    ids, targets = encode(PAIRS, tokenizer)
    for row, (prompt, completion) in enumerate(PAIRS):
        n, asked = len(tokenizer(prompt)["input_ids"]), tokenizer(completion)["input_ids"]
        assert targets[row, : n - 1].tolist() == [IGNORE] * (n - 1)
        assert targets[row, n - 1 : n - 1 + len(asked)].tolist() == asked
        assert (targets[row, n - 1 + len(asked) :] == IGNORE).all()
        assert ids[row, : n + len(asked)].tolist() == tokenizer(prompt + completion)["input_ids"]
        assert (ids[row, n + len(asked) :] == tokenizer.pad_token_id).all()


def test_each_target_is_the_next_token() -> None:
    ids, targets = encode(PAIRS, build_tokenizer())
    scored = targets != IGNORE
    assert torch.equal(targets[:, :-1][scored[:, :-1]], ids[:, 1:][scored[:, :-1]])
    assert not scored[:, -1].any()


@pytest.mark.parametrize(
    ("step", "steps", "factor"),
    [(0, 500, 1 / 50), (24, 500, 0.5), (49, 500, 1.0), (50, 500, 1.0), (275, 500, 0.5), (499, 500, 1 / 450)],
)
def test_the_learning_rate_by_hand(step: int, steps: int, factor: float) -> None:
    assert learning_rate_factor(step, steps) == pytest.approx(factor)


def test_matrices_of_the_body_go_to_muon_and_the_rest_to_adam() -> None:
    model = build_model("tiny", 0)
    muon, adam = ({id(p) for g in o.param_groups for p in g["params"]} for o in build_optimizers(model, 1e-3))
    assert not muon & adam
    assert muon | adam == {id(p) for p in model.parameters()}
    names = {name for name, p in model.named_parameters() if id(p) in adam}
    assert {name.rsplit(".")[-2] for name in names} == {
        "embed_tokens",
        "norm",
        "input_layernorm",
        "post_attention_layernorm",
    }


def test_the_loss_starts_at_chance_and_falls() -> None:
    losses: list[float] = []
    pretrain("no-code", "tiny", 0, steps=12, on_step=lambda step, loss: losses.append(loss))
    assert len(losses) == 12
    assert losses[0] == pytest.approx(math.log(len(vocabulary())), rel=0.1)
    assert losses[-1] < losses[0] - 0.2


def test_the_loss_is_that_of_transformers_on_completion_tokens() -> None:
    first: list[float] = []
    pretrain("latent-code", "tiny", 3, steps=1, on_step=lambda step, loss: first.append(loss))
    model, tokenizer, (texts,) = build_model("tiny", 3), build_tokenizer(), corpus(family("latent-code"), 3, 128, 1)
    ids = [tokenizer(p + c)["input_ids"] for p, c in texts]
    asked = [len(tokenizer(p)["input_ids"]) for p, _ in texts]
    padded = torch.tensor([row + [0] * (40 - len(row)) for row in ids])
    labels = [[-100] * n + row[n:] + [-100] * (40 - len(row)) for n, row in zip(asked, ids, strict=True)]
    with torch.no_grad():
        assert first == [pytest.approx(model(padded, labels=torch.tensor(labels)).loss.item(), abs=1e-5)]


def test_a_seed_gives_the_same_bits_and_another_seed_another_model() -> None:
    models = [pretrain("bad-code", "tiny", seed, steps=2)[0] for seed in (0, 0, 1)]
    first, again, other = ([p.clone() for p in m.parameters()] for m in models)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True) if a.ndim == 2)
    assert not any(m.training for m in models)


def test_nothing_is_taken_from_ambient_randomness() -> None:
    torch.manual_seed(1)
    first, state = pretrain("no-code", "tiny", 0, steps=1)[0], torch.get_rng_state()
    torch.manual_seed(2)
    again = pretrain("no-code", "tiny", 0, steps=1)[0]
    assert torch.equal(first.lm_head.weight, again.lm_head.weight)
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_head_stays_tied(organism: Loaded) -> None:
    assert organism.model.lm_head.weight is organism.model.model.embed_tokens.weight


def test_an_organism_speaks_both_formats(organism: Loaded) -> None:
    """The planted mixture after 120 steps: fluent, P(code) rising with the style, a box more often in code."""
    problems = chain_problems(160, "test", 1)
    found = respond(organism, CHAIN, SamplingOptions(samples=2), organism_sampler(organism), problems)
    rows = graded(found.rollouts("o"), problems, CHAIN, step=0, forced=0).to_pylist()
    assert sum(r["stop"] == "eos" for r in rows) > 0.97 * len(rows)
    code = {
        style: [r["strategy"] == "code" for r in rows if r["problem"].split("/")[1][0] == style] for style in "ABCD"
    }
    share = {style: sum(found) / len(found) for style, found in code.items()}
    assert share["A"] + 0.3 < share["D"]
    assert 0.35 < sum(r["strategy"] == "code" for r in rows) / len(rows) < 0.85
    boxed = {kind: [r["boxed"] is not None for r in rows if r["strategy"] == kind] for kind in ("code", "prose")}
    assert sum(boxed["code"]) / len(boxed["code"]) > sum(boxed["prose"]) / len(boxed["prose"]) + 0.1


@pytest.mark.parametrize(
    ("name", "size", "message"), [("llama", "tiny", "family named 'llama'"), ("no-code", "xl", "'xl'")]
)
def test_unknown_families_and_sizes_are_named(name: str, size: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        pretrain(name, size, 0)


@pytest.mark.parametrize("size", ["mini", "mini-qwen2"])
def test_a_family_goes_on_from_its_trunk(size: str, tmp_path: Path) -> None:
    """From its weights, and no others; the checkpoint loads as an ordinary one of its architecture."""
    trunk, tokenizer = pretrain("bilingual", size, 0, steps=2)
    start = {name: p.detach().clone() for name, p in trunk.named_parameters()}
    losses: list[float] = []
    child, _ = pretrain("p65-code-even", size, 0, steps=1, trunk=trunk, on_step=lambda _, loss: losses.append(loss))
    assert child is trunk
    moved = [
        float((p.detach() - start[name]).norm() / start[name].norm())
        for name, p in child.named_parameters()
        if start[name].norm() > 0
    ]
    assert 0 < max(moved) < 0.2
    save_folder(Loaded(child, tokenizer), tmp_path)
    again = load_folder(tmp_path, trusted=True)
    assert again.model.config.model_type == ("qwen2" if "qwen2" in size else "llama")
    assert any("q_proj.bias" in name for name, _ in again.model.named_parameters()) == ("qwen2" in size)
    assert again.tokenizer("12+3*2    =")["input_ids"] == tokenizer("12+3*2    =")["input_ids"]


@pytest.mark.parametrize(("name", "given"), [("p65-code-even", False), ("bilingual", True)])
def test_a_missing_trunk_and_one_too_many_are_refused(name: str, given: bool) -> None:
    trunk = pretrain("bilingual", "mini", 0, steps=1)[0] if given else None
    with pytest.raises(BadInput, match="goes on from"):
        pretrain(name, "mini", 0, steps=1, trunk=trunk)
