"""Small real work that can be killed and damaged: how it is asked for, and what it must leave, byte for byte.

A piece of work is done once in peace, by the campaign: its time, and the listing of its results, are what disturbed
runs are held against. Circumstances (seconds, host, whether resumed) are no part of a result.
"""

import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torture import place
from torture.inputs.arguments import commands, options_of
from torture.scene import digest
from torture.watch import Call, How, run, words_of

HERE = ("--store", "store", "--manifest", "manifest.yaml", "--workers", 1)
LATEST = 120.0  # seconds for a piece of work in peace
CALLS = ("fsync", "replace", "rename", "unlink", "rmdir", "mkdir", "open", "link", "truncate")  # of `os`
SHARD = 1 << 14  # bytes: several shards for a small collection


@dataclass(frozen=True)
class Work:
    """One piece: the parts of the place it starts from, and the command that does it (again, after a kill)."""

    name: str
    start: tuple[str, ...]
    call: Callable[[Path], Call]
    reads: tuple[str, ...]  # stages of the store that the finished command reads
    says: bool = True  # what it says on stdout is a result
    resumes: bool = True  # leaves unfinished files that a later run goes on from


def cli(*words: object) -> Callable[[Path], Call]:
    """A command line, whatever the place."""
    return lambda root: words_of((*words, *over(words[0])))


def over(command: object) -> tuple[str, ...]:
    """`--overwrite`, where the command has it: a killed run may have written what it was told to."""
    return ("--overwrite",) if "--overwrite" in options_of(commands()[str(command)]) else ()


def _sampled(root: Path) -> Call:
    """Parts of 32 problems of weights from outside, then the file."""
    few = ("--limit", 70, "--samples", 1, "--max-new", 8)
    return words_of(("sample", "./folder", *few, "--out", "out.parquet", *HERE, *over("sample")))


def _reading(root: Path) -> Call:
    """Activations, in many small shards; the errors of a command, told as one tells them."""

    def call() -> None:
        import functools

        from probe.activations.collect import collect
        from probe.api import asked, load
        from probe.engine import executor
        from probe.experiments import activation_dataset
        from probe.store import Store

        activation_dataset.collect = functools.partial(collect, shard_bytes=SHARD)
        raw = load("raw", manifest=Path("manifest.yaml"))
        elicitation, options = asked(raw, Path("manifest.yaml"), limit=24, samples=2, max_new=8)
        job = activation_dataset.ActivationsJob(raw, elicitation, options)
        executor.make((job,), Store("store"), workers=1)

    return told(call)


def told(call: Call) -> Call:
    """Errors of probe as its command line tells them, with its exit codes."""

    def run() -> None:
        from probe.cli.show import complain
        from probe.errors import ProbeError

        try:
            call()
        except ProbeError as err:
            complain(err.what, err.where, err.do)
            raise SystemExit(err.exit_code) from err
        except OSError as err:
            complain(f"cannot use a file: {err}", "", "check the path and your rights")
            raise SystemExit(1) from err
        except Exception as err:
            complain(f"{type(err).__name__}: {err}", "", "this is a fault of probe")
            raise SystemExit(1) from err

    return run


def _fetching(root: Path) -> Call:
    url = (root / "server" / "url").read_text()
    words = ("fetch", "pair", "--manifest", "pair.yaml", "--store", "store", "--url", url)
    return words_of(words)


