"""The command line: every command once for real, bad input to each, and nothing that a text can do to a terminal."""

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import probe
from probe.cli import app
from probe.cli.app import places
from probe.cli.changes import changes
from probe.cli.show import clean, number, p_value
from probe.data import ROLLOUTS, TOKENS
from probe.errors import BadInput
from probe.measurements import COLUMNS
from probe.store import Recipe, Store

MANIFEST = """\
version: 1
templates: {none: {text: "{prompt}"}, chat: {text: "Now: {prompt}"}}
organisms:
  raw: {family: latent-code, size: tiny, seed: 0}
runs:
  run: {base: raw, reward: format, batches: 2, seed: 3}
checkpoints:
  far: {id: some/where, revision: null, licence: unknown, template: none, family: far}
"""
ROOT = Path(__file__).parents[1]


class Place:
    """A working directory with a manifest, a store that holds an untrained organism, and a folder of the same."""

    def __init__(self, root: Path) -> None:
        from probe.checkpoints.organism_job import OrganismJob
        from probe.models.loading.load import Loaded, save_folder
        from probe.models.loading.organism import build_model, build_tokenizer

        self.root, self.store, self.figures = root, Store(root / "store"), root / "figures"
        self.manifest = root / "manifest.yaml"
        self.manifest.write_text(MANIFEST)
        raw = Loaded(build_model("tiny", 0), build_tokenizer())
        self.store.build(OrganismJob("latent-code", "tiny", 0).recipe, lambda work: save_folder(raw, work))
        self.folder = root / "folder"
        save_folder(Loaded(build_model("tiny", 1), build_tokenizer()), self.folder)

    def __call__(self, *words: object, code: int = 0) -> Any:
        """The result of one command, which must exit with `code`."""
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert result.exit_code == code, (result.exit_code, result.output, result.exception)
        return result

    def made(self, *words: object, code: int = 0) -> Any:
        """The same with this place's store and manifest."""
        return self(*words, "--store", self.store.root, "--manifest", self.manifest, code=code)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("place"))


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test writes `figures` or `.probe` into the checkout, or finds the real outputs by accident."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PROBE_REAL_DATA", raising=False)
    monkeypatch.delenv("PROBE_STORE", raising=False)


def error(result: Any) -> list[str]:
    """The lines of an error on stderr."""
    return [line for line in result.stderr.splitlines() if line.split(":")[0] in ("error", "where", "do")]


