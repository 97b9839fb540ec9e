"""Dictionaries of strangers: Qwen-Scope, Llama Scope, releases in the hub's cache; bad files of every kind are refused.

What is read is held against SAELens' own loaders, which are given the same files in place of a download.
"""

import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from made_dictionaries import METADATA, D, N, draw, furthest, llama_folder, made, rows, saved, theirs
from safetensors.torch import load_file, save_file

from probe.dictionaries.activation import JumpReLU, TopK
from probe.dictionaries.exchange.by_name import described, dictionary_named
from probe.dictionaries.exchange.described import Described, check_model, check_place
from probe.dictionaries.exchange.folder import Kept, write_dictionary
from probe.dictionaries.exchange.llama_scope import read_llama_scope
from probe.dictionaries.exchange.qwen_scope import NAMES, read_qwen_scope
from probe.dictionaries.exchange.saelens_library import sae_lens
from probe.dictionaries.exchange.saelens_read import CONFIG, WEIGHTS, read_saelens
from probe.dictionaries.exchange.saelens_release import describe, saelens_release
from probe.dictionaries.exchange.saelens_write import write_saelens
from probe.errors import BadInput
from probe.models.hooks.sites import site

Spoil = Callable[[Path], object]
NEAR = 1e-5
MARK = "ran"  # the file that a pickle would make, if it ran
QWEN, QWEN_MODEL, QWEN_D, QWEN_N = "Qwen/SAE-Res-Qwen3-1.7B-Base-W1K-L0_50", "Qwen/Qwen3-1.7B-Base", 16, 1024


class Loads:
    """A pickle that makes a file where it is opened as pickles are."""

    def __init__(self, at: Path) -> None:
        self.at = at

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.at}",)


def qwen_tensors() -> dict[str, torch.Tensor]:
    shapes = {"W_enc": (QWEN_N, QWEN_D), "W_dec": (QWEN_D, QWEN_N), "b_enc": (QWEN_N,), "b_dec": (QWEN_D,)}
    return {name: draw(*shapes[name], at=f"qwen {name}") for name in NAMES}


def qwen_file(folder: Path, held: Any = None) -> Path:
    file = folder / QWEN.rpartition("/")[2] / "layer3.sae.pt"
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(qwen_tensors() if held is None else held, file)
    return file


def saelens_loads(monkeypatch: pytest.MonkeyPatch, kind: str, home: Path, **given: Any) -> Any:
    """What SAELens' loader of that kind makes of the files below `home`, which stand in for the hub."""
    loaders, sae_file = sae_lens("loading.pretrained_sae_loaders"), sae_lens("saes.sae")

    def here(repo_id: str, filename: str, subfolder: str = "", **other: Any) -> str:
        return str(home / subfolder / filename)

    monkeypatch.setattr(loaders, "hf_hub_download", here)
    loader = loaders.NAMED_PRETRAINED_SAE_LOADERS[kind]
    config, state, _ = loader(device="cpu", cfg_overrides={"dtype": "float32"}, **given)
    config = loaders.handle_config_defaulting(config | {"d_in": len(state["b_dec"])})
    sae = sae_file.SAE.from_dict(config)
    sae.load_state_dict(state)
    return sae


def test_qwen_scope_is_read_as_saelens_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = qwen_file(tmp_path)
    sae = saelens_loads(monkeypatch, "qwen_scope", file.parent, repo_id=QWEN, folder_name=file.name)
    for read in (read_qwen_scope(file), read_qwen_scope(file, QWEN), dictionary_named(str(file))):
        assert max(furthest(sae, read, rows(d=QWEN_D))) < 1e-4  # latents are of size 30
        assert (read.site, read.models, read.activation) == (site("resid.4"), (QWEN_MODEL,), TopK(50))
    assert (read.encode(rows(d=QWEN_D)) != 0).sum(-1).max() <= 50


def test_half_precision_is_read_as_single(tmp_path: Path) -> None:
    file = qwen_file(tmp_path, {name: tensor.bfloat16() for name, tensor in qwen_tensors().items()})
    assert read_qwen_scope(file).W_enc.dtype == torch.float32


