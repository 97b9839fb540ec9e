"""Dictionaries of a pair: planted changes are seen, null pairs are flat, killed jobs go on, and the commands."""

import copy
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from probe.activations.shards import Activations
from probe.checkpoints.checkpoint import Checkpoint, of_organism, of_run
from probe.checkpoints.organism_job import OrganismJob
from probe.checkpoints.outside import Folder
from probe.checkpoints.pair import Pair
from probe.checkpoints.run_job import RunJob
from probe.cli import app
from probe.dictionaries.diffing.change_parts import PARTS
from probe.dictionaries.exchange.folder import Kept, read_dictionary, write_dictionary
from probe.dictionaries.fitting.options import Fit
from probe.engine.executor import make
from probe.engine.listener import heard_by
from probe.errors import BadInput
from probe.experiments.dictionaries.comparisons import FROZEN, HALVES, ITSELF, RL, UNTRAINED, WALK, Comparisons
from probe.experiments.dictionaries.fit_job import DictionaryJob, Halves, fitting
from probe.experiments.dictionaries.foreign import ForeignFeaturesJob, names_of
from probe.experiments.dictionaries.job import CARDS, FeaturesJob, default_site
from probe.experiments.dictionaries.readings import ReadingJob, labels, text_of
from probe.experiments.dictionaries.under_models import Answers, states_of, token_shares
from probe.experiments.responses import ROLLOUTS
from probe.experiments.result import run
from probe.models.hooks.forward_hooks import read
from probe.models.hooks.sites import site
from probe.models.loading.load import Loaded, save_folder
from probe.rewards import rewards
from probe.rl.labels import Gold
from probe.rl.train import GRPO
from probe.rollouts.elicitation import CHAIN, Elicitation
from probe.rollouts.options import SamplingOptions
from probe.store import Store
from probe.tasks.benchmarks import ProblemSet
from probe.tasks.chain import chain_problems
from probe.tasks.corpus import CODE_FIRST

PROBLEMS = tuple(chain_problems(40, "test", 0))
OPTIONS = SamplingOptions(samples=2)
FIT = Fit(24, 3, steps=60, batch=128, held=256, dead_after=4000, warm_up=5)


def asked() -> Elicitation:
    return replace(CHAIN, problems=ProblemSet("chain", PROBLEMS, CHAIN.problems.leak, "made", "forty"))