def test_import_and_help_load_no_torch() -> None:
    code = """
import sys
import probe
from probe.cli import main
heavy = ("torch", "transformers", "pyarrow", "matplotlib", "scipy")
sys.argv = ["probe", "--help"]
try:
    main()
except SystemExit as end:
    assert end.code == 0
print("LOADED", [name for name in heavy if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED []"
    assert all(f"  {name} " in done.stdout for name in places)


def test_the_public_names_are_there_when_asked_for() -> None:
    assert {"Store", "compare"} <= set(dir(probe))
    assert probe.Store is Store
    assert all(callable(getattr(probe, name)) for name in probe.__all__ if name != "__version__")
    with pytest.raises(AttributeError, match="public are Store"):
        probe.nothing  # noqa: B018


def test_every_command_has_help(place: Place) -> None:
    for name in places:
        assert f" {name} [OPTIONS]" in place(name, "--help").stdout
    assert place("--version").stdout.strip() == f"probe {probe.__version__}"


def test_ls_lists_everything(place: Place) -> None:
    found = json.loads(place("ls", "--json", "--manifest", place.manifest).stdout)
    assert set(found) == {
        "checkpoints",
        "templates",
        "rewards",
        "measures",
        "figures",
        "studies",
        "datasets",
        "families",
        "experiments",
        "variants",
    }
    assert {"tiny", "random", "real"} <= {row["name"] for row in found["studies"]}
    assert all(row["about"] for rows in found.values() for row in rows)
    assert [row["name"] for row in found["checkpoints"]] == ["raw", "run", "far"]
    assert "not pinned" in found["checkpoints"][2]["warnings"][0]
    shown = place("ls", "checkpoints", "--manifest", place.manifest).stdout
    assert "unpinned" in shown
    assert "tiny, seed 0" in shown


def test_check_says_what_is_sound(place: Place) -> None:
    found = json.loads(place.made("check", place.folder, "--json").stdout)
    assert [row["state"] for row in found if row["about"] == "checkpoint"] == ["ok"] * 5
    assert any(row["state"] == "warning" and "not pinned" in row["what"] for row in found)
    assert "not made yet" in place("check", "raw", "--manifest", place.manifest, "--store", "empty").stdout


def test_check_finds_a_damaged_artifact(place: Place, tmp_path: Path) -> None:
    shutil.copytree(place.store.root, tmp_path / "hurt")
    weights = next((tmp_path / "hurt" / "organism").glob("*/model.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    done = place("check", "--store", tmp_path / "hurt", "--manifest", place.manifest, code=1)
    assert "the sha256 of model.safetensors has changed" in done.stdout


def test_train_makes_a_run_and_exports_it(place: Place, tmp_path: Path) -> None:
    done = place.made("train", "run", "--out", tmp_path / "export")
    assert "batch 2 of 2: reward" in done.stderr
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {
        file.name for file in (tmp_path / "export").iterdir()
    }
    again = place.made("train", "run@2")
    assert "batch" not in again.stderr  # it is there
    in_the_way = place.made("train", "run", "--out", tmp_path / "export", code=2)
    assert error(in_the_way)[-1] == "do: name a new or an empty folder, or replace it with --overwrite"
    holds = place.made("check", tmp_path / "export")
    assert holds.stdout.count("export: ") == 5


@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is not None, reason="tensorboard is installed")
def test_a_logger_that_is_not_installed_is_named(place: Place) -> None:
    done = place.made("train", "run", "--log", "tensorboard", code=2)
    assert error(done)[0] == "error: tensorboard is not installed"


def test_sample_score_and_compare_rollouts(place: Place, tmp_path: Path) -> None:
    for name, where in (("raw", "raw.parquet"), (place.folder, "folder.parquet")):
        done = place.made("sample", name, "--limit", 6, "--samples", 2, "--out", tmp_path / where)
        assert "n = 12 responses to 6 problems" in done.stdout
    rollouts = pq.read_table(tmp_path / "raw.parquet")
    assert set(ROLLOUTS.names) | {"answer", "outcome"} <= set(rollouts.column_names)
    place.made("score", tmp_path / "raw.parquet", "--scorer", place.folder, "--out", tmp_path / "tokens.parquet")
    tokens = pq.read_table(tmp_path / "tokens.parquet")
    assert tokens.column_names == TOKENS.names
    assert tokens.num_rows == sum(map(len, rollouts["completion_ids"].to_pylist()))
    assert set(tokens["generator"].to_pylist()) == {"raw"}
    files = (tmp_path / "raw.parquet", tmp_path / "folder.parquet")
    done = place("compare-rollouts", *files, "--store", "s", "--figures", "f", "--json")
    assert {row["reward"] for row in json.loads(done.stdout)["measurements"]} == {"folder"}


def test_greedy_is_one_sample(place: Place) -> None:
    assert "n = 4 responses to 4 problems" in place.made("sample", "raw", "--limit", 4, "--temperature", 0).stdout


def test_compare_measures_a_pair_and_keeps_it(place: Place) -> None:
    place.made("train", "run")
    planned = json.loads(place.made("compare", "raw", "run", "--dry", "--json").stdout)
    assert [job["stage"] for job in planned["jobs"]] == ["responses"] * 4 + ["measurements"]
    assert planned["seconds"] > 0
    found = json.loads(place.made("compare", "raw", "run", "--json", "--workers", 1).stdout)
    names = {row["name"] for row in found["changes"]}
    assert {"accuracy", "code_share", "entropy_shift", "kl_per_token", "fork_overlap"} <= names
    assert {row["temperature"] for row in found["measurements"]} == {0.0, 1.0}
    tested = [row for row in found["changes"] if row["p"] is not None]
    assert all(row["p_holm"] >= row["p"] for row in tested)
    assert place.store.find(found["digest"]).read_table().num_rows == len(found["measurements"])
    assert json.loads(place.made("compare", "raw", "run", "--dry", "--json").stdout)["jobs"] == []
    assert "everything is there" in place.made("compare", "raw", "run", "--dry").stderr
    shown = place.made("compare", "raw", "run").stdout
    assert "raw -> run, chain (synthetic), template none, T = 1" in shown
    assert "p (Holm)" in shown
    assert "only before" in shown
    assert "\nraw -> run, T = 1: " in shown and "tests for a change" in shown.splitlines()[-1]


def test_a_report_tells_what_compare_and_explain_left(place: Place) -> None:
    place.made("train", "run")
    few = ("raw", "run", "--limit", 12, "--samples", 2)
    told = json.loads(place.made("report", *few, "--json", "--workers", 1).stdout)
    page, numbers = Path(told["page"]), json.loads(Path(told["numbers"]).read_text(encoding="utf-8"))
    assert page == Path("reports/raw--run/index.html") and told["bytes"] == page.stat().st_size
    for verb in ("compare", "explain", "report"):
        assert "everything is there" in place.made(verb, *few, "--dry").stderr
    found = json.loads(place.made("compare", *few, "--json").stdout)["changes"]
    assert [row["value"] for row in numbers["measures"]["rows"]] == pytest.approx([row["value"] for row in found])
    verdicts = json.loads(place.made("explain", *few, "--json").stdout)["verdicts"]
    assert [each["sentence"] for each in numbers["verdicts"]] == [each["verdict"] for each in verdicts]
    assert len(numbers["responses"]["pairs"]) == numbers["responses"]["of"] == 36
    assert numbers["tokens"]["after"]["starts"][-1] == len(numbers["tokens"]["after"]["kl"])
    assert "pair_changes" in {each["name"] for each in numbers["figures"]}
    assert "probe compare raw run" in numbers["provenance"]["commands"][1]
    page.write_text("mine")
    assert "in the way" in place.made("report", *few, code=2).stderr


def test_an_organism_is_compared_with_a_folder(place: Place) -> None:
    done = place.made("compare", "raw", place.folder, "--limit", 20)
    assert "raw -> folder, chain (synthetic), template none, T = 1" in done.stdout
    (digest,) = re.findall("kept as measurements ([0-9a-f]{16})", done.stderr)
    assert {row["reward"] for row in place.store.find(digest).read_table().to_pylist()} == {"folder"}


LARGE = ("qwen2.5-math-7b", "qwen2.5-math-7b-ground_truth-150")
OTHER = "qwen2.5-math-7b-incorrect-150"
BUDGET = {"weights", "cache", "memory", "sampling_hours", "reading_hours", "hours", "core_hours"}
FITTED = {"fits", "fit_memory", "fitting_hours", "disk"}
ON_PAIRS: dict[str, tuple[str, ...]] = {
    "compare": ("compare", *LARGE, "--problems", "chain"),
    "report": ("report", *LARGE, "--problems", "chain"),
    "explain": ("explain", *LARGE, "--problems", "chain"),
    "prefix": ("prefix", LARGE[0], "--problems", "chain"),
    "contamination": ("contamination", *LARGE, "--problems", "chain"),
    "probes": ("probes", *LARGE, "--problems", "chain"),
    "steer": ("steer", *LARGE, "--problems", "chain"),
    "toward": ("steer", LARGE[0], "--problems", "chain", "--toward", "chat"),
    "patch": ("patch", *LARGE, "--problems", "chain"),
    "layers": ("patch", *LARGE, "--problems", "chain", "--layers-from-after", "accuracy"),
    "weights": ("weights", *LARGE),
    "cross-sample": ("cross-sample", *LARGE, "--problems", "chain"),
    "features": ("features", *LARGE, "--problems", "chain"),
    "adapter": ("adapter", *LARGE, "--problems", "chain"),
    "dictionary": ("dictionary", "fit", *LARGE, "--problems", "chain"),
}
WEIGHTS_7B = 7_615_616_512 * 2  # bytes in bf16
READING = (
    "compare",
    "report",
    "contamination",
    "probes",
    "steer",
    "toward",
    "patch",
    "features",
    "dictionary",
    "adapter",
)


@pytest.fixture
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is fetched, nothing is looked up, and no weights are read."""
    for name in ("probe.checkpoints.outside.fetch", "probe.checkpoints.checkpoint.load_folder"):
        monkeypatch.setattr(name, lambda *about, **more: pytest.fail(f"{about} was asked for"))


