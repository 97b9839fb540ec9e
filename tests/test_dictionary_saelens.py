"""Dictionaries of SAELens, of every architecture and normalisation, say here what they say there; ours, there.

Weights are drawn, or trained for a few steps by SAELens; files are those that SAELens writes, or that it reads.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from made_dictionaries import METADATA, D, N, draw, furthest, made, rows, saved, theirs
from safetensors.torch import load_file, save_file

from probe.dictionaries.activation import BatchTopK, JumpReLU, ReLU, TopK
from probe.dictionaries.dictionary import Normalise
from probe.dictionaries.exchange.saelens_library import sae_lens
from probe.dictionaries.exchange.saelens_read import CONFIG, SCALER, WEIGHTS, read_saelens
from probe.dictionaries.exchange.saelens_write import write_saelens
from probe.errors import BadInput
from probe.models.hooks.sites import site

NEAR = 1e-5
NORMALISED = ["none", "layer_norm", "constant_norm_rescale"]
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "standard": ("standard", {}),
    "topk": ("topk", {"k": 5}),
    "topk rescaled": ("topk", {"k": 5, "rescale_acts_by_decoder_norm": True}),
    "jumprelu": ("jumprelu", {}),
    "gated": ("gated", {}),
}
TRAINED: dict[str, tuple[str, dict[str, Any]]] = {
    "standard": ("standard", {}),
    "topk": ("topk", {"k": 5, "rescale_acts_by_decoder_norm": False}),
    "topk rescaled": ("topk", {"k": 5}),
    "jumprelu": ("jumprelu", {}),
    "batchtopk": ("batchtopk", {"k": 5.0}),
    "matryoshka": ("matryoshka_batchtopk", {"k": 5.0, "matryoshka_widths": [10, N]}),
}


@pytest.mark.parametrize("centred", [True, False], ids=["b_dec off the input", "not"])
@pytest.mark.parametrize("normalised", NORMALISED)
@pytest.mark.parametrize("kind", KINDS)
def test_what_saelens_writes_is_read(kind: str, normalised: str, centred: bool, tmp_path: Path) -> None:
    architecture, config = KINDS[kind]
    sae = theirs(architecture, apply_b_dec_to_input=centred, normalize_activations=normalised, **config)
    read = read_saelens(saved(sae, tmp_path))
    assert max(furthest(sae, read, rows())) < NEAR
    assert (read.site, read.models) == (site("resid.5"), (METADATA["model_name"],))


@pytest.mark.parametrize("inference", [True, False], ids=["export", "checkpoint"])
@pytest.mark.parametrize("kind", TRAINED)
def test_what_its_trainer_leaves_is_read(kind: str, inference: bool, tmp_path: Path) -> None:
    """Three training steps, then its export (BatchTopK and Matryoshka as JumpReLU) and its own checkpoint of them."""
    architecture, config = TRAINED[kind]
    sae = theirs(architecture, training=True, **config)
    step, optimiser = sae_lens("saes.sae").TrainStepInput, torch.optim.Adam(sae.parameters(), lr=1e-2)
    for _ in range(3):
        loss = sae.training_forward_pass(step(rows()[:, 0], {"l1": 1.0, "l0": 1.0}, None, 0, False)).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    library = sae_lens()
    exported = library.SAE.load_from_disk(saved(sae, tmp_path / "export", inference=True))
    read = read_saelens(tmp_path / "export" if inference else saved(sae, tmp_path / "checkpoint"))
    assert max(furthest(exported, read, rows())) < NEAR
    assert isinstance(read.activation, JumpReLU) == (kind in ("jumprelu", "batchtopk", "matryoshka"))


@pytest.mark.parametrize("kind", [*KINDS, "batchtopk", "batchtopk not rescaled"])
def test_the_factor_of_the_activations_is_that_of_saelens(kind: str, tmp_path: Path) -> None:
    """Folded in by SAELens; kept as `scale` here. From its trainer's file, and as an argument."""
    batch = {"batchtopk": {}, "batchtopk not rescaled": {"rescale_acts_by_decoder_norm": False}}
    architecture, config = KINDS.get(kind) or ("batchtopk", {"k": 5.0, **batch[kind]})
    sae = theirs(architecture, kind in batch, normalize_activations="expected_average_only_in", **config)
    folder = saved(sae, tmp_path)
    with pytest.raises(BadInput, match="(?s)a factor that is not told.*norm_factor="):
        read_saelens(folder)
    given = read_saelens(folder, norm_factor=0.3)
    (folder / SCALER).write_text(json.dumps({"scaling_factor": 0.3, "has_whitening": False}))
    told = read_saelens(folder)
    sae.fold_activation_norm_scaling_factor(0.3)
    if kind in batch:
        sae = sae_lens().SAE.load_from_disk(saved(sae, tmp_path / "folded", inference=True))
    assert max(furthest(sae, given, rows())) < NEAR
    assert torch.equal(given.encode(rows()), told.encode(rows()))
    assert float(given.scale) == pytest.approx(0.3)


