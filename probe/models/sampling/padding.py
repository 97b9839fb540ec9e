"""Rows of tokens of unequal length in one block: ids, and a mask that is 1 on the rows' own tokens and 0 on padding."""

from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor

Rows = Sequence[Sequence[int]]
Block = tuple[Int[Tensor, "batch pos"], Int[Tensor, "batch pos"]]  # ids, mask


def left_padded(rows: Rows, pad: int, device: torch.device | str = "cpu", more: int = 0) -> Block:
    """The last column is the last token of each row; `more` columns than the longest row needs."""
    width = max(map(len, rows)) + more
    ids = torch.tensor([[pad] * (width - len(row)) + list(row) for row in rows], device=device)
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=device)
    return ids, mask


def right_padded(rows: Rows, pad: int, device: torch.device | str = "cpu", more: int = 0) -> Block:
    """The first column is the first token of each row."""
    width = max(map(len, rows)) + more
    ids = torch.tensor([list(row) + [pad] * (width - len(row)) for row in rows], device=device)
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=device)
    return ids, mask
