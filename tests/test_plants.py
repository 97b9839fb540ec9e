"""What was written into the weights is found again, by everything that looks for it, and by nothing at another place.

A direction (an MLP writes along u, a head reads u), a head that alone carries a token, a layer that alone carries the
change. Every other part is alive: it reads, writes and changes too, but not what matters.
"""

import copy
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from outside_checkpoints import tiny
from plants import reading
from torch import Tensor
from transformers import PreTrainedModel

from probe.activations.linear import Examples, probe
from probe.checkpoints.checkpoint import Checkpoint
from probe.checkpoints.outside import Folder
from probe.checkpoints.pair import Pair
from probe.engine.executor import make
from probe.experiments.patching.job import parts_of
from probe.experiments.patching.layers import LayersJob
from probe.experiments.result import run
from probe.experiments.steering.directions import FitJob, chosen
from probe.interventions.patching import Fork, direct, measure, patch, sites_of
from probe.interventions.recovery import Gap, recovery, share
from probe.interventions.steering import ablating_edit, answer, random_vectors, steer
from probe.interventions.transplant import part_modules, transplanted
from probe.measurements import label
from probe.models.hooks.anatomy import anatomy
from probe.models.hooks.forward_hooks import read
from probe.models.hooks.sites import Site, output_projection
from probe.models.loading.load import save_folder
from probe.models.loading.loaded import Loaded, stop_ids
from probe.models.sampling.transformers_sampler import generate
from probe.rng import torch_rng
from probe.rollouts.elicitation import CHAIN, Elicitation
from probe.rollouts.options import SamplingOptions
from probe.rollouts.respond import Request
from probe.store import Store
from probe.tasks.benchmarks import ProblemSet
from probe.tasks.chain import chain_problems
from probe.tasks.corpus import CODE_OPEN, PROSE_OPENS

ARCHITECTURES = ("qwen2", "llama", "olmo2", "gemma2")
VOCAB = 40
LAST = Site("resid", 2)
PROBLEMS = tuple(chain_problems(72, "test", 0))


def unit(*address: str | int, d: int = 48) -> Tensor:
    return torch.nn.functional.normalize(torch.randn(d, generator=torch_rng(*address)), dim=0)


def names(n: int) -> list[str]:
    return [f"p{i}" for i in range(n)]


def fork_of(model: PreTrainedModel, ids: Tensor, fork: Fork) -> np.ndarray:
    return measure(model, ids, fork).double().numpy()


def mini(problems: int) -> Elicitation:
    told = ProblemSet("mini", PROBLEMS[:problems], "synthetic", "made up", f"mini:{problems}")
    return replace(CHAIN, problems=told)


# a direction in the weights, and what the model does with it


@dataclass(frozen=True, eq=False)
class Planted:
    """An organism whose head opens in code along u and in prose against it; `u` in the space of the last residual."""

    base: Loaded
    u: Tensor
    texts: Tensor  # ids of every question, answered twice

    def asking(self, n: int = 24, samples: int = 2) -> Request:
        return Request(PROBLEMS[:n], CHAIN, SamplingOptions(samples=samples))

    def prompts(self, n: int = 24) -> Tensor:
        """Ids of the first questions."""
        return torch.tensor(CHAIN.prompts(self.base.tokenizer, PROBLEMS[:n])[0])

    def writing(self, size: float, wanted: Tensor, elsewhere: float = 0.0) -> Loaded:
        """With the last MLP writing size * wanted * u where each question ends; `elsewhere` nan: whatever elsewhere."""
        model, at = copy.deepcopy(self.base.model), torch.full(self.texts.shape, elsewhere)
        at[:, self.prompts().shape[1] - 1] = wanted.repeat_interleave(2)
        down = part_modules(model)["mlp.1"].down_proj
        with torch.no_grad():
            down.weight.add_(size * torch.outer(self.u, reading(model, down, self.texts, at)))
        return Loaded(model, self.base.tokenizer)

    def pair(self) -> tuple[Loaded, Loaded]:
        """One that writes -12 u, all prose, and one that writes 12 u."""
        ones = torch.ones(len(PROBLEMS))
        return self.writing(-12.0, ones), self.writing(12.0, ones)


