"""The manifest says one thing, strictly; every mistake is named with its file, line, entry and key."""

import subprocess
import sys
from pathlib import Path

import pytest

from probe.errors import BadInput
from probe.models.loading.entries import CheckpointEntry, OrganismEntry, RunEntry
from probe.models.loading.manifest import NAME, Manifest, load_manifest
from probe.models.loading.strict_yaml import MAX_BYTES

GOOD = """\
version: 1
templates:
  none: {text: "{prompt}"}
organisms:
  seed-model: {family: latent-code, size: tiny, seed: 0}
runs:
  run:
    base: seed-model
    reward: random
    params: {gamma: 0.5}
    clip: {low: 0.05, high: null, dual: 3}
    lr: 3e-3
checkpoints:
  hub:
    id: some/model
    revision: null
    licence: unknown
    template: none
    family: qwen
  child:
    id: some/child
    revision: 0123456789abcdef0123456789abcdef01234567
    licence: unknown
    template: none
    family: qwen
    base: hub
    reward: format
    step: 50
datasets:
  data:
    about: a file
    repository: some/where
    commit: abc1234
    licence: MIT
    files:
      a.txt: {path: deep/a.txt, bytes: 3, sha256: 00000000000000000000000000000000000000000000000000000000000000aa}
"""


def load(folder: Path, text: str) -> Manifest:
    (folder / "m.yaml").write_text(text)
    return load_manifest(folder / "m.yaml")


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return load_manifest(Path(__file__).parents[1] / NAME)


def test_the_project_manifest_holds_what_was_promised(manifest: Manifest) -> None:
    ids = {entry.id for entry in manifest.checkpoints.values()}
    spurious = "stellalisy/rethink_rlvr_reproduce-{}-qwen2.5_math_7b-lr5e-7-kl0.00-step{}"
    assert ids == {
        "Qwen/Qwen2.5-Math-7B",
        "Qwen/Qwen2.5-Math-1.5B",
        "Qwen/Qwen2.5-7B",
        "Qwen/Qwen2.5-1.5B",
        "meta-llama/Llama-3.1-8B",
        "meta-llama/Llama-3.1-8B-Instruct",
        "meta-llama/Llama-3.2-3B-Instruct",
        "allenai/OLMo-2-1124-7B",
        "allenai/OLMo-2-1124-7B-SFT",
        "HuggingFaceTB/SmolLM2-135M-Instruct",
        spurious.format("ground_truth", 150),
        *(spurious.format("incorrect", step) for step in (50, 100, 150)),
    }
    assert {entry.family for entry in manifest.organisms.values()} == {
        "latent-code",
        "no-code",
        "bad-code",
        "contaminated",
    }


def test_steps_and_names_of_released_checkpoints_agree(manifest: Manifest) -> None:
    trained = [entry for entry in manifest.checkpoints.values() if entry.reward]
    assert len(trained) == 4
    assert all(entry.id.endswith(f"-step{entry.step}") and f"-{entry.reward}-" in entry.id for entry in trained)
    assert {entry.base for entry in trained} == {"qwen2.5-math-7b"}


def test_lineage_starts_at_the_first_ancestor(manifest: Manifest, tmp_path: Path) -> None:
    assert manifest.lineage("qwen2.5-math-7b-incorrect-50") == ["qwen2.5-math-7b", "qwen2.5-math-7b-incorrect-50"]
    assert manifest.lineage("latent-code-tiny-0") == ["latent-code-tiny-0"]
    longer = GOOD.replace("checkpoints:\n", "  run2: {base: run, reward: format}\ncheckpoints:\n")
    assert load(tmp_path, longer).lineage("run2") == ["seed-model", "run", "run2"]


def test_unpinned_revisions_are_marked(manifest: Manifest, tmp_path: Path) -> None:
    unpinned = [name for name, each in manifest.checkpoints.items() if each.revision is None and not each.package]
    assert len(manifest.warnings()) == len(unpinned)
    small = load(tmp_path, GOOD)
    assert small.checkpoint("child").warnings == () and small.checkpoint("run").warnings == ()
    (warning,) = small.warnings()
    assert warning.startswith("hub: some/model is not pinned")


def test_templates_leave_other_braces_alone(manifest: Manifest) -> None:
    assert manifest.template("none").render("1 + 1 = {prompt}?") == "1 + 1 = {prompt}?"
    simple = manifest.template("simplerl").render("1+1?")
    assert simple.endswith("within \\boxed{}.<|im_end|>\n<|im_start|>assistant\n") and "\n1+1?\nPlease reason" in simple
    assert manifest.template("r1").render("1+1?").endswith("\\boxed{}.\nUser: 1+1?\nAssistant: <think>")
    chat = manifest.template("qwen-math")
    assert chat.chat and chat.system == "Please reason step by step, and put your final answer within \\boxed{}."
    with pytest.raises(BadInput, match="no template 'qwen'") as caught:
        manifest.template("qwen")
    assert "qwen-math" in caught.value.do


