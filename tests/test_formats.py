"""Files as they come: every layout in one command, several systems never merged, answers from beside, rows counted."""

import json
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from probe.cli import app
from probe.errors import BadInput
from probe.experiments.published_outputs.import_file import import_rollouts
from probe.experiments.published_outputs.selection import Selection

Rows = list[dict[str, Any]]
N, SAMPLES = 5, 2


def text(i: int, sample: int) -> str:
    return f"response {sample} to {i}: \\boxed{{{i if sample == 0 else 99}}}"


def lines(path: Path, rows: Rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def inspect_eval(folder: Path) -> Path:
    """As Inspect writes it: a header and a member for each sample and epoch; one text is attached."""
    path = folder / "log.eval"
    config = {"temperature": 0.7}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as log:
        log.writestr("_journal/start.json", "{}")
        log.writestr("header.json", json.dumps({"version": 2, "status": "success",
            "eval": {"task": "t", "model": "vendor/m", "model_generate_config": config}}))  # fmt: skip
        for i, epoch in ((i, epoch) for i in range(N) for epoch in range(1, SAMPLES + 1)):
            said = text(i, epoch - 1)
            message = {"role": "assistant", "content": said}
            sample: dict[str, Any] = {"id": f"q{i}", "epoch": epoch, "input": f"question {i}", "target": str(i)}
            if i == 1:
                message["content"] = [{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": said}]
                sample["input"] = [{"role": "system", "content": "s"}, {"role": "user", "content": f"question {i}"}]
            if i == 2:
                message["content"], sample["attachments"] = "attachment://ab", {"ab": said}
            sample["output"] = {"model": "m", "choices": [{"message": message, "stop_reason": "stop"}]}
            sample["scores"] = {"match": {"value": "C" if epoch == 1 else "I"}, "judge": {"value": "I"}}
            sample["events"] = [{"event": "model"}] * 3
            log.writestr(f"samples/q{i}_epoch_{epoch}.json", json.dumps(sample))
        log.writestr("summaries.json", "[]")
    return path


def inspect_zstd(folder: Path) -> Path:
    """The same log as Inspect packs it today: with zstd, which the zipfile of Python 3.11 does not know."""
    path, members = folder / "packed.eval", []
    with zipfile.ZipFile(inspect_eval(folder)) as log:
        members = [(info.filename.encode(), log.read(info)) for info in log.infolist()]
    body, central = b"", b""
    for name, data in members:
        packed = pa.compress(data, "zstd", asbytes=True)
        about = struct.pack("<HHHHHIIIHH", 45, 0, 93, 0, 33, zlib.crc32(data), len(packed), len(data), len(name), 0)
        central += b"PK\x01\x02" + struct.pack("<H", 45) + about + struct.pack("<HHHII", 0, 0, 0, 0, len(body)) + name
        body += b"PK\x03\x04" + about + name + packed
    end = struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(central), len(body), 0)
    path.write_bytes(body + central + b"PK\x05\x06" + end)
    return path


def inspect_json(folder: Path) -> Path:
    with zipfile.ZipFile(inspect_eval(folder)) as log:
        names = [name for name in log.namelist() if name.startswith("samples/")]
        held = json.loads(log.read("header.json")) | {"samples": [json.loads(log.read(name)) for name in names]}
    (folder / "log.json").write_text(json.dumps(held | {"reductions": []}))
    return folder / "log.json"


def lm_eval(folder: Path) -> Path:
    rows = [
        {"doc_id": i, "doc": {"question": f"question {i}", "answer": f"work #### {i}"}, "target": f"work #### {i}",
         "arguments": {"gen_args_0": {"arg_0": f"Q: question {i}", "arg_1": {"until": ["Q:"]}}},
         "resps": [[text(i, s) for s in range(SAMPLES)]], "filtered_resps": [str(i)], "filter": kind,
         "exact_match": 1.0}
        for kind in ("strict-match", "flexible-extract") for i in range(N)
    ]  # fmt: skip
    (folder / "lm").mkdir()
    (folder / "lm" / "results_2026.json").write_text("{}")
    lines(folder / "lm" / "samples_gsm8k_2026.jsonl", rows)
    return folder / "lm"


def chats(folder: Path) -> Path:
    rows = [
        [{"role": "user", "content": f"question {i}"}, {"role": "assistant", "content": text(i, s)}]
        for i in range(N) for s in range(SAMPLES)
    ]  # fmt: skip
    (folder / "chats.json").write_text(json.dumps(rows))
    lines(folder / "gold.jsonl", [{"row": i, "answer": str(i // SAMPLES)} for i in range(N * SAMPLES)])
    return folder / "chats.json"


def verl(folder: Path) -> Path:
    (folder / "dump").mkdir()
    for step in (1, 2):
        rows = [{"input": f"question {i}", "output": text(i, s), "gts": str(i), "score": 1.0 - s, "step": step}
                for i in range(N) for s in range(SAMPLES)]  # fmt: skip
        lines(folder / "dump" / f"{step}.jsonl", rows)
    return folder / "dump"


def open_instruct(folder: Path) -> Path:
    """One row a step, with lists over all responses of all prompts; ids beside texts."""
    pairs = [(i, s) for i in range(N) for s in range(SAMPLES)]
    row = {"scores": [10.0 * (1 - s) for _, s in pairs], "finish_reasons": ["stop"] * len(pairs), "training_step": 3,
           "responses": [[1, 2, 3] for _ in pairs], "queries": [[4] for _ in pairs], "datasets": ["gsm8k"] * len(pairs),
           "ground_truths": [[str(i)] for i, _ in pairs], "raw_queries": [f"question {i}" for i, _ in pairs],
           "decoded_responses": [text(i, s) for i, s in pairs]}  # fmt: skip
    return lines(folder / "traces_run.jsonl", [row])


def trl(folder: Path) -> Path:
    rows = [{"step": 7, "prompt": [{"role": "user", "content": f"question {i}"}],
             "completion": [{"role": "assistant", "content": text(i, s)}], "accuracy_reward": 1.0 - s, "advantage": 0.5}
            for i in range(N) for s in range(SAMPLES)]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), folder / "completions_00007.parquet")
    return folder / "completions_00007.parquet"


def evalplus(folder: Path) -> Path:
    found = {f"HumanEval/{i}": [[{"task_id": f"HumanEval/{i}", "solution": text(i, s), "base_status": "pass",
             "plus_status": "pass" if s == 0 else "fail"}] for s in range(SAMPLES)] for i in range(N)}  # fmt: skip
    for lists in found.values():
        for inner in lists:
            del inner[0]["task_id"]
    (folder / "eval_results.json").write_text(json.dumps({"date": "d", "hash": "h", "eval": found}))
    return folder / "eval_results.json"


def batch_api(folder: Path) -> Path:
    rows = [{"custom_id": f"q{i}", "response": {"status_code": 200, "body": {"choices": [
             {"message": {"role": "assistant", "content": text(i, s)}} for s in range(SAMPLES)]}}, "error": None}
            for i in range(N)]  # fmt: skip
    lines(folder / "gold.jsonl", [{"id": f"q{i}", "solution": f"\\boxed{{{i}}}"} for i in range(N)])
    return lines(folder / "batch.jsonl", rows)


Make = Callable[[Path], Path]
# what writes the file, what is said beside the file, whether labels, golds, the temperature
LAYOUTS: dict[str, tuple[Make, tuple[str, ...], bool, bool, float]] = {
    "inspect .eval": (inspect_eval, (), True, True, 0.7),
    "inspect .eval, zstd": (inspect_zstd, (), True, True, 0.7),
    "inspect .json": (inspect_json, (), True, True, 0.7),
    "lm-eval": (lm_eval, ("--where", "filter=strict-match"), True, True, 0.0),
    "chats": (chats, ("--gold", "gold.jsonl", "--on", "#=row", "--map", "problem=#//2"), False, True, 0.0),
    "verl": (verl, ("--where", "step=2"), True, True, 0.0),
    "open-instruct": (open_instruct, (), False, True, 0.0),
    "trl": (trl, ("--map", "right=accuracy_reward"), True, False, 0.0),
    "evalplus": (evalplus, (), True, False, 0.0),
    "batch api": (batch_api, ("--gold", "gold.jsonl", "--on", "custom_id=id"), False, True, 0.0),
}


def run(*words: object, code: int = 0) -> Any:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, (result.exit_code, result.output, result.exception)
    return result


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_imports_in_one_command(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make, words, labelled, gold, temperature = LAYOUTS[name]
    monkeypatch.chdir(tmp_path)
    told = json.loads(run("import-rollouts", make(tmp_path), "--out", "out.parquet", *words, "--json").stdout)
    assert (told["rows"], told["problems"]) == (N * SAMPLES, N)
    rows = pq.read_table("out.parquet").to_pylist()
    assert sorted(row["text"] for row in rows) == sorted(text(i, s) for i in range(N) for s in range(SAMPLES))
    assert {row["temperature"] for row in rows} == {temperature}
    for row in rows:
        i, sample = int(row["text"].split(":")[0].split()[-1]), int(row["text"].split()[1])
        assert row["answer"] == (str(i) if gold else None)
        if labelled and name != "lm-eval":  # lm-eval has one label for all samples of a problem
            assert row["right"] == (sample == 0)
    if name == "inspect .eval":
        assert "scores.judge.value" in " ".join(told["notes"])


@pytest.mark.parametrize(("make", "column", "values"), [(lm_eval, "filter", 2), (verl, "step", 2)])
def test_several_systems_in_one_file_are_asked_for(
    make: Make, column: str, values: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = make(tmp_path)
    said = run("import-rollouts", source, "--out", "out.parquet", code=2).stderr
    assert f"several values of '{column}'" in " ".join(said.split()) and f"--by {column}" in " ".join(said.split())
    assert not Path("out.parquet").exists()
    run("import-rollouts", source, "--out", "out.parquet", "--by", column)
    made = sorted(Path().glob("out-*.parquet"))
    assert len(made) == values
    assert all(pq.read_table(path).num_rows == N * SAMPLES for path in made)
    together = json.loads(
        run("import-rollouts", source, "--out", "all.parquet", "--where", f"{column}=*", "--json").stdout
    )
    assert together["rows"] == values * N * SAMPLES
    assert "it holds" in run("import-rollouts", source, "--out", "x.parquet", "--where", f"{column}=no", code=2).stderr


def test_temperatures_are_systems_too(tmp_path: Path) -> None:
    rows = [{"problem": "p", "text": "t", "answer": "1", "temperature": t} for t in (0.0, 0.6)]
    path = lines(tmp_path / "a.jsonl", rows)
    with pytest.raises(BadInput, match="several values of 'temperature': 0 .1., 0.6 .1."):
        import_rollouts(path, tmp_path / "o.parquet")
    found = import_rollouts(path, tmp_path / "o.parquet", selection=Selection((("temperature", "0.60"),)))
    assert found.rows == 1
    assert import_rollouts(path, tmp_path / "p.parquet", {"temperature": ""}).rows == 2


def test_shards_and_several_files_are_one(tmp_path: Path) -> None:
    rng = random.Random(0)
    (tmp_path / "shards").mkdir()
    rows = [{"problem": f"p{i % 7}", "text": f"t{i}", "answer": str(i % 7)} for i in range(50)]
    cuts = [0, *sorted(rng.sample(range(1, 50), 3)), 50]
    files = [lines(tmp_path / "shards" / f"part-{k}.jsonl", rows[a:b]) for k, (a, b) in enumerate(pairwise(cuts))]
    for source in (tmp_path / "shards", files):
        found = import_rollouts(source, tmp_path / "o.parquet", overwrite=True)
        assert (found.rows, found.problems) == (50, 7)
        assert pq.read_table(tmp_path / "o.parquet")["sample"].to_pylist() == [i // 7 for i in range(50)]
    lines(tmp_path / "shards" / "other.csv", [])
    with pytest.raises(BadInput, match="files of the kinds"):
        import_rollouts(tmp_path / "shards", tmp_path / "o.parquet", overwrite=True)


def test_two_problems_never_share_an_id(tmp_path: Path) -> None:
    """Shards of two tasks number their problems alike."""
    files = [lines(tmp_path / f"{k}.jsonl", [{"idx": 0, "text": "t", "answer": k}]) for k in "12"]
    with pytest.raises(BadInput, match="problem '0' has two gold answers"):
        import_rollouts(files, tmp_path / "o.parquet")


def test_what_cannot_be_read_is_left_out_where_that_is_said(tmp_path: Path) -> None:
    golds: list[Any] = ["1", ["2"], ["3", "4"], "", None, "6"]
    rows = [{"problem": f"p{i}", "text": "t", "answer": gold} for i, gold in enumerate(golds)]
    path = lines(tmp_path / "a.jsonl", rows)
    with pytest.raises(BadInput, match="answer has 2 values for 1 responses"):
        import_rollouts(path, tmp_path / "o.parquet")
    found = import_rollouts(path, tmp_path / "o.parquet", keep_readable=True)
    assert pq.read_table(tmp_path / "o.parquet")["answer"].to_pylist() == ["1", "2", "6"]
    assert sum(found.dropped.values()) == 3 and len(found.dropped) == 3
    assert "left out, 1 rows: answer (answer) is empty" in found.notes
    with pytest.raises(BadInput, match="no row can be read"):
        import_rollouts(path, tmp_path / "p.parquet", {"problem": "nowhere"}, keep_readable=True)


@pytest.mark.parametrize("gone", ["id", "twice", "answer"])
def test_gold_from_another_file_is_found_or_refused(gone: str, tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", [{"id": i, "text": "t"} for i in range(3)])
    golds: Rows = [{"id": float(i), "answer": str(i)} for i in range(3)]
    if gone == "id":
        golds.pop()
    elif gone == "twice":
        golds.append({"id": 0, "answer": "9"})
    else:
        golds[1] = {"id": 1, "other": "9"}
    how = {"selection": Selection((), lines(tmp_path / "g.jsonl", golds), "id")}
    with pytest.raises(BadInput, match="has no answer for '2'|two answers for '0'|is recognised as the answer"):
        import_rollouts(path, tmp_path / "o.parquet", **how)
    with pytest.raises(BadInput, match="say --on"):
        import_rollouts(path, tmp_path / "o.parquet", selection=Selection((), tmp_path / "g.jsonl"))


def test_a_log_that_is_damaged_or_unfolds_is_refused(tmp_path: Path) -> None:
    wholes = inspect_eval(tmp_path).read_bytes(), inspect_zstd(tmp_path).read_bytes()
    rng = random.Random(0)
    for i in range(120):
        data = bytearray(wholes[i % 2])
        for _ in range(rng.choice((1, 4, 40))):
            data[rng.randrange(len(data))] = rng.randrange(256)
        (tmp_path / "bad.eval").write_bytes(data[: rng.choice((len(data), rng.randrange(len(data))))])
        try:
            import_rollouts(tmp_path / "bad.eval", tmp_path / "o.parquet", overwrite=True)
        except BadInput as err:
            assert err.where
    with zipfile.ZipFile(tmp_path / "bomb.eval", "w", zipfile.ZIP_DEFLATED) as log:
        log.writestr("samples/a_epoch_1.json", b'{"a": "' + b"x" * (80 << 20) + b'"}')
    with pytest.raises(BadInput, match="more than 67,108,864 bytes"):
        import_rollouts(tmp_path / "bomb.eval", tmp_path / "o.parquet", overwrite=True)


def test_unequal_problems_are_compared_where_both_answer(tmp_path: Path) -> None:
    rows = [{"problem": f"p{i}", "text": "\\boxed{1}", "answer": "1", "right": i % 2 == 0} for i in range(12)]
    before, after = lines(tmp_path / "a.jsonl", rows[:9]), lines(tmp_path / "b.jsonl", rows[4:])
    words = ("--store", tmp_path / "s", "--figures", tmp_path / "f", "--json")
    told = json.loads(run("compare-rollouts", before, after, *words).stdout)
    notes = "\n".join(told["notes"])
    assert "4 responses of a are left out" in notes and "3 responses of b are left out" in notes
    assert "5 pairs of responses are compared" in notes
    assert {row["n"] for row in told["measurements"] if row["name"] == "accuracy"} == {5}
    apart = lines(tmp_path / "c.jsonl", rows[10:])
    assert "no problem is answered on both sides" in run("compare-rollouts", before, apart, *words, code=2).stderr


def test_names_and_temperatures_are_told(tmp_path: Path) -> None:
    rows = [{"problem": f"p{i}", "text": "\\boxed{1}", "answer": "1"} for i in range(4)]
    for name, temperature in (("one", 0.5), ("two", 0.7)):
        source = lines(tmp_path / f"{name}.jsonl", [row | {"temperature": temperature} for row in rows])
        named = ("import-rollouts", source, "--name", f"system {name}")
        run(*named, "--out", tmp_path / f"{name}.parquet")
        run(*named, "--out", tmp_path / f"{name}-0.parquet", "--map", "temperature=")
    words = ("--store", tmp_path / "s", "--figures", tmp_path / "f", "--json")
    said = " ".join(
        run("compare-rollouts", tmp_path / "one.parquet", tmp_path / "two.parquet", *words, code=2).stderr.split()
    )
    assert "temperatures [0.5] before" in said and "--map temperature=" in said
    told = json.loads(run("compare-rollouts", tmp_path / "one-0.parquet", tmp_path / "two-0.parquet", *words).stdout)
    assert {(row["family"], row["reward"]) for row in told["measurements"]} == {("system one", "system two")}
    assert "temperature of one-0.parquet: not stated, taken as 0" in told["notes"]


def test_pass_at_k_stands_in_the_table_beside_that_without_false_steps(tmp_path: Path) -> None:
    def rows(false: bool) -> Rows:
        step = "2 + 2 = 5" if false else "2 + 2 = 4"
        texts = [f"{step} so \\boxed{{{1 if sample else 2}}}" for sample in range(4)]
        return [{"problem": f"p{i}", "text": text, "answer": "1"} for i in range(6) for text in texts]

    before, after = lines(tmp_path / "a.jsonl", rows(False)), lines(tmp_path / "b.jsonl", rows(True))
    words = ("compare-rollouts", before, after, "--store", tmp_path / "s", "--figures", tmp_path / "f")
    assert "pass_at_k k=4" in " ".join(run(*words).stdout.split()) or "pass_at_k 4" in run(*words).stdout
    told = json.loads(run(*words, "--json").stdout)["measurements"]
    found = {(r["name"], r["side"], r["k"]): r["value"] for r in told if r["name"].endswith("pass_at_k")}
    assert found["pass_at_k", "after", 4] == found["cot_pass_at_k", "before", 4] == 1.0
    assert found["cot_pass_at_k", "after", 4] == 0.0


@pytest.mark.parametrize("labelled", [True, False])
def test_a_table_becomes_a_log_that_reads_back(labelled: bool, tmp_path: Path) -> None:
    """Ids that are no file names, texts of any characters, several samples; the same bytes each time."""
    ids = ["a/b", "../x", "ä b", "p", "p_"]
    rows = [{"problem": name, "prompt": f"Q {name}", "text": f"\x00½ {s} \\boxed{{{s}}}", "answer": "1"} |
            ({"right": s == 1} if labelled else {}) for name in ids for s in range(3)]  # fmt: skip
    source = lines(tmp_path / "a.jsonl", rows)
    words = ("import-rollouts", source, "--to", "inspect", "--name", "m", *(() if labelled else ("--grade", "boxed")))
    for name in ("one.eval", "two.eval"):
        run(*words, "--out", tmp_path / name)
    assert (tmp_path / "one.eval").read_bytes() == (tmp_path / "two.eval").read_bytes()
    found = import_rollouts(tmp_path / "one.eval", tmp_path / "back.parquet")
    assert (found.rows, found.problems, found.right) == (15, 5, pytest.approx(1 / 3))
    read = pq.read_table(tmp_path / "back.parquet").to_pylist()
    back = {(row["problem"], row["sample"]): (row["text"], row["prompt"]) for row in read}
    assert back == {(name, s): (rows[s]["text"], f"Q {name}") for name in ids for s in range(3)}
    assert sorted(path.name for path in tmp_path.glob("*")) == ["a.jsonl", "back.parquet", "one.eval", "two.eval"]
    assert "an Inspect log" in run(*words, "--out", tmp_path / "x.parquet", code=2).stderr
    inspect = pytest.importorskip("inspect_ai.log", reason="inspect_ai is not installed")
    log = inspect.read_eval_log(str(tmp_path / "one.eval"))
    assert len(log.samples) == 15 and log.samples[0].score.value in ("C", "I")