def dry(place: Place, *words: object, as_json: bool = True) -> Any:
    """The answer of --dry, with the manifest of the package."""
    where = ("--dry", "--store", "none", "--manifest", ROOT / "checkpoints_manifest.yaml")
    done = place(*words, *where, *(["--json"] if as_json else []))
    assert not Path("none").exists()
    return json.loads(done.stdout) if as_json else done


@pytest.mark.usefixtures("_no_network")
@pytest.mark.parametrize("name", ON_PAIRS)
def test_dry_on_a_7b_pair_tells_memory_and_hours(place: Place, name: str) -> None:
    """Before, only compare did; the others listed jobs with the half second that an unknown job is taken to last."""
    words = (*ON_PAIRS[name], "--dtype", "bfloat16")
    told = dry(place, *words)
    assert set(told) == BUDGET | FITTED | {"of"}
    copies = {"compare": 2, "report": 2, "patch": 3, "layers": 4, "weights": 2, "cross-sample": 3, "features": 2}
    copies |= {"adapter": 3}
    held = copies.get(name, 1)  # of the weights, in one job at once
    assert told["weights"] == held * WEIGHTS_7B
    assert (
        told["memory"] > told["weights"] + told["cache"]
        if name not in ("compare", "report")
        else told["memory"] > told["weights"]
    )
    assert told["hours"] == pytest.approx(sum(told[f"{what}_hours"] for what in ("sampling", "reading", "fitting")))
    fits = {"features": 6, "dictionary": 1, "adapter": 15}.get(name, 0)
    assert told["fits"] == fits
    assert all((told[key] > 0) == (fits > 0) for key in FITTED)
    assert (told["sampling_hours"] > 0) == (name not in ("patch", "weights"))
    assert (told["cache"] > 0) == (told["sampling_hours"] > 0)
    assert (told["reading_hours"] > 0) == (name in READING)
    shown = dry(place, *words, as_json=False)
    block = re.findall(r"^ *(.+?) {2,}([\d.]+) (GB|GPU-hours)$", shown.stdout, re.MULTILINE)
    more = [("kept on disk", "GB"), (f"fitting ({fits} in all)", "GPU-hours"), ("memory of one fit", "GB")]
    assert [(what, unit) for what, _, unit in block] == [
        ("weights at once", "GB"),
        ("cache of a batch", "GB"),
        ("at the peak, one GPU", "GB"),
        ("sampling", "GPU-hours"),
        ("reading and scoring", "GPU-hours"),
        *(more if fits else []),
    ]
    keys = ("weights", "cache", "memory", "sampling_hours", "reading_hours")
    keys += ("disk", "fitting_hours", "fit_memory") if fits else ()
    sizes = [told[key] / (1e9 if unit == "GB" else 1) for key, (*_, unit) in zip(keys, block, strict=True)]
    assert [number for _, number, _ in block] == [f"{size:.1f}" for size in sizes]
    assert "an upper bound" in shown.stderr


