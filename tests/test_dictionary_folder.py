"""Our own folder gives back bit for bit what was written, with what it was fitted on; anything else is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from made_dictionaries import D, N, draw, made, rows
from safetensors.torch import load_file, save

from probe.dictionaries.activation import Activation, BatchTopK, JumpReLU, ReLU, TopK
from probe.dictionaries.dictionary import Normalise
from probe.dictionaries.exchange.folder import ABOUT, PARTS, Kept, read_dictionary, write_dictionary
from probe.errors import BadInput

OPTIONS = {"lr": 3e-4, "seed": ["fit", 3], "note": "é"}
FITTED = {"before": "a" * 64, "rows": "b" * 64}
ACTIVATIONS = [ReLU(), TopK(4), BatchTopK(2.5), BatchTopK(3), JumpReLU(draw(N, at="t"))]


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize(("models", "centred", "normalise"), [(1, True, "layer_norm"), (2, False, "none")])
def test_what_is_written_is_read(
    activation: Activation, models: int, centred: bool, normalise: Normalise, tmp_path: Path
) -> None:
    before = made(activation, models, centred, normalise)
    digest = write_dictionary(Kept(before, OPTIONS, FITTED), tmp_path)
    kept = read_dictionary(tmp_path)
    after = kept.dictionary
    assert (kept.options, kept.fitted_on) == (OPTIONS, FITTED)
    for name in PARTS:
        mine, read = getattr(before, name), getattr(after, name)
        assert mine.dtype == read.dtype and torch.equal(mine, read)
    for name in ("site", "models", "centred", "normalise"):
        assert getattr(before, name) == getattr(after, name)
    assert type(after.activation) is type(activation)
    assert getattr(after.activation, "k", None) == getattr(activation, "k", None)
    assert torch.equal(before.reconstruct(rows(models)), after.reconstruct(rows(models)))
    assert write_dictionary(kept, tmp_path / "again") == digest


def test_double_and_half_stay_what_they_are(tmp_path: Path) -> None:
    before = made(ReLU())
    for dtype in (torch.float64, torch.bfloat16):
        parts = {name: getattr(before, name).to(dtype) for name in PARTS}
        typed = type(before)(before.site, before.models, ReLU(), **parts)
        write_dictionary(Kept(typed), tmp_path)
        read = read_dictionary(tmp_path).dictionary
        assert read.W_enc.dtype == dtype and torch.equal(read.W_enc, typed.W_enc)


def test_another_takes_its_place_and_leaves_nothing_of_it(tmp_path: Path) -> None:
    write_dictionary(Kept(made(ReLU())), tmp_path)
    write_dictionary(Kept(made(TopK(2), 2)), tmp_path)
    assert read_dictionary(tmp_path).dictionary.models == ("org/model-0", "org/model-1")
    assert len(list(tmp_path.iterdir())) == 2


def test_a_kill_between_the_two_files_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from probe.dictionaries.exchange import folder

    write_dictionary(Kept(made(ReLU())), tmp_path)
    write = folder.write_atomic

    def killed(path: Path, data: bytes) -> None:
        if path.name == ABOUT:
            raise KeyboardInterrupt
        write(path, data)

    monkeypatch.setattr(folder, "write_atomic", killed)
    with pytest.raises(KeyboardInterrupt):
        write_dictionary(Kept(made(TopK(2), 2)), tmp_path)
    assert isinstance(read_dictionary(tmp_path).dictionary.activation, ReLU)


def weights(folder: Path) -> Path:
    return next(folder.glob("latents-*"))


def about(**change: Any) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        content = json.loads((folder / ABOUT).read_text()) | change
        kept = {key: value for key, value in content.items() if value != "absent"}
        (folder / ABOUT).write_text(json.dumps(kept))

    return spoil


def tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], object]:
    """Other tensors, with a digest that fits."""

    def spoil(folder: Path) -> None:
        import hashlib

        held = load_file(weights(folder))
        change(held)
        data = save(held)
        digest = hashlib.sha256(data).hexdigest()
        (folder / f"latents-{digest[:16]}.safetensors").write_bytes(data)
        about(sha256=digest)(folder)

    return spoil


def flipped(folder: Path) -> None:
    data = bytearray(weights(folder).read_bytes())
    data[-5] ^= 1
    weights(folder).write_bytes(data)


def linked(folder: Path) -> None:
    weights(folder).rename(folder.parent / "elsewhere")
    name = f"latents-{json.loads((folder / ABOUT).read_text())['sha256'][:16]}.safetensors"
    (folder / name).symlink_to(folder.parent / "elsewhere")


SPOILT: list[tuple[Callable[[Path], object], str]] = [
    (lambda folder: (folder / ABOUT).unlink(), "no such file"),
    (lambda folder: weights(folder).unlink(), "no such file"),
    (flipped, "sha256 .* has changed"),
    (lambda folder: weights(folder).write_bytes(weights(folder).read_bytes()[:-9]), "sha256 .* has changed"),
    (linked, "a link out of"),
    (lambda folder: (folder / ABOUT).write_text("{"), "no JSON"),
    (lambda folder: (folder / ABOUT).write_text("[1]"), "holds a list"),
    (lambda folder: (folder / ABOUT).write_text('{"format": "x", "format": "y"}'), "is given twice"),
    (lambda folder: (folder / ABOUT).write_text(" " * 2_000_000), "larger than"),
    (about(format="another.format"), "of format 'another.format'"),
    (about(more=1), "more: Extra inputs"),
    (about(site="absent"), "site: Field required"),
    (about(site="resid"), "no site is called"),
    (about(sha256="../../../etc/passwd"), "sha256: String should match"),
    (about(models=["one", "two"]), r"W_dec has shape \(30, 1, 12\), not \(30, 2, 12\)"),
    (about(models=[]), "has shape"),
    (about(models=[1]), "models.0: Input should be a valid string"),
    (about(d=D + 1), "has shape"),
    (about(d=True), "d: Input should be a valid integer"),
    (about(n_latents=10**30), "has shape"),
    (about(n_latents=float("nan")), "n_latents"),
    (about(activation="topk"), r"activation topk with k None|holds no such dictionary: it has threshold"),
    (about(activation="softmax"), "activation: Input should be"),
    (about(k=3), "activation jumprelu with k 3"),
    (about(centred=1), "centred: Input should be a valid boolean"),
    (about(normalise="batch_norm"), "normalise: Input should be"),
    (about(fitted_on={"x": 1}), "fitted_on.x"),
    (tensors(lambda held: held.pop("b_dec")), "it lacks b_dec"),
    (tensors(lambda held: held.update(more=held["b_dec"].clone())), "it has more too"),
    (tensors(lambda held: held.update(W_dec=held["W_dec"][1:])), "W_dec has shape"),
    (tensors(lambda held: held["W_enc"].view(-1)[:1].fill_(float("nan"))), "not finite"),
    (tensors(lambda held: held["scale"].neg_()), "give a positive one"),
    (tensors(lambda held: held.update(b_dec=held["b_dec"].int())), "no type of weights"),
]


@pytest.mark.parametrize(("spoil", "says"), SPOILT, ids=[f"{i}: {says}" for i, (_, says) in enumerate(SPOILT)])
def test_what_is_damaged_is_refused(spoil: Callable[[Path], object], says: str, tmp_path: Path) -> None:
    folder = tmp_path / "it"
    write_dictionary(Kept(made()), folder)
    spoil(folder)
    with pytest.raises(BadInput, match=says):
        read_dictionary(folder)


@pytest.mark.parametrize("given", [{"lr": float("nan")}, {"x": Path()}, {1: 2}, {"x": "y" * 1_000_000}], ids=repr)
def test_what_json_cannot_hold_is_not_written(given: dict[Any, Any], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="options"):
        write_dictionary(Kept(made(), given), tmp_path)
    with pytest.raises(BadInput, match="digests"):
        write_dictionary(Kept(made(), {}, {"rows": given}), tmp_path)  # type: ignore[dict-item]
    assert not any(tmp_path.iterdir())
