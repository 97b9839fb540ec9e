"""Latents token by token, and what stands beside them: parity with the rows of `features`, signs, scores by hand."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_features_job import FIT, OPTIONS, asked, outside

import probe
from probe.checkpoints.checkpoint import Checkpoint
from probe.checkpoints.organism_job import OrganismJob
from probe.checkpoints.pair import Pair
from probe.data import SIDES
from probe.engine.executor import make
from probe.errors import BadInput
from probe.experiments.compare.job import CompareJob
from probe.experiments.dictionaries.comparisons import RL, UNTRAINED
from probe.experiments.dictionaries.fit_job import dictionary_of
from probe.experiments.dictionaries.job import FeaturesJob
from probe.experiments.responses import ROLLOUTS
from probe.experiments.result import Result
from probe.experiments.token_view.beside import Line
from probe.experiments.token_view.contexts import CONTEXTS
from probe.experiments.token_view.job import PairedTokensJob
from probe.experiments.token_view.latents import LatentTokensJob
from probe.measurements import to_table
from probe.models.hooks.forward_hooks import read
from probe.models.hooks.sites import site
from probe.models.loading.load import Loaded, save_folder
from probe.pages import cards
from probe.pages.inside import inside
from probe.pages.pack import plain
from probe.pages.pair_page import pair_page
from probe.plots._cards import audits
from probe.store import Store, write_table

TEXTS = 12
Told = dict[str, list[dict[str, Any]]]


def job_of(pair: Pair) -> LatentTokensJob:
    tokens = PairedTokensJob(CompareJob(pair, asked(), OPTIONS), TEXTS)
    return LatentTokensJob(FeaturesJob(pair, "resid.2", asked(), OPTIONS, FIT), tokens, 3)


@pytest.fixture(scope="module")
def job(organism: Loaded, tmp_path_factory: pytest.TempPathFactory) -> LatentTokensJob:
    place = tmp_path_factory.mktemp("pair")
    save_folder(organism, place / "before")
    with torch.no_grad():
        after = Loaded(type(organism.model)(organism.model.config), organism.tokenizer)
        after.model.load_state_dict(organism.model.state_dict())
        after.model.model.layers[-1].mlp.down_proj.weight *= 1.5
    save_folder(after, place / "after")
    return job_of(Pair(*map(outside, (place / "before", place / "after"))))


@pytest.fixture(scope="module")
def store(job: LatentTokensJob, tmp_path_factory: pytest.TempPathFactory) -> Store:
    held = Store(tmp_path_factory.mktemp("store"))
    make([job], held, workers=1)
    return held


def told(store: Store, job: LatentTokensJob, name: str) -> Told:
    found = json.loads(store.get(job.recipe).file(name).read_bytes())
    assert isinstance(found, dict)
    return found


def test_a_token_has_the_value_of_the_state_that_predicts_it(job: LatentTokensJob, store: Store) -> None:
    """By hand: both models read one text, the dictionary encodes the states one place before each token."""
    table = store.get(job.recipe).read_table("after.parquet").to_pandas()
    rollout = store.get(job.tokens.sampled[1].recipe).read_table(ROLLOUTS).to_pylist()[2 * 3]  # two samples a problem
    ids = torch.tensor([rollout["prompt_ids"] + rollout["completion_ids"]])
    place = site("resid.2")
    states = [read(one.load(store).model, ids, [place])[place][0] for one in job.features.pair.checkpoints]
    dictionary = dictionary_of(store, job.features.comparisons.dictionaries[RL])
    first, n = len(rollout["prompt_ids"]) - 1, len(rollout["completion_ids"])
    f = dictionary.encode(torch.stack(states, 1)[first : first + n])
    mine = table[table["problem"] == rollout["problem"]]
    assert mine["pos"].tolist() == list(range(n)) and rollout["sample"] == 0
    names = [name for name in table.columns if name.startswith("latent:")]
    assert len(names) == 3
    for name in names:
        expected = f[:, int(name.partition(":")[2])].numpy(force=True)
        assert np.allclose(mine[name], expected, atol=1e-4)
    assert len(set(table["problem"])) == TEXTS


def test_what_stands_beside_is_what_the_rows_of_features_say(job: LatentTokensJob, store: Store) -> None:
    """The direction and the best untrained latent, told the same way, have the AUROCs that `features` told."""
    rows = store.get(job.features.recipe).read_table().to_pylist()
    beside = told(store, job, "beside.json")
    assert set(beside) == {"untrained", "direction", "random"}
    own = {name: next(row for row in each if row["name"] == "latent_auroc") for name, each in beside.items()}
    (line,) = [row for row in rows if row["name"] == "direction_auroc"]
    (best,) = [row for row in rows if row["name"] == "best_auroc" and row["part"] == UNTRAINED]
    for name, row in (("direction", line), ("untrained", best)):
        for key in ("value", "lo", "hi", "n", "n_problems", "null"):
            assert own[name][key] == pytest.approx(row[key], abs=1e-6), (name, key)
    assert abs(own["random"]["value"] - 0.5) < own["direction"]["value"] - 0.5
    names = store.get(job.recipe).read_table("before.parquet").column_names
    assert f"untrained:{best['latent']}" in names
    for each in beside.values():
        kinds = {row["name"] for row in each}
        assert kinds == {"latent_auroc", "latent_histogram", "latent_rate", "latent_logit"}
        shares = [row["value"] for row in each if row["name"] == "latent_histogram" and row["group"] == "code"]
        assert 0 <= sum(shares) <= 1 + 1e-9
    for name in ("direction", "random"):  # all of a direction's rows are in its bins
        for group in ("code", "prose"):
            bins = [r["value"] for r in beside[name] if r["name"] == "latent_histogram" and r["group"] == group]
            assert sum(bins) == pytest.approx(1, abs=0.01)


def test_contexts_are_the_strongest_places_of_their_problems(job: LatentTokensJob, store: Store) -> None:
    held = store.get(job.recipe)
    tables = {side: held.read_table(f"{side}.parquet").to_pandas() for side in SIDES}
    for thing, each in told(store, job, "contexts.json").items():
        assert 0 < len(each) <= CONTEXTS and len({one["problem"] for one in each}) == len(each)
        peaks = []
        for one in each:
            table = tables[one["side"]]
            column = thing if ":" in thing else f"{thing}:{one['side']}"
            mine = table[table["problem"] == one["problem"]].set_index("pos")[column]
            assert mine.idxmax() == one["pos"]
            peaks.append(one["values"][one["at"]])
            assert peaks[-1] == pytest.approx(mine.max(), rel=1e-3)
            assert len(one["pieces"]) == len(one["values"]) <= 21
        assert peaks == sorted(peaks, reverse=True)
    direct = told(store, job, "contexts.json")["direction"][0]
    text = "".join(direct["pieces"])
    rows = store.get(job.tokens.sampled[SIDES.index(direct["side"])].recipe).read_table("responses.parquet").to_pylist()
    written = next(row["text"] for row in rows if (row["problem"], row["sample"]) == (direct["problem"], 0))
    assert written[:10] in text or text[-10:] in written


def test_the_cards_say_what_the_store_says(job: LatentTokensJob, store: Store) -> None:
    """Every number of a card is a row of `features`, or stands in the artifact; audits are judged as the figure's."""
    rows = store.get(job.features.recipe).read_table().to_pylist()
    data = plain(cards.told(job, store))
    assert data["site"] == "resid.2" and data["nothing"] is None
    titles = [card["title"] for card in data["cards"]]
    assert titles[3:] == list(cards.TITLES.values()) and all(title.startswith("Latent ") for title in titles[:3])
    for card in data["cards"][:3]:
        latent = int(card["thing"].partition(":")[2])
        own = [row for row in rows if row["latent"] == latent]
        (auroc,) = [row for row in own if row["name"] == "latent_auroc"]
        assert {key: card["auroc"][key] for key in cards.KEPT} == {key: auroc[key] for key in cards.KEPT}
        assert [each["text"] for each in card["audits"]] == [each.text for each in audits(rows, latent)]
        rates = {(r["group"], r["side"]): r["value"] for r in own if r["name"] == "latent_rate"}
        told_ = {(r["group"], side): r[side]["value"] for r in card["rates"] for side in ("before", "after", "change")}
        assert told_ == rates
        bins = [r["value"] for r in own if r["name"] == "latent_histogram" and r["group"] == "code"]
        assert card["histogram"]["groups"]["code"] == bins
        tokens = {(r["side"], r["part"], r["k"]): r["value"] for r in own if r["name"] == "latent_logit"}
        assert len(card["logits"]) == 6 and sorted(tokens.values()) == sorted(
            row[side] for row in card["logits"] for side in SIDES
        )
    for card in data["cards"][3:]:
        assert card["logits"] and card["rates"] and card["contexts"] and not card["audits"]


