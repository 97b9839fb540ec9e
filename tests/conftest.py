"""Fixtures: where the real outputs lie, and a store that no test shares with another."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real outputs; its tests skip, with the reason, where it is absent."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("PROBE_REAL_DATA", default))
    if not folder.is_dir():
        pytest.skip("real outputs are not here: set PROBE_REAL_DATA to their folder")
    return folder