@pytest.mark.parametrize("layout", ["hub cache", "given"])
def test_the_repository_is_found_in_the_path_or_given(layout: str, tmp_path: Path) -> None:
    home = tmp_path / ("models--Qwen--SAE-Res-Qwen3-8B-Base-W1K-L0_100" if layout == "hub cache" else "x")
    file = home / "snapshots" / "abc" / "layer0.sae.pt"
    file.parent.mkdir(parents=True)
    (home / "blobs").mkdir()
    torch.save(qwen_tensors(), home / "blobs" / "0f")
    file.symlink_to(home / "blobs" / "0f") if layout == "hub cache" else shutil.move(home / "blobs" / "0f", file)
    read = read_qwen_scope(file, None if layout == "hub cache" else "Qwen/SAE-Res-Qwen3-8B-Base-W1K-L0_100")
    assert (read.models, read.activation, read.site) == (("Qwen/Qwen3-8B-Base",), TopK(100), site("resid.1"))


def test_llama_scope_is_read_as_saelens_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = llama_folder(tmp_path)
    name = folder.name
    sae = saelens_loads(monkeypatch, "llama_scope", tmp_path, repo_id="fnlp/Llama3_1-8B-Base-LXR-8x", folder_name=name)
    sae.fold_activation_norm_scaling_factor(D**0.5 / 2.5)
    read = read_llama_scope(folder)
    assert max(furthest(sae, read, rows())) < 1e-4  # latents are of size 40
    threshold = read.activation.threshold  # type: ignore[union-attr]
    torch.testing.assert_close(threshold, sae.threshold.detach(), rtol=1e-6, atol=0)
    assert float(threshold[0]) == pytest.approx(0.4 * D**0.5 / 2.5, rel=1e-6)  # by hand
    assert (read.site, read.models) == (site("resid.8"), ("meta-llama/Llama-3.1-8B",))
    assert isinstance(read.activation, JumpReLU) and not read.centred
    assert torch.equal(dictionary_named(str(folder)).W_dec, read.W_dec)


