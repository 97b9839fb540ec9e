"""What every experiment shares: its table has the schema, it is made once, and it is read, drawn and shown alike.

There was no such thing before: each experiment wrote its own run function and returned a bare table.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from probe.data import Estimate
from probe.engine.job import Job
from probe.engine.listener import Listener
from probe.engine.plan import Plan
from probe.errors import BadInput
from probe.experiments.experiment import Experiment
from probe.experiments.result import Result, draw, run
from probe.measurements import SCHEMA, VERSION, RowKey, Rows, row_of
from probe.plots import Drawing
from probe.store import Recipe, Store

KEY = RowKey("inside", "rl", "latent-code", "tiny", 0, "ground_truth", step=30)
MODULES = ("attn.0.q_proj.weight", "mlp.0.up_proj.weight", "mlp.1.down_proj.weight")


def columns(module: str) -> dict[str, Any]:
    """Of one matrix of a layer."""
    component, layer, matrix, _ = module.split(".")
    return {"module": module, "component": component, "layer": int(layer), "matrix": matrix}


def weight_rows(*modules: str) -> Rows:
    """Rows that the figure of weight changes draws."""
    estimates = [
        Estimate(
            f"weight_change/{name}", value, value, value, 64, 1, unit, null, p, {"side": "change", **columns(module)}
        )
        for module in modules
        for name, value, unit, null, p in (
            ("relative", 0.25, "ratio", None, None),
            ("stable_rank", 3.0, "none", 12.5, 0.05),
            ("sparsity", 0.5, "fraction", 0.0, 0.05),
        )
    ]
    return [row_of(KEY, each) for each in estimates]


@dataclass(frozen=True)
class Asks(Job):
    """What an experiment needs."""

    @property
    def recipe(self) -> Recipe:
        return Recipe("asked", 1, {}, ())

    def make(self, store: Store, work: Path) -> None:
        (work / "word").write_text("asked")


@dataclass(frozen=True)
class Toy(Experiment):
    """Rows as given, read where what it needs is there."""

    FIGURES: ClassVar = ("weight_change",)
    name: str = "toy"
    modules: tuple[str, ...] = MODULES

    @property
    def params(self) -> Mapping[str, Any]:
        return {"name": self.name, "modules": list(self.modules)}

    @property
    def label(self) -> str:
        return self.name

    @property
    def needs(self) -> tuple[Job, ...]:
        return (Asks(),)

    def measure(self, store: Store) -> Rows:
        assert store.get(Asks().recipe).file("word").read_text() == "asked"
        return weight_rows(*self.modules)


class Silent(Toy):
    """One that draws nothing."""

    FIGURES: ClassVar = ()


class Newer(Toy):
    """The same, after a change that changes numbers."""

    VERSION: ClassVar = 2


class Made(Listener):
    """Remembers what it heard."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.planned: list[int] = []

    def on_plan(self, plan: Plan) -> None:
        self.planned.append(len(plan.todo))

    def on_done(self, job: Job) -> None:
        self.done.append(job.recipe.stage)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def result(store: Store, job: Experiment | None = None) -> Result:
    return run(job or Toy(), store, workers=1)


@pytest.mark.parametrize("modules", [MODULES, MODULES[:1], ()], ids=["some", "one", "none"])
def test_the_table_has_the_schema(store: Store, modules: tuple[str, ...]) -> None:
    found = result(store, Toy(modules=modules))
    assert found.table.schema == SCHEMA
    assert found.table.num_rows == 3 * len(modules)
    assert found.rows == weight_rows(*modules)
    assert store.get(found.job.recipe).stage == "measurements"
    assert found.digest == found.job.recipe.digest


def test_what_it_is_made_from_is_in_its_recipe() -> None:
    recipe = Toy().recipe
    assert recipe.inputs == (Asks().recipe.digest,)
    assert recipe.params == {**Toy().params, "columns": VERSION}
    digests = {job.recipe.digest for job in (Toy(), Toy("other"), Toy(modules=()), Newer())}
    assert len(digests) == 4


def test_a_second_run_makes_nothing(store: Store) -> None:
    first, second = Made(), Made()
    found = run(Toy(), store, workers=1, listener=first)
    kept = store.get(Toy().recipe).file("data.parquet").stat().st_mtime_ns

    def never(plan: Plan, store: Store, listener: Listener) -> None:
        raise AssertionError("everything is there")

    again = run(Toy(), store, workers=1, listener=second, executor=never)
    assert (first.planned, first.done) == ([2], ["asked", "measurements"])
    assert (second.planned, second.done) == ([0], [])
    assert again.table == found.table
    assert store.get(Toy().recipe).file("data.parquet").stat().st_mtime_ns == kept