@pytest.fixture(scope="module")
def planted(organism: Loaded) -> Planted:
    model = copy.deepcopy(organism.model)
    model.config.tie_word_embeddings = False
    head, u = model.lm_head.weight.detach().clone(), unit("planted truth")
    code = organism.tokenizer(f"{CODE_OPEN}\nx=")["input_ids"][0]
    prose = [organism.tokenizer(text)["input_ids"][0] for text in PROSE_OPENS]
    head[code] = 2 * u
    head[prose] = -2 * u
    model.lm_head.weight = torch.nn.Parameter(head)
    prompts, _ = CHAIN.prompts(organism.tokenizer, PROBLEMS)
    longest = SamplingOptions().max_new
    draws = torch.rand(2 * len(prompts), longest, generator=torch_rng("plain answers"))
    made = generate(
        organism.model, prompts, n_samples=2, max_new=longest, stop=stop_ids(organism), pad=0, uniforms=draws
    )
    texts = torch.cat([torch.tensor(prompts).repeat_interleave(2, 0), made.ids], 1)
    return Planted(Loaded(model, organism.tokenizer), u, texts)


STYLE = torch.tensor([1.0 if p.prompt.startswith(("C", "D")) else -1.0 for p in PROBLEMS])


def test_a_strategy_written_into_the_weights_is_probed_fitted_and_steered(planted: Planted, tmp_path: Path) -> None:
    """The last MLP writes +-u by the style letter: the fitted direction is u, and moving along it moves strategy."""
    loaded, asking = planted.writing(40.0, STYLE), planted.asking()
    save_folder(loaded, tmp_path / "planted")
    fit = FitJob(Checkpoint("planted", Folder(tmp_path / "planted")), mini(len(PROBLEMS)))
    store = Store(tmp_path / "store")
    make([fit], store, workers=1)
    table = store.get(fit.recipe).read_table()
    found, mean = chosen(table, str(LAST))
    assert abs(float(found.vector.float() @ planted.u)) > 0.95
    assert abs(float(chosen(table, "resid.1")[0].vector.float() @ planted.u)) < 0.5  # before it is written
    plain = answer(loaded, asking).code_share.mean()
    v = found.scale * found.vector.float()
    low, high = (scores.code_share.mean() for scores in steer(loaded, asking, v, LAST, (-1.0, 1.0)).values())
    assert low < 0.15 and high > 0.85
    moved = [
        steer(loaded, asking, other, LAST, (1.0,))[1.0].code_share.mean() - plain for other in random_vectors(v, 8)
    ]
    assert max(map(abs, moved)) < min(high - plain, plain - low)
    edits = ablating_edit(LAST, v, mean, "clamp", "fork")
    by_style = [answer(loaded, asking, e).code_share.mean(1)[STYLE[:24] > 0].mean() for e in ([], edits)]
    assert by_style[0] > 0.75 and by_style[1] < by_style[0] - 0.2  # what the letter did is gone


def test_probes_find_the_strategy_where_it_is_written(planted: Planted) -> None:
    """By a coin per question, that nothing else in the stream knows."""
    coin = torch.randint(0, 2, (len(PROBLEMS),), generator=torch_rng("coin")).float() * 2 - 1
    ids = planted.prompts(len(PROBLEMS))
    loaded = planted.writing(30.0, coin, elsewhere=math.nan)
    states = read(loaded.model, ids, [Site("resid", 1), LAST])
    yes = (coin > 0).double().numpy()
    auroc = {
        str(where): probe(Examples(x[:, -1].numpy(), yes, names(len(yes))), "difference", address=("plant",))[0]
        for where, x in states.items()
    }
    assert auroc["resid.2"].lo > 0.9 and auroc["resid.2"].p == pytest.approx(1 / 21)
    assert auroc["resid.1"].lo < 0.5 < auroc["resid.1"].hi + 0.2


def test_steering_and_ablation_do_and_undo_what_the_weights_do(planted: Planted) -> None:
    """after = before + a rank-one change that writes 24 u: adding 24 u by hand recovers it, clamping u removes it."""
    asking, (before, after) = planted.asking(), planted.pair()
    start, end = (answer(loaded, asking).code_share.mean(1) for loaded in (before, after))
    ids = planted.prompts()
    mean = read(before.model, ids, [LAST])[LAST][:, -1].mean(0)
    steered = steer(before, asking, 24 * planted.u, LAST, (1.0,))[1.0].code_share.mean(1)
    ablated = answer(after, asking, ablating_edit(LAST, planted.u, mean, "clamp", "fork")).code_share.mean(1)
    problems = [p.id for p in asking.problems]
    recovered = recovery(steered, Gap(start, end, problems), name="recovered")
    removed = recovery(ablated, Gap(end, start, problems), name="removed")
    assert recovered.value == pytest.approx(1, abs=0.1) and removed.value == pytest.approx(1, abs=0.2)
    assert recovered.lo > 0.7 and removed.lo > 0.6
    across = unit("another") - (unit("another") @ planted.u) * planted.u
    other = steer(before, asking, 24 * across, LAST, (1.0,))[1.0].code_share.mean(1)
    assert abs(share(other, Gap(start, end, problems))) < 0.5


