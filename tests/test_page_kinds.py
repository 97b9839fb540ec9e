"""Pages of outputs without weights, and of studies: what they are made from, and what they lack."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from probe.engine.executor import make
from probe.engine.job import Job
from probe.errors import BadInput
from probe.experiments.changes import changes
from probe.experiments.published_outputs.job import published_job
from probe.measurements import COLUMNS, to_table
from probe.pages.outputs_page import OutputsPage
from probe.pages.pack import plain
from probe.pages.study_page import StudyPage
from probe.plots import Drawing
from probe.plots.save import save
from probe.store import Recipe, Store, write_table
from probe.studies import Study


def written(path: Path, right: list[bool], text: str) -> Path:
    rows = [
        {"problem": f"q{i}", "text": f"{text} {i} \\boxed{{{i}}}", "answer": str(i), "right": each}
        for i, each in enumerate(right)
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_two_files_of_outputs_have_a_page(tmp_path: Path) -> None:
    before = written(tmp_path / "base.jsonl", [True, False] * 6, "</script>")
    after = written(tmp_path / "tuned.jsonl", [True, True, False] * 4, "```python\nprint(1)\n```")
    store, made = Store(tmp_path / "store"), OutputsPage(published_job([before, after]), most=5)
    with pytest.raises(BadInput, match=f"probe compare-rollouts {before} {after}"):
        made.held(store)
    make(made.jobs[:1], store, workers=1)
    with pytest.raises(BadInput, match=f"probe explain-rollouts {before} {after}"):
        made.held(store)
    make(made.jobs, store, workers=1)
    page = made.held(store).page(store)
    told = plain(page.data)
    assert (told["about"]["before"], told["about"]["after"]) == ("base", "tuned") and made.names == ["base", "tuned"]
    assert told["responses"]["of"] == 12 and len(told["responses"]["pairs"]) == 5
    first = told["responses"]["pairs"][0]
    assert (first["name"], first["cell"], first["before"]["text"][:9]) == ("tuned", "both", "</script>")
    assert told["responses"]["problems"][0] == {"id": "q0", "prompt": None, "answer": "0", "leaked": None}
    rows = store.get(made.outputs.recipe).read_table().to_pylist()
    assert [row["value"] for row in told["measures"]["rows"]] == [row["value"] for row in changes(rows)]
    assert (
        told["verdicts"][0]["undecided"]
        and told["tokens"] is None
        and "without weights" in told["about"]["why_no_tokens"]
    )
    assert {"real_outcomes", "real_strategy"} <= set(page.figures)
    assert told["provenance"]["commands"][0] == f"probe report {before} {after} --grading published"
    assert page.html.count("<script") == 2


@dataclass(frozen=True)
class Told(Job):
    """One measurement that is made up."""

    number: int

    @property
    def recipe(self) -> Recipe:
        return Recipe("measurements", 1, {"told": self.number})

    @property
    def label(self) -> str:
        return f"run {self.number} measured"

    def make(self, store: Store, work: Path) -> None:
        about = {"kind": "rl", "reward": "r", "temperature": 1.0, "name": "accuracy", "n": 8, "n_problems": 4}
        rows = []
        for step, after in ((0, 0.5), (5, 0.75)):
            sides = {"before": 0.5, "after": after, "change": after - 0.5}
            for side, value in sides.items():
                limits = {"value": value, "lo": value - 0.1, "hi": value + 0.1}
                rows.append(dict.fromkeys(COLUMNS) | about | {"step": step, "side": side} | limits)
        write_table(work / "data.parquet", to_table(rows))


def jobs() -> list[Job]:
    return [Told(1), Told(2)]


STUDY = Study("toy", jobs)


def drawing() -> Drawing:
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([0, 1], [0, 1])
    return Drawing(figure, [{"mark": "a", "value": 1.0}], "A line; no null.")


def test_a_study_has_a_page_of_its_figures_and_runs(tmp_path: Path) -> None:
    store, folder = Store(tmp_path / "store"), tmp_path / "figures"
    make([Told(1)], store, workers=1)
    save("mine", drawing(), folder, {"inputs": [Told(1).recipe.digest, Told(2).recipe.digest]})
    save("others", drawing(), folder, {"inputs": [Told(3).recipe.digest]})
    named = plain(StudyPage(replace(STUDY, figures=("others",)), folder).page(store).data)
    assert [each["name"] for each in named["figures"]] == ["others", "mine"]  # its own before others
    assert "another version" in named["provenance"]["artifacts"][0]["label"]
    page = StudyPage(STUDY, folder).page(store)
    told = plain(page.data)
    assert [each["name"] for each in told["figures"]] == ["mine"] == list(page.figures)
    assert told["figures"][0]["csv"] == "mark,value\na,1.0\n" and told["figures"][0]["caption"] == "A line; no null."
    assert [run["held"] for run in told["runs"]] == [True, False]
    assert (
        told["runs"][0]["accuracy"]["value"] == 0.25 and told["runs"][0]["accuracy"]["before"] == 0.5
    )  # the last step
    assert told["runs"][0]["code_share"] is None and told["runs"][1]["accuracy"] is None
    assert told["about"]["question"].startswith("Pages of outputs without weights")
    assert "<path" in page.html and "2 measurements" in told["provenance"]["artifacts"][0]["label"]


def test_a_study_without_figures_says_how_to_draw_them(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="probe run toy"):
        StudyPage(STUDY, tmp_path).page(Store(tmp_path / "store"))
    (tmp_path / "bad.json").write_text("[]")
    with pytest.raises(BadInput, match="no record of a figure"):
        StudyPage(STUDY, tmp_path).page(Store(tmp_path / "store"))