@pytest.mark.usefixtures("_no_network")
def test_a_dry_report_tells_what_cards_and_steering_would_take(place: Place) -> None:
    plain, more = (dry(place, *ON_PAIRS["report"], *flags) for flags in ((), ("--cards", "--steering")))
    assert (plain["fits"], more["fits"]) == (0, 6)
    assert more["sampling_hours"] > plain["sampling_hours"] and more["reading_hours"] > plain["reading_hours"]


@pytest.mark.usefixtures("_no_network")
@pytest.mark.parametrize(
    ("name", "few", "many", "grows"),
    [
        ("compare", ("--samples", 8), ("--samples", 16), "sampling_hours"),
        ("compare", ("--limit", 100), ("--limit", 200), "reading_hours"),
        ("prefix", ("--samples", 8), ("--samples", 16), "sampling_hours"),
        ("contamination", ("--max-new", 32), ("--max-new", 256), "sampling_hours"),
        ("probes", ("--samples", 8), ("--samples", 16), "reading_hours"),
        ("steer", ("--randoms", 20), ("--randoms", 40), "sampling_hours"),
        ("steer", ("--coefficients", "0,1"), ("--coefficients", "0,1,2"), "sampling_hours"),
        ("patch", ("--draws", 20), ("--draws", 40), "reading_hours"),
        ("patch", ("--no-heads",), ("--heads",), "reading_hours"),
        ("layers", ("--draws", 20), ("--draws", 40), "sampling_hours"),
        ("cross-sample", ("--samples", 4), ("--samples", 8), "sampling_hours"),
    ],
)
def test_what_more_is_asked_costs_more(
    place: Place, name: str, few: tuple[object, ...], many: tuple[object, ...], grows: str
) -> None:
    less, more = (dry(place, *ON_PAIRS[name], *words) for words in (few, many))
    assert more[grows] > 1.25 * less[grows] > 0
    assert more["hours"] > less["hours"]


