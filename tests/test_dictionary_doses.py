"""Latents turned by hand in a pair: a planted one moves the share of code and others do not; killed, resumed, null."""

import copy
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from probe.checkpoints.checkpoint import Checkpoint
from probe.checkpoints.outside import Folder
from probe.checkpoints.pair import Pair
from probe.dictionaries.activation import ReLU
from probe.dictionaries.dictionary import Dictionary
from probe.dictionaries.exchange.folder import Kept, write_dictionary
from probe.dictionaries.fitting.options import Fit
from probe.engine.executor import make
from probe.engine.job import Job
from probe.engine.listener import heard_by
from probe.errors import BadInput
from probe.experiments.dictionaries.comparisons import RL
from probe.experiments.dictionaries.dose_estimates import Turned, doses_of, smallest_of
from probe.experiments.dictionaries.dose_job import FeatureDosesJob
from probe.experiments.dictionaries.doses import LatentDosesJob
from probe.experiments.dictionaries.smallest import Answers, SmallestSetsJob
from probe.experiments.dictionaries.turned import MATCHED, REDIRECTED, SET, Turnable, arms, turnable
from probe.experiments.result import run
from probe.interventions.steering import MEASURES, part_of
from probe.models.hooks.forward_hooks import read
from probe.models.hooks.sites import site
from probe.models.loading.load import Loaded, save_folder
from probe.rng import torch_rng
from probe.rollouts.elicitation import CHAIN
from probe.rollouts.options import SamplingOptions
from probe.store import Store
from probe.tasks.benchmarks import ProblemSet
from probe.tasks.chain import chain_problems
from probe.tasks.corpus import CODE_OPEN

SITE = "resid.2"  # the last: what stands there is read by the head alone
PROBLEMS = tuple(chain_problems(48, "test", 0))
ASKED = replace(CHAIN, problems=ProblemSet("mini", PROBLEMS, "synthetic", "made up", "mini:48"))
DRAWS = 20
SMALL: dict[str, Any] = {"elicitation": ASKED, "options": SamplingOptions(samples=4), "fit": Fit(48, 4, steps=1)}
TURNED: dict[str, Any] = {
    "sizes": (1, 2),
    "doses": (-1.0, 0.0, 1.0, 2.0),
    "draws": DRAWS,
    "turned": SamplingOptions(samples=2),
}


def forks(organism: Loaded) -> torch.Tensor:
    """States at the last token of every question."""
    ids = torch.tensor(ASKED.prompts(organism.tokenizer, PROBLEMS)[0])
    return read(organism.model, ids, [site(SITE)])[site(SITE)][:, -1]


def towards(organism: Loaded) -> tuple[torch.Tensor, float]:
    """The unit direction that raises the logit of code over that of prose, and how far along it raises it by 1."""
    x, head = forks(organism), organism.model.get_output_embeddings().weight.detach()
    code = organism.tokenizer(f"{CODE_OPEN}\nx=")["input_ids"][0]
    gain = organism.model.model.norm.weight.detach()
    logits = ((x / x.square().mean(1, keepdim=True).sqrt()) * gain @ head.T).mean(0)
    logits[code] = -torch.inf
    rise = (head[code] - head[int(logits.argmax())]) * gain
    return rise / rise.norm(), float(x.square().mean().sqrt() / rise.norm())


def moved(organism: Loaded, by: float) -> Loaded:
    """Its last block writes along that direction, logits `by` higher: what RL made of it."""
    model = copy.deepcopy(organism.model)
    unit, one = towards(organism)
    model.config.mlp_bias = True
    for layer in model.model.layers:
        for each in (layer.mlp.gate_proj, layer.mlp.up_proj, layer.mlp.down_proj):
            each.bias = torch.nn.Parameter(torch.zeros(each.out_features))
    model.model.layers[-1].mlp.down_proj.bias = torch.nn.Parameter(by * one * unit)
    return Loaded(model, organism.tokenizer)


