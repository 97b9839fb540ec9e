"""What a pair is, said once: null, rl or base, the keys of its rows by hand, and that every experiment says the same.

The rebuilt package is the first in which contamination tells float32 from bfloat16 (it called that pair null).
"""

import copy
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from outside_checkpoints import byte_tokenizer, save_tiny

from probe.checkpoints.checkpoint import Checkpoint, of_organism, of_run
from probe.checkpoints.organism_job import OrganismJob
from probe.checkpoints.outside import Folder, Hub
from probe.checkpoints.pair import Pair
from probe.checkpoints.run_job import RunJob
from probe.errors import BadInput
from probe.experiments.compare.job import CompareJob
from probe.experiments.contamination.job import ContaminationJob
from probe.experiments.contamination.problem_sets import sets
from probe.experiments.experiment import PairExperiment
from probe.experiments.patching.fork import CHAINS
from probe.experiments.patching.job import PatchJob
from probe.experiments.patching.layers import LayersJob
from probe.experiments.probing.job import ProbesJob
from probe.experiments.result import run
from probe.experiments.steering.job import SteerJob
from probe.experiments.weight_difference.job import WeightsJob
from probe.interventions.transplant import part_modules
from probe.measurements import RowKey
from probe.models.loading.load import Loaded, save_folder
from probe.rewards import compose
from probe.rl.labels import Gold
from probe.rl.train import GRPO
from probe.rollouts.elicitation import CHAIN
from probe.rollouts.options import SamplingOptions
from probe.store import Store
from probe.tasks.benchmarks import problems
from probe.tasks.chain import chain_problems

ORGANISM = OrganismJob("latent-code", "tiny", 3)
RUN = RunJob("majority", ORGANISM, GRPO(compose.from_spec({"reward": "ground_truth"}), batches=30, seed=7), Gold())
BASE, TRAINED = of_organism(ORGANISM), of_run(RUN)


def folder(path: Path, weights: bytes = b"weights") -> Folder:
    path.mkdir()
    (path / "config.json").write_text("{}")
    (path / "model.safetensors").write_bytes(weights)
    return Folder(path)


def test_the_same_weights_are_null_whatever_they_are_called(tmp_path: Path) -> None:
    one = Checkpoint("one", folder(tmp_path / "one"))
    (tmp_path / "one" / "README.md").write_text("no part of what it says")
    same = Checkpoint("same", folder(tmp_path / "same"), device_map="cpu")
    commit = f"{7:040x}"
    named = Checkpoint("hub", Hub("org/name", commit)), Checkpoint("again", Hub("org/name", commit))
    pairs = [Pair(BASE, BASE), Pair(BASE, replace(BASE, name="another")), Pair(TRAINED, of_run(RUN)), Pair(one, same)]
    for pair in (*pairs, Pair(*named)):
        assert pair.is_null and pair.kind == "null"
        assert pair.key("s", 1.0).kind == pair.reward_key("s", 1.0).kind == "null"


def test_anything_else_is_rl(tmp_path: Path) -> None:
    one, adapter = Checkpoint("one", folder(tmp_path / "one")), folder(tmp_path / "adapter", b"a")
    other = Checkpoint("one", folder(tmp_path / "other", b"weightz"))
    merged = replace(one, adapter=adapter)
    pairs = {
        "step": Pair(TRAINED, of_run(RUN, RUN.steps[0])),
        "run": Pair(BASE, TRAINED),
        "organism": Pair(BASE, of_organism(replace(ORGANISM, seed=4))),
        "dtype": Pair(one, replace(one, dtype="bfloat16")),
        "adapter": Pair(one, merged),
        "another adapter": Pair(merged, replace(one, adapter=folder(tmp_path / "b", b"b"))),
        "weights": Pair(one, other),
        "commit": Pair(*(Checkpoint("hub", Hub("org/name", f"{n:040x}")) for n in (1, 2))),
    }
    for what, pair in pairs.items():
        assert not pair.is_null and pair.kind == "rl", what
        assert pair.key("s", 1.0).kind == pair.reward_key("s", 1.0).kind == "rl", what
    again = replace(one, adapter=folder(tmp_path / "c", b"a"))  # another folder, the same adapter
    assert Pair(merged, again).is_null


def test_a_base_alone_is_no_null_pair_and_has_nothing_after() -> None:
    alone = Pair(BASE)
    assert not alone.is_null and alone.kind == "base"
    assert alone.checkpoints == (BASE,) and alone.sides == {"before": BASE}
    assert alone.label == BASE.name
    with pytest.raises(BadInput, match="needs a checkpoint after RL"):
        _ = alone.trained


def test_another_seed_is_part_of_what_is_read_and_not_of_the_kind() -> None:
    other = of_run(replace(RUN, grpo=replace(RUN.grpo, seed=8)))
    pair = Pair(BASE, TRAINED, other)
    assert pair.checkpoints == (BASE, TRAINED, other) and list(pair.sides) == ["before", "after"]
    assert pair.needs == (ORGANISM, RUN, other.source)
    assert pair.inputs == (*BASE.inputs, *TRAINED.inputs, *other.inputs)
    assert pair.spec == {"before": BASE.spec, "after": TRAINED.spec, "other": other.spec}
    assert replace(pair, after=BASE).is_null


# ---- keys by hand