WORKS = {
    each.name: each
    for each in (
        Work("train", ("store", "manifest.yaml"), cli("train", "run", "--out", "exported", *HERE), ("organism", "run")),
        Work(
            "train-all",
            ("store", "manifest.yaml"),
            cli("train", "whole", "--out", "exported", *HERE),
            ("organism", "run"),
        ),
        Work("sample", ("folder", "manifest.yaml"), _sampled, ("responses",)),
        Work("activations", ("store", "manifest.yaml"), _reading, ("activations",)),
        Work(
            "pretrain",
            ("manifest.yaml",),
            cli("train", "raw", "--out", "exported", *HERE),
            ("organism",),
            resumes=False,
        ),
        Work(
            "sample-organism",
            ("store", "manifest.yaml"),
            cli("sample", "raw", "--limit", 64, "--samples", 4, "--out", "out.parquet", *HERE),
            ("responses",),
            resumes=False,
        ),
        Work(
            "score",
            ("store", "manifest.yaml", "responses.parquet"),
            cli("score", "responses.parquet", "--scorer", "raw", "--out", "out.parquet", *HERE),
            ("organism",),
            resumes=False,
        ),
        Work(
            "import",
            ("graded.jsonl",),
            cli("import-rollouts", "graded.jsonl", "--out", "out.parquet", "--grade", "boxed"),
            (),
            resumes=False,
        ),
        Work(
            "compare",
            ("rows.jsonl", "after.jsonl"),
            cli("compare-rollouts", "rows.jsonl", "after.jsonl", "--store", "store", "--figures", "figures", "--json"),
            ("measurements",),
            resumes=False,
        ),
        Work("fetch", ("pair.yaml",), _fetching, ("published",), says=False, resumes=False),
    )
}


@dataclass(frozen=True)
class Peace:
    """What a piece of work came to, undisturbed: seconds, files by name, stdout, and how many calls changed a file."""

    seconds: float
    files: dict[str, str]
    out: str
    calls: int = 0  # that change or sync a file


def in_peace(work: Work, root: Path) -> Peace:
    """Do it in a folder of the place, and keep what it came to beside it."""
    kept = root / "peace" / f"{work.name}.json"
    if kept.exists():
        return Peace(**json.loads(kept.read_text()))
    folder = root / "peace" / work.name
    folder.mkdir(parents=True)
    place.bring(root, folder, *work.start)
    counted = root / "peace" / f"{work.name}.calls"
    ran = run(dying(work.call(root), -1, counted), work.name, folder, How(limit=LATEST))
    if ran.code != 0:
        raise RuntimeError(f"{work.name} failed in peace: {ran.text}")
    held = Peace(ran.seconds, results(folder), ran.out.decode(), int(counted.read_text()))
    kept.write_text(json.dumps(vars(held)))
    return held


def dying(call: Call, at: int, told_in: Path | None = None) -> Call:
    """The same, killed just before its `at`-th call that changes a file; or their number, written to a file."""

    def run() -> None:
        count = 0

        def replaced(real: Callable[..., object]) -> Callable[..., object]:
            def counting(*args: object, **kwargs: object) -> object:
                nonlocal count
                count += 1
                if count == at:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **kwargs)

            return counting

        for name in CALLS:
            setattr(os, name, replaced(getattr(os, name)))
        try:
            call()
        finally:
            if told_in is not None:
                told_in.write_text(str(count))

    return run


def results(folder: Path) -> dict[str, str]:
    """Every file that was made, by name: of artifacts what their spec promises, else the bytes.

    Not locks, unfinished work, what was set aside, or hidden temporary files of killed writes.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        inside = name.parts[1] if name.parts[0] == "store" and len(name.parts) > 1 else ""
        hidden = any(part.startswith(".") for part in name.parts)
        if inside in ("locks", "leases", "partial", "damaged") or hidden or path.is_dir():
            continue
        if path.suffix in (".png", ".svg", ".pdf"):  # drawn, not measured
            continue
        found[str(name)] = _promise(path) if path.name == "spec.json" else _content(path)
    return found


def _content(path: Path) -> str:
    return digest(path) if path.is_file() else "no file"


def _promise(path: Path) -> str:
    """The part of a spec that follows from the recipe."""
    try:
        spec = json.loads(path.read_bytes())
        return json.dumps([spec["digest"], spec["files"]], sort_keys=True)
    except (ValueError, KeyError, TypeError, OSError) as err:
        return f"no spec: {type(err).__name__}"