def planted(organism: Loaded, shift: float = 4.0) -> Dictionary:
    """Latent 0 reads and writes the direction of code; the others, in the rest of the space, are always on.

    After is `shift` logits further along it, which the bias says.
    """
    (unit, one), x = towards(organism), forks(organism)
    d = len(unit)
    start = torch.randn(d, d, generator=torch_rng("truth of doses"))
    start[:, 0] = unit
    V = torch.linalg.qr(start).Q.T
    V[0] = unit
    W_enc = torch.zeros(2, d, d)
    W_enc[:, :, 0] = unit / 2
    along = (x - x.mean(0)) @ unit
    edge = along.quantile(0.8)  # it is silent at most forks
    level = float((along - edge).relu()[along > edge].mean())
    b_enc = level * torch.linspace(0.5, 4, d)  # as active as the first, when that is
    b_enc[0] = -edge
    W_dec = (4 * one / level * V)[:, None].repeat(1, 2, 1)  # at its level it raises the logit by 4
    b_dec = torch.stack([x.mean(0), x.mean(0) + shift * one * unit])
    return Dictionary(site(SITE), ("before", "after"), ReLU(), W_enc, b_enc, W_dec, b_dec, torch.ones(2))


@pytest.fixture(scope="module")
def pair(organism: Loaded, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    folder = tmp_path_factory.mktemp("pair")
    save_folder(organism, folder / "base")
    save_folder(moved(organism, 4.0), folder / "after")
    return Pair(Checkpoint("base", Folder(folder / "base")), Checkpoint("after", Folder(folder / "after")))


def with_dictionary(store: Store, pair: Pair, dictionary: Dictionary) -> FeatureDosesJob:
    """The experiment, its dictionary made by hand."""
    job = FeatureDosesJob(pair, SITE, **SMALL, **TURNED)
    fitted = job.comparisons.dictionaries[RL]
    make(list(fitted.readings), store, workers=1)
    store.build(fitted.recipe, lambda work: write_dictionary(Kept(dictionary), work))
    return job


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def job(store: Store, pair: Pair, organism: Loaded) -> FeatureDosesJob:
    return with_dictionary(store, pair, planted(organism))


@pytest.fixture(scope="module")
def rows(job: FeatureDosesJob, store: Store) -> list[dict[str, Any]]:
    return list(run(job, store, workers=1).rows)


def told(rows: list[dict[str, Any]], name: str, side: str, **wanted: Any) -> list[float]:
    wanted = {"name": name, "side": side} | wanted
    return [row["value"] for row in rows if wanted.items() <= row.items()]


def test_the_planted_latent_moves_the_share_of_code_with_its_dose(rows: list[dict[str, Any]]) -> None:
    for side in ("before", "after"):
        (plain,) = told(rows, "latent_dose_code_share", side, edit="plain")
        by_dose = {
            dose: told(rows, "latent_dose_code_share", side, edit=SET, k=1, coefficient=dose)[0]
            for dose in TURNED["doses"]
        }
        assert by_dose[-1.0] == by_dose[0.0] <= plain
        if side == "before":
            assert plain + 0.2 < by_dose[1.0] <= by_dose[2.0] and by_dose[2.0] > 0.85
        else:  # nearly all is code there
            assert min(by_dose.values()) > 0.75


def test_random_sets_do_not(rows: list[dict[str, Any]]) -> None:
    here = {"k": 2, "coefficient": 2.0}
    (own,) = told(rows, "latent_dose_code_share", "before", edit=SET, **here)
    for how in (MATCHED, REDIRECTED):
        null = told(rows, "latent_dose_code_share", "before", edit=how, **here)
        assert len(null) == DRAWS and max(null) < own
        assert told(rows, "latent_dose_p", "before", edit=how, target="code_share", **here) == [1 / (DRAWS + 1)]
    (strongest,) = (
        row for row in rows if row["name"] == "latent_dose_code_share" and row["side"] == "before"
        and row["edit"] == SET and row["k"] == 2 and row["coefficient"] == 2.0
    )  # fmt: skip
    assert strongest["p"] == 1 / (DRAWS + 1)
    assert strongest["null"] == pytest.approx(np.mean(told(rows, "latent_dose_code_share", "before", edit=MATCHED)))


def test_nats_are_moved_and_none_by_nothing(rows: list[dict[str, Any]]) -> None:
    assert told(rows, "latent_dose_kl", "before", edit="plain") == [0.0]
    nats = [told(rows, "latent_dose_kl", "before", edit=SET, k=1, coefficient=c)[0] for c in (1.0, 2.0)]
    assert 0 < nats[0] < nats[1]
    assert {row["unit"] for row in rows if row["name"] == "latent_dose_kl"} == {"nats"}


def test_directions_stand_beside_every_set_but_the_ablated(rows: list[dict[str, Any]]) -> None:
    for kind in ("difference", "logistic"):
        doses = {row["coefficient"] for row in rows if row["name"] == "latent_dose_accuracy" and row["edit"] == kind}
        assert doses == {-1.0, 1.0, 2.0}
    low, high = (
        told(rows, "latent_dose_code_share", "before", edit="difference", k=1, coefficient=c)[0] for c in (-1, 1)
    )
    assert low < high


def test_one_latent_does_in_the_base_what_the_bias_did_and_cannot_undo_it(rows: list[dict[str, Any]]) -> None:
    assert told(rows, "minimal_set", "before") == [1.0]
    assert told(rows, "minimal_set_curve", "before", k=0) == [0.0]
    assert told(rows, "minimal_set_curve", "before", k=1)[0] >= 0.8
    (share,) = (row for row in rows if row["name"] == "minimal_set_share" and row["side"] == "before")
    assert share["lo"] > 0.4 and share["n_problems"] == sum(part_of(p.id) == "report" for p in PROBLEMS)
    (after,) = (row for row in rows if row["name"] == "minimal_set" and row["side"] == "after")
    assert math.isnan(after["value"]) and "no set of up to 1 latents" in after["reason"]


def test_what_tells_nothing_is_not_in_the_set(rows: list[dict[str, Any]]) -> None:
    """One latent tells code: a set of at most two has it alone."""
    assert told(rows, "latent_dose_size", "before", k=2) == [1.0]
    values = {
        name: [told(rows, name, "after", edit=SET, k=k, coefficient=2.0) for k in (1, 2)]
        for name in ("latent_dose_code_share", "latent_dose_kl")
    }
    assert all(first == second for first, second in values.values())


def test_what_is_told_chose_nothing(job: FeatureDosesJob, store: Store) -> None:
    asked = set(store.get(job.sides[0].recipe).read_table()["problem"].to_pylist())
    assert {part_of(name) for name in asked} == {"report"}


def test_as_many_arms_as_are_said(job: FeatureDosesJob, store: Store) -> None:
    table = store.get(job.sides[0].recipe).read_table()
    assert len(set(zip(*(table[name].to_pylist() for name in ("how", "k", "dose", "draw")), strict=True))) == (
        job.sides[0].n_arms
    )


def killed(job: Job, store: Store, work: Path, after: int) -> dict[Path, int]:
    """The parts that are there once it was killed after so many reports."""
    done: list[int] = []

    def kill(made: int, of: int, unit: str) -> None:
        done.append(made)
        if len(done) == after:
            raise KeyboardInterrupt

    work.mkdir()
    with pytest.raises(KeyboardInterrupt), heard_by(kill):
        job.make(store, work)
    return {file: file.stat().st_mtime_ns for file in (work / "scratch").glob("*.parquet")}


def test_killed_jobs_go_on_and_end_the_same(job: FeatureDosesJob, store: Store, tmp_path: Path) -> None:
    for number, each in enumerate((job.sides[1], job.smallest)):
        work = tmp_path / str(number)
        parts = killed(each, store, work, 2)
        each.make(store, work)
        assert len(parts) == 2 and all(file.stat().st_mtime_ns == then for file, then in parts.items())
        whole = store.get(each.recipe).file("data.parquet").read_bytes()
        assert (work / "data.parquet").read_bytes() == whole


def test_a_null_pair_has_nothing_to_reproduce(pair: Pair, organism: Loaded, tmp_path: Path) -> None:
    store = Store(tmp_path)
    same = Pair(pair.before, pair.before)
    job = with_dictionary(store, same, planted(organism, 0.0))
    make([job.smallest], store, workers=1)
    found = list(smallest_of(Answers.read(store.get(job.smallest.recipe).read_table())))
    assert [each.name for each in found] == ["minimal_set", "minimal_set"]
    assert all(math.isnan(each.value) and "no gap" in each.params["reason"] for each in found)
    of = [turnable(store, job.comparisons, side) for side in ("before", "after")]
    assert of[0].ranking == of[1].ranking and torch.equal(of[0].states, of[1].states)


def test_one_strategy_alone_has_no_code_latent(pair: Pair, organism: Loaded, tmp_path: Path) -> None:
    store = Store(tmp_path)
    small = SMALL | {"options": SamplingOptions(samples=2, max_new=1)}  # one token is no code yet
    job = FeatureDosesJob(pair, SITE, **small, **TURNED)
    fitted = job.comparisons.dictionaries[RL]
    make(list(fitted.readings), store, workers=1)
    store.build(fitted.recipe, lambda work: write_dictionary(Kept(planted(organism)), work))
    with pytest.raises(BadInput, match="one strategy alone"):
        turnable(store, job.comparisons, "before")


def by_hand() -> Turnable:
    """Latent 0 of code, latent 1 of prose, latent 2 and 3 beside them."""
    W_dec = torch.eye(4)[:, None].repeat(1, 2, 1) * torch.tensor([1.0, 2, 1, 2])[:, None, None]
    found = Dictionary(site(SITE), ("before", "after"), ReLU(), torch.eye(4).repeat(2, 1, 1) / 2, torch.zeros(4), W_dec,
                       torch.zeros(2, 4), torch.ones(2))  # fmt: skip
    level, lines = np.array([3.0, 0.5, 3.0, 0.5]), {"difference": torch.eye(4)[0], "logistic": torch.eye(4)[1]}
    return Turnable(found, "after", (0, 1), np.array([True, False, True, True]), level, torch.ones(2, 4), lines)


def test_a_dose_by_hand() -> None:
    """Code is set to dose x level and prose off; below 0 the other way round; 0 ablates both."""
    of, x = by_hand(), torch.ones(1, 1, 4)
    changed = {dose: of.change([0, 1], dose)(x)[0, 0].tolist() for dose in (2.0, 0.0, -2.0)}  # f is 1 everywhere
    assert changed == {2.0: [6, -1, 1, 1], 0.0: [0, -1, 1, 1], -2.0: [0, 1, 1, 1]}
    assert of.change([2, 3], 2.0, [0, 1])(x)[0, 0].tolist() == [1, 1, 6, -1]  # in the places of 0 and 1
    assert of.moved(of.change([0, 1], 2.0)) == pytest.approx(math.hypot(5, 2))


def test_arms_by_hand() -> None:
    of = by_hand()
    found = list(arms(of, [1], [0.0, 2.0], draws=2))
    told = [(arm.how, arm.dose, arm.draw) for arm, _ in found]
    assert told[:5] == [("plain", 0.0, 0), (SET, 0.0, 0), (SET, 2.0, 0), ("difference", 2.0, 0), ("logistic", 2.0, 0)]
    assert told[5:] == [(MATCHED, 2.0, 1), (MATCHED, 2.0, 2), (REDIRECTED, 2.0, 1), (REDIRECTED, 2.0, 2)]
    x = torch.ones(1, 1, 4)
    reach = {arm.how: float((change(x) - x).norm()) for arm, change in found if change is not None and arm.dose}
    assert reach["difference"] == reach["logistic"] == pytest.approx(reach[SET])
    assert reach[REDIRECTED] == pytest.approx(reach[SET], rel=1e-5)


def made_up(value: Any, draws: int = 3, problems: int = 6) -> pa.Table:
    """value(how, k, dose, draw, place) is every measure of the answer to that problem."""
    keys = [("plain", 0, 0.0, 0), *((SET, k, d, 0) for k in (1, 2) for d in (1.0, 4.0))]
    keys += [(how, 2, 4.0, draw) for how in (MATCHED, REDIRECTED) for draw in range(1, draws + 1)]
    out = []
    for key in keys:
        for place in range(problems):
            about = dict(zip(("how", "k", "dose", "draw"), key, strict=True))
            answer = float(value(*key, place))
            out.append(
                about
                | {"size": min(key[1], 1), "problem": f"p{place}", "sample": 0}
                | dict.fromkeys((*MEASURES, "kl"), answer)
            )
    return pa.Table.from_pylist(out)


def test_doses_by_hand() -> None:
    """Four of six at the strongest dose, one in six otherwise; of three matched sets one goes as far the other way."""
    share = {(SET, 2, 4.0): 5, (MATCHED, 2, 4.0, 2): 6, (MATCHED, 2, 4.0, 1): 2}

    def value(how: str, k: int, dose: float, draw: int, place: int) -> bool:
        return place < share.get((how, k, dose, draw), share.get((how, k, dose), 1))

    columns = ("edit", "k", "coefficient", "draw", "target")
    told = doses_of(Turned.read(made_up(value)), "before")
    found = {(each.name, *map(each.params.get, columns)): each for each in told}
    assert found["latent_dose_size", None, 2, None, None, None].value == 1
    own = found["latent_dose_accuracy", SET, 2, 4.0, None, None]
    assert own.value == pytest.approx(5 / 6) and own.null == pytest.approx((2 + 6 + 1) / 18)
    assert own.p == 2 / 4 and found["latent_dose_p", REDIRECTED, 2, 4.0, None, "kl"].value == 1 / 4
    assert found["latent_dose_kl", MATCHED, 2, 4.0, 2, None].value == 1.0
    assert found["latent_dose_code_share", SET, 1, 4.0, None, None].p != own.p  # no random set of that size


def test_flat_doses_are_no_effect() -> None:
    found = list(doses_of(Turned.read(made_up(lambda how, k, dose, draw, place: place % 2)), "after"))
    assert {each.value for each in found if each.name == "latent_dose_p"} == {1.0}


def searched(before: dict[int, int], after: dict[int, int], n: int = 40) -> Answers:
    """The first so many of n answers in code, by size."""
    names = np.array([f"p{i}" for i in range(n)])
    rank = np.empty(n)
    for part in ("choose", "report"):  # alike in both halves
        mine = [i for i in range(n) if part_of(f"p{i}") == part]
        rank[mine] = np.linspace(0, 1, len(mine), endpoint=False)
    sides = {"before": before, "after": after}
    code = {(side, k): (rank < share / 10).astype(float) for side, sizes in sides.items() for k, share in sizes.items()}
    return Answers(code, names)


def test_smallest_sets_by_hand() -> None:
    """From 2 to 8 in ten: two latents bring 5 of the 6, none of those tried takes enough away again."""
    answers = searched({0: 2, 1: 4, 2: 7}, {0: 8, 1: 8, 2: 6, 4: 5})
    assert (answers.dose("before"), answers.dose("after")) == (1.0, -1.0)
    found = {(e.name, e.params["side"], e.params.get("k")): e for e in smallest_of(answers)}
    assert found["minimal_set", "before", None].value == 2
    assert found["minimal_set_curve", "before", 1].value == pytest.approx(1 / 3, abs=0.1)
    assert found["minimal_set_share", "before", 2].value == pytest.approx(5 / 6, abs=0.1)
    none = found["minimal_set", "after", None]
    assert math.isnan(none.value) and "up to 4 latents" in none.params["reason"]
    assert searched({0: 8}, {0: 2}).dose("before") == -1.0  # RL that takes code away


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"sizes": ()}, "sizes"),
        ({"sizes": (0,)}, "sizes"),
        ({"doses": (-1.0, 0.0)}, "a dose above 0"),
        ({"draws": 0}, "draws"),
    ],
)
def test_bad_options_are_named_before_anything_is_made(pair: Pair, wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        FeatureDosesJob(pair, SITE, **SMALL, **(TURNED | wrong))
    with pytest.raises(BadInput, match="after RL"):
        FeatureDosesJob(Pair(pair.before), SITE)


def test_bad_tables(pair: Pair) -> None:
    first, second = made_up(lambda *_: 0), made_up(lambda *_: 0, problems=3)
    with pytest.raises(BadInput, match="different problems"):
        Turned.read(pa.concat_tables([first, second.filter(pa.compute.equal(second["how"], REDIRECTED))]))


def test_where_is_part_of_the_recipe_and_batches_are_not(pair: Pair) -> None:
    job = FeatureDosesJob(pair, SITE, **SMALL, **TURNED)
    one, other = (replace(job, where=where).sides[0] for where in ("fork", "new"))
    assert one.recipe.digest != other.recipe.digest
    assert isinstance(one, LatentDosesJob) and isinstance(job.smallest, SmallestSetsJob)
    assert replace(job, compute=replace(job.compute, batch=7)).sides[0].recipe.digest == one.recipe.digest
