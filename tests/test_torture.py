"""The campaign sees what it must: planted faults of every kind, and none where nothing is wrong."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from torture import damages, inputs, kills, verdict  # noqa: F401 - importing registers the classes
from torture.campaign import campaign
from torture.inputs import strange
from torture.report import Outcome, Report, as_json, table
from torture.scene import CLASSES, CaseClass, Scene, standing
from torture.verdict import KINDS, Fault, Ran, judge
from torture.watch import How, run

# What runs pytest may hold threads, and cases are forked.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    (tmp_path / "here").mkdir()
    return Scene("test:1", tmp_path / "here", tmp_path / "place")


def says(*words: str, code: int = 0, err: bool = True) -> Callable[[], None]:
    def call() -> None:
        print(*words, file=sys.stderr if err else sys.stdout)
        sys.exit(code)

    return call


def hangs() -> None:
    time.sleep(60)


def spins() -> None:
    while True:
        pass


def crashes() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def raises() -> None:
    raise ValueError("a strange value")


def leaves_a_worker() -> None:
    if os.fork() == 0:
        time.sleep(60)
    sys.exit(0)


def eats() -> None:
    bytearray(16 << 30)


def kinds(ran: Ran, bad: bool | None, planted: str = "") -> list[str]:
    return [fault.kind for fault in judge(ran, bad, planted)]


PLANTED: list[tuple[Callable[[], None], bool | None, list[str]]] = [
    (hangs, None, [verdict.HANG]),
    (spins, None, [verdict.HANG]),
    (crashes, None, [verdict.CRASH]),
    (raises, None, [verdict.CRASH]),
    (eats, None, [verdict.CRASH]),
    (leaves_a_worker, None, [verdict.LEFT]),
    (says("error: this is a fault of probe", code=1), True, [verdict.OWN_FAULT]),
    (says("error: no", code=1), True, [verdict.CODE]),
    (says("error: no", code=3), None, [verdict.CODE]),
    (says("done"), True, [verdict.ACCEPT]),
    (says("error: no", code=2), False, [verdict.REFUSAL]),
    (says("", code=2), True, [verdict.SILENT]),
    (says("error: \x1b[31mno", code=2), True, [verdict.CONTROL]),
    (says("error: \u202eno", code=2), True, [verdict.CONTROL]),
    (says("a\rb"), None, [verdict.CONTROL]),
    (says("error: no", code=2), True, []),
    (says("error: no", code=2), None, []),
    (says("done\tit is", err=False), False, []),
    (lambda: None, False, []),
]


@pytest.mark.parametrize(("call", "bad", "found"), PLANTED)
def test_a_planted_fault_is_told_for_what_it_is(
    call: Callable[[], None], bad: bool | None, found: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torture.watch.GRACE", 0.1)
    assert kinds(run(call, "planted", tmp_path, How(limit=0.7)), bad) == found


def test_on_a_terminal_only_what_was_planted_counts(tmp_path: Path) -> None:
    moves, obeys = says("\x1b[2K done"), says(f"\x1b[2K done {strange.PLANTED}")
    for call, found in ((moves, []), (obeys, [verdict.CONTROL])):
        ran = run(call, "terminal", tmp_path, How(terminal=True))
        assert b"\x1b[2K done" in ran.out
        assert kinds(ran, None, strange.PLANTED) == found


def test_a_terminal_of_few_characters_is_one(tmp_path: Path) -> None:
    ran = run(says("漢", err=False), "ascii", tmp_path, How(encoding="ascii"))
    assert kinds(ran, False) == [verdict.CRASH]
    assert "UnicodeEncodeError" in ran.text


def test_no_process_survives_a_hang(tmp_path: Path) -> None:
    told = tmp_path / "pid"

    def call() -> None:
        if (pid := os.fork()) == 0:
            time.sleep(60)
        told.write_text(str(pid))
        time.sleep(60)

    assert run(call, "hang", tmp_path, How(limit=0.5)).hung
    stat = Path(f"/proc/{told.read_text()}/stat")
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_kill_comes_when_it_is_due_and_only_there(tmp_path: Path) -> None:
    ran = run(hangs, "killed", tmp_path, How(kill_after=0.1))
    assert (ran.signal, ran.hung) == (signal.SIGKILL, False)
    assert ran.seconds < 10


def test_what_is_lost_is_seen(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fake command writes over its input, replaces a link, and says that all is well."""
    (scene.folder / "input").write_text("mine")
    (scene.folder / "other").write_text("mine")
    (scene.folder / "link").symlink_to("other")

    def fake(words: tuple[object, ...]) -> Callable[[], None]:
        def call() -> None:
            Path("input").write_text("lost")
            os.replace("other", "link")

        return call

    monkeypatch.setattr("torture.scene.words_of", fake)
    scene.check("x", bad=None, may_change=("other",))
    assert sorted(fault.detail.split()[0] for fault in scene.faults) == ["input", "link"]
    assert {fault.kind for fault in scene.faults} == {verdict.LOST}
    assert scene.counts == {"input": 1}