def test_shades_are_those_of_the_tokens(job: LatentTokensJob, store: Store) -> None:
    table = store.get(job.recipe).read_table("after.parquet")
    found = plain(cards.shades(table))
    names = [name for name in table.column_names if name.startswith(("latent:", "untrained:"))]
    assert list(found) == [*names, "direction"]
    for name in names:
        values = table[name].to_numpy()
        assert np.allclose(found[name], values, atol=0.51 * values.max() / cards.STEPS)
        assert (np.array(found[name])[values == 0] == 0).all()
    for side in SIDES:
        values = table[f"direction:{side}"].to_numpy()
        assert np.corrcoef(found["direction"][side], values)[0, 1] > 0.97


def test_cards_are_an_object_of_a_notebook(job: LatentTokensJob, store: Store) -> None:
    result = Result(job.features, store.get(job.features.recipe).read_table())
    shown = probe.cards(result, texts=TEXTS, where={"store": store, "progress": False})
    assert shown.made.recipe.digest == job.recipe.digest  # made from the same texts, so made once
    assert repr(shown).startswith("Cards(before -> after features") and "Latent " in repr(shown)
    assert shown.told == plain(cards.told(job, store))["cards"]
    html = shown._repr_html_()
    assert html.startswith("<iframe srcdoc=") and 'sandbox="allow-scripts"' in html and "<script" not in html
    with pytest.raises(BadInput, match="probe.features"):
        probe.cards(Result(job.tokens.compare, result.table))


