"""Unfinished work that is damaged is made again, to the same bytes, and said: every file found there, in every way.

Works are left by jobs of each kind that goes on after a kill; what stands in their folders is listed, not named here.
"""

import json
import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from grpo_cases import pool, recipe
from outside_checkpoints import save_tiny, tiny
from store_cases import tree

from probe.activations.collect import Text, collect
from probe.checkpoints.checkpoint import Checkpoint
from probe.checkpoints.outside import Folder
from probe.engine.listener import heard_by
from probe.experiments.responses import PART, SampleJob
from probe.models.hooks.sites import site
from probe.models.loading.load import Loaded
from probe.models.loading.organism import build_model, build_tokenizer
from probe.rl.train import train
from probe.rng import numpy_rng
from probe.rollouts.elicitation import Elicitation
from probe.rollouts.options import SamplingOptions
from probe.store import Recipe, Store, is_kept, keep, keep_log, write_atomic
from probe.store.files import DIGESTS, SPOILT
from probe.tasks.benchmarks import problems

SEED = 20
FLIPS = 3  # of each file
DRAWN = 3  # kinds of damage a file, of jobs that take long


class Killed(BaseException):
    """Stops a job where a kill would."""


class Stop:
    """Called at each step of a job; ends it at the given call."""

    def __init__(self, at: int | None) -> None:
        self.left = at

    def __call__(self, *about: object) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Killed


@dataclass(frozen=True)
class Work:
    """One kind of job that can be stopped: `make(work, stop)`."""

    name: str
    make: Callable[[Path, Stop], object]

    def build(self, store: Store, at: int | None = None) -> Path:
        return store.build(Recipe(self.name, 1), lambda work: self.make(work, Stop(at))).path


def training() -> Work:
    organism = Loaded(build_model("tiny", 0), build_tokenizer())
    how, asked = recipe(batches=4), pool(organism)
    return Work("run", lambda work, stop: train(organism.model, organism.tokenizer, asked, how, work, log=stop))


def collecting() -> Work:
    rng, model = numpy_rng("texts", SEED), tiny("qwen2", 50)
    asked = [Text(f"p{i}", 0, tuple(rng.integers(1, 50, size=9).tolist()), (2, 5, 8)) for i in range(20)]
    shard = {"identity": "w", "batch": 4, "shard_bytes": 12 * 32 * 4}
    return Work(
        "activations",
        lambda work, stop: collect(model, asked, [site("resid.1")], work, on_shard=stop, **shard),  # type: ignore[arg-type]
    )


def sampling(folder: Path) -> Work:
    asked = Elicitation(problems("random-calculation", limit=2 * PART + 2))
    job = SampleJob(Checkpoint("m", Folder(save_tiny("llama", folder))), asked, SamplingOptions(samples=1, max_new=2))

    def make(work: Path, stop: Stop) -> None:
        with heard_by(stop):
            job.make(Store(folder / "unused"), work)

    return Work("responses", make)


def writing(work: Path, stop: Stop) -> None:
    """A job that trusts what is there, as a job from outside may: the store alone sees to it."""
    for number in range(5):
        stop()
        file = work / "deep" / f"{number}"
        if not file.exists():
            write_atomic(file, f"part {number}".encode() * 20)
    write_atomic(work / "all", b"".join((work / "deep" / f"{number}").read_bytes() for number in range(5)))


@pytest.fixture(scope="module", params=["run", "activations", "responses", "plain"])
def left(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Work, Path, dict[str, bytes]]:
    """A kind of job, a store where it was stopped on its way, and the bytes of an undisturbed one."""
    root = tmp_path_factory.mktemp(request.param)
    kinds = {
        "run": training,
        "activations": collecting,
        "responses": partial(sampling, root / "model"),
        "plain": lambda: Work("plain", writing),
    }
    work = kinds[request.param]()
    calm = tree(work.build(Store(root / "calm")))
    with pytest.raises(Killed):
        work.build(Store(root / "killed"), at=2 if request.param != "responses" else 1)
    return work, root / "killed", calm


def flipped(file: Path, rng: np.random.Generator) -> None:
    data = bytearray(file.read_bytes())
    data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    file.write_bytes(data)


def swapped_by_a_folder(file: Path) -> None:
    file.unlink()
    (file / "x").mkdir(parents=True)


DAMAGES: dict[str, Callable[[Path, np.random.Generator], object]] = {
    **{f"flip {number}": flipped for number in range(FLIPS)},
    "cut": lambda file, rng: os.truncate(file, int(rng.integers(file.stat().st_size))),
    "empty": lambda file, rng: os.truncate(file, 0),
    "gone": lambda file, rng: file.unlink(),
    "longer": lambda file, rng: file.write_bytes(file.read_bytes() + rng.bytes(int(rng.integers(1, 40)))),
    "noise": lambda file, rng: file.write_bytes(rng.bytes(file.stat().st_size)),
    "a folder": lambda file, rng: swapped_by_a_folder(file),
}


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in (root / "partial").rglob("*") if path.is_file())