@pytest.mark.parametrize("factor", [None, 0.7])
def test_llama_scope_lets_the_same_latents_through_as_saelens(
    factor: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows between the threshold as it is written and as it is scaled tell one from the other; s of the list, too.

    A threshold too high by 1 in 1,000 already lets other latents through.
    """
    folder = llama_folder(tmp_path, jump_relu_threshold=3.0)
    given = {"repo_id": "fnlp/Llama3_1-8B-Base-LXR-8x", "folder_name": folder.name}
    sae = saelens_loads(monkeypatch, "llama_scope", tmp_path, **given)
    sae.fold_activation_norm_scaling_factor(D**0.5 / 2.5 if factor is None else factor)
    read, x = read_llama_scope(folder, norm_factor=factor), draw(4000, 1, D, at="many rows")
    with torch.no_grad():
        latents = sae.encode(x[:, 0])
    assert torch.equal(read.encode(x) > 0, latents > 0)
    torch.testing.assert_close(read.encode(x), latents, rtol=1e-6, atol=2e-5)
    for wrong in (3.0, float(sae.threshold.detach()[0]) * 1.001):
        other = replace(read, activation=JumpReLU(torch.full((N,), wrong)))
        assert not torch.equal(other.encode(x) > 0, latents > 0)


LLAMA_BAD: list[tuple[dict[str, Any], str]] = [
    ({"act_fn": "topk"}, "act_fn 'topk'"),
    ({"use_glu_encoder": True}, "use_glu_encoder True"),
    ({"hook_point_out": "blocks.7.hook_mlp_out"}, "reads one site and predicts another"),
    ({"hook_point_in": 3, "hook_point_out": 3}, "hook_name is 3"),
    ({"d_model": D + 1}, "has shape"),
    ({"d_sae": "30"}, "d_sae is 30"),
    ({"jump_relu_threshold": None}, "jump_relu_threshold is None"),
    ({"jump_relu_threshold": float("nan")}, "jump_relu_threshold is nan"),
    ({"dataset_average_activation_norm": {"in": 0}}, "dataset_average_activation_norm.in is 0"),
    ({"dataset_average_activation_norm": 3}, "dataset_average_activation_norm.in is None"),
]


@pytest.mark.parametrize(("change", "says"), LLAMA_BAD, ids=[says for _, says in LLAMA_BAD])
def test_another_llama_scope_is_refused(change: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=says):
        read_llama_scope(llama_folder(tmp_path, **change))


def resaved(change: Callable[[dict[str, Any]], object]) -> Spoil:
    def spoil(file: Path) -> None:
        held: dict[str, Any] = qwen_tensors()
        change(held)
        torch.save(held, file)

    return spoil


def zipped(compressed: bool = False, table: bytes | None = None) -> Spoil:
    """The archive again: its parts deflated, or another table of tensors in it."""

    def spoil(file: Path) -> None:
        with zipfile.ZipFile(file) as old:
            parts = {part.filename: old.read(part) for part in old.infolist()}
        how = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
        with zipfile.ZipFile(file, "w", how) as new:
            for name, data in parts.items():
                new.writestr(name, table if table is not None and name.endswith("data.pkl") else data)

    return spoil


VIEW = torch.zeros(1)
QWEN_BAD: list[tuple[Spoil, str]] = [
    (lambda file: file.write_bytes(file.read_bytes()[:-100]), "cut off, or no torch file"),
    (lambda file: file.write_bytes(b""), "cut off, or no torch file"),
    (lambda file: file.write_bytes(pickle.dumps(Loads(file.parent / MARK))), "cut off, or no torch file"),
    (lambda file: torch.save(Loads(file.parent / MARK), file), "more than tensors"),
    (lambda file: torch.save(qwen_tensors() | {"x": Loads(file.parent / MARK)}, file), "more than tensors"),
    (lambda file: torch.save(Loads(file.parent / MARK), file, _use_new_zipfile_serialization=False), "no torch file"),
    (zipped(compressed=True), "no file of a few tensors"),
    (zipped(table=b"\x80\x02" + b"N" * 2_000_000), "no file of a few tensors"),
    (zipped(table=b"\x80\x02cbuiltins\nbytearray\n\x8a\x08" + struct.pack("<q", 1 << 60) + b"\x85R."), "layer3.sae.pt"),
    (zipped(table=b""), "layer3.sae.pt"),
    (zipped(table=b"\x80\x02]."), "no table of"),
    (resaved(lambda held: held.pop("b_dec")), "no table of"),
    (resaved(lambda held: held.update(more=VIEW)), "no table of"),
    (resaved(lambda held: held.update(b_enc=[1.0])), "no table of"),
    (resaved(lambda held: held.update(W_enc=held["W_enc"].T.contiguous())), "W_enc has shape"),
    (resaved(lambda held: held.update(W_dec=held["W_dec"][:, 1:].clone())), "W_dec has shape"),
    (resaved(lambda held: held.update(b_dec=VIEW.expand(QWEN_D))), "b_dec is no plain matrix"),
    (resaved(lambda held: held.update(b_dec=torch.zeros(QWEN_D, dtype=torch.int64))), "b_dec is no plain matrix"),
    (resaved(lambda held: held.update(b_dec=held["b_dec"].to_sparse())), "layer3.sae.pt|plain matrix"),
    (resaved(lambda held: held["W_dec"].view(-1)[:1].fill_(float("inf"))), "not finite"),
    (lambda file: (file.rename(file.parents[1] / "out"), file.symlink_to(file.parents[1] / "out")), "a link out of"),
    (lambda file: (file.unlink(), os.mkfifo(file)), "a pipe, no file"),
]


@pytest.mark.parametrize(("spoil", "says"), QWEN_BAD, ids=[f"{i}: {says}" for i, (_, says) in enumerate(QWEN_BAD)])
def test_a_bad_torch_file_is_refused_and_never_runs(spoil: Spoil, says: str, tmp_path: Path) -> None:
    file = qwen_file(tmp_path)
    spoil(file)
    with pytest.raises(BadInput, match=says):
        read_qwen_scope(file)
    assert not list(tmp_path.rglob(MARK))


def test_the_pickle_of_these_tests_would_run(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Loads(tmp_path / MARK)))  # noqa: S301 - ours
    assert (tmp_path / MARK).exists()


@pytest.mark.parametrize("name", ["layer3.sae.pt", "model.sae.pt", "W32K/layer3.sae.pt"])
def test_a_torch_file_of_unknown_latents_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    torch.save(qwen_tensors(), tmp_path / name)
    with pytest.raises(BadInput, match="(?s)neither layer.*SAE-Res"):
        read_qwen_scope(tmp_path / name)


def config(**change: Any) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / CONFIG).write_text(json.dumps(json.loads((folder / CONFIG).read_text()) | change))

    return spoil


def said(**change: Any) -> Spoil:
    """Of the block of metadata."""
    return lambda folder: config(metadata=METADATA | {"sae_lens_version": "6.54.12"} | change)(folder)


def weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Spoil:
    def spoil(folder: Path) -> None:
        held = load_file(folder / WEIGHTS)
        change(held)
        save_file(held, folder / WEIGHTS)

    return spoil


def cut(name: str, by: int) -> Spoil:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-by])


def linked(name: str) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / name).rename(folder.parent / name)
        (folder / name).symlink_to(folder.parent / name)

    return spoil


def pickled(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(pickle.dumps(Loads(folder / MARK)))


SAELENS_BAD: list[tuple[Spoil, str]] = [
    (cut(WEIGHTS, 4), "cut off"),
    (cut(WEIGHTS, 10**6), "no such file|cut off"),
    (cut(CONFIG, 1), "no JSON"),
    (lambda folder: (folder / CONFIG).write_text('{"d_in": 12, "d_in": 13}'), "'d_in' is given twice"),
    (lambda folder: (folder / CONFIG).write_text('{"x": "' + "y" * 1_000_001 + '"}'), "larger than the 1,000,000"),
    (lambda folder: (folder / CONFIG).write_text("[" * 100_000), "nested too deeply|no JSON"),
    (lambda folder: (folder / CONFIG).write_text("3"), "holds a int"),
    (linked(CONFIG), "a link out of"),
    (linked(WEIGHTS), "a link out of"),
    (pickled, "cannot load"),
    (weights(lambda held: held.update(more=torch.ones(1))), "it has more too"),
    (weights(lambda held: held.pop("b_dec")), "it lacks b_dec"),
    (weights(lambda held: held.update(W_enc=held["W_enc"].T.contiguous())), "W_enc has shape"),
    (weights(lambda held: held.update(W_dec=held["W_dec"][:, 1:].contiguous())), "W_dec has shape"),
    (weights(lambda held: held["W_dec"].view(-1)[:1].fill_(float("nan"))), r"not finite: \['W_dec'\]"),
    (weights(lambda held: held["threshold"][:1].fill_(float("inf"))), r"not finite: \['threshold'\]"),
    (weights(lambda held: held.update(b_dec=torch.ones(D, dtype=torch.int32))), "no type of weights"),
    (weights(lambda held: held.update(scaling_factor=torch.full((N,), 2.0))), "scaling_factor"),
    (config(d_in=D + 1), "has shape"),
    (config(d_sae=10**12), "d_sae is 1000000000000"),
    (config(d_in=True), "d_in is True"),
    (config(d_in=12.0), "d_in is 12.0"),
    (config(d_in=None), "d_in is None"),
    (config(architecture="topk", k=0), "k is 0"),
    (config(architecture="topk"), "k is None"),
    (config(architecture=["standard"]), "architecture is"),
    (config(architecture="standard"), "it has threshold too"),
    (config(architecture="my_sae"), "no architecture read here is 'my_sae'"),
    (config(architecture="transcoder"), "architecture transcoder: it reads one site and predicts another"),
    (config(architecture="skip_transcoder"), "architecture skip_transcoder"),
    (config(architecture="jumprelu_transcoder"), "architecture jumprelu_transcoder"),
    (config(architecture="jumprelu_skip_transcoder"), "architecture jumprelu_skip_transcoder"),
    (config(architecture="temporal"), "architecture temporal: its latents depend on the positions before"),
    (config(architecture="matching_pursuit"), "architecture matching_pursuit"),
    (config(architecture="abstopk"), "architecture abstopk: its latents have signs"),
    (config(activation_fn="gelu"), "activation_fn 'gelu'"),
    (config(apply_b_dec_to_input="yes"), "apply_b_dec_to_input is yes"),
    (config(normalize_activations="covariance_whitening"), "normalize_activations 'covariance_whitening'"),
    (config(normalize_activations=["none"]), "normalize_activations"),
    (config(metadata="none"), "metadata is no table"),
    (config(metadata={}), "(?s)it does not say its hook_name.*site="),
    (said(model_name=None), "(?s)it does not say its model_name.*model="),
    (said(model_name=3), "model_name is 3"),
    (said(hook_name="blocks.4.hook_resid_mid"), "no site here is 'blocks.4.hook_resid_mid'"),
    (said(hook_name="blocks.4.attn.hook_z"), "no site here is 'blocks.4.attn.hook_z'"),
    (said(hook_head_index=2), "with head 2"),
    (said(hook_head_index="2"), "hook_head_index is 2"),
    (said(hook_name_out="blocks.4.hook_mlp_out"), "reads one site and predicts another"),
    (said(model_from_pretrained_kwargs={"center_writing_weights": True}), "whose mean was taken off"),
]


@pytest.mark.parametrize(
    ("spoil", "says"), SAELENS_BAD, ids=[f"{i}: {says}" for i, (_, says) in enumerate(SAELENS_BAD)]
)
def test_a_bad_folder_of_saelens_is_refused(spoil: Spoil, says: str, tmp_path: Path) -> None:
    folder = saved(theirs("jumprelu"), tmp_path / "it")
    assert read_saelens(folder).n_latents == N
    spoil(folder)
    with pytest.raises(BadInput, match=says):
        read_saelens(folder)
    assert not list(tmp_path.rglob(MARK))


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan"), "1", True])
def test_a_factor_that_cannot_be_is_refused(factor: Any, tmp_path: Path) -> None:
    folder = saved(theirs("standard", normalize_activations="expected_average_only_in"), tmp_path)
    (folder / "activation_scaler.json").write_text(json.dumps({"scaling_factor": factor}))
    with pytest.raises(BadInput, match="the factor of its activations is"):
        read_saelens(folder)


def test_overrides_of_a_release_go_before_its_file(tmp_path: Path) -> None:
    plain = saved(theirs("jumprelu"), tmp_path)
    read = read_saelens(plain, overrides={"normalize_activations": "constant_norm_rescale"})
    assert max(furthest(theirs("jumprelu", normalize_activations="constant_norm_rescale"), read, rows())) < NEAR
    said(model_from_pretrained_kwargs={"fold_ln": False})(plain)
    with pytest.raises(BadInput, match="whose mean was taken off"):
        read_saelens(plain, overrides={"model_from_pretrained_kwargs": {"center_writing_weights": True}})


def test_nothing_that_reads_files_imports_saelens(tmp_path: Path) -> None:
    write_saelens(made(), tmp_path / "it")
    look = "import sys; from probe.dictionaries.exchange.by_name import dictionary_named as named; named(sys.argv[1])"
    look += "; print(*[name for name in ('sae_lens', 'transformer_lens', 'wandb') if name in sys.modules], 'none')"
    command = [sys.executable, "-c", look, str(tmp_path / "it")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    assert done.stdout.split() == ["none"]


def test_model_and_site_stand_in_where_the_file_is_silent(tmp_path: Path) -> None:
    folder = saved(theirs("jumprelu"), tmp_path)
    assert read_saelens(folder, model="other", site=site("mlp.1")).models == (METADATA["model_name"],)
    config(metadata={})(folder)
    read = read_saelens(folder, model="mine", site=site("mlp.1"))
    assert (read.models, read.site) == (("mine",), site("mlp.1"))


def test_a_dictionary_of_another_model_width_or_depth_is_refused() -> None:
    about = Described("RELEASE/ID", ("org/model-0", "after"), site("resid.5"), D)
    check_model(about, ["MODEL-0", "other"])
    check_model(about, ["some/folder/Model-0/"])
    check_model(replace(about, models=("before", "after")), ["anything"])  # as ours are called, which is no name
    with pytest.raises(BadInput, match=r"(?s)of org/model-0, and .* called Qwen/Qwen3-1.7B.*--sae-anyway") as caught:
        check_model(about, ["Qwen/Qwen3-1.7B", "after"])  # "after" names nothing
    assert caught.value.where == "RELEASE/ID"
    check_place(about, D, 5, "mine")
    check_place(replace(about, d=None), 7, 5, "mine")
    with pytest.raises(BadInput, match="of width 12 at resid.5, where mine has width 13"):
        check_place(about, D + 1, 5, "mine")
    with pytest.raises(BadInput, match=r"(?s)of resid.5, and mine has 4 blocks.*resid.4 at most"):
        check_place(about, D, 4, "mine")
    with pytest.raises(BadInput, match=r"(?s)of mlp.4, and mine has 4 blocks.*mlp.3 at most"):
        check_place(replace(about, site=site("mlp.4")), D, 4, "mine")


DESCRIBED: dict[str, Callable[[Path], Path]] = {
    "ours": lambda folder: (write_dictionary(Kept(made()), folder), folder)[1],
    "saelens": lambda folder: saved(theirs("jumprelu"), folder / "it"),
    "llama_scope": llama_folder,
    "qwen_scope": qwen_file,
}


@pytest.mark.parametrize("kind", DESCRIBED)
def test_what_it_says_of_itself_is_what_is_read_and_needs_no_weights(kind: str, tmp_path: Path) -> None:
    place = DESCRIBED[kind](tmp_path)
    read = dictionary_named(str(place))
    for file in (*tmp_path.rglob("*.safetensors"), *tmp_path.rglob("*.pt")):
        file.unlink()  # with the weights gone, it still says what it is
    about = described(str(place))
    assert (about.models, about.site) == (read.models, read.site)
    assert about.d == (None if kind == "qwen_scope" else read.d)
    with pytest.raises(BadInput):
        dictionary_named(str(place))


def test_a_name_is_the_dictionary_in_whichever_format(tmp_path: Path) -> None:
    write_dictionary(Kept(made()), tmp_path / "ours")
    assert torch.equal(dictionary_named(str(tmp_path / "ours")).W_enc, made().W_enc)
    folder = saved(theirs("jumprelu"), tmp_path / "theirs")
    assert dictionary_named(str(folder)).models == (METADATA["model_name"],)
    write_dictionary(Kept(made()), folder)
    with pytest.raises(BadInput, match="holds dictionary.json and cfg.json"):
        dictionary_named(str(folder))
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="holds no dictionary"):
        dictionary_named(str(tmp_path / "empty"))
    with pytest.raises(BadInput, match="no such folder"):
        dictionary_named(str(tmp_path / "absent"))


RELEASES = {  # of SAELens' list, one of each format that is read
    "sae_lens": ("gemma-2-2b-res-matryoshka-dc/blocks.0.hook_resid_post", "standard/blocks.0.hook_resid_post"),
    "llama_scope": ("llama_scope_lxr_8x/l7r_8x", "Llama3_1-8B-Base-L7R-8x"),
    "qwen_scope": ("qwen-scope-3-1.7b-base-w32k-l50/layer3", "layer3.sae.pt"),
}
REPOSITORIES = {
    "sae_lens": "chanind/gemma-2-2b-batch-topk-matryoshka-saes-w-32k-l0-40",
    "llama_scope": "fnlp/Llama3_1-8B-Base-LXR-8x",
    "qwen_scope": "Qwen/SAE-Res-Qwen3-1.7B-Base-W32K-L0_50",
}


def cached(cache: Path, kind: str, tmp_path: Path) -> None:
    """The files of a release as the hub's client keeps them: links into blobs."""
    commit = "a" * 40
    home = cache / f"models--{REPOSITORIES[kind].replace('/', '--')}"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text(commit)
    (home / "blobs").mkdir()
    source = tmp_path / "source"
    if kind == "sae_lens":
        saved(theirs("jumprelu"), source / RELEASES[kind][1])
    elif kind == "llama_scope":
        llama_folder(source)
    else:
        shapes = {"W_enc": (32768, 2), "W_dec": (2, 32768), "b_enc": (32768,), "b_dec": (2,)}
        source.mkdir()
        torch.save({name: draw(*shape, at=name) for name, shape in shapes.items()}, source / "layer3.sae.pt")
    for number, file in enumerate(sorted(each for each in source.rglob("*") if each.is_file())):
        link = home / "snapshots" / commit / file.relative_to(source)
        link.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, home / "blobs" / str(number))
        link.symlink_to(os.path.relpath(home / "blobs" / str(number), link.parent))