def test_who_makes_it_can_be_chosen(store: Store) -> None:
    """Any callable: it is handed the plan, what is needed first."""
    made: list[str] = []

    def executor(plan: Plan, held: Store, listener: Listener) -> None:
        for job in plan.todo.values():
            held.build(job.recipe, lambda work, job=job: job.make(held, work))
            made.append(job.recipe.stage)

    assert run(Toy(), store, executor=executor).rows == weight_rows(*MODULES)
    assert made == ["asked", "measurements"]


def test_the_figure_is_its_own_and_shows_its_rows(store: Store, tmp_path: Path) -> None:
    found = result(store)
    drawing = found.figure()
    assert isinstance(drawing, Drawing)
    assert {row["name"] for row in drawing.table} <= {row["name"] for row in found.rows}
    assert found.figure("weight_change").table == drawing.table
    paths = draw(found.rows, [found.digest], tmp_path / "figures", found.job.FIGURES)
    assert {path.stem for path in paths} == {"weight_change"} and all(path.exists() for path in paths)
    assert {path.stem for path in draw(found.rows, [found.digest], tmp_path / "all")} == {"weight_change"}


@pytest.mark.parametrize(
    ("job", "name", "message"),
    [
        (Silent(modules=()), None, "draw no such figure"),
        (Toy(modules=()), None, "draw no such figure"),
        (Toy(), "steering", "draw no such figure"),
        (Toy(), "weight_chance", "did you mean 'weight_change'"),
    ],
)
def test_a_figure_that_is_not_there_is_named(store: Store, job: Toy, name: str | None, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        result(store, job).figure(name)


def test_an_experiment_without_a_figure_of_its_own_shows_one_that_its_rows_allow(store: Store) -> None:
    own, any_other = result(store, Toy()).figure(), result(store, Silent()).figure()
    assert any_other.table == own.table  # the rows are those of the figure of weight changes


def test_a_notebook_shows_the_changes_with_their_nulls(store: Store) -> None:
    found = result(store)
    shown = found._repr_html_()
    assert "Toy(toy): 9 measurements" in shown and repr(found) in shown
    for column in ("name", "varying", "value", "lo", "hi", "n", "n_problems", "null", "p"):
        assert f"<th>{column}</th>" in shown
    bare = "".join(shown.split())
    values = "".join(f"<td>{cell}</td>" for cell in ("3", "3", "3", "64", "1", "12.5", "0.05"))
    assert f"<td>weight_change/stable_rank</td><td>attn.0.q_proj.weight</td>{values}" in bare
    assert "None" not in shown and "nan" not in shown  # what is not known is an empty cell
    assert bare.count("<tr>") == 9
    long = result(store, Toy(modules=tuple(f"mlp.{i}.up_proj.weight" for i in range(9))))
    assert "".join(long._repr_html_().split()).count("<tr>") == 12  # a summary: the table has the rest
    assert len(long.changes()) == 27


def test_changes_are_chosen_by_name_and_column(store: Store) -> None:
    found = result(store)
    assert len(found.changes()) == 9
    one = found.changes("weight_change/stable_rank", component="mlp", layer=1)
    assert one["varying"].tolist() == ["mlp.1.down_proj.weight"]
    assert one["value"].tolist() == [3.0] and one["null"].tolist() == [12.5] and one["p"].tolist() == [0.05]
    assert found.changes("accuracy").empty


def test_names_are_escaped_where_a_notebook_shows_them(store: Store) -> None:
    """A checkpoint is named by a folder, and so by anything."""
    bad = '<script>alert("1")</script> & co'

    class Named(Toy):
        def measure(self, store: Store) -> Rows:
            return [row | {"name": f"<b>{row['name']}</b>"} for row in super().measure(store)]

    shown = result(store, Named(bad))._repr_html_()
    assert "<script>" not in shown and "<b>" not in shown
    assert "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; co" in shown
    assert "&lt;b&gt;weight_change/relative&lt;/b&gt;" in shown


def test_undefined_numbers_are_shown_as_none(store: Store) -> None:
    class Undefined(Toy):
        def measure(self, store: Store) -> Rows:
            return [row | dict.fromkeys(("value", "lo", "hi"), math.nan) for row in super().measure(store)]

    found = result(store, Undefined("undefined"))
    cells = "".join(found._repr_html_().split())
    assert "<td>attn.0.q_proj.weight</td><td></td><td></td><td></td><td>64</td>" in cells
    assert all(math.isnan(value) for value in found.table["value"].to_pylist())


def test_a_row_that_lacks_a_column_is_not_written(store: Store) -> None:
    class Short(Toy):
        def measure(self, store: Store) -> Rows:
            return [{key: value for key, value in row.items() if key != "p"} for row in super().measure(store)]

    with pytest.raises(KeyError, match="p"):
        result(store, Short("short"))
    assert not store.holds(Short("short").recipe)