def test_a_page_has_cards_where_the_store_has_them(job: LatentTokensJob, tmp_path: Path) -> None:
    base = Checkpoint("raw", OrganismJob("latent-code", "tiny", 0))
    page = pair_page(Pair(base, base), asked(), OPTIONS)
    empty = Store(tmp_path)
    assert inside(page, empty) == page and inside(page, empty, False, False) == page
    wanted = inside(page, empty, True, True)
    assert wanted.cards and wanted.steering and len(wanted.jobs) == len(page.jobs) + 3
    assert wanted.cards.features.options.samples == 4 and wanted.cards.tokens == page.tokens
    kept = replace(wanted.cards.features, options=replace(OPTIONS, samples=2))
    empty.build(kept.recipe, lambda work: write_table(work / "data.parquet", to_table([])))
    found = inside(page, empty)
    assert found.cards and found.cards.features.recipe.digest == kept.recipe.digest and found.steering is None


def test_a_score_is_zero_half_way_and_a_half_at_the_means() -> None:
    high, low = torch.tensor([3.0, 1.0]).double(), torch.tensor([1.0, 1.0]).double()
    line = Line(high - low, (high + low) / 2)
    x = torch.stack([high, low, torch.tensor([2.0, 9.0]).double()])[:, None].repeat(1, 2, 1)
    assert line(x).tolist() == [[0.5, 0.5], [-0.5, -0.5], [0.0, 0.0]]


def test_what_it_is_made_from(job: LatentTokensJob) -> None:
    assert job.in_process and job.recipe.digest == replace(job).recipe.digest
    assert job.recipe.digest != replace(job, latents=2).recipe.digest
    assert job.recipe.digest != replace(job, tokens=replace(job.tokens, texts=3)).recipe.digest
    base = Checkpoint("raw", OrganismJob("latent-code", "tiny", 0))
    assert not job_of(Pair(base, base)).in_process


def test_one_strategy_alone_has_no_direction(job: LatentTokensJob, store: Store, tmp_path: Path) -> None:
    """The same answers, one token each: all prose. Nothing stands beside the latents, and there are none."""
    short = replace(OPTIONS, max_new=1)
    pair = job.features.pair
    tokens = PairedTokensJob(CompareJob(pair, asked(), short), 3)
    one = LatentTokensJob(FeaturesJob(pair, "resid.2", asked(), short, replace(FIT, steps=2, batch=8, held=8)), tokens)
    make([one], Store(tmp_path), workers=1)
    held = Store(tmp_path).get(one.recipe)
    assert held.read_table("before.parquet").column_names == ["problem", "sample", "pos"]
    assert json.loads(held.file("beside.json").read_bytes()) == {}
