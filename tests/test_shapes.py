"""Shapes of tensors are checked at every call of the modules that conftest names, while tests run."""

from importlib import import_module

import pytest
import torch
from conftest import SHAPES_CHECKED
from jaxtyping import TypeCheckError

from probe.models.hooks.anatomy import positions
from probe.models.sampling.inverse_cdf import choose


@pytest.mark.parametrize("name", SHAPES_CHECKED)
def test_what_is_checked_is_there(name: str) -> None:
    assert import_module(name)


def test_a_wrong_shape_is_seen() -> None:
    with pytest.raises(TypeCheckError):
        choose(torch.zeros(3), None)
    with pytest.raises(TypeCheckError):
        positions(torch.ones(3))