@pytest.mark.parametrize("kind", RELEASES)
def test_a_release_of_saelens_list_is_found_in_the_cache(kind: str, tmp_path: Path) -> None:
    name, path = RELEASES[kind]
    with pytest.raises(BadInput, match=rf"(?s)offline.*hf download {REPOSITORIES[kind]} {path}.* --revision main"):
        saelens_release(name, offline=True, cache=tmp_path / "cache")
    cached(tmp_path / "cache", kind, tmp_path)
    read, about = (each(name, offline=True, cache=tmp_path / "cache") for each in (saelens_release, describe))
    width = None if kind == "qwen_scope" else read.d
    assert about == Described(name, read.models, read.site, width)
    if kind == "qwen_scope":
        assert (read.models, read.site, read.n_latents) == ((QWEN_MODEL,), site("resid.4"), 32768)
    elif kind == "llama_scope":  # s of SAELens' list
        assert (read.models, read.site) == (("meta-llama/Llama-3.1-8B",), site("resid.8"))
        directory = sae_lens("loading.pretrained_saes_directory")
        assert float(read.scale) == pytest.approx(directory.get_norm_scaling_factor(*name.split("/")))
    else:
        assert torch.equal(read.W_dec, read_saelens(tmp_path / "source" / path).W_dec)


