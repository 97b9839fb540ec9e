"""A draw depends on its address and on nothing else."""

import os
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from probe import rng
from probe.errors import BadInput

GOLDEN_ADDRESS = 193859636963876911084441635673559777033
GOLDEN_UNIFORMS = [0.6651970744132996, 0.2850901484489441, 0.321638286113739]
GOLDEN_WORDS = [12270720853157007699, 5258984944112655377]


def test_golden_values() -> None:
    """Changing any of these changes every run ever recorded."""
    assert rng.address("reward", "random", 0, 17) == GOLDEN_ADDRESS
    assert rng.uniforms(3, "golden", 1).tolist() == GOLDEN_UNIFORMS
    assert rng.numpy_rng("golden", 1).bit_generator.random_raw(2).tolist() == GOLDEN_WORDS


def test_addresses_that_look_alike_differ() -> None:
    alike = [
        ("a", "b"),
        ("ab",),
        ("a,b",),
        ('a","b',),
        ("a", "b", ""),
        (1,),
        ("1",),
        (-1,),
        (1, 0),
        (10,),
        ("é",),
        ("\\u00e9",),
    ]
    assert len({rng.address(*parts) for parts in alike}) == len(alike)
    assert all(0 <= rng.address(*parts) < 2**128 for parts in alike)


@pytest.mark.parametrize(
    "part", [True, 1.0, np.int64(1), np.int32(1), np.float64(1), np.bool_(True), np.str_("a"), None, b"a", (1,)]
)
def test_parts_that_are_not_plain_are_refused(part: object) -> None:
    with pytest.raises(BadInput, match="part 1 of a random address") as caught:
        rng.address("a", part)  # type: ignore[arg-type]
    assert "int()" in caught.value.do


def test_an_empty_address_and_a_negative_size_are_refused() -> None:
    with pytest.raises(BadInput, match="empty"):
        rng.numpy_rng()
    with pytest.raises(BadInput, match="-1 uniform draws"):
        rng.uniforms(-1, "a")


def test_draws_do_not_depend_on_what_was_drawn_before() -> None:
    first = rng.uniforms(8, "order", 1)
    rng.numpy_rng("order", 2).normal(size=100)
    np.random.default_rng(0).random(5)
    assert np.array_equal(first, rng.uniforms(8, "order", 1))
    assert np.array_equal(first[:3], rng.uniforms(3, "order", 1))


def test_draws_do_not_depend_on_the_process() -> None:
    program = "from probe import rng; print(rng.address('x', 1), rng.uniforms(2, 'x', 1).tolist())"
    other = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert other.stdout.split(" ", 1) == [str(rng.address("x", 1)), f"{rng.uniforms(2, 'x', 1).tolist()}\n"]


def test_uniforms_are_uniform_within_and_across_addresses() -> None:
    within = rng.uniforms(100_000, "within")
    across = np.concatenate([rng.uniforms(1, "across", i) for i in range(5_000)])
    assert within.dtype == np.float32 and within.shape == (100_000,)
    assert stats.kstest(within, "uniform").pvalue > 0.001
    assert stats.kstest(across, "uniform").pvalue > 0.001
    assert abs(np.corrcoef(across[1:], across[:-1])[0, 1]) < 0.05


def test_uniforms_never_reach_the_ends() -> None:
    """By hand: the extreme words give 2^-24 and 1 - 2^-24, both exact in float32."""
    ends = ((np.array([0, 2**23 - 1], dtype=np.uint64) + 0.5) * 2.0**-23).astype(np.float32)
    assert ends.tolist() == [2.0**-24, 1 - 2.0**-24]
    draws = rng.uniforms(2_000_000, "ends")
    assert 0 < draws.min() and draws.max() < 1
    assert np.isfinite(np.log(draws)).all() and np.isfinite(np.log1p(-draws)).all()


def test_importing_loads_no_torch() -> None:
    program = "import sys, probe.rng, probe.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_torch_streams_are_addressed() -> None:
    torch = pytest.importorskip("torch")
    before = torch.random.get_rng_state()
    one, again, other = (torch.rand(1000, generator=rng.torch_rng("t", i)) for i in (1, 1, 2))
    assert torch.equal(one, again) and not torch.isclose(one, other).all()
    assert torch.equal(before, torch.random.get_rng_state())  # the global stream was not touched


def test_torch_streams_use_the_whole_state() -> None:
    """Plain seeding keeps 32 bits, so seeds 2^32 apart share a stream; addressed generators fill every word."""
    torch = pytest.importorskip("torch")
    plain = [torch.rand(4, generator=torch.Generator().manual_seed(seed)) for seed in (5, 5 + 2**32)]
    assert torch.equal(*plain)
    words = rng.torch_rng("t", 1).get_state().numpy().view(np.uint64)[3:627]
    assert words.tolist() == (rng.numpy_rng("t", 1).bit_generator.random_raw(624) >> np.uint64(32)).tolist()


def test_torch_draws_have_the_right_distribution() -> None:
    torch = pytest.importorskip("torch")
    generator = rng.torch_rng("distribution")
    assert stats.kstest(torch.rand(50_000, generator=generator).numpy(), "uniform").pvalue > 0.001
    assert stats.kstest(torch.randn(50_000, generator=generator).numpy(), "norm").pvalue > 0.001
    firsts = [float(torch.rand(1, generator=rng.torch_rng("first", i))) for i in range(2_000)]
    assert stats.kstest(firsts, "uniform").pvalue > 0.001
