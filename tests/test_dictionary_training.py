"""Training: planted directions are found again, no worse than by SAELens; kills change no bit; constraints hold."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from probe.dictionaries.activation import JumpReLU, TopK
from probe.dictionaries.dictionary import Dictionary
from probe.dictionaries.fitting import training
from probe.dictionaries.fitting.health import health
from probe.dictionaries.fitting.options import Fit
from probe.dictionaries.fitting.parameters import start, to_dictionary
from probe.dictionaries.fitting.planted import Planted, largest_cosines, matched, mmcs, planted
from probe.dictionaries.fitting.state import STATE
from probe.dictionaries.fitting.stream import Stream, Table
from probe.dictionaries.fitting.training import train
from probe.errors import BadInput, ProbeError
from probe.models.hooks.sites import site
from probe.store import Damaged

NAMES = ("before", "after")
SHORT = Fit(24, 3, batch=64, held=128, steps=30, lr=5e-3, warm_up=5, dead_after=500, seed=("short",))
KINDS = {
    "topk": replace(SHORT, activation="topk"),
    "batchtopk": SHORT,
    "jumprelu": replace(SHORT, activation="jumprelu"),
    "matryoshka": replace(SHORT, activation="matryoshka", prefixes=(6, 12)),
}
LONG = Fit(96, 3, batch=512, held=2048, steps=700, lr=1e-2, warm_up=20, dead_after=5000)


def small(models: int = 1, rows: int = 800) -> Table:
    truth = planted(20, 8, 3, "small", models=models, cosine=0.5)
    return Table(truth.rows(rows), site("resid.1"), NAMES[:models] if models == 2 else ("model",))


def tensors(dictionary: Dictionary) -> list[Tensor]:
    told = [dictionary.W_enc, dictionary.b_enc, dictionary.W_dec, dictionary.b_dec, dictionary.scale]
    return told + ([dictionary.activation.threshold] if isinstance(dictionary.activation, JumpReLU) else [])


def relative_norm(W_dec: Tensor) -> Tensor:
    """0: before alone, .5: both alike, 1: after alone (2504.02922)."""
    before, after = W_dec.norm(dim=2).unbind(1)
    return 0.5 * ((after - before) / torch.maximum(after, before) + 1)


@pytest.mark.parametrize("activation", ["topk", "batchtopk", "jumprelu"])
def test_planted_directions_are_found(activation: Any) -> None:
    truth = planted(48, 32, 3, "found")
    rows = truth.rows(34_000)
    found = train(Table(rows[:30_000]), replace(LONG, activation=activation))
    assert mmcs(found.W_dec, truth.directions) > 0.97
    assert matched(found.W_dec, truth.directions) > 0.95
    held = health(found, [rows[30_000:]])
    assert held.fvu[0] < 0.04
    assert held.l0 == pytest.approx(3, rel=0.05)


def test_jumprelu_ends_at_its_target_where_more_latents_would_say_more() -> None:
    """Its penalty comes to rest above; the thresholds that come back let k through, on rows that none has seen."""
    truth, log = planted(48, 32, 6, "more"), []
    rows = truth.rows(14_000)
    fit = replace(LONG, activation="jumprelu", steps=300)
    found = train(Table(rows[:12_000]), fit, every=300, on_log=log.append)
    assert log[-1]["l0"] > 1.08 * fit.k
    assert health(found, [rows[12_000:]]).l0 == pytest.approx(fit.k, rel=0.04)


def test_prefixes_reconstruct_alone() -> None:
    """The first latents of a matryoshka say far more than the first of a dictionary that never was asked."""
    truth = planted(48, 32, 3, "prefixes")
    rows = truth.rows(22_000)
    fit = replace(LONG, activation="matryoshka", prefixes=(12, 48), steps=400)
    fvu = []
    for each in (fit, replace(fit, activation="batchtopk", prefixes=())):
        found = train(Table(rows[:20_000]), each)
        first = torch.arange(found.n_latents) < 12
        x = rows[20_000:]
        missed = (found.decode(found.encode(x) * first) - x).square().sum()
        fvu.append(float(missed / (x - x.mean(0)).square().sum()))
    assert fvu[0] < fvu[1] - 0.05


def saelens(rows: Tensor, fit: Fit) -> tuple[Any, Any]:
    """SAELens' TopK trainer on the same rows, brought to the same size, in the same order, at the same rate."""
    from sae_lens import LoggingConfig, SAETrainer, TopKTrainingSAE, TopKTrainingSAEConfig
    from sae_lens.config import SAETrainerConfig

    config = {"d_in": rows.shape[1], "d_sae": fit.n_latents, "k": int(fit.k), "decoder_init_norm": 1.0}
    torch.manual_seed(7)
    sae = TopKTrainingSAE(TopKTrainingSAEConfig(**config, dtype="float32", device="cpu"))
    stream = Stream(Table(rows[:, None]), fit.batch, fit.held, ("dictionary", *fit.seed))
    held = torch.cat(list(stream.held_rows()))[:, 0]
    mean, scale = held.mean(0), 1 / (held - held.mean(0)).square().mean().sqrt()
    with torch.no_grad():
        sae.b_dec.copy_(mean * scale)

    def batches() -> Iterator[Tensor]:
        yield from (stream.read(t)[:, 0] * scale for t in range(fit.steps))

    trainer = SAETrainer(
        cfg=SAETrainerConfig(
            total_training_samples=fit.steps * fit.batch,
            train_batch_size_samples=fit.batch,
            lr=fit.lr,
            lr_end=fit.lr / 10,
            lr_warm_up_steps=fit.warm_up,
            lr_decay_steps=int(fit.decay * fit.steps),
            dead_feature_window=max(1, fit.dead_after // fit.batch),
            logger=LoggingConfig(log_to_wandb=False),
        ),
        sae=sae,
        data_provider=batches(),
    )
    for _ in range(fit.steps):
        trainer.step(next(trainer.data_provider))
        trainer.n_training_steps += 1
    return sae, scale


@pytest.mark.filterwarnings("ignore")  # of what it imports
def test_no_worse_than_saelens_at_the_same_steps_batch_and_rate() -> None:
    truth = planted(48, 32, 3, "beside")
    rows = truth.rows(34_000)
    fit = replace(LONG, activation="topk", steps=400, lr=3e-3, k_start=3.0)
    mine = train(Table(rows[:30_000]), fit)
    theirs, scale = saelens(rows[:30_000, 0], fit)
    x = rows[30_000:, 0]
    with torch.no_grad():
        missed = (theirs(x * scale) / scale - x).square().sum() / (x - x.mean(0)).square().sum()
    assert mmcs(mine.W_dec, truth.directions) >= mmcs(theirs.W_dec.detach()[:, None], truth.directions) - 0.01
    assert health(mine, [x[:, None]]).fvu[0] <= float(missed) + 0.005


def exclusives(found: Dictionary, truth: Planted, rows: Tensor) -> tuple[float, float]:
    """Precision and recall of "one model's alone" by relative decoder norm, among latents that fire."""
    norm, live = relative_norm(found.W_dec), (found.encode(rows) > 0).any(0)
    n = sum(truth.exclusive)
    flagged = ((norm < 0.1) | (norm > 0.9)) & live
    _, nearest_truth = largest_cosines(truth.directions, found.W_dec)
    cosine, latent = largest_cosines(found.W_dec, truth.directions)
    right = flagged[latent[:n]] & (cosine[:n] > 0.9)
    return float((nearest_truth[flagged] < n).double().mean()), float(right.double().mean())


def test_planted_exclusives_are_found_and_none_in_a_model_beside_itself() -> None:
    truth = planted(48, 32, 3, "exclusive", models=2, exclusive=(8, 8))
    rows = truth.rows(34_000)
    found = train(Table(rows[:30_000], models=NAMES), LONG)
    precision, recall = exclusives(found, truth, rows[30_000:])
    assert precision >= 0.95
    assert recall >= 0.95
    itself = train(Table(rows[:30_000, [0, 0]], models=NAMES), replace(LONG, steps=300))
    norm = relative_norm(itself.W_dec)
    assert not ((norm < 0.1) | (norm > 0.9)).any()
    assert ((norm > 0.4) & (norm < 0.6)).double().mean() > 0.9


def test_own_latents_have_no_part_in_the_other_model() -> None:
    """A partition holds the other side at exactly 0; planted exclusives move into it, what is shared does not."""
    truth = planted(48, 32, 3, "own", models=2, exclusive=(8, 8))
    rows = truth.rows(22_000)
    fit = replace(LONG, partition=(12, 12), delta=0.5, steps=500)
    found = train(Table(rows[:20_000], models=NAMES), fit)
    for W in (found.W_dec, found.W_enc.permute(2, 0, 1)):
        assert not W[:12, 1].any()
        assert not W[12:24, 0].any()
        assert W[:12, 0].abs().amin(0).max() > 0
        assert W[24:].any()
    cosine, latent = largest_cosines(found.W_dec, truth.directions)
    moved = torch.cat([latent[:8] < 12, (latent[8:16] >= 12) & (latent[8:16] < 24)])
    assert moved.double().mean() > 0.4  # by chance .125
    assert (latent[16:] >= 24).all()
    assert cosine[:16].mean() > 0.9


def test_only_the_difference_is_learned_at_minus_one() -> None:
    """x^_after - x^_before says the difference as well as an SAE of it does; each side alone says little."""
    truth = planted(48, 32, 3, "difference", models=2, exclusive=(4, 4))
    rows = truth.rows(22_000)
    fit = replace(LONG, n_latents=48, k=3, steps=400)
    pair = train(Table(rows[:20_000], models=NAMES), replace(fit, difference=-1.0))
    x, delta = rows[20_000:], (rows[20_000:, 1] - rows[20_000:, 0])
    said = pair.reconstruct(x)
    alone = train(Table((rows[:20_000, 1] - rows[:20_000, 0])[:, None]), fit)

    def fvu(guess: Tensor) -> float:
        return float((guess - delta).square().sum() / (delta - delta.mean(0)).square().sum())

    assert fvu(said[:, 1] - said[:, 0]) < fvu(alone.reconstruct(delta[:, None])[:, 0]) + 0.05
    assert health(pair, [x]).fvu[0] > 0.4


@pytest.mark.parametrize("models", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_training_goes_on_to_the_same_bits(
    kind: str, models: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, fit, whole, parts = small(models), KINDS[kind], [], []
    true = train(source, fit, folder=tmp_path / "whole", every=7, on_log=whole.append)
    writes, kept = 0, training.keep_state

    def killed(*args: Any, **options: Any) -> None:
        nonlocal writes
        writes += 1
        if writes == 3:  # after 21 steps, of which 14 are kept
            raise KeyboardInterrupt
        kept(*args, **options)

    monkeypatch.setattr(training, "keep_state", killed)
    with pytest.raises(KeyboardInterrupt):
        train(source, fit, folder=tmp_path / "killed", every=7, on_log=parts.append)
    monkeypatch.setattr(training, "keep_state", kept)
    assert len(parts) == 3
    resumed = train(source, fit, folder=tmp_path / "killed", every=7, on_log=parts.append)
    assert all(torch.equal(a, b) for a, b in zip(tensors(true), tensors(resumed), strict=True))
    assert parts[:2] + parts[3:] == whole
    assert (tmp_path / "killed" / "log.jsonl").read_text() == (tmp_path / "whole" / "log.jsonl").read_text()
    assert sorted(p.name for p in (tmp_path / "killed").iterdir()) == sorted(
        ["log.jsonl", STATE, "state-00000030.safetensors"]
    )


def test_a_kill_between_the_files_of_a_state_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from probe.dictionaries.fitting import state

    true, write, count = train(small(), SHORT), state.write_atomic, 0

    def killed(path: Path, data: bytes) -> None:
        nonlocal count
        count += path.name == STATE
        if count == 2:
            raise KeyboardInterrupt
        write(path, data)

    monkeypatch.setattr(state, "write_atomic", killed)
    with pytest.raises(KeyboardInterrupt):
        train(small(), SHORT, folder=tmp_path, every=10)
    monkeypatch.setattr(state, "write_atomic", write)
    assert len(list(tmp_path.glob("state-*.safetensors"))) == 2
    again = train(small(), SHORT, folder=tmp_path, every=10)
    assert all(torch.equal(a, b) for a, b in zip(tensors(true), tensors(again), strict=True))


def test_states_of_something_else_and_damaged_ones(tmp_path: Path) -> None:
    train(small(), SHORT, folder=tmp_path, every=10)
    with pytest.raises(BadInput, match="another recipe's"):
        train(small(), replace(SHORT, lr=1e-3), folder=tmp_path)
    with pytest.raises(BadInput, match="of other rows"):
        train(small(rows=700), SHORT, folder=tmp_path)
    file = next(tmp_path.glob("state-*.safetensors"))
    file.write_bytes(file.read_bytes()[:-1] + b"\xff")
    with pytest.raises(Damaged, match="sha256"):
        train(small(), SHORT, folder=tmp_path)
    (tmp_path / STATE).write_text("[1")
    with pytest.raises(Damaged, match="empty the folder"):
        train(small(), SHORT, folder=tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_what_comes_back(kind: str) -> None:
    """Unit joint decoder norms, the recipe's activation, the mean at first, and a log a step that was asked for."""
    source, log = small(2), []
    found = train(source, KINDS[kind], every=10, on_log=log.append)
    torch.testing.assert_close(found.W_dec.flatten(1).norm(dim=1), torch.ones(24))
    assert isinstance(found.activation, TopK if kind == "topk" else JumpReLU)
    assert (found.site, found.models, found.n_latents, found.d) == (site("resid.1"), NAMES, 24, 8)
    assert [row["step"] for row in log] == [9, 19, 29]
    assert set(log[0]) == {"step", "loss", "fvu", "l0", "dead", "lr"}
    assert all(len(row["fvu"]) == 2 for row in log)
    assert log[-1]["loss"] < log[0]["loss"]
    scaled = (source.values - source.values.mean(0)) * found.scale[:, None]
    assert scaled.square().mean((0, 2)).sqrt().tolist() == pytest.approx([1.0, 1.0], rel=0.05)
    if kind in ("batchtopk", "matryoshka"):
        stream = Stream(source, SHORT.batch, SHORT.held, ("dictionary", "short"))
        held = torch.cat(list(stream.held_rows()))
        assert float((found.encode(held) > 0).sum()) / len(held) == pytest.approx(SHORT.k, abs=0.01)


def test_the_same_seed_gives_the_same_bits_and_another_others() -> None:
    one, again, other = (train(small(), replace(SHORT, seed=(seed,))) for seed in ("a", "a", "b"))
    assert torch.equal(one.W_dec, again.W_dec)
    assert not torch.allclose(one.W_dec, other.W_dec, atol=0.1)


def test_scale_takes_units_out() -> None:
    """A model whose activations are 1000 times as large counts as much, and its reconstruction has its own size."""
    source = small(2)
    sizes = torch.tensor([1.0, 1000.0])[:, None]
    plain, large = train(source, SHORT), train(replace(source, values=source.values * sizes), SHORT)
    torch.testing.assert_close(large.scale, plain.scale / sizes[:, 0])
    x = source.values[:50]
    torch.testing.assert_close(large.reconstruct(x * sizes) / sizes, plain.reconstruct(x), rtol=0.02, atol=0.02)


def test_dead_latents_come_back_where_they_are_asked_to() -> None:
    """Encoders pushed far below 0 never fire again without the aux term."""
    truth = planted(48, 32, 3, "dead")
    source, shares = Table(truth.rows(12_000)), []
    fit = replace(LONG, n_latents=96, steps=300, dead_after=2000, k_start=3.0, lr=2e-2)
    for aux in (0.0, 1.0):
        log: list[dict[str, Any]] = []
        train(source, replace(fit, aux=aux), on_log=log.append)
        shares.append(log[-1]["dead"])
    assert shares[1] < shares[0]


def test_rows_that_cannot_be_fitted() -> None:
    nothing = Table(torch.ones(800, 1, 8))
    with pytest.raises(BadInput, match="spread by"):
        train(nothing, SHORT)
    bad = small()
    bad.values[3:700] = torch.nan
    with pytest.raises((BadInput, ProbeError), match="nan|finite"):
        train(bad, SHORT)
    with pytest.raises(BadInput, match="of 1 models"):
        train(small(), replace(SHORT, difference=-0.5))
    with pytest.raises(BadInput, match="of 1 models"):
        train(small(), replace(SHORT, partition=(3, 3)))
    with pytest.raises(BadInput, match="held"):
        train(small(rows=150), SHORT)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"activation": "topkk"}, "no such choice"),
        ({"dtype": "float16"}, "no such choice"),
        ({"k": 0}, "k is 0"),
        ({"k": 2.5, "activation": "topk"}, "k is 2.5"),
        ({"k": 30}, "k is 30"),
        ({"k_start": 2.0}, "at first 2.0"),
        ({"difference": 0.5}, "difference is 0.5"),
        ({"difference": -1.5}, "difference is -1.5"),
        ({"decay": 1.5}, "decay is 1.5"),
        ({"lr": 0.0}, "lr is 0"),
        ({"steps": 0}, "steps is 0"),
        ({"aux": -1.0}, "aux is -1"),
        ({"aux_k": 0}, "aux_k is 0"),
        ({"activation": "matryoshka"}, "prefixes"),
        ({"prefixes": (4,)}, "prefixes"),
        ({"activation": "matryoshka", "prefixes": (8, 4)}, "prefixes"),
        ({"activation": "matryoshka", "prefixes": (8, 24)}, "prefixes"),
        ({"partition": (20, 5)}, "partition"),
        ({"partition": (-1, 5)}, "partition"),
        ({"partition": (2, 2), "activation": "matryoshka", "prefixes": (4,)}, "partition"),
        ({"delta": 1.0}, "delta without"),
        ({"rms": float("nan")}, "rms is nan"),
    ],
)
def test_options_that_cannot_be_meant(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        replace(SHORT, **change)


@pytest.mark.parametrize("part", ["W_dec", "W_enc"])
def test_what_is_frozen_stays_as_it_was_drawn(part: str) -> None:
    """And the rest learns: less is left over than without any update."""
    truth = planted(24, 16, 3, "frozen")
    source, fit = Table(truth.rows(3000)), Fit(24, 3, steps=150, batch=256, held=512, frozen=part)  # type: ignore[arg-type]
    log: list[dict[str, Any]] = []
    found = train(source, fit, every=50, on_log=log.append)
    begun = to_dictionary(
        start(fit, list(Stream(source, 256, 512, ("dictionary", 0)).held_rows())), fit, source.site, source.models
    )
    other = "W_enc" if part == "W_dec" else "W_dec"
    assert torch.equal(getattr(found, part), getattr(begun, part))
    assert not torch.equal(getattr(found, other), getattr(begun, other))
    assert log[-1]["fvu"][0] < log[0]["fvu"][0]
