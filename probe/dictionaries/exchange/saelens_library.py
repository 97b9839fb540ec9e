"""SAELens itself, where it is wanted: imported only then (seconds), and without what its imports warn of."""

import importlib
import warnings
from typing import Any

from probe.errors import BadInput


def sae_lens(part: str = "") -> Any:
    """The module sae_lens, or a part of it. BadInput where it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it imports names that TransformerLens has deprecated
            importlib.import_module("sae_lens")
            return importlib.import_module(f"sae_lens.{part}" if part else "sae_lens")
    except ImportError as err:
        do = "pip install 'sae-lens>=6.50'"
        raise BadInput(f"SAELens cannot be imported: {err}", where="sae_lens", do=do) from err
