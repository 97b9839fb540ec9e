"""Which random numbers does this draw get, whatever was drawn before it?

Every draw has an address, e.g. ("reward", "random", run_seed, step, problem, sample), and its stream is a function of
that address alone: resuming a run, reordering calls or drawing elsewhere in between changes nothing.

    key = first 128 bits of sha256(canonical JSON of the address);   stream = Philox4x64-10(key), counter from 0

Left out: ambient state of any kind. Nothing here reads or sets numpy's, torch's or Python's global generators.
"""

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator, Philox

from probe.errors import BadInput

if TYPE_CHECKING:
    import torch

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True).encode


def address(*parts: str | int) -> int:
    """The 128-bit integer of an address. 1 and "1" differ; so do ("ab",) and ("a", "b").

    Only exact `str` and `int` count: a numpy scalar, a float or a bool may print like an int and yet name another
    stream, so each is refused with BadInput.
    """
    for place, part in enumerate(parts):
        if type(part) is not int and type(part) is not str:
            raise BadInput(
                f"part {place} of a random address is {part!r}, a {type(part).__module__}.{type(part).__name__}",
                where=f"address {parts!r}",
                do="convert with int() or str(): an address is made of plain ints and strings",
            )
    if not parts:
        raise BadInput("a random address is empty", do="say what is drawn, e.g. numpy_rng('corpus', seed, step)")
    return int.from_bytes(hashlib.sha256(_encode(parts).encode()).digest()[:16], "big")


def numpy_rng(*parts: str | int) -> Generator:
    """A fresh numpy generator at the start of the address's stream (about 10 us)."""
    return Generator(Philox(key=address(*parts)))


def uniforms(n: int, *parts: str | int) -> np.ndarray:
    """`[n]` float32, strictly inside (0, 1), and a prefix of what a larger n gives at the same address.

    u = (k + 1/2) / 2^23 with k the top 23 bits of a raw word: exact in float32, so log(u) and log(1 - u) are finite.
    """
    if n < 0:
        raise BadInput(f"asked for {n} uniform draws", where=f"address {parts!r}", do="give n >= 0")
    words = Philox(key=address(*parts)).random_raw(n) >> np.uint64(41)
    return ((words + 0.5) * 2.0**-23).astype(np.float32)


def torch_rng(*parts: str | int) -> "torch.Generator":
    """A fresh CPU torch generator at the address.

    `manual_seed` uses only the low 32 bits of its argument: among 20 000 addresses two would share a stream with
    probability .05. So the whole Mersenne state (words 3..626 of what torch saves) is filled from the address instead.
    """
    import torch  # kept out of `import probe`

    generator = torch.Generator()
    state = generator.get_state()
    words = state.numpy().view(np.uint64)
    words[3:627] = Philox(key=address(*parts)).random_raw(624) >> np.uint64(32)
    generator.set_state(state)
    return generator
