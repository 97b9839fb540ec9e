"""What would the same amount of movement have done in another direction? A walk matched to a run, step by step.

    w_0 = v_0;   w_{k+1} = w_k + d_k         row i of d_k: a Gaussian direction, as long as row i of v_{k+1} - v_k

v_k are the trained tensors that a run kept after its batches (`step-<n>.safetensors`), the base first. A row is a row
of a matrix (a word of the head, an output of a layer); a vector is one row. So a walk changes what the run changed, by
as much at every kept step and row, in a direction that knows nothing of rewards: the null of "any change would do".
Unlike a single Gaussian change of the whole (`transplant.perturbed`), steps that turned back in the run do not cancel.
Left out: what a run did between two kept steps (keep every batch: save_every=1).
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from probe.errors import BadInput
from probe.rng import torch_rng

Overlay = Mapping[str, Tensor]  # trained tensors by their name in the checkpoint


def random_walk(path: Sequence[Overlay], *address: str | int) -> Iterator[dict[str, Tensor]]:
    """The walk beside `path`, one overlay for each of its own, the first the same. BadInput where they do not match."""
    if len(path) < 2:
        raise BadInput(
            f"a path of {len(path)} steps", where="random_walk", do="give the base and one kept step at least"
        )
    here = {name: tensor.clone() for name, tensor in path[0].items()}
    yield here
    for step, (before, after) in enumerate(itertools.pairwise(path)):
        here = moved(here, before, after, *address, step)
        yield here


@torch.no_grad()
def moved(here: Overlay, before: Overlay, after: Overlay, *address: str | int) -> dict[str, Tensor]:
    """`here` moved at random by as much as `after` is from `before`, row by row; one addressed draw."""
    if not here.keys() == before.keys() == after.keys():
        raise BadInput("the overlays hold other tensors", where="random walk", do="give steps of one run")
    wrong = [name for name in here if not here[name].shape == before[name].shape == after[name].shape]
    if wrong:
        raise BadInput(f"{wrong[0]} is not of one shape", where="random walk", do="give steps of one run")
    return {name: _moved(here[name], after[name] - before[name], *address, name) for name in here}


def row_norms(change: Tensor) -> Float[Tensor, "row"]:
    """The length of each row, in fp32."""
    return _rows(change).float().norm(dim=1)


def _moved(here: Tensor, change: Tensor, *address: str | int) -> Tensor:
    noise = torch.randn(_rows(change).shape, generator=torch_rng(*address, "random walk")).to(change.device)
    step = noise / row_norms(noise)[:, None] * row_norms(change)[:, None]
    return (here.float() + step.view(change.shape)).to(here.dtype)


def _rows(tensor: Tensor) -> Float[Tensor, "row column"]:
    return tensor.flatten(1) if tensor.ndim > 1 else tensor.reshape(1, -1)
