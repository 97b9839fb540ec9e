"""Is what was fitted what is there? Activations made of known directions, and how many of them were found again.

    x_m[r] = sum over active j of c[r, j] d_m[j] + noise N(0, 1)     k of n latents in a row, c = |1 + spread N(0, 1)|

A direction is a random unit vector in each model: `cosine` = 1 makes that of `after` the same as in `before`, 0 one of
its own; the first `exclusive[0]` latents are in before alone, the next `exclusive[1]` in after alone. Rows come in
addressed blocks: row i is the same whatever else is drawn. Addresses begin with "planted", never with that of a fit.

    MMCS      mean over true directions of the largest cosine with a found one, all models laid end to end  (2309.08600)
    matched   share of true directions whose largest cosine is above a bar
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.dictionaries.dictionary import Rows
from probe.errors import BadInput
from probe.rng import numpy_rng

BLOCK = 4096
BAR = 0.9
Directions = Float[Tensor, "latent model d"]


@dataclass(frozen=True, eq=False)
class Planted:
    """A truth. Directions have norm 1 in each model they are in, 0 in others."""

    directions: Directions
    k: int
    noise: float
    spread: float
    exclusive: tuple[int, int]
    address: tuple[str | int, ...]

    def rows(self, n: int) -> Rows:
        """The first `n` rows [row model d], float32."""
        blocks = [self._block(number) for number in range(-(-n // BLOCK))]
        return torch.cat(blocks)[:n]

    def _block(self, number: int) -> Rows:
        rng = numpy_rng("planted", *self.address, "rows", number)
        n, m, d = self.directions.shape
        chosen = rng.random((BLOCK, n), dtype=np.float32).argpartition(self.k, axis=1)[:, : self.k]
        f = np.zeros((BLOCK, n), dtype=np.float32)
        np.put_along_axis(f, chosen, np.abs(1 + self.spread * rng.standard_normal(chosen.shape)), axis=1)
        noise = torch.from_numpy(rng.standard_normal((BLOCK, m, d), dtype=np.float32))
        return torch.einsum("rn,nmd->rmd", torch.from_numpy(f), self.directions) + self.noise * noise


def planted(
    n_latents: int,
    d: int,
    k: int,
    *address: str | int,
    models: int = 1,
    cosine: float = 1.0,
    exclusive: tuple[int, int] = (0, 0),
    noise: float = 0.01,
    spread: float = 0.25,
) -> Planted:
    """A truth of that address. BadInput for exclusive latents of other than two models, or too many."""
    if not 0 < k < n_latents or sum(exclusive) > n_latents or min(exclusive) < 0:
        raise BadInput(f"{k} of {n_latents} latents, {exclusive} exclusive", where="planted", do="give fewer")
    if any(exclusive) and models != 2:
        raise BadInput(f"exclusive latents of {models} models", where="planted", do="give before and after")
    rng = numpy_rng("planted", *address, "directions")
    drawn = rng.standard_normal((models, n_latents, d))
    drawn /= np.linalg.norm(drawn, axis=-1, keepdims=True)
    for m in range(1, models):
        drawn[m] = cosine * drawn[0] + (1 - cosine**2) ** 0.5 * _across(drawn[m], drawn[0])
    before, after = exclusive
    if any(exclusive):
        drawn[1, :before] = 0
        drawn[0, before : before + after] = 0
    directions = torch.from_numpy(drawn.swapaxes(0, 1).astype(np.float32)).contiguous()
    return Planted(directions, k, noise, spread, exclusive, address)


def largest_cosines(found: Directions, truth: Directions) -> tuple[Float[Tensor, "latent"], Int[Tensor, "latent"]]:
    """For every true direction the largest cosine with a found one, and which. Models laid end to end."""
    unit = [x.flatten(1) / x.flatten(1).norm(dim=1, keepdim=True).clamp(min=1e-12) for x in (truth, found)]
    cosine = unit[0].float() @ unit[1].float().T
    best = cosine.max(dim=1)
    return best.values, best.indices


def mmcs(found: Directions, truth: Directions) -> float:
    """Mean over true directions of the largest cosine with a found one."""
    return float(largest_cosines(found, truth)[0].mean())


def matched(found: Directions, truth: Directions, bar: float = BAR) -> float:
    """Share of the true directions that were found."""
    return float((largest_cosines(found, truth)[0] > bar).double().mean())


def _across(x: Float[np.ndarray, "latent d"], u: Float[np.ndarray, "latent d"]) -> Float[np.ndarray, "latent d"]:
    """Unit vectors at right angles to `u`, each in the plane of `x` and `u`."""
    x = x - (x * u).sum(-1, keepdims=True) * u
    return x / np.linalg.norm(x, axis=-1, keepdims=True)