def test_any_damage_of_any_file_ends_in_the_same_bytes(
    left: tuple[Work, Path, dict[str, bytes]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    work, killed, calm = left
    found = files(killed)
    assert any(Path(name).match(DIGESTS) for name in found)
    for name in found:
        rng = numpy_rng("kinds", SEED, work.name, name)
        drawn = rng.permutation(list(DAMAGES))[: len(DAMAGES) if work.name == "plain" else DRAWN]
        for kind in drawn.tolist():
            shutil.rmtree(tmp_path / "store", ignore_errors=True)
            shutil.copytree(killed, tmp_path / "store")
            caplog.clear()
            DAMAGES[kind](tmp_path / "store" / name, numpy_rng("damage", SEED, name, kind))
            with caplog.at_level(logging.WARNING):
                made = work.build(Store(tmp_path / "store"))
            assert tree(made) == calm, (name, kind)
            assert not files(tmp_path / "store"), (name, kind)
            aside = list((tmp_path / "store" / "damaged").rglob("*")) if "set aside" in caplog.text else []
            if Path(name).suffix in (".safetensors", ".parquet", ".json") and kind != "gone":
                assert aside, (name, kind)  # kept, and said


def test_several_damages_at_once_end_in_the_same_bytes(
    left: tuple[Work, Path, dict[str, bytes]], tmp_path: Path
) -> None:
    work, killed, calm = left
    for draw in range(6):
        rng, root = numpy_rng("damages", SEED, work.name, draw), tmp_path / str(draw)
        shutil.copytree(killed, root)
        for name in files(root):
            if rng.random() < 0.4:
                DAMAGES[list(DAMAGES)[int(rng.integers(len(DAMAGES)))]](root / name, rng)
        (next((root / "partial").iterdir()) / "foreign").write_bytes(b"not ours")
        assert tree(work.build(Store(root))) == calm, draw


def test_without_damage_it_goes_on_and_nothing_is_said(
    left: tuple[Work, Path, dict[str, bytes]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    work, killed, calm = left
    shutil.copytree(killed, tmp_path / "store")
    found = sorted(name for name in files(killed) if Path(name).suffix in (".safetensors", ".parquet"))
    seen: list[int] = []
    once = Work(work.name, lambda folder, stop: (seen.extend(_inodes(folder)), work.make(folder, stop)))
    with caplog.at_level(logging.WARNING):
        made = once.build(Store(tmp_path / "store"))
    assert tree(made) == calm
    assert not caplog.text
    assert json.loads((made / "spec.json").read_bytes())["resumed"]
    assert len(seen) >= len(found)
    assert set(seen) & set(_inodes(made)) or work.name == "responses"  # what was there is what is there


def _inodes(folder: Path) -> list[int]:
    return [path.stat().st_ino for path in folder.rglob("*") if path.is_file() and not path.match(DIGESTS)]


# the module by itself


def test_a_file_is_kept_through_a_kill_between_its_digest_and_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real = tmp_path / "state", os.replace
    for number in range(6):
        keep(path, b"%d" % number)

        def dies(source: Path, target: Path) -> None:
            if Path(target) == path:
                raise Killed
            real(source, target)

        monkeypatch.setattr(os, "replace", dies)
        for _ in range(3):
            with pytest.raises(Killed):
                keep(path, b"%d" % (number + 1))
        monkeypatch.setattr(os, "replace", real)
        assert is_kept(path)
        assert path.read_bytes() == b"%d" % number
    path.write_bytes(b"0")
    assert not is_kept(path)  # states long past are none


def test_a_log_grows_and_is_cut_to_what_was_vouched_for(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\n")
    keep_log(path)
    for more in (b"two\n", b"half a li"):
        with path.open("ab") as file:
            file.write(more)
    assert is_kept(path)
    assert path.read_bytes() == b"one\n"
    with path.open("ab") as file:
        file.write(b"two\nthree\n")
    keep_log(path, 8)
    assert path.read_bytes() == b"one\ntwo\n"
    path.write_bytes(b"one\ntwO\nthree\n")
    assert not is_kept(path)
    assert [each.name for each in tmp_path.iterdir()] == [".log.0.damaged"]


def test_what_nobody_vouched_for_is_not_kept_and_stays(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x")
    assert not is_kept(tmp_path / "x")
    assert not is_kept(tmp_path / "y")
    assert (tmp_path / "x").exists()
    assert not list(tmp_path.glob(SPOILT))


def test_a_pipe_in_the_place_of_a_digest_is_not_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "state.bin"
    keep(file, b"state")
    beside = tmp_path / ".state.bin.sha256"
    beside.unlink()
    os.mkfifo(beside)
    assert not is_kept(file) and not file.exists()
    keep(file, b"again")
    assert is_kept(file) and file.read_bytes() == b"again"