def test_the_keys_of_a_run_by_hand() -> None:
    pair, about = Pair(BASE, TRAINED), {"family": "latent-code", "size": "tiny", "base_seed": 3, "temperature": 0.5}
    about |= {"informative": True}
    named = RowKey("s", "rl", reward="latent-code-tiny-3 majority seed 7@30", step=30, **about)
    assert pair.key("s", 0.5) == named
    assert pair.reward_key("s", 0.5) == RowKey("s", "rl", reward="majority", rl_seed=7, step=30, **about)
    chance = compose.from_spec({"reward": "random", "seed": 0})
    noise = replace(RUN, name="random", grpo=replace(RUN.grpo, reward=chance))
    assert Pair(BASE, of_run(noise)).reward_key("s", 0.5).informative is False
    first = RUN.steps[0]
    assert Pair(BASE, of_run(RUN, first)).reward_key("s", 0.5).step == first


def test_the_keys_of_bases_and_of_weights_from_outside_by_hand(tmp_path: Path) -> None:
    about = {"family": "latent-code", "size": "tiny", "base_seed": 3, "temperature": 0.0}
    assert Pair(BASE).key("s", 0.0) == Pair(BASE).reward_key("s", 0.0) == RowKey("s", "base", **about)
    assert Pair(TRAINED).reward_key("s", 0.0) == RowKey("s", "base", step=30, **about)
    before, after = (Checkpoint(f"my-{name}", folder(tmp_path / name, name.encode())) for name in ("base", "rl"))
    expected = RowKey("s", "rl", family="base", reward="my-rl", temperature=0.0)
    assert Pair(before, after).key("s", 0.0) == Pair(before, after).reward_key("s", 0.0) == expected


# ---- one pair, every experiment


@pytest.fixture(scope="module")
def organism_folder(organism: Loaded, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("organism") / "weights"
    save_folder(organism, path)
    return path


ASKED = replace(CHAIN, problems=replace(problems("chain", limit=24), name="few"))
TWICE = SamplingOptions(samples=2)
FRESH = replace(problems("chain"), name="fresh", problems=tuple(chain_problems(8, "test", 5)), pin="fresh 8")
LEAK = sets(problems("chain", limit=8), FRESH)
EXPERIMENTS: dict[str, Callable[[Pair], PairExperiment]] = {
    "compare": lambda pair: CompareJob(pair, ASKED, TWICE),
    "probes": lambda pair: ProbesJob(pair, ASKED, TWICE, ("resid.2",), 2),
    "steering": lambda pair: SteerJob(pair, ASKED, TWICE, "resid.2", (0.0, 1.0), 1),
    "patching": lambda pair: PatchJob(pair, ASKED, 4, ("mlp",), (-1,), 1, CHAINS),
    "layers": lambda pair: LayersJob(pair, ASKED, n=4, draws=1),
    "weights": lambda pair: WeightsJob(pair),
    "contamination": lambda pair: ContaminationJob(pair, LEAK, 8),
}
ONE_DTYPE = ("patching", "layers")  # they put weights, or what was read, of one model into the other
NEED_AFTER = ("compare", "patching", "layers", "weights")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def moved_folder(organism: Loaded, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The organism with one weight moved."""
    path, model = tmp_path_factory.mktemp("moved") / "weights", copy.deepcopy(organism.model)
    with torch.no_grad():
        part_modules(model)["mlp.1"].down_proj.weight[0, 0] += 0.5
    save_folder(Loaded(model, organism.tokenizer), path)
    return path


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_says_the_same_of_a_pair(
    name: str, organism_folder: Path, moved_folder: Path, store: Store
) -> None:
    """Float32 against bfloat16 of one checkpoint is a change, as one weight is; the same again is none."""
    one = Checkpoint("organism", Folder(organism_folder))
    half, moved = replace(one, dtype="bfloat16"), Checkpoint("moved", Folder(moved_folder))
    pairs = {"rl": Pair(one, moved if name in ONE_DTYPE else half), "null": Pair(one, replace(one, name="again"))}
    for kind, pair in (pairs | ({} if name in NEED_AFTER else {"base": Pair(one)})).items():
        rows = run(EXPERIMENTS[name](pair), store).rows
        assert {row["kind"] for row in rows} == {kind} == {pair.kind}
        assert {row["family"] for row in rows} == {one.family}
        assert {(row["size"], row["base_seed"], row["rl_seed"], row["step"]) for row in rows} == {("", 0, 0, 0)}
        assert {row["reward"] for row in rows} == {pair.after.name if pair.after else ""}


@pytest.mark.parametrize("name", ONE_DTYPE)
def test_weights_of_another_precision_are_not_put_into_a_model(name: str, organism_folder: Path, store: Store) -> None:
    one = Checkpoint("organism", Folder(organism_folder))
    with pytest.raises(BadInput, match="not of one shape and dtype"):
        run(EXPERIMENTS[name](Pair(one, replace(one, dtype="bfloat16"))), store)


@pytest.mark.parametrize("name", NEED_AFTER)
def test_what_needs_a_checkpoint_after_rl_says_so(name: str, organism_folder: Path, store: Store) -> None:
    alone = Pair(Checkpoint("organism", Folder(organism_folder)))
    with pytest.raises(BadInput, match="needs a checkpoint after RL"):
        run(EXPERIMENTS[name](alone), store)


def test_checkpoints_of_two_vocabularies_are_no_pair(organism_folder: Path, store: Store, tmp_path: Path) -> None:
    one = Checkpoint("one", Folder(organism_folder))
    other = Checkpoint("other", Folder(save_tiny("llama", tmp_path / "other", tokenizer=byte_tokenizer())))
    with pytest.raises(BadInput, match="different vocabularies"):
        Pair(one, other).load(store)
    shutil.copytree(organism_folder, tmp_path / "copy")
    before, after = Pair(one, Checkpoint("copy", Folder(tmp_path / "copy"))).load(store)
    assert before.tokenizer.get_vocab() == after.tokenizer.get_vocab()
    assert before.model is not after.model
