"""How long do the matrix products of a piece of work take when nothing else is done?

`record` notes the shapes and strides of the operands of every mm, addmm and bmm that a function runs, forward and
backward, in their order. `replayer` does `torch.mm(..., out=...)` of the same on other numbers. The products inside
attention kernels are counted and not replayed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

WHOLE = ("aten::linear", "aten::matmul", "aten::scaled_dot_product_attention")  # not taken apart in inference mode


@dataclass(frozen=True)
class Products:
    """Every product of a round, in order: (shape, strides) of its two operands; and the FLOPs of attention kernels."""

    operands: list[tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]]
    attention_flop: int


def record(run: Callable[[], Any]) -> Products:
    """The matrix products of one round, forward and backward."""
    found: list[Any] = []
    attention: list[int] = []

    class Recorder(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            name = func._schema.name
            if name in WHOLE:
                with self:
                    return func.decompose(*args, **(kwargs or {}))
            if name in ("aten::mm", "aten::bmm", "aten::addmm"):
                found.append(tuple((tuple(a.shape), a.stride()) for a in args[-2:]))
            elif "flash_attention" in name:
                q, k = args[1:3] if "backward" in name else args[:2]
                attention.append((10 if "backward" in name else 4) * q.numel() * k.shape[2])
            return func(*args, **(kwargs or {}))

    with Recorder():
        run()
    return Products(found, sum(attention))


def replayer(products: Products) -> Callable[[int], dict[str, Any]]:
    """Does the same products on other numbers, into outputs that exist already. (The round it is given is ignored.)"""
    places: dict[Any, Any] = {}
    calls, flop = [], 0
    for pair in products.operands:
        if pair not in places:
            a, b = (torch.empty_strided(shape, stride).normal_() for shape, stride in pair)
            places[pair] = (torch.bmm if a.ndim == 3 else torch.mm, a, b, a @ b)
        calls.append(places[pair])
        flop += 2 * places[pair][1].numel() * places[pair][2].shape[-1]

    def replay(_: int) -> dict[str, Any]:
        for product, a, b, out in calls:
            product(a, b, out=out)
        return {"gflop": flop / 1e9, "attention_gflop": products.attention_flop / 1e9, "products": len(calls)}

    return replay
