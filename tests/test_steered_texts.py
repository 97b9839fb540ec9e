"""The texts of a dose-response: they are the answers that it counted, and hostile ones stay text."""

from dataclasses import replace
from typing import Any

import pytest
from test_steering_job import COEFFICIENTS, OPTIONS, PROBLEMS, mini, moved

from probe.checkpoints.checkpoint import Checkpoint, Folder
from probe.checkpoints.organism_job import OrganismJob
from probe.checkpoints.pair import Pair
from probe.engine.executor import make
from probe.experiments.steering.directions import fitted_on
from probe.experiments.steering.job import SteerJob
from probe.experiments.steering.texts import FITTED, RANDOM, SteeredTextsJob
from probe.interventions.steering import MEASURES
from probe.models.loading.load import Loaded, save_folder
from probe.pages import steering
from probe.pages.pack import plain
from probe.store import Store


@pytest.fixture(scope="module")
def job(organism: Loaded, tmp_path_factory: pytest.TempPathFactory) -> SteerJob:
    folder = tmp_path_factory.mktemp("pair")
    save_folder(organism, folder / "base")
    save_folder(moved(organism, 4.0), folder / "after")
    pair = Pair(Checkpoint("base", Folder(folder / "base")), Checkpoint("after", Folder(folder / "after")))
    return SteerJob(pair, mini(), **OPTIONS | {"randoms": 1})


@pytest.fixture(scope="module")
def store(job: SteerJob, tmp_path_factory: pytest.TempPathFactory) -> Store:
    held = Store(tmp_path_factory.mktemp("store"))
    make([job, SteeredTextsJob(job.doses[0], 4)], held, workers=1)
    return held


def texts(store: Store, job: SteerJob) -> list[dict[str, Any]]:
    return list(store.get(SteeredTextsJob(job.doses[0], 4).recipe).read_table().to_pylist())


def test_the_texts_are_the_answers_that_were_counted(store: Store, job: SteerJob) -> None:
    counted = {
        (row["direction"], row["coefficient"], row["problem"], row["sample"]): row
        for row in store.get(job.doses[0].recipe).read_table().to_pylist()
        if row["edit"] == "add"
    }
    found = texts(store, job)
    assert len(found) == 4 * (2 * len(COEFFICIENTS) - 1)
    for row in found:
        same = counted[row["direction"], row["coefficient"], row["problem"], row["sample"]]
        assert (row["strategy"] == "code", row["outcome"] == "right", row["boxed"] is not None) == (
            same["code_share"],
            same["accuracy"],
            same["parse_rate"],
        )
    assert len({row["strategy"] for row in found}) == 2  # otherwise this says little
    assert {row["direction"] for row in found if row["coefficient"]} == {FITTED, RANDOM}


def test_no_problem_was_fitted_on_and_doses_differ(store: Store, job: SteerJob) -> None:
    found = texts(store, job)
    assert not {row["problem"] for row in found} & {p.id for p in fitted_on(mini())}
    assert [row["problem"] for row in found[:4]] == [p.id for p in PROBLEMS if p not in fitted_on(mini())][:4]
    written = {
        c: [row["text"] for row in found if (row["direction"], row["coefficient"]) == (0, c)] for c in (-4, 0, 4)
    }
    assert written[-4] != written[4]


def test_what_it_is_made_from(job: SteerJob) -> None:
    one = SteeredTextsJob(job.doses[0])
    assert (
        one.recipe.digest
        == SteeredTextsJob(SteerJob(job.pair, mini(), **OPTIONS | {"randoms": 1}).doses[0]).recipe.digest
    )
    assert one.recipe.digest != SteeredTextsJob(job.doses[0], 3).recipe.digest
    other = replace(job, where="new")
    assert one.recipe.digest != SteeredTextsJob(other.doses[0]).recipe.digest
    assert one.in_process
    here = SteerJob(Pair(Checkpoint("raw", OrganismJob("latent-code", "tiny", 0))))
    assert not SteeredTextsJob(here.doses[0]).in_process


def test_the_slider_says_what_steering_left(store: Store, job: SteerJob) -> None:
    """Numbers are those of the rows, at every dose and for both directions; texts are those of the artifact."""
    rows = store.get(job.recipe).read_table().to_pylist()
    steered = FewSteered(job)
    data = plain(steering.told(steered, store))
    assert data["site"] == "resid.2" and [dose["coefficient"] for dose in data["doses"]] == sorted(COEFFICIENTS)

    def value(name: str, c: float, side: str = "before", draw: int | None = None) -> float:
        (row,) = [
            r for r in rows
            if (r["name"], r["coefficient"], r["side"], r["draw"]) == (name, c, side, draw)
        ]  # fmt: skip
        return float(row["value"])

    for dose in data["doses"]:
        c = dose["coefficient"]
        for measure in MEASURES:
            assert dose["fitted"][measure]["value"] == value(f"steer_{measure}", c)
            assert dose["fitted"][measure]["n_problems"] == len(PROBLEMS) - len(fitted_on(mini()))
            if c:
                drawn = value(f"steer_{measure}_random", c, draw=1)
                assert dose["random"][measure]["value"] == drawn and dose["reach"][measure] == [drawn, drawn]
            else:
                assert dose["random"] == dose["fitted"] and dose["reach"][measure] is None
    assert data["after"]["code_share"]["value"] == value("steer_code_share", 0.0, "after")
    found = {(row["problem"], row["direction"], row["coefficient"]): row["text"] for row in data["texts"]}
    assert found == {(r["problem"], r["direction"], r["coefficient"]): r["text"] for r in texts(store, job)}
    assert [problem["id"] for problem in data["problems"]] == list(dict.fromkeys(key[0] for key in found))


class FewSteered(steering.Steered):
    """With the few problems of these tests."""

    @property
    def texts(self) -> SteeredTextsJob:
        return SteeredTextsJob(self.job.doses[0], 4)