def test_a_release_that_is_half_here_names_what_is_missing(tmp_path: Path) -> None:
    cached(tmp_path / "cache", "llama_scope", tmp_path)
    next((tmp_path / "cache").rglob("final.safetensors")).unlink()
    with pytest.raises(BadInput, match="(?s)it lacks Llama3_1-8B-Base-L7R-8x/checkpoints/final.safetensors"):
        saelens_release(RELEASES["llama_scope"][0], offline=True, cache=tmp_path / "cache")
    assert describe(RELEASES["llama_scope"][0], offline=True, cache=tmp_path / "cache").d == D


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("gemma-scope-2b-pt-res/layer_0/width_16k/average_l0_105", "the format gemma_2, which is not read here"),
        ("qwen-scope-3-1.7b/layer3", "(?s)knows no 'qwen-scope-3-1.7b'.*qwen-scope-3-1.7b-base-w32k-l50"),
        ("llama_scope_lxr_8x/l99r_8x", "(?s)knows no 'l99r_8x'.*l9r_8x"),
        ("llama_scope_lxr_8x", "knows no ''"),
    ],
)
def test_a_release_that_cannot_be_read_is_told(name: str, says: str, tmp_path: Path) -> None:
    for ask in (saelens_release, describe):
        with pytest.raises(BadInput, match=says):
            ask(name, offline=True, cache=tmp_path)