@pytest.mark.usefixtures("_no_network")
def test_another_seeds_run_is_held_too(place: Place) -> None:
    for name in ("patch", "layers", "weights"):
        two, three = (dry(place, *ON_PAIRS[name], *more)["weights"] for more in ((), ("--other", OTHER)))
        assert three - two == 2 * WEIGHTS_7B  # float32


@pytest.mark.parametrize("name", ON_PAIRS)
def test_dry_on_organisms_lists_jobs_and_seconds(place: Place, name: str) -> None:
    words = ["raw" if word == LARGE[0] else "run" if word == LARGE[1] else word for word in ON_PAIRS[name]]
    where = ("--dry", "--store", "none", "--manifest", place.manifest)
    told = json.loads(place(*words, *where, "--json").stdout)
    assert set(told) == {"of", "found", "jobs", "seconds", "workers"}
    stages = [job["stage"] for job in told["jobs"]]
    assert (stages[0], stages[-1]) == ("organism", "dictionary" if name == "dictionary" else "measurements")
    assert told["seconds"] > 0
    shown = place(*words, *where)
    assert "organism" in shown.stdout
    assert "workers; 0 artifacts are there already" in shown.stderr


def test_changes_adjusts_for_what_is_shown() -> None:
    blank = {"family": "f", "reward": "r", "temperature": 1.0, "n": 9, "n_problems": 3, "unit": "fraction"}
    blank = dict.fromkeys(COLUMNS) | blank
    row = blank | {"name": "accuracy", "value": 0.1, "lo": 0.0, "hi": 0.2, "null": 0.0, "p": 0.02}
    rows = [
        row | {"side": "before", "value": 0.4, "null": None, "p": None},
        row | {"side": "after", "value": 0.5, "null": None, "p": None},
        row | {"side": "change"},
        row | {"side": "change", "name": "code_share", "p": 0.04},
        row | {"side": "change", "name": "pass_at_k", "k": 1, "p": 0.001},  # accuracy again
        row | {"side": "", "name": "outcome_share", "cell": "both"},
    ]
    found = changes(rows)
    assert [(r["name"], r["p_holm"]) for r in found] == [("accuracy", 0.04), ("code_share", 0.04)]
    assert (found[0]["before"], found[0]["after"], found[1]["before"]) == (0.4, 0.5, None)