def test_the_layer_that_was_changed_carries_what_is_answered(planted: Planted, tmp_path: Path) -> None:
    """The same pair end to end: one layer's weights, or output, in greedy answers."""
    for name, loaded in zip(("before", "after"), planted.pair(), strict=True):
        save_folder(loaded, tmp_path / name)
    pair = Pair(*(Checkpoint(name, Folder(tmp_path / name)) for name in ("before", "after")))
    job = LayersJob(pair, mini(24), n=24, draws=1)
    rows = run(job, Store(tmp_path / "store")).rows
    for what, carrying in (("output", {"mlp.1"}), ("weights", {"mlp.1", "block.1", "all"})):
        found = {label(row): row["value"] for row in rows if row["name"] == f"{what}_code_share/recovery"}
        assert len(found) > 3
        assert found == {level: float(level in carrying) for level in found}
        null = next(r for r in rows if (r["name"], label(r)) == (f"{what}_code_share/null", "mlp.1"))
        assert null["value"] < 0.7


# a head that alone carries a token


def carrier(kind: str, layer: int) -> PreTrainedModel:
    """Tokens 3 and 4 are equal but for their sign along e; of all heads one reads e, and writes it along f.

    Every other head and MLP works, blind to e and f: what they read and write along these is taken out. The fork alone
    reads f. As both tokens go as far along e, and along f, all norms are the same.
    """
    model = tiny(kind, VOCAB, num_key_value_heads=4)
    parts, d = anatomy(model), 32
    e, f = torch.linalg.qr(torch.randn(d, 2, generator=torch_rng("e and f")))[0].T
    both = torch.stack([e, f])
    blind = torch.eye(d) - both.T @ both
    with torch.no_grad():
        for module in model.modules():  # a norm that scales e and f alike leaves them apart from the rest
            if "Norm" in type(module).__name__ and module.weight.numel() == d:
                module.weight.fill_(1.0)
        table, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
        table.copy_(table @ blind)
        table[4] = table[3]
        table[3] -= 2 * e
        table[4] += 2 * e
        head.copy_(head @ blind)
        for attention, mlp in zip(parts.attention, parts.mlp, strict=True):
            for reader in (attention.q_proj, attention.k_proj, attention.v_proj, mlp.gate_proj, mlp.up_proj):
                reader.weight.copy_(reader.weight @ blind)
            for writer in (attention.o_proj, mlp.down_proj):
                writer.weight.copy_(blind @ writer.weight)
        attention = parts.attention[layer]
        mine, ones = slice(16, 24), torch.ones(8) / 8**0.5  # head 2
        attention.q_proj.weight[mine] = 0  # looks everywhere alike
        attention.v_proj.weight[mine] = 3 * torch.outer(ones, e)
        output_projection(attention).weight[:, mine] = 3 * torch.outer(f, ones)
        if kind == "qwen2":
            attention.q_proj.bias[mine] = attention.v_proj.bias[mine] = 0
        head[3] += 2 * f
    return model


@pytest.mark.parametrize("kind", ["qwen2", "llama"])
@pytest.mark.parametrize("layer", [0, 1])
def test_the_one_head_that_can_carry_a_token_is_found_among_live_ones(kind: str, layer: int) -> None:
    """By activation and by path patching: it has all of the effect, and no other head, attention or MLP any of it."""
    model, fork = carrier(kind, layer), Fork((3,), (5,))
    ids = torch.randint(6, VOCAB, (16, 7), generator=torch_rng("carried"))
    ids[:, 0] = 3
    other = ids.clone()
    other[:, 0] = 4
    kinds = sites_of(model, ("attn", "mlp", "head"))
    base, source = (read(model, x, kinds) for x in (ids, other))
    gap = Gap(*(fork_of(model, x, fork) for x in (ids, other)), names(16))  # type: ignore[misc]
    assert not gap.undefined
    assert all(float(base[s].abs().max()) > 0.01 for s in kinds)  # all of them are alive
    for found in (patch(model, ids, source, fork, positions=(-1,)), direct(model, ids, source, fork)):
        for each in found:
            carries = str(each.site) in (f"head.{layer}.2", f"attn.{layer}")
            assert share(each.values.numpy(), gap) == pytest.approx(float(carries), abs=1e-4), each.site