def test_standing_names_every_kind_of_thing(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_text("x")
    (tmp_path / "link").symlink_to("nowhere")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / os.fsdecode(b"\xff")).write_text("")
    found = standing(tmp_path)
    assert {name: held.split()[0] for name, held in found.items() if name != "deep/file"} == {
        "deep": "folder",
        "fifo": "special",
        "link": "link",
        "\\xff": found["\\xff"].split()[0],
    }
    assert found["deep/file"].endswith(" 1")


@pytest.mark.parametrize("seed", range(40))
def test_every_damage_changes_what_it_damages(scene: Scene, seed: int) -> None:
    for name in "abc":
        (scene.folder / name).write_bytes(name.encode() * 50)
    before = standing(scene.folder)
    scene.name = f"damage:{seed}"
    scene.__post_init__()
    kind, path = damages.damage(scene.rng, damages.regular(scene.folder), scene.folder.parent / "outside")
    after = standing(scene.folder)
    assert kind in damages.KINDS
    assert after != before
    assert after.get(path.name) != before.get(path.name)


def test_a_case_is_a_function_of_its_name(tmp_path: Path) -> None:
    texts = [Scene(f"text:{seed}", tmp_path, tmp_path).rng.random() for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    drawn = [strange.adversarial(Scene(f"text:{seed}", tmp_path, tmp_path).rng) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_classes_cover_what_is_to_be_covered() -> None:
    by_kind = {
        kind: {name for name, each in CLASSES.items() if each.kind == kind} for kind in ("kill", "damage", "input")
    }
    assert by_kind["damage"] == {"damage-finished", "damage-unfinished"}
    assert {"kill-time", "kill-call", "kill-grader", "kill-worker", "kill-pool"} <= by_kind["kill"]
    asked = {
        "out",
        "rows-csv",
        "rows-json",
        "rows-parquet",
        "rows-arrow",
        "manifest",
        "weights",
        "adapter",
        "tokenizer",
    }
    more = {
        "rollouts",
        "template",
        "option",
        "name",
        "too-much",
        "text",
        "graded",
        "lock",
        "no-file",
        "planted",
        "encoding",
    }
    assert asked | more <= by_kind["input"]


def test_the_report_counts_and_names_what_fails() -> None:
    fault = Fault(verdict.HANG, "killed")
    outcomes = [
        Outcome("a:1", {"input": 1}, [fault, fault], ["x"], 1.0),
        Outcome("a:2", {"input": 1, "control": 1}, [], ["y"], 1.0),
        Outcome("b:3", {"kill": 2}, [], ["z"], 1.0),
    ]
    report = Report(7, {"kill": 2, "input": 3}, outcomes)
    assert report.failed and report.short == {"input": 2}
    told = as_json(report, "here")
    assert told["counts"] == {"kill": 2, "damage": 0, "input": 2, "control": 1}
    assert told["cases by kind of fault"] == dict.fromkeys(KINDS, 0) | {verdict.HANG: 1}
    assert [each["case"] for each in told["failing"]] == ["a:1"]
    assert "1 hang" in table(report) and "--case a:1" in table(report)
    assert not Report(7, {"kill": 2}, outcomes[1:]).failed


def test_a_campaign_of_planted_classes_ends_as_it_must(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough of each kind is played, each case in a process of its own; a class that breaks is the harness's fault."""

    def fine(scene: Scene) -> None:
        (scene.folder / "made").write_text(str(os.getpid()))
        scene.count("input")

    def wrong(scene: Scene) -> None:
        scene.count("kill")
        scene.faults += judge(scene.call(says("error: no", code=1), "x"), True)

    def broken(scene: Scene) -> None:
        scene.count("damage")
        raise KeyError("a fault of the harness")

    classes = {
        "fine": CaseClass("input", fine),
        "wrong": CaseClass("kill", wrong),
        "broken": CaseClass("damage", broken),
    }
    for name in list(CLASSES):
        monkeypatch.delitem(CLASSES, name)
    CLASSES.update(classes)
    found = campaign(tmp_path, 3, {"input": 5, "kill": 3}, 1.0, tmp_path)
    assert (found.total("input") >= 5, found.total("kill") >= 3, found.short) == (True, True, {})
    assert {each.name.partition(":")[0] for each in found.failing} == {"wrong"}
    assert {fault.kind for each in found.failing for fault in each.faults} == {verdict.CODE}
    again = campaign(tmp_path, 3, {"damage": 1}, 0.69, tmp_path)
    assert again.failed and again.short == {"damage": 0}
    assert {fault.kind for each in again.failing for fault in each.faults} == {verdict.HARNESS}
    assert "a fault of the harness" in again.failing[0].faults[0].detail
    for name in classes:
        del CLASSES[name]
