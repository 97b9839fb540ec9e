"""Hook names and sites, and SAELens' own trainer behind our call: what it gives back is what it holds."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from made_dictionaries import draw
from torch import Tensor

from probe.dictionaries.activation import JumpReLU, ReLU, TopK
from probe.dictionaries.dictionary import Dictionary
from probe.dictionaries.exchange.by_saelens import CLASSES, SaeLensFit, fit_by_saelens
from probe.dictionaries.exchange.hook_names import hook_of, site_of
from probe.dictionaries.exchange.saelens_library import sae_lens
from probe.errors import BadInput
from probe.models.hooks.sites import Site, site

HOOKS = {
    "blocks.0.hook_resid_pre": "resid.0",
    "blocks.5.hook_resid_pre": "resid.5",
    "blocks.5.hook_resid_post": "resid.6",
    "blocks.5.hook_in": "resid.5",
    "blocks.5.hook_out": "resid.6",
    "blocks.5.hook_attn_out": "attn.5",
    "blocks.5.attn.hook_out": "attn.5",
    "blocks.5.hook_mlp_out": "mlp.5",
    "blocks.5.mlp.hook_out": "mlp.5",
    "model.layers.5": "resid.6",
    "model.layers.5.mlp": "mlp.5",
    "model.layers.5.self_attn": "attn.5",
    "transformer.h.5": "resid.6",
}


@pytest.mark.parametrize(("hook", "name"), HOOKS.items())
def test_a_hook_name_is_a_site(hook: str, name: str) -> None:
    assert site_of(hook) == site(name)


@pytest.mark.parametrize("name", ["resid.0", "resid.1", "resid.28", "attn.0", "mlp.7", "head.3.11"])
def test_a_site_is_a_hook_name_and_back(name: str) -> None:
    assert site_of(*hook_of(site(name))) == site(name)


def test_the_stream_after_the_last_block_has_a_hook_name() -> None:
    assert hook_of(Site("resid", 28)) == ("blocks.27.hook_resid_post", None)


@pytest.mark.parametrize(
    ("hook", "head"),
    [
        ("blocks.5.hook_resid_mid", None),
        ("blocks.5.attn.hook_z", None),
        ("blocks.5.hook_mlp_out", 3),
        ("blocks.x.hook_resid_pre", None),
        ("blocks.5.hook_resid_pre\n", None),
        ("hook_embed", None),
        ("model.layers", None),
        ("", None),
    ],
)
def test_a_hook_name_of_no_site_is_refused(hook: str, head: int | None) -> None:
    with pytest.raises(BadInput, match="no site here is"):
        site_of(hook, head)


def test_hook_names_are_where_transformer_lens_has_them() -> None:
    """On a tiny Llama: what TransformerLens stores under a name is what stands at the site."""
    import warnings

    from outside_checkpoints import byte_tokenizer, tiny

    from probe.models.hooks.backends import backend
    from probe.models.loading.loaded import Loaded

    loaded = Loaded(tiny("llama", 330), byte_tokenizer())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lens: Any = backend("transformer-lens", loaded)
    sites = [site(name) for name in ("resid.0", "resid.1", "resid.2", "attn.1", "mlp.0")]
    ids = torch.arange(3, 11)[None]
    read = backend("hooks", loaded).read(ids, sites)
    names = {hook_of(each)[0]: each for each in sites}
    with torch.no_grad():
        cache = lens.bridge.run_with_cache(ids, names_filter=list(names))[1]
    for name, each in names.items():
        assert (cache[name] - read[each]).abs().max() < 1e-5, name


D, N, K, ROWS = 16, 24, 3, 256


def batches(n: int) -> Iterator[Tensor]:
    """Sparse sums of 24 directions, and a mean."""
    truth = draw(N, D, at="planted directions")
    truth = truth / truth.norm(dim=-1, keepdim=True)
    for number in range(n):
        strength = draw(ROWS, N, at=f"strengths {number}").abs() * (draw(ROWS, N, at=f"which {number}") > 1.2)
        yield (strength @ truth + 0.5)[:, None]


def options(architecture: Any, **change: Any) -> SaeLensFit:
    given: dict[str, Any] = {"n_latents": N, "steps": 60, "lr": 3e-3, "lr_end": 3e-3, "k": K, "sparsity": 1e-3}
    widths = (8, N) if architecture == "matryoshka" else ()
    return SaeLensFit(**given | {"architecture": architecture, "widths": widths, **change})


def fitted(architecture: Any, seed: int = 0, **change: Any) -> Dictionary:
    made = options(architecture, **change)
    return fit_by_saelens(batches(made.steps), made, site("resid.2"), "tiny", "fit", seed)


def unexplained(dictionary: Dictionary) -> float:
    x = torch.cat([*batches(4)])
    return float((x - dictionary.reconstruct(x)).pow(2).sum() / (x - x.mean(0)).pow(2).sum())


@pytest.mark.parametrize("architecture", CLASSES)
def test_its_trainer_learns_and_its_dictionary_comes_back(architecture: str) -> None:
    short, long = fitted(architecture, steps=1), fitted(architecture)
    assert unexplained(long) < 0.7 * unexplained(short)
    assert (long.site, long.models, long.n_latents) == (site("resid.2"), ("tiny",), N)
    kind = {"standard": ReLU, "topk": TopK}.get(architecture, JumpReLU)
    assert type(long.activation) is kind


@pytest.mark.parametrize("warm_up", [1, 10, 59])
def test_rates_rise_and_end_where_they_should(warm_up: int) -> None:
    assert unexplained(fitted("jumprelu", lr_end=1e-4, warm_up=warm_up)) < unexplained(fitted("jumprelu", steps=1))


def test_it_is_the_trainer_of_saelens_step_by_step() -> None:
    """The same start by hand, through `fit`: the same weights."""
    library, made = sae_lens(), options("topk", steps=5)
    start = fit_by_saelens(
        batches(1), options("topk", steps=1, lr=1e-30, lr_end=1e-30), site("mlp.0"), "tiny", "fit", 0
    )
    config = library.TopKTrainingSAEConfig(d_in=D, d_sae=N, k=K, decoder_init_norm=1.0)
    with torch.random.fork_rng(devices=[]):
        sae = library.TopKTrainingSAE(config)
    with torch.no_grad():
        sae.W_enc.copy_(start.W_enc[0])
        sae.W_dec.copy_(start.W_dec[:, 0])
        sae.b_dec.copy_(next(batches(1))[:, 0].mean(0))
    trainer = library.SAETrainer(
        cfg=sae_lens("config").SAETrainerConfig(
            total_training_samples=5 * ROWS, train_batch_size_samples=ROWS, lr=3e-3, lr_end=3e-3
        ),
        sae=sae,
        data_provider=(batch[:, 0] for batch in batches(5)),
    )
    trainer.fit()
    ours = fit_by_saelens(batches(5), made, site("mlp.0"), "tiny", "fit", 0)
    x = torch.cat([*batches(2)])
    with torch.no_grad():
        assert (sae(x[:, 0]) - ours.reconstruct(x)[:, 0]).abs().max() < 1e-5


def test_draws_are_addressed_and_the_global_stream_stays() -> None:
    before = torch.get_rng_state()
    first, again, other = (fitted("topk", seed, steps=2) for seed in (0, 0, 1))
    assert torch.equal(first.W_dec, again.W_dec) and not torch.equal(first.W_dec, other.W_dec)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    "change",
    [
        {"architecture": "softmax"},
        {"steps": 0},
        {"k": 0},
        {"k": 2.5},
        {"k": N + 1},
        {"k": float("nan")},
        {"n_latents": 0},
        {"lr": 0},
        {"lr_end": 1.0},
        {"lr_end": float("nan")},
        {"warm_up": 60},
        {"architecture": "matryoshka", "widths": (8,)},
        {"architecture": "matryoshka", "widths": (8, N - 1)},
        {"architecture": "matryoshka", "widths": (12, 8, N)},
        {"architecture": "matryoshka", "widths": (0, N)},
    ],
    ids=str,
)
def test_options_that_cannot_be_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        options(**{"architecture": "topk", **change})


def test_lr_end_must_be_given() -> None:
    with pytest.raises(TypeError, match="lr_end"):
        SaeLensFit(n_latents=4, steps=1, lr=1e-3)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([], "ended after 0 of 60"),
        ([*batches(2)], "ended after 2 of 60"),
        ([torch.ones(4, 2, D)], r"a batch of shape \(4, 2, 16\)"),
        ([torch.ones(4, D)], r"a batch of shape \(4, 16\)"),
    ],
)
def test_batches_of_a_pair_or_too_few_are_refused(given: list[Tensor], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        fit_by_saelens(given, options("topk"), site("mlp.0"), "tiny", "fit")