def test_a_head_that_is_read_by_an_mlp_has_no_direct_path() -> None:
    """The same head, but the fork does not read f: the last MLP does, and tells the fork along g."""
    model, fork = carrier("llama", 0), Fork((3,), (5,))
    f = torch.linalg.qr(torch.randn(32, 2, generator=torch_rng("e and f")))[0].T[1]
    g = unit("g", d=32)
    g = torch.nn.functional.normalize(g - (g @ f) * f, dim=0)
    mlp = part_modules(model)["mlp.1"]
    with torch.no_grad():
        head = model.get_output_embeddings().weight
        head[3] += 3 * g - 2 * f
        mlp.up_proj.weight += torch.outer(torch.ones(64), f)
        mlp.down_proj.weight += torch.outer(g, torch.ones(64)) / 8
    ids = torch.randint(6, VOCAB, (16, 7), generator=torch_rng("carried"))
    ids[:, 0] = 3
    other = ids.clone()
    other[:, 0] = 4
    some = [Site("head", 0, 2), Site("mlp", 1)]
    source = read(model, other, some)
    gap = Gap(*(fork_of(model, x, fork) for x in (ids, other)), names(16))  # type: ignore[misc]
    assert not gap.undefined
    whole = [share(p.values.numpy(), gap) for p in patch(model, ids, source, fork, positions=(-1,))]
    paths = [share(p.values.numpy(), gap) for p in direct(model, ids, source, fork)]
    assert whole[0] == pytest.approx(1, abs=1e-4)
    assert abs(paths[0]) < 0.05
    assert paths[1] == pytest.approx(whole[1], abs=1e-4)
    assert paths[1] > 0.9


# a layer that alone carries the change


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_of_layers_that_all_changed_the_one_that_matters_carries_it(kind: str) -> None:
    """mlp.0 moved as far as mlp.1, but by what these prompts do not read; so did embeddings that they do not use."""
    before, fork = tiny(kind, VOCAB), Fork((3,), (5,))
    ids = torch.randint(6, 30, (8, 5), generator=torch_rng("layers"))  # 40 positions: 24 of 64 hidden axes are unread
    after, seen = copy.deepcopy(before), list[Tensor]()
    down = part_modules(before)["mlp.0"].down_proj
    handle = down.register_forward_pre_hook(lambda _module, args: seen.append(args[0].flatten(0, 1)))
    start = fork_of(before, ids, fork)
    handle.remove()
    unread = torch.linalg.svd(seen[0].double())[2][40:].float()
    with torch.no_grad():
        mine, change = part_modules(after), 0.3 * torch.randn(32, 64, generator=torch_rng("seen"))
        mine["mlp.1"].down_proj.weight.add_(change)
        hidden = torch.randn(32, 24, generator=torch_rng("unseen")) @ unread
        mine["mlp.0"].down_proj.weight.add_(hidden * (change.norm() / hidden.norm()))
        if kind != "gemma2":  # there the embedding is the head
            mine["embed"].weight[30:].add_(1.0)
    gap = Gap(start, fork_of(after, ids, fork), names(8))
    far = float(np.abs(gap.source - gap.target).max())
    for part in part_modules(before):
        with transplanted(before, after, [part]):
            values = fork_of(before, ids, fork)
        there = gap.source if part in ("mlp.1", "block.1") else gap.target
        assert np.abs(values - there).max() < 1e-4 * far, part


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_nothing_recovers_exactly_0_and_everything_exactly_1(kind: str) -> None:
    """Self-patching, full patching, and every part transplanted, as recoveries of a gap that is there."""
    model, fork = tiny(kind, VOCAB), Fork((3, 4), (5,))
    ids, other = (torch.randint(6, VOCAB, (10, 6), generator=torch_rng("full", i)) for i in (0, 1))
    ends = [fork_of(model, x, fork) for x in (ids, other)]
    shift = math.copysign(1.0, float((ends[1] - ends[0]).sum()))
    own = read(model, ids, sites_of(model))
    lasts = [Site("resid", 0), Site("resid", len(anatomy(model).blocks))]
    source = read(model, other, lasts)
    rows = np.abs(ends[1] - ends[0]) * shift  # a guard that passes: the same two runs, every row's gap counted one way
    gap = Gap(np.zeros(10), rows, names(10))
    assert not gap.undefined

    def told(values: Tensor) -> float:
        moved = (values.double().numpy() - ends[0]) * np.sign(ends[1] - ends[0]) * shift
        return recovery(moved, gap, name="r").value

    assert {told(p.values) for p in patch(model, ids, own, fork, positions=(-1, -3, None))} == {0.0}
    assert {told(p.values) for p in direct(model, ids, {s: v for s, v in own.items() if s.kind != "resid"}, fork)} == {
        0
    }
    assert {told(p.values) for p in patch(model, ids, source, fork)} == {1.0}
    after = tiny(kind, VOCAB, seed=1)
    change = Gap(ends[0], ends[0] + 1, names(10))
    with transplanted(model, after, parts_of(model)["all"]):
        assert (measure(model, ids, fork) == measure(after, ids, fork)).all()
    with transplanted(model, model, parts_of(model)["all"]):
        assert recovery(fork_of(model, ids, fork), change, name="r").value == 0.0