@pytest.fixture(scope="module")
def folders(organism: Loaded, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The organism, and the same with its last MLP writing more, and one direction that nothing wrote before."""
    place, changed = tmp_path_factory.mktemp("pair"), copy.deepcopy(organism)
    with torch.no_grad():
        changed.model.model.layers[-1].mlp.down_proj.weight *= 1.5
    for name, loaded in (("before", organism), ("after", changed)):
        save_folder(loaded, place / name)
    return place / "before", place / "after"


def outside(folder: Path) -> Checkpoint:
    return Checkpoint(folder.name, Folder(folder))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def job(folders: tuple[Path, Path]) -> FeaturesJob:
    return FeaturesJob(Pair(*map(outside, folders)), "resid.2", asked(), OPTIONS, FIT)


@pytest.fixture(scope="module")
def rows(job: FeaturesJob, store: Store) -> list[dict[str, Any]]:
    return list(run(job, store).rows)


def pick(rows: list[dict[str, Any]], **where: Any) -> list[dict[str, Any]]:
    return [row for row in rows if all(row[name] == value for name, value in where.items())]


def test_both_read_the_same_positions_of_the_same_texts(job: FeaturesJob, store: Store, rows: Any) -> None:
    comparisons = job.comparisons
    before, after = comparisons.dictionaries[RL].readings
    held = [Activations(store.get(each.recipe).path) for each in (before, after)]
    assert [len(each) for each in held] == [len(held[0])] * 2
    table = store.get(before.written[1].recipe).read_table(ROLLOUTS).to_pylist()[3]  # of after's answers
    sample = OPTIONS.samples + table["sample"]
    places = held[0].rows()
    mine = np.flatnonzero((places.problem == table["problem"]) & (places.sample == sample))
    last, n = len(table["prompt_ids"]) - 1, len(table["completion_ids"])
    assert places.pos[mine].tolist() == [last + t for t in range(n)]
    ids = torch.tensor([table["prompt_ids"] + table["completion_ids"]])
    for checkpoint, each in zip(job.pair.checkpoints, held, strict=True):
        stands = read(checkpoint.load(store).model, ids, [site("resid.2")])[site("resid.2")][0]
        torch.testing.assert_close(each.read("resid.2", mine).values, stands[places.pos[mine]], atol=1e-5, rtol=1e-5)


def test_rows_bear_their_writer_their_place_and_their_strategy(job: FeaturesJob, store: Store, rows: Any) -> None:
    written = job.comparisons.written
    held = Activations(store.get(job.comparisons.before.recipe).path)
    known = labels(held, store, written)
    assert set(known.writer.tolist()) == {0, 1}
    assert (known.at >= 0).all()
    assert int((known.at == 0).sum()) == 2 * OPTIONS.samples * len(PROBLEMS)
    answers = store.get(written[0].recipe).read_table("responses.parquet").to_pylist()
    code = {(row["problem"], row["sample"]): row["strategy"] == "code" for row in answers}
    mine = held.rows()
    for row in np.flatnonzero(known.writer == 0)[::37].tolist():
        assert known.code[row] == code[mine.problem[row], mine.sample[row]]
        assert known.groups[row] == f"before/{'code' if known.code[row] else 'prose'}"


def test_every_comparison_is_told_with_its_nulls(rows: list[dict[str, Any]]) -> None:
    parts = {row["part"] for row in pick(rows, name="exclusive_latents")}
    assert parts == {RL, "seed", ITSELF, HALVES, *FROZEN, UNTRAINED}  # no run was made here, so there is no walk
    assert all(row["value"] == 0 for row in pick(rows, name="exclusive_latents", part=ITSELF))
    (verdict,) = pick(rows, name="exclusive_verdict", side="after")
    assert verdict["reason"]
    bins = pick(rows, name="relative_norm", part=RL)
    assert sum(row["value"] for row in bins) == pytest.approx(1)


def test_the_shares_of_the_change_sum_to_one_where_there_is_one(rows: list[dict[str, Any]]) -> None:
    shares = {row["cell"]: row["value"] for row in pick(rows, name="change_share", part=RL)}
    assert tuple(shares) == PARTS
    assert sum(shares.values()) == pytest.approx(1, abs=1e-6)
    assert all(math.isnan(row["value"]) for row in pick(rows, name="change_share", part=ITSELF))
    assert not pick(rows, name="change_share", part=HALVES)


def test_latents_of_code_are_told_on_problems_that_did_not_choose_them(rows: list[dict[str, Any]]) -> None:
    latents = pick(rows, name="latent_auroc")
    assert latents
    assert len({row["latent"] for row in latents}) == len(latents)
    (direction,) = pick(rows, name="direction_auroc")
    told = {row["n"] for row in (*latents, direction)}
    assert len(told) == 1
    assert told.pop() < OPTIONS.samples * len(PROBLEMS)
    for row in pick(rows, name="latent_rate", side="change"):
        same = {name: row[name] for name in ("latent", "group")}
        (one,), (two,) = (pick(rows, name="latent_rate", side=side, **same) for side in ("before", "after"))
        assert row["value"] == pytest.approx(two["value"] - one["value"], abs=1e-9)


def test_the_best_latent_of_every_control_stands_beside(rows: list[dict[str, Any]]) -> None:
    told = {row["part"]: row["value"] for row in pick(rows, name="best_auroc")}
    assert set(told) == {RL, "seed", ITSELF, *FROZEN, UNTRAINED}
    assert all(0 <= value <= 1 for value in told.values())


def test_every_named_latent_has_its_audits(rows: list[dict[str, Any]]) -> None:
    named = {row["latent"] for row in pick(rows, name="latent_auroc")}
    for audit in ("latent_token_share", "latent_asked_alike", "latent_kept_share"):
        assert {row["latent"] for row in pick(rows, name=audit)} == named
    verdicts = {row["reason"] for row in pick(rows, name="latent_token_share")}
    assert verdicts <= {"no class difference", "fires on the token", "undecided", "not the token alone"}
    assert {row["side"] for row in pick(rows, name="dictionary_recovered")} == {"before", "after"}
    assert all(row["value"] <= 1 for row in pick(rows, name="dictionary_recovered"))


def test_what_rows_tell_has_intervals_by_problem(job: FeaturesJob, store: Store, rows: list[dict[str, Any]]) -> None:
    """Not by row; the values are those that were kept with each dictionary."""
    for name in ("dictionary_fvu", "dictionary_l0", "dictionary_recovered", "latent_asked_alike"):
        found = pick(rows, name=name)
        assert found
        for row in found:
            assert row["lo"] < row["value"] < row["hi"]
            assert 2 <= row["n_problems"] <= len(PROBLEMS) < row["n"]
    for name, fitted in job.comparisons.dictionaries.items():
        about = json.loads(store.get(fitted.recipe).file("health.json").read_text())
        told = [pick(rows, name="dictionary_fvu", part=name, side=side)[0]["value"] for side in ("before", "after")]
        assert told == pytest.approx(about["fvu"], rel=1e-6)
        assert pick(rows, name="dictionary_l0", part=name)[0]["value"] == pytest.approx(about["l0"])
        assert pick(rows, name="dictionary_dead", part=name)[0]["value"] == pytest.approx(about["dead"])
    halves = {row["side"]: row["n_problems"] for row in pick(rows, name="dictionary_fvu", part=HALVES)}
    assert sum(halves.values()) <= len(PROBLEMS)  # each side has its own half


def test_untrained_directions_are_as_active_and_alone_in_nothing(rows: list[dict[str, Any]]) -> None:
    (active,) = pick(rows, name="dictionary_l0", part=UNTRAINED)
    assert active["value"] == pytest.approx(FIT.k, rel=0.05)
    assert all(row["value"] == 0 for row in pick(rows, name="exclusive_latents", part=UNTRAINED))


def test_cards_lie_beside_the_rows(job: FeaturesJob, store: Store, rows: list[dict[str, Any]]) -> None:
    cards = json.loads(store.get(job.recipe).file(CARDS).read_text(encoding="utf-8"))
    named = [card["latent"] for card in cards]
    assert sorted(named) == sorted(row["latent"] for row in pick(rows, name="latent_auroc"))
    assert list(dict.fromkeys(row["latent"] for row in pick(rows, name="latent_histogram"))) == named[:3]
    best = next(row for row in pick(rows, name="latent_context", k=1) if row["latent"] == named[0])
    assert best["value"] == pytest.approx(cards[0]["top"][0]["activation"])
    assert best["reason"] == cards[0]["top"][0]["text"]
    assert {row["side"] for row in pick(rows, name="latent_logit")} == {"before", "after"}


def test_the_kl_at_forks_is_shared_out(rows: list[dict[str, Any]]) -> None:
    cells = {row["cell"]: row["value"] for row in pick(rows, name="fork_kl")}
    assert cells["all"] == pytest.approx(cells["latents"] + cells["rest"] + cells["above"], abs=1e-6)
    assert cells["all"] > 0


def test_words_put_in_front_move_the_positions_and_nothing_else() -> None:
    row = {"problem": "p", "sample": 1, "prompt_ids": [5, 6], "completion_ids": [7, 8, 9]}
    plain, altered = text_of(row, 4), text_of(row, 4, (1, 2))
    assert (plain.ids, plain.positions, plain.sample) == ((5, 6, 7, 8, 9), (1, 2, 3), 5)
    assert (altered.ids, altered.positions) == ((5, 6, 1, 2, 7, 8, 9), (1, 2, 3, 4, 5))
    assert [plain.ids[p] for p in plain.positions[1:]] == [altered.ids[p] for p in altered.positions[3:]]


def test_what_the_first_words_of_code_bring_by_hand(job: FeaturesJob, store: Store, rows: Any) -> None:
    """Text by text, without padding: the most in an answer, of prose with the words in front, of prose, of code."""
    models, answers = job.pair.load(store), Answers.read(store, job.comparisons.written[0])
    own = read_dictionary(store.get(job.comparisons.dictionaries[RL].recipe).path).dictionary
    words = tuple(models[0].tokenizer(CODE_FIRST, add_special_tokens=False)["input_ids"])
    latent = pick(rows, name="latent_auroc")[0]["latent"]

    def mean(code: bool, put_in: tuple[int, ...] = ()) -> float:
        texts = [text_of(row, 0, put_in) for row in answers.of(code=code)]
        states = [states_of(own, models, [text.ids])[0][0][list(text.positions)] for text in texts]
        return float(np.mean([float(own.encode(each)[:, latent].double().max()) for each in states]))

    (told,) = token_shares(own, models, answers, [latent], 0)
    by_hand = (mean(False, words) - mean(False)) / (mean(True) - mean(False))
    assert told.value == pytest.approx(by_hand, rel=1e-4)


def test_a_null_pair_has_no_change_and_no_exclusives(folders: tuple[Path, Path], store: Store) -> None:
    same = Pair(outside(folders[0]), outside(folders[0]))
    found = list(run(FeaturesJob(same, "resid.2", asked(), OPTIONS, FIT), store).rows)
    assert {row["kind"] for row in found} == {"null"}
    assert all(math.isnan(row["value"]) for row in pick(found, name="change_share"))
    assert all(row["value"] == 0 for row in pick(found, name="exclusive_latents", part=RL))
    assert all(abs(row["value"]) < 1e-6 for row in pick(found, name="fork_kl"))
    assert not pick(found, name="latent_kl")
    changes = pick(found, name="latent_rate", side="change")
    assert sum(row["p"] < 0.05 for row in changes) <= 1


def test_a_walk_stands_beside_a_run_made_here(organism: Loaded, tmp_path: Path) -> None:
    """As far as the run, and it changed something that is not what the run changed."""
    store, base = Store(tmp_path), OrganismJob("latent-code", "tiny", 0)
    store.build(base.recipe, lambda folder: save_folder(organism, folder))
    grpo = GRPO(rewards.get("python")(), seed=300, batches=1, save_every=1, trainable="all", lr=1e-3)
    after = of_run(RunJob("python", base, grpo, Gold()))
    found = Comparisons(Pair(of_organism(base), after), asked(), OPTIONS, "resid.2", FIT).dictionaries
    before, walked = found[WALK].readings
    trained = found[RL].readings[1]
    make([before, walked, trained], store, workers=1)
    x, walk, ran = (
        Activations(store.get(each.recipe).path).read("resid.2").values for each in (before, walked, trained)
    )
    assert walked.recipe.digest != trained.recipe.digest
    assert 0 < float((walk - x).norm())
    assert not torch.equal(walk, ran)


def test_a_walk_of_weights_from_outside_is_refused(folders: tuple[Path, Path], job: FeaturesJob) -> None:
    with pytest.raises(BadInput, match="no run was made here"):
        ReadingJob(outside(folders[1]), job.comparisons.written, "resid.2", walk=True)


def test_halves_share_no_problem(job: FeaturesJob, store: Store, rows: Any) -> None:
    held = Activations(store.get(job.comparisons.before.recipe).path)
    halves = Halves(held, ("before", "after"), site("resid.2"))
    names = [set(held.rows().problem[each].tolist()) for each in halves.rows]
    assert not names[0] & names[1]
    assert halves.read(np.arange(5)).shape == (5, 2, 48)


def test_a_killed_fit_goes_on_to_the_same_bits(job: FeaturesJob, store: Store, rows: Any, tmp_path: Path) -> None:
    """Killed behind its first saved state: the second process has fewer steps to do, and the same dictionary."""
    fitted = replace(job.comparisons.dictionaries[RL], fit=replace(FIT, steps=450))
    work, heard = tmp_path / "work", []

    class Killed(Exception):
        pass

    def stop(done: int, of: int, unit: str) -> None:
        heard.append(done)
        if len(heard) == 2:  # 200 steps are saved, and 400 not yet
            raise Killed

    with heard_by(stop), pytest.raises(Killed):
        fitted.make(store, work)
    with heard_by(lambda done, of, unit: heard.append(done)):
        fitted.make(store, work)
    whole = tmp_path / "whole"
    fitted.make(store, whole)
    assert heard == [200, 400, 400, 450]
    found = [read_dictionary(folder).dictionary for folder in (work, whole)]
    assert torch.equal(found[0].W_dec, found[1].W_dec)
    assert torch.equal(found[0].activation.threshold, found[1].activation.threshold)  # type: ignore[union-attr]
    assert [json.loads(line)["step"] for line in (work / "log.jsonl").read_text().splitlines()] == [199, 399, 449]


def test_a_dictionary_of_others_says_how_well_it_says_it(
    job: FeaturesJob, store: Store, rows: Any, tmp_path: Path
) -> None:
    own = read_dictionary(store.get(job.comparisons.dictionaries[ITSELF].recipe).path)
    write_dictionary(Kept(own.dictionary.side("before")), tmp_path / "sae")
    foreign = ForeignFeaturesJob(job.pair, str(tmp_path / "sae"), job.elicitation, OPTIONS)
    found = list(run(foreign, store).rows)
    said = {(row["side"], row["group"]): row for row in pick(found, name="dictionary_fvu")}
    assert {side for side, _ in said} == {"before", "after"}
    assert {group for _, group in said} <= {"fork", "prose", "code"}
    reading = Activations(store.get(job.comparisons.before.recipe).path)
    known = labels(reading, store, job.comparisons.written)
    forks = np.flatnonzero((known.writer == 0) & (known.at == 0))
    every = reading.read("resid.2", np.flatnonzero(known.writer == 0)).values.double()
    x = reading.read("resid.2", forks).values[:, None]
    error = (x - foreign.dictionary.reconstruct(x)).double().square().sum()
    by_hand = error / (x[:, 0].double() - every.mean(0)).square().sum()
    assert said["before", "fork"]["value"] == pytest.approx(float(by_hand), rel=1e-4)
    assert pick(found, name="latent_auroc")


def test_a_dictionary_of_two_models_is_no_sae(job: FeaturesJob, store: Store, rows: Any, tmp_path: Path) -> None:
    kept = read_dictionary(store.get(job.comparisons.dictionaries[RL].recipe).path)
    write_dictionary(kept, tmp_path / "both")
    with pytest.raises(BadInput, match="a dictionary of 2 models"):
        ForeignFeaturesJob(job.pair, str(tmp_path / "both"))


def test_of_another_width_is_refused(job: FeaturesJob, store: Store, rows: Any, tmp_path: Path) -> None:
    kept = read_dictionary(store.get(job.comparisons.dictionaries[RL].recipe).path).dictionary.side("before")
    narrow = replace(kept, W_enc=kept.W_enc[:, :40], W_dec=kept.W_dec[:, :, :40], b_dec=kept.b_dec[:, :40])
    write_dictionary(Kept(narrow), tmp_path / "narrow")
    high = replace(kept, site=site("resid.9"))
    write_dictionary(Kept(high), tmp_path / "high")
    for name, says in (
        ("narrow", "width 40 at resid.2, where before has width 48"),
        ("high", "resid.9, and before has"),
    ):
        next((tmp_path / name).glob("*.safetensors")).unlink()  # refused by what it says, before weights are read
        with pytest.raises(BadInput, match=says):
            ForeignFeaturesJob(job.pair, str(tmp_path / name), job.elicitation, OPTIONS, anyway=True)


def test_of_a_model_of_another_name_is_refused_unless_it_is_meant(
    job: FeaturesJob, store: Store, rows: Any, tmp_path: Path
) -> None:
    """By the names of the pair; what is meant is the same experiment, whoever said so."""
    kept = read_dictionary(store.get(job.comparisons.dictionaries[RL].recipe).path).dictionary.side("before")
    write_dictionary(Kept(replace(kept, models=("org/Other-7B",))), tmp_path / "other")
    write_dictionary(Kept(replace(kept, models=("org/AFTER",))), tmp_path / "named")
    asking = (job.elicitation, OPTIONS)
    with pytest.raises(BadInput, match=r"(?s)of org/Other-7B, and .* called before, after.*--sae-anyway"):
        ForeignFeaturesJob(job.pair, str(tmp_path / "other"), *asking)
    meant = ForeignFeaturesJob(job.pair, str(tmp_path / "other"), *asking, anyway=True)
    named = ForeignFeaturesJob(job.pair, str(tmp_path / "named"), *asking)
    assert meant.recipe.digest == named.recipe.digest
    organism = of_organism(OrganismJob("latent-code", "tiny", 0))
    run_of = of_run(RunJob("python", OrganismJob("latent-code", "tiny", 0), GRPO(rewards.get("python")()), Gold()))
    assert organism.name in set(names_of(Pair(run_of, run_of)))


def test_a_width_that_the_weights_alone_say_is_refused_when_they_are_read(job: FeaturesJob, tmp_path: Path) -> None:
    file = tmp_path / "SAE-Res-Before-W1K-L0_5" / "layer1.sae.pt"
    file.parent.mkdir()
    shapes = {"W_enc": (1024, 40), "W_dec": (40, 1024), "b_enc": (1024,), "b_dec": (40,)}
    torch.save({name: torch.zeros(shape) for name, shape in shapes.items()}, file)
    foreign = ForeignFeaturesJob(job.pair, str(file), job.elicitation, OPTIONS)
    with pytest.raises(BadInput, match="width 40 at resid.2"):
        _ = foreign.recipe  # which is asked for before anything is sampled


def test_writers_of_other_numbers_of_samples_are_refused(job: FeaturesJob) -> None:
    one, two = job.comparisons.written
    other = replace(two, options=replace(OPTIONS, samples=3))
    with pytest.raises(BadInput, match="other numbers of samples"):
        ReadingJob(job.pair.before, (one, other), "resid.2")


@pytest.mark.parametrize(("size", "place"), [("tiny", "resid.2"), ("small", "resid.2")])
def test_the_site_is_two_thirds_up(size: str, place: str) -> None:
    assert default_site(of_organism(OrganismJob("latent-code", size, 0))) == place


def test_the_command_tells_and_refuses(
    folders: tuple[Path, Path], job: FeaturesJob, store: Store, rows: Any, tmp_path: Path
) -> None:
    names, runner = [str(folder) for folder in folders], CliRunner()
    asking = ["--limit", "40", "--samples", "2", "--store", str(store.root), "--figures", str(tmp_path / "figures")]
    fitting = ["--latents", "24", "--k", "3", "--steps", "40", "--rows", "128", "--held", "256", "--site", "resid.2"]
    told = runner.invoke(app, ["features", *names, *asking, *fitting])
    assert told.exit_code == 0, told.output
    assert "latents that one side alone has" in told.stdout
    assert "latents of after alone: " in told.stdout
    dry = runner.invoke(app, ["features", *names, *asking, *fitting, "--dry"])
    assert dry.exit_code == 0, dry.output
    missing = runner.invoke(app, ["features", *names, *asking, "--sae", str(tmp_path / "nothing")])
    assert missing.exit_code == 2
    assert "no such folder" in missing.stderr
    kept = read_dictionary(store.get(job.comparisons.dictionaries[RL].recipe).path).dictionary.side("before")
    write_dictionary(Kept(replace(kept, models=("other",))), tmp_path / "other")
    other = ["features", *names, *asking, "--dry", "--sae", str(tmp_path / "other")]
    refused, meant = runner.invoke(app, other), runner.invoke(app, [*other, "--sae-anyway"])
    assert (refused.exit_code, meant.exit_code) == (2, 0), meant.output
    assert "--sae-anyway" in refused.stderr


def test_a_dictionary_is_fitted_shown_and_written_for_saelens(
    folders: tuple[Path, Path], store: Store, tmp_path: Path
) -> None:
    runner, out = CliRunner(), tmp_path / "out"
    asking = ["--limit", "40", "--samples", "2", "--store", str(store.root), "--site", "resid.2"]
    fitting = ["--latents", "24", "--k", "3", "--steps", "40", "--rows", "128", "--held", "256"]
    both = [str(folder) for folder in folders]
    refused = runner.invoke(app, ["dictionary", "fit", *both, *asking, *fitting, "--saelens"])
    assert refused.exit_code == 2
    assert "--out" in refused.stderr
    made = runner.invoke(app, ["dictionary", "fit", *both, *asking, *fitting, "--out", str(out), "--saelens", "--json"])
    assert made.exit_code == 0, made.output
    about = json.loads(made.stdout)
    assert (about["models"], about["latents"], about["held rows"]) == (["before", "after"], 24, 256)
    assert about["L0"] == pytest.approx(3, abs=0.3)
    shown = runner.invoke(app, ["dictionary", "show", str(out / "after"), "--json"])
    assert shown.exit_code == 0, shown.output
    assert json.loads(shown.stdout)["site"] == "resid.2"
    alone = ["dictionary", "fit", both[0], *asking, *fitting, "--out", str(tmp_path / "one")]
    one = runner.invoke(app, alone)
    assert one.exit_code == 0, one.output
    kept = read_dictionary(tmp_path / "one")
    assert (kept.options["n_latents"], list(kept.fitted_on)) == (24, ["before"])
    again = runner.invoke(app, alone)
    assert again.exit_code == 2
    assert "there already" in again.stderr
    peers = [*asking, *fitting, "--trainer", "saelens", "--json"]
    peer = runner.invoke(app, ["dictionary", "fit", both[0], *peers])
    assert peer.exit_code == 0, peer.output
    assert json.loads(peer.stdout)["L0"] == pytest.approx(3, abs=0.3)
    none = runner.invoke(app, ["dictionary", "fit", *both, *peers])
    assert none.exit_code == 2
    dry = runner.invoke(app, ["dictionary", "fit", *both, *asking, *fitting, "--dry"])
    assert "dictionary" in dry.stdout
    assert "memory of one fit" in dry.stdout


def test_what_a_fit_needs_by_hand() -> None:
    """2 models of width 10 and 6 latents: 2 x 120 weights, 12 + 20 of thresholds and biases, each four times."""
    found = fitting(Fit(6, 2, steps=3, batch=5), 2, 10)
    assert found.weights == 4 * 4 * (240 + 12 + 20)
    assert found.batch == 4 * 5 * (18 + 80)
    assert (found.rows, found.operations) == (15, 2 * 15 * 20 * 6)


def test_the_dictionary_is_the_same_whatever_it_is_called(job: FeaturesJob) -> None:
    """A recipe follows from readings and options alone."""
    found = job.comparisons.dictionaries
    again = DictionaryJob(found[RL].readings, FIT)
    assert again.recipe.digest == found[RL].recipe.digest
    assert len({each.recipe.digest for each in found.values()}) == len(found)