def test_numbers_are_short() -> None:
    assert [number(x) for x in (0.4684, -0.0821, 1.0, 53.5, None, float("nan"))] == [
        ".468",
        "-.082",
        "1.000",
        "53.5",
        "",
        "",
    ]
    assert [number(x, sign=True) for x in (0.1, -0.1, 12.34)] == ["+.100", "-.100", "+12.3"]
    assert [p_value(p) for p in (0.0004, 0.03, None)] == ["<.001", ".030", ""]


def test_real_outputs_are_compared_drawn_and_explained(
    place: Place, real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROBE_REAL_DATA", str(real_data))
    where = ("--store", place.store.root, "--figures", place.figures)
    done = place("compare-rollouts", "rlcr_math500", *where)
    for told in ("Qwen2.5-7B -> RLVR (published labels)", ".468   .386   -.082", ".492   .611", "only after      33"):
        assert told in done.stdout
    assert {file.stem for file in place.figures.glob("*.png")} == {"real_strategy", "real_outcomes", "real_calibration"}
    tree = place("why", "real_outcomes", *where).stdout
    assert "grading=published" in tree
    assert "pinned file:" in tree
    nodes = json.loads(place("why", "real_outcomes", *where, "--json").stdout)
    assert {node["kind"] for node in nodes["nodes"].values()} == {"artifact", "pinned"}


def test_run_draws_the_real_study_and_the_second_run_changes_nothing(
    place: Place, real_data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PROBE_REAL_DATA", str(real_data))
    where = ("--store", tmp_path / "store", "--figures", tmp_path / "figures")
    first = place("run", "real", *where, "--workers", 1)
    assert "2 jobs to make" in first.stderr
    before = {file.name: file.read_bytes() for file in (tmp_path / "figures").iterdir()}
    second = place("run", "real", *where)
    assert "everything is there: 1 artifacts" in second.stderr
    assert {file.name: file.read_bytes() for file in (tmp_path / "figures").iterdir()} == before
    (tmp_path / "figures" / "real_outcomes.csv").unlink()
    assert "drew" in place("figure", "real_outcomes", *where).stderr
    assert (tmp_path / "figures" / "real_outcomes.csv").read_bytes() == before["real_outcomes.csv"]


def test_run_all_says_what_it_would_make(place: Place) -> None:
    done = place("run", "all", "--dry", "--json", "--store", "none")
    assert "the study real is left out" in done.stderr
    plan = json.loads(done.stdout)
    stages = {job["stage"] for job in plan["jobs"]}
    assert stages == {"organism", "votes", "run", "responses", "null", "tokens", "measurements"}
    assert plan["seconds"] > 0
    shown = place("run", "tiny", "--dry", "--store", "none")
    assert "organism" in shown.stdout
    assert "about" in shown.stderr


def test_gc_lists_first_and_deletes_on_request(place: Place, tmp_path: Path) -> None:
    shutil.copytree(place.store.root / "organism", tmp_path / "store" / "organism")
    store = Store(tmp_path / "store")
    stray = store.build(Recipe("stray", 1), lambda work: (work / "x").write_text("x"))
    where = ("--store", store.root, "--manifest", place.manifest)
    listed = json.loads(place("gc", *where, "--json").stdout)
    assert [row["path"] for row in listed] == [str(stray.path)]  # what the manifest names is kept
    assert stray.path.exists()
    assert "1 artifacts" in place("gc", *where, "--delete").stdout
    assert not stray.path.exists()
    assert "nothing to remove" in place("gc", *where).stdout


@pytest.mark.parametrize(
    ("words", "message", "advice"),
    [
        (("ls", "--manifest", "absent.yaml"), "absent.yaml", ""),
        (("check", "--manifest", "bad.yaml"), "unknown key 'sizes'", "did you mean 'size'"),
        (("train", "rwa"), "no checkpoint 'rwa'", "did you mean 'raw'"),
        (("train", "far"), "made elsewhere", "probe ls checkpoints"),
        (("train", "run@7"), "no step '7' is kept", "kept are 2"),
        (("train", "raw@x"), "no step 'x' is kept", "kept are 0"),
        (("train", "./nowhere"), "no such folder", "Hugging Face"),
        (("sample", "empty"), "no config.json here", "Hugging Face"),
        (("sample", "raw", "--limit", "0"), "Invalid value for '--limit'", ""),
        (("sample", "raw", "--temperature", "-1"), "Invalid value for '--temperature'", ""),
        (("score", "absent.parquet", "--scorer", "raw", "--out", "x"), "no such file", "probe sample"),
        (("score", "cut.parquet", "--scorer", "raw", "--out", "x"), "not a whole parquet file", "again"),
        (("score", "other.parquet", "--scorer", "raw", "--out", "x"), "table lacks the columns", "give all of"),
        (("compare", "raw", "run@1"), "no step '1' is kept", "kept are 2"),
        (("compare", "raw", "nothing"), "no checkpoint 'nothing'", "known: raw, run"),
        (("compare", "raw", "raw", "--problems", "gsm9k"), "no problems called 'gsm9k'", "gsm8k"),
        (("gc", "--manifest", "bad.yaml"), "unknown key 'sizes'", "did you mean 'size'"),
    ],
)
def test_bad_input_is_named_with_advice(place: Place, words: tuple[str, ...], message: str, advice: str) -> None:
    Path("bad.yaml").write_text(MANIFEST.replace("size:", "sizes:"))
    Path("empty").mkdir()
    Path("cut.parquet").write_bytes(b"PAR1 and no more")
    pq.write_table(pa.table({"a": [1]}), "other.parquet")
    manifest = () if "--manifest" in words else ("--manifest", place.manifest)
    extra = () if words[0] == "ls" else ("--store", place.store.root)
    refused(place(*words, *manifest, *extra, code=2), message, advice)


@pytest.mark.parametrize(
    ("words", "message", "advice"),
    [
        (("ls", "model"), "'model' is not", "checkpoints"),
        (("run", "tinny", "--dry"), "no study named 'tinny'", "did you mean 'tiny'"),
        (("run", "real"), "rlcr_math500, which the study real reads, is not here", "probe fetch rlcr_math500"),
        (("run", "tiny", "--json"), "--json goes with --dry", "probe run STUDY --dry"),
        (("run", "tiny", "--dry", "--store", "file"), "is a file", "PROBE_STORE"),
        (("figure",), "name one figure", "base_profile"),
        (("figure", "curves"), "no figure named 'curves'", "response_curves"),
        (("figure", "response_curves"), "nothing to draw it from", "probe run STUDY"),
        (("why", "response_curve", "--figures", "figures"), "no figure 'response_curve' was drawn", "response_curves"),
        (("why", "response_curves", "--figures", "figures"), "no record of a figure", "probe figure"),
        (("gc", "--figures", "figures"), "no record of a figure", "probe figure"),
        (("compare-rollouts", "rlcr_math500"), "rlcr_math500 is not here yet", "probe fetch rlcr_math500"),
        (("compare-rollouts", "absent"), "no such file or folder", "saved dataset"),
        (("compare-rollouts", "figures"), "no data-*.arrow", "saved dataset"),
        (("compare-rollouts", "cut"), "not a whole Arrow stream", "fetch the file again"),
        (("compare-rollouts", "cut", "--grading", "ours"), "'ours' is not", "published"),
        (("nothing",), "No such command 'nothing'", ""),
    ],
)
def test_bad_input_without_a_checkpoint(
    place: Place, words: tuple[str, ...], message: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("figures").mkdir()
    Path("figures/response_curves.json").write_text('{"provenance": {"inputs": [3]}}')
    Path("cut").mkdir()
    Path("cut/data-00000-of-00001.arrow").write_bytes(b"\xff\xff\xff\xff")
    Path("file").write_text("")
    refused(place(*words, code=2), message, advice)


def refused(result: Any, message: str, advice: str) -> None:
    """What, where and what to do, on stderr and nowhere else."""
    told = " ".join(result.stderr.split())
    assert message in told
    assert advice in told
    assert "Traceback" not in result.output
    assert len(error(result)) <= 3
    assert result.stdout == ""


def test_a_folder_named_by_the_environment_must_be_there(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROBE_REAL_DATA", "gone")
    refused(place("run", "all", "--dry", code=2), "there is no such folder", "unset PROBE_REAL_DATA")


def test_an_output_that_stands_in_the_way_is_refused_before_any_work(place: Place) -> None:
    Path("folder").mkdir()
    Path("file").write_text("old")
    Path("link").symlink_to("file")
    for name, says in (("folder", "a folder is in the way"), ("file", "in the way"), ("link", "in the way")):
        refused(
            place.made("sample", "raw", "--limit", 2, "--samples", 1, "--out", name, code=2), says, "name a new file"
        )
        refused(place.made("score", "absent", "--scorer", "raw", "--out", name, code=2), says, "name a new file")
    assert Path("file").read_text() == "old"


def test_outputs_replace_what_a_link_points_to(place: Place) -> None:
    Path("file").write_text("old")
    Path("link").symlink_to("file")
    ask = ("sample", "raw", "--limit", 2, "--samples", 1)
    place.made(*ask, "--out", "link", "--overwrite")
    assert Path("link").is_symlink() and pq.read_table("file").num_rows == 2
    refused(place.made("score", "file", "--scorer", "raw", "--out", "link", "--overwrite", code=2), "made from", "new")


def test_debugging_shows_the_traceback(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROBE_DEBUG", "1")
    result = CliRunner().invoke(app, ["train", "./nowhere", "--manifest", str(place.manifest)])
    assert isinstance(result.exception, BadInput)


HOSTILE = "[bold]x[/] :bomb: \x1b[31mred\x1b]0;title\x07 \u202edrawkcab [/nope]"


def test_hostile_text_stays_text() -> None:
    assert "\x1b" not in clean(HOSTILE)
    assert "\u202e" not in clean(HOSTILE)
    assert "\\[bold]" in clean(HOSTILE)


def test_hostile_answers_and_names_are_shown_as_they_are(place: Place) -> None:
    done = place.made("train", f"./{HOSTILE}/gone", code=2)
    assert "[bold]x[/] :bomb:" in done.stderr
    assert not set("\x1b\x07\u202e") & set(done.stderr)
    row = {"problem": HOSTILE, "answer": "1", "text": HOSTILE + "\\boxed{1}"}
    for name in ("[red]a", "[dim]b"):
        Path(f"{name}.jsonl").write_text(json.dumps(row) + "\n" + json.dumps(row | {"problem": "2"}) + "\n")
    done = place("compare-rollouts", "[red]a.jsonl", "[dim]b.jsonl", "--store", "s", "--figures", "f")
    assert "[red]a -> [dim]b (probe labels)" in done.stdout
    assert not set("\x1b\x07\u202e") & set(done.output)


def test_interrupting_keeps_what_is_made(tmp_path: Path) -> None:
    """Ctrl-C reaches the whole process group, as from a terminal.

    A shell's background job ignores it, and so would what it starts: the command listens again.
    """
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    command = [sys.executable, "-c", f"{listen}; from probe.cli import main; main()"]
    words = [*command, "run", "tiny", "--workers", "1", "--store", str(tmp_path / "s")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True, env=environment)
    try:
        assert process.stderr is not None
        assert "jobs to make" in process.stderr.readline()
        deadline = time.monotonic() + 60
        while not (tmp_path / "s" / "partial").is_dir() and time.monotonic() < deadline:
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)
        _, told = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 130
    assert "finished work is kept" in told
    assert "Traceback" not in told
