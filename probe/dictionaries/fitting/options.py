"""How is a dictionary fitted? Everything that can change a number of it, a sentence each.

The objective of a row, e_m being the error of model m in the units of z (`probe.dictionaries.fitting.objective`):

    sum_m |e_m|^2  +  difference x 2 <e_before, e_after>  +  delta |(e_after - e_before) of own latents|^2  +  aux terms

jumprelu's penalty is soft: training comes to rest where one more latent saves as much error as it costs, at
L0 / k - 1 = k |dFVU / dL0| / (2 l0_weight), above k wherever more latents would say more (planted with 6 a row, k = 3,
two seeds: 16 % above at 1, 5 % at 4, 2.5 % at 10). The finished thresholds are therefore scaled to k on the held rows,
which leaves less unsaid at the same L0 than a larger weight (FVU .293; .295 at 4, .300 at 10; batchtopk .295).

Sources: TopK and aux 2406.04093, BatchTopK 2412.06410, JumpReLU 2407.14435, matryoshka 2503.17547, crosscoder
2504.02922, dedicated features 2602.11729, delta 2603.04426.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

from probe.errors import BadInput
from probe.registry import nearest

Kind = Literal["topk", "batchtopk", "jumprelu", "matryoshka"]
Frozen = Literal["", "W_dec", "W_enc"]
DTypeName = Literal["float32", "float64"]
Address = tuple[str | int, ...]
WHERE = "Fit"


@dataclass(frozen=True)
class Fit:
    """The recipe of one dictionary. BadInput for values that cannot be meant."""

    n_latents: int  # how many latents there are
    k: float  # how many are active in a row: in each (topk), or on average
    activation: Kind = "batchtopk"  # which are active; "matryoshka" is batchtopk with nested prefixes
    prefixes: tuple[int, ...] = ()  # matryoshka: numbers of first latents that must reconstruct alone, ascending
    difference: float = 0.0  # -1 to 0, of two models: at 0 each error counts, at -1 nothing but their difference
    partition: tuple[int, int] = (0, 0)  # the first latents are before's alone, the next after's alone, the rest shared
    delta: float = 0.0  # weight of reconstructing x_after - x_before by the partition's own latents alone
    steps: int = 2000  # updates
    batch: int = 4096  # rows of an update
    held: int = 4096  # rows never trained on: mean, scale and threshold come from them
    lr: float = 1e-3  # Adam's rate at its highest
    warm_up: int = 100  # steps in which the rate rises from 0
    decay: float = 0.2  # the last share of the steps, in which the rate falls to 0
    k_start: float | None = (
        None  # active latents at step 0; None: k from the start, which found more of what was planted
    )
    anneal: float = 0.2  # the first share of the steps, in which k falls from k_start
    aux: float = 1.0  # weight of dead latents' reconstruction of the error; 1/32 in the paper, 1 in SAELens
    aux_k: int | None = None  # dead latents that take part in a row; None: half the width
    dead_after: int = 100_000  # rows without firing after which a latent counts as dead
    rms: float = 1.0  # root mean square of every model's activations after scaling, mean taken off
    bandwidth: float = 0.1  # jumprelu: width of the kernel around a threshold, in units of z
    l0_weight: float = 1.0  # jumprelu: weight of (L0 / k - 1)^2, times the mean square of a row; see below
    frozen: Frozen = ""  # W_dec or W_enc stay as they were drawn: a control that learned half (2602.14111)
    seed: Address = (0,)  # address of the initial directions and of the order of rows
    dtype: DTypeName = "float32"  # of weights and arithmetic

    def __post_init__(self) -> None:
        _one_of(self.activation, Kind)
        _one_of(self.dtype, DTypeName)
        _one_of(self.frozen, Frozen)
        _positive(self)
        _shares(self)
        _prefixes(self)
        _own(self)
        if self.activation == "topk" and self.k != int(self.k):
            raise BadInput(f"k is {self.k}", where=WHERE, do='give whole latents, or activation="batchtopk"')

    @property
    def first_k(self) -> float:
        """Active latents at step 0."""
        return self.k if self.k_start is None else self.k_start

    @property
    def own(self) -> int:
        """How many latents belong to one model alone."""
        return sum(self.partition)


def _one_of(value: str, kinds: object) -> None:
    if value not in get_args(kinds):
        raise BadInput(f"no such choice: {value!r}", where=WHERE, do=nearest(value, list(get_args(kinds))))


def _positive(fit: Fit) -> None:
    names = ("n_latents", "k", "steps", "batch", "held", "lr", "dead_after", "rms", "bandwidth", "first_k")
    for name in names:
        if not getattr(fit, name) > 0:
            raise BadInput(f"{name} is {getattr(fit, name)}", where=WHERE, do="give a positive one")
    if not fit.k <= fit.first_k <= fit.n_latents:
        what = f"k is {fit.k}, at first {fit.first_k}, of {fit.n_latents} latents"
        raise BadInput(what, where=WHERE, do="let k fall, from no more than all latents")
    if fit.aux_k is not None and fit.aux_k < 1:
        raise BadInput(f"aux_k is {fit.aux_k}", where=WHERE, do="give 1 or more, or aux = 0")


def _shares(fit: Fit) -> None:
    limits: dict[str, tuple[float, float]] = {"difference": (-1, 0), "decay": (0, 1), "anneal": (0, 1)}
    limits |= {name: (0, float("inf")) for name in ("warm_up", "delta", "aux", "l0_weight")}
    for name, (low, high) in limits.items():
        if not low <= getattr(fit, name) <= high:
            raise BadInput(f"{name} is {getattr(fit, name)}", where=WHERE, do=f"give {low} to {high}")


def _prefixes(fit: Fit) -> None:
    widths = (0, *fit.prefixes, fit.n_latents)
    if bool(fit.prefixes) != (fit.activation == "matryoshka"):
        raise BadInput(f"prefixes {fit.prefixes} with {fit.activation}", where=WHERE, do="give both or neither")
    if any(a >= b for a, b in pairwise(widths)):
        do = f"give ascending numbers between 0 and {fit.n_latents}, both left out"
        raise BadInput(f"prefixes {fit.prefixes}", where=WHERE, do=do)


def _own(fit: Fit) -> None:
    if min(fit.partition) < 0 or fit.own > fit.n_latents:
        raise BadInput(f"a partition {fit.partition} of {fit.n_latents} latents", where=WHERE, do="give fewer")
    if fit.own and fit.prefixes:  # the first prefix would be one model's own latents
        raise BadInput("a partition beside prefixes", where=WHERE, do="give one of the two")
    if fit.delta and not fit.own:
        do = "give a partition: own latents reconstruct the difference"
        raise BadInput("delta without own latents", where=WHERE, do=do)