def test_layer_norm_comes_back_by_the_deviation_alone(tmp_path: Path) -> None:
    """SAELens divides by std + 1e-5 and multiplies by std: it shows where rows are small."""
    small = rows() * 1e-4
    sae = theirs("standard", normalize_activations="layer_norm")
    read = read_saelens(saved(sae, tmp_path))
    with torch.no_grad():
        out = sae(small[:, 0])
    assert float((read.reconstruct(small)[:, 0] - out).abs().max()) < 1e-6 * float(out.abs().max())


OLD = {
    "d_in": D,
    "d_sae": N,
    "dtype": "torch.float32",
    "model_name": "gpt2",
    "hook_point": "blocks.4.hook_resid_post",
    "hook_point_layer": 4,
    "hook_point_head_index": None,
    "activation_fn_str": "relu",
    "normalize_activations": "none",
    "l1_coefficient": 8e-5,
    "b_dec_init_method": "geometric_median",
    "model_from_pretrained_kwargs": {},
}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"hook_point": None, "hook_name": "blocks.4.hook_resid_post", "hook_layer": 4, "activation_fn_str": None},
        {"normalize_activations": False},
        {"normalize_activations": None, "apply_b_dec_to_input": False},
        {"activation_fn_str": "topk", "activation_fn_kwargs": {"k": 4}},
        {"architecture": "topk", "activation_fn_str": "topk", "activation_fn_kwargs": {"k": 4}},
        {"architecture": "jumprelu", "sae_lens_training_version": "5.0.0"},
        {"metadata": {}},
    ],
    ids=lambda change: ", ".join(change) or "oldest",
)
def test_configs_from_before_6_0_are_read_as_saelens_reads_them(change: dict[str, Any], tmp_path: Path) -> None:
    config = {key: value for key, value in {**OLD, **change}.items() if value is not None or key not in change}
    tensors = {
        "W_enc": draw(D, N, at="e"),
        "W_dec": draw(N, D, at="d"),
        "b_enc": draw(N, at="b"),
        "b_dec": draw(D, at="c"),
    }
    if config.get("architecture") == "jumprelu":
        tensors["threshold"] = draw(N, at="t").abs()
    elif "architecture" not in config:
        tensors["scaling_factor"] = torch.ones(N)
    save_file(tensors, tmp_path / WEIGHTS)
    (tmp_path / CONFIG).write_text(json.dumps(config))
    sae, read = sae_lens().SAE.load_from_disk(tmp_path), read_saelens(tmp_path)
    latents, out = furthest(sae, read, rows())
    assert latents < NEAR and out < 1e-4  # reconstructions are of size 50
    assert (read.site, read.models) == (site("resid.5"), ("gpt2",))


ACTIVATIONS = {"relu": ReLU(), "topk": TopK(5), "jumprelu": JumpReLU(draw(N, at="threshold").abs())}


@pytest.mark.parametrize("models", [1, 2])
@pytest.mark.parametrize("normalise", ["none", "layer_norm", "constant_norm"])
@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_a_side_of_ours_is_one_of_saelens(
    kind: str, centred: bool, normalise: Normalise, models: int, tmp_path: Path
) -> None:
    whole = made(ACTIVATIONS[kind], models, centred, normalise)
    for m, name in enumerate(whole.models):
        side = whole.side(name)
        write_saelens(side, tmp_path / str(m))
        sae = sae_lens().SAE.load_from_disk(tmp_path / str(m))
        x = rows(models)[:, m : m + 1]
        assert max(furthest(sae, side, x)) < NEAR
        assert max(furthest(sae, read_saelens(tmp_path / str(m)), x)) < NEAR
        assert sae.cfg.metadata.model_name == name
        assert sae.cfg.metadata.hook_name == "blocks.4.hook_resid_post"
        assert sae.cfg.metadata.sae_lens_version


def test_latents_of_a_side_are_chosen_by_what_they_are_asked_for(tmp_path: Path) -> None:
    """A latent whose half of the joint norm is small is chosen all the same."""
    whole = made(TopK(1), 2)
    side = whole.side("org/model-0")
    side.W_dec[0] *= 1e-3
    side.b_enc[0] += 100
    write_saelens(side, tmp_path / "it")
    sae = sae_lens().SAE.load_from_disk(tmp_path / "it")
    with torch.no_grad():
        assert (sae.encode(rows()[:, 0]).argmax(-1) == 0).all()
    assert not sae.cfg.rescale_acts_by_decoder_norm


def test_what_cannot_be_one_of_saelens_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="one model a dictionary, this has org/model-0, org/model-1"):
        write_saelens(made(models=2), tmp_path / "it")
    with pytest.raises(BadInput, match="BatchTopK is for training"):
        write_saelens(made(BatchTopK(3)), tmp_path / "it")
    assert not any(tmp_path.iterdir())


def test_nothing_of_others_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "notes.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(BadInput):
            write_saelens(made(), tmp_path / "theirs", overwrite=overwrite)
    write_saelens(made(), tmp_path / "it")
    with pytest.raises(BadInput, match="in the way"):
        write_saelens(made(ReLU()), tmp_path / "it")
    write_saelens(made(ReLU()), tmp_path / "it", overwrite=True)
    assert isinstance(read_saelens(tmp_path / "it").activation, ReLU)
    assert "threshold" not in load_file(tmp_path / "it" / WEIGHTS)
