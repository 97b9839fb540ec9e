"""How is a site changed? Small pure functions of what stands there, at chosen positions.

    Add(v, c)           x + c v                                  steering
    ProjectOut(u)       x - (x . u) u                            ablation of a direction
    Clamp(u, lo, hi)    x + (clip(x . u, lo, hi) - x . u) u
    Scale(c)            c x                                      c = 0 takes the site out
    Swap(u, w)          x with its components along u and w exchanged; u and w orthogonal
    Replace(y)          y: what another run read there (patching), [batch pos d], or one vector for all
    Beside(g)           x + g(z), z what the module read that put x out: a branch beside it, at mlp.i and attn.i

u, w are unit vectors: given to within UNIT of that, gone along at length 1. An `Edit` says where: at which site, at
"all" positions, the "last" of each row, the "new" ones (those that predict new tokens while generating: the prompt's
last and all behind it), or a boolean mask [batch pos]. Several edits at one site act in their order. Arithmetic is fp32
at least, the dtype of x stays.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from probe.errors import BadInput
from probe.models.hooks.sites import Site

Positions = Literal["all", "last", "new"]
UNIT = 1e-3  # how far from length 1 a direction may be
ORTHOGONAL = 1e-5  # the largest product of two unit vectors at right angles
Residual = Float[Tensor, "batch pos d"]
Change = Callable[[Residual], Residual]  # a pure function of what stands at a site


@dataclass(frozen=True, eq=False)
class Edit:
    """`change` at `site`, at the positions `where`."""

    site: Site
    change: "Change | Beside"
    where: Positions | Bool[Tensor, "batch pos"] = "all"

    def __post_init__(self) -> None:
        named = self.where.dtype if isinstance(self.where, Tensor) else self.where
        if named not in (torch.bool, *get_args(Positions)):
            raise BadInput(
                f"no positions are {named!r}", where=str(self.site), do='"all", "last", "new" or a boolean mask'
            )
        if isinstance(self.change, Beside) and self.site.kind not in ("mlp", "attn"):
            raise BadInput("a branch beside no module", where=str(self.site), do="put it at mlp.i or attn.i")


@dataclass(frozen=True, eq=False)
class Add:
    """Steering: x + coefficient * vector."""

    vector: Float[Tensor, "d"]
    coefficient: float = 1.0

    def __call__(self, x: Residual) -> Residual:
        return x + self.coefficient * _like(self.vector, x)


@dataclass(frozen=True, eq=False)
class ProjectOut:
    """Ablation: nothing is left along `direction`."""

    direction: Float[Tensor, "d"]

    def __post_init__(self) -> None:
        object.__setattr__(self, "direction", unit(self.direction))

    def __call__(self, x: Residual) -> Residual:
        return _moved(x, self.direction, -_along(x, self.direction))


@dataclass(frozen=True, eq=False)
class Clamp:
    """The component along `direction` is kept within [lo, hi]."""

    direction: Float[Tensor, "d"]
    lo: float
    hi: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "direction", unit(self.direction))
        if not self.lo <= self.hi:
            raise BadInput(f"clamp to [{self.lo}, {self.hi}]", do="give lo <= hi")

    def __call__(self, x: Residual) -> Residual:
        along = _along(x, self.direction)
        return _moved(x, self.direction, along.clamp(self.lo, self.hi) - along)


@dataclass(frozen=True, eq=False)
class Scale:
    """factor * x."""

    factor: float

    def __call__(self, x: Residual) -> Residual:
        return self.factor * x


@dataclass(frozen=True, eq=False)
class Swap:
    """The components along two orthogonal directions, exchanged."""

    first: Float[Tensor, "d"]
    second: Float[Tensor, "d"]

    def __post_init__(self) -> None:
        object.__setattr__(self, "first", unit(self.first))
        object.__setattr__(self, "second", unit(self.second))
        if abs(float(self.first.detach() @ self.second.detach())) > ORTHOGONAL:
            raise BadInput("the two directions are not orthogonal", where="Swap", do="orthogonalise one to the other")

    def __call__(self, x: Residual) -> Residual:
        one, other = _along(x, self.first), _along(x, self.second)
        return _moved(_moved(x, self.first, other - one), self.second, one - other)


@dataclass(frozen=True, eq=False)
class Replace:
    """`value`, whatever stood there: [batch pos d], [pos d] or [d]."""

    value: Tensor

    def __call__(self, x: Residual) -> Residual:
        if self.value.shape[-self.value.ndim :] != x.shape[-self.value.ndim :]:
            what = f"{tuple(self.value.shape)} cannot take the place of {tuple(x.shape)}"
            raise BadInput(what, where="Replace", do="read it on the same ids")
        return _like(self.value, x).expand_as(x)


@dataclass(frozen=True, eq=False)
class Beside:
    """x + branch(z): `z` [batch pos d] went into the module that put x out. On plain hooks alone."""

    branch: Change

    def reading(self, z: Residual | None) -> Change:
        """The change of x once `z` is known. BadInput where nobody says what it was."""
        if z is None:
            do = "take the backend hooks"
            raise BadInput("this backend does not tell what a module read", where="Beside", do=do)

        def added(x: Residual) -> Residual:
            more = self.branch(z.to(x))
            if more.shape != x.shape:
                what = f"a branch put out {tuple(more.shape)} beside {tuple(x.shape)}"
                raise BadInput(what, where="Beside", do="make it one of this model and site")
            return x + more

        return added


def unit(direction: Float[Tensor, "d"], where: str = "") -> Float[Tensor, "d"]:
    """`direction` at length 1, in double. BadInput unless it is one vector whose length is within UNIT of that."""
    length = float(direction.detach().double().norm())
    if direction.ndim != 1 or not abs(length - 1) < UNIT:
        what = f"a direction {tuple(direction.shape)} of length {length:.4g}"
        raise BadInput(what, where=where, do="give one unit vector: v / v.norm()")
    return direction.double() / length


def apply(change: Change, x: Residual, chosen: Bool[Tensor, "batch pos"] | None) -> Residual:
    """`x` changed where `chosen` (None: everywhere), in its own dtype."""
    wide = x if x.dtype in (torch.float32, torch.float64) else x.float()
    before = version(wide)
    changed = change(wide).to(x.dtype)
    if version(wide) != before:
        raise BadInput("a change wrote into what it was given", where="edit", do="make a new tensor: x + v, not x += v")
    if changed.shape != x.shape:
        raise BadInput(f"a change made {tuple(changed.shape)} of {tuple(x.shape)}", do="keep the shape")
    return changed if chosen is None else torch.where(chosen[..., None], changed, x)


def version(x: Tensor) -> int:
    """How often `x` was written into; 0 in inference mode, where nobody counts."""
    return 0 if x.is_inference() else x._version


def chosen_positions(
    where: Positions | Bool[Tensor, "batch pos"], x: Residual, mask: Tensor | None, *, cached: bool
) -> Bool[Tensor, "batch pos"] | None:
    """The positions of `x` that `where` means, None for all of them. `mask` [batch pos] is 0 on padding.

    `cached`: `x` has the new columns of a text only. BadInput where `where` means the whole text then, or is misshapen.
    """
    if isinstance(where, str) and where == "all":
        return None
    if cached and not (isinstance(where, str) and where == "new"):
        do = 'give "all" or "new"; or run the whole text without a cache'
        raise BadInput("the last position and masks mean a whole text, not one in the making", where="edit", do=do)
    shape = tuple(x.shape[:2])
    if isinstance(where, Tensor):
        _check_shape("positions", where, shape)
        return where.to(x.device)
    if cached or mask is None:
        return None if shape[1] == 1 else _at(torch.full(shape[:1], shape[1] - 1, device=x.device), shape[1])
    _check_shape("mask", mask, shape)
    real = mask.to(x.device).bool()
    if not real.any(-1).all():
        raise BadInput("a row is nothing but padding: it has no last token", where="mask", do="leave the row out")
    return _at(shape[1] - 1 - real.flip(-1).int().argmax(-1), shape[1])


def _at(index: Tensor, pos: int) -> Bool[Tensor, "batch pos"]:
    return torch.arange(pos, device=index.device) == index[:, None]


def _check_shape(name: str, mask: object, shape: tuple[int, ...]) -> None:
    given = tuple(mask.shape) if isinstance(mask, Tensor) else type(mask).__name__
    if given != shape:
        raise BadInput(f"the {name} of an edit are {given}, the text is {shape}", where="edit", do="give [batch pos]")


def _along(x: Residual, direction: Float[Tensor, "d"]) -> Float[Tensor, "batch pos 1"]:
    return (x * _like(direction, x)).sum(-1, keepdim=True)


def _moved(x: Residual, direction: Float[Tensor, "d"], by: Float[Tensor, "batch pos 1"]) -> Residual:
    return x + by * _like(direction, x)


def _like(value: Tensor, x: Tensor) -> Tensor:
    """`value` as something to be added to `x`, which has as many numbers at a position."""
    if value.shape[-1:] != x.shape[-1:]:
        raise BadInput(f"a vector of {tuple(value.shape)} for states of {tuple(x.shape)}", where="edit")
    return value.to(device=x.device, dtype=x.dtype)
