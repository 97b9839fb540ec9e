"""Fixtures: where the real outputs lie, and one small trained organism; tensor shapes are checked at every call."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jaxtyping import install_import_hook

if TYPE_CHECKING:
    from probe.models.load import Loaded

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported: threads that wait for each other are slow
# Not probe.rl.loss: it checks shapes itself, which is tested, and jaxtyping's errors would come first.
SHAPES_CHECKED = [
    *(
        f"probe.models.{module}"
        for module in ("anatomy", "batches", "cache", "choose", "decode", "forward", "generate", "vllm_sampler")
    ),
    *(f"probe.rl.{module}" for module in ("advantage", "metrics", "policy", "rollout")),
    "probe.tokens",
]
install_import_hook(SHAPES_CHECKED, "typechecking.check")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real outputs; its tests skip, with the reason, where it is absent."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("PROBE_REAL_DATA", default))
    if not folder.is_dir():
        pytest.skip("real outputs are not here: set PROBE_REAL_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def organism() -> "Loaded":
    """A tiny latent-code organism after 120 steps: fluent in both formats, bad at arithmetic. Not to be changed."""
    from probe.models.load import Loaded
    from probe.rl.pretrain import pretrain

    return Loaded(*pretrain("latent-code", "tiny", 0, steps=120))