def test_entries_have_their_kinds_and_defaults(tmp_path: Path) -> None:
    manifest = load(tmp_path, GOOD)
    assert manifest.names() == ["seed-model", "run", "hub", "child"]
    run, organism, hub = (manifest.checkpoint(name) for name in ("run", "seed-model", "hub"))
    assert isinstance(organism, OrganismEntry) and organism.base is None
    assert isinstance(run, RunEntry) and (run.lr, run.labels, run.clip.high, run.clip.dual) == (
        0.003,
        "gold",
        None,
        3.0,
    )
    assert isinstance(hub, CheckpointEntry) and hub.step == 0
    assert run.model_dump()["params"] == {"gamma": 0.5}


def test_unknown_names_give_the_nearest(manifest: Manifest) -> None:
    with pytest.raises(BadInput, match="no checkpoint 'qwen2.5-math-7B'") as caught:
        manifest.checkpoint("qwen2.5-math-7B")
    assert "did you mean 'qwen2.5-math-7b'" in caught.value.do
    with pytest.raises(BadInput, match="no checkpoint"):
        manifest.lineage("nobody")


SECOND_CLIP = "    clip: {low: 0.05, high: null, dual: 3}\n"
# what is changed in GOOD -> (its replacement, what the error says, the line it names)
MISTAKES = {
    "unknown key": ("    reward: random\n", "    rewrd: random\n", "runs.run: unknown key 'rewrd'", 9),
    "unknown key of clip": ("high: null", "hihg: null", "runs.run.clip: unknown key 'hihg'", 11),
    "unknown section": ("runs:", "run:", "the manifest: unknown key 'run'", 6),
    "missing key": ("    id: some/model\n", "", "checkpoints.hub: the key 'id' is missing", 14),
    "run without base": ("    base: seed-model\n", "", "runs.run: the key 'base' is missing", 7),
    "base not there": ("base: seed-model", "base: sead-model", "run: its base 'sead-model' is not in the manifest", 8),
    "reward without base": ("    base: hub\n", "", "child has a reward but no base", 20),
    "template not there": ("template: none", "template: nome", "hub: there is no template 'nome'", 18),
    "template without slot": ('"{prompt}"', '"{}"', "templates.none.text is '{}'", 3),
    "template with two slots": ('"{prompt}"', '"{prompt}{prompt}"', "it must hold {prompt} once", 3),
    "template of neither kind": ('{text: "{prompt}"}', "{system: s}", "either a text or chat: true", 3),
    "template of both kinds": ('"{prompt}"}', '"{prompt}", chat: true}', "either a text or chat: true", 3),
    "system prompt beside a text": ('"{prompt}"}', '"{prompt}", system: s}', "write it into the text", 3),
    "adapter without base": (
        "    family: qwen\n  child",
        "    family: qwen\n    adapter: true\n  child",
        "hub has an adapter",
        14,
    ),
    "unknown key of shape": ("    step: 50\n", "    shape: {depth: 1}\n", "checkpoints.child.shape", 28),
    "own base": ("base: hub", "base: child", "a cycle of bases: child -> child", 26),
    "branch name": ("revision: null", "revision: main", "'main' is not a commit", 16),
    "short commit": ("revision: null", "revision: abc1234", "'abc1234' is not a commit", 16),
    "text for number": ("seed: 0", "seed: zero", "organisms.seed-model.seed is 'zero'", 5),
    "float for int": ("seed: 0", "seed: 0.0", "organisms.seed-model.seed is 0.0", 5),
    "bool for int": ("step: 50", "step: yes", "checkpoints.child.step is True", 28),
    "number for text": ("licence: unknown", "licence: 3", "checkpoints.hub.licence is 3", 17),
    "negative": ("step: 50", "step: -1", "checkpoints.child.step is -1", 28),
    "not a number": ("gamma: 0.5", "gamma: .nan", "runs.run.params.gamma is nan", 10),
    "list param": ("gamma: 0.5", "gamma: [1]", "runs.run.params.gamma is [1]", 10),
    "unknown family": ("latent-code", "latent", "organisms.seed-model.family is 'latent'", 5),
    "entry is a list": (SECOND_CLIP, "    clip: [1, 2]\n", "runs.run.clip is [1, 2]", 11),
    "bad name": ("  child:", "  ch ild:", "checkpoints.ch ild is 'ch ild'", 20),
    "number as name": ("  child:", "  7:", "checkpoints.7 is 7", 20),
    "bad hub id": ("id: some/model", "id: some/../model", "checkpoints.hub.id is 'some/../model'", 15),
    "wrong version": ("version: 1", "version: 2", "version is 2", 1),
    "duplicate name": ("  child:", "  hub:", "the key 'hub' is given twice, here and on line 14", 20),
    "duplicate key": ("    step: 50\n", "    step: 50\n    step: 60\n", "the key 'step' is given twice", 29),
    "name in two sections": ("  run:\n", "  hub:\n", "the name 'hub' is already used in runs", 14),
    "unknown key of a data set": ("    commit: a", "    comit: a", "datasets.data: unknown key 'comit'", 33),
    "branch for commit": ("abc1234", "main", "datasets.data.commit is 'main'", 33),
    "unknown key of a file": ("bytes: 3", "byte: 3", "datasets.data.files.a.txt: unknown key 'byte'", 36),
    "path that leads out": ("deep/a.txt", "../a.txt", "datasets.data.files.a.txt.path is '../a.txt'", 36),
    "file name that leads out": ("a.txt: {", "../a: {", "datasets.data.files.../a is '../a'", 36),
    "cut digest": (f"{62 * '0'}aa", "aa", "datasets.data.files.a.txt.sha256 is 'aa'", 36),
    "size as text": ("bytes: 3", "bytes: big", "datasets.data.files.a.txt.bytes is 'big'", 36),
    "misspelt path": ("{path: deep/a.txt", "{pth: deep/a.txt", "files.a.txt: unknown key 'pth'", 36),
    "tab": ("    reward: random", "\treward: random", "malformed YAML", 9),
    "open bracket": ("{gamma: 0.5}", "{gamma: 0.5", "malformed YAML", 11),
    "alias": ("params: {gamma: 0.5}", "params: *p", "an alias (*name) is not allowed", 10),
    "python object": ("gamma: 0.5", "gamma: !!python/object/apply:os.getcwd []", "malformed YAML", 10),
    "two documents": ("runs:", "---\nruns:", "malformed YAML", 6),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_every_mistake_is_named_with_its_line(tmp_path: Path, kind: str) -> None:
    old, new, said, line = MISTAKES[kind]
    assert old in GOOD
    with pytest.raises(BadInput) as caught:
        load(tmp_path, GOOD.replace(old, new, 1))
    assert said in caught.value.what
    assert caught.value.where == f"{tmp_path / 'm.yaml'}:{line}" and caught.value.do


def test_nearest_key_is_offered(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        load(tmp_path, GOOD.replace("licence", "license"))
    assert "did you mean 'licence'" in caught.value.do and "more)" in caught.value.what


def test_a_cycle_through_three_is_spelled_out(tmp_path: Path) -> None:
    text = GOOD.replace("base: seed-model", "base: c")
    text = text.replace(
        "checkpoints:\n", "  b: {base: run, reward: format}\n  c: {base: b, reward: format}\ncheckpoints:\n"
    )
    with pytest.raises(BadInput, match="run -> c -> b -> run"):
        load(tmp_path, text)


@pytest.mark.parametrize("text", ["", "[]", "just text", "7", "null"])
def test_files_that_are_no_mapping(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadInput, match="a manifest is a mapping"):
        load(tmp_path, text)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        load_manifest(tmp_path / "none.yaml")
    with pytest.raises(BadInput, match="this is a folder, no file"):
        load_manifest(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"version: \xe9")
    with pytest.raises(BadInput, match="not UTF-8"):
        load_manifest(tmp_path / "latin.yaml")
    (tmp_path / "control.yaml").write_bytes(b"version: \x00")
    with pytest.raises(BadInput, match="malformed YAML"):
        load_manifest(tmp_path / "control.yaml")


def test_huge_and_deep_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="larger than"):
        load(tmp_path, "#" * (MAX_BYTES + 1))
    with pytest.raises(BadInput, match="nested too deeply"):
        load(tmp_path, "[" * 5000)


def test_the_working_directory_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "qwen2.5-math-7b" in load_manifest().names()
    (tmp_path / NAME).write_text(GOOD)
    assert load_manifest().names() == ["seed-model", "run", "hub", "child"]


def test_loading_needs_no_torch() -> None:
    program = "import sys, probe.models.loading.manifest as m; m.load_manifest(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
