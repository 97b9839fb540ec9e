"""What would a dictionary score that learned nothing, or only half? (2602.14111: almost as much, on the usual measures)

    untrained        random directions, the same for every model, encoder their transpose
    random_decoder   random decoder directions, the encoder kept: to be trained with W_dec frozen
    random_encoder   random encoder directions, the decoder kept: to be trained with W_enc frozen
    redirected       some latents fire as ever and write along random directions, as long in each model as their own

Directions are drawn at an address of their own, uniform on the sphere, and shared by all models: a random decoder has
r = .5 and cosine 1, so no exclusive comes from the draw. Decoder directions get the mean norm of the dictionary's (but
for `redirected`), each encoder direction the norm it had. b_dec, scale, site and the activation stay: a threshold wants
calibrating again.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from probe.dictionaries.dictionary import Dictionary
from probe.dictionaries.pair import chosen_latents
from probe.rng import torch_rng

Address = tuple[str | int, ...]


def random_directions(n: int, d: int, address: Address, norm: float = 1.0) -> Float[Tensor, "latent d"]:
    """`n` directions in `d` dimensions of that norm, in single precision."""
    drawn = torch.randn(n, d, generator=torch_rng(*address, "random directions"))
    return norm * drawn / drawn.norm(dim=-1, keepdim=True)


def untrained(dictionary: Dictionary, *address: str | int) -> Dictionary:
    """A dictionary of the same shapes that has seen nothing but the mean of the data (b_dec) and their size."""
    start = random_decoder(dictionary, *address)
    return replace(start, W_enc=start.W_dec.permute(1, 2, 0).contiguous(), b_enc=torch.zeros_like(start.b_enc))


def random_decoder(dictionary: Dictionary, *address: str | int) -> Dictionary:
    """The encoder, and random decoder directions."""
    n, m, d = dictionary.W_dec.shape
    norm = float(dictionary.W_dec.norm(dim=-1).mean())
    drawn = random_directions(n, d, (*address, "decoder"), norm).to(dictionary.W_dec)
    return replace(dictionary, W_dec=drawn[:, None].repeat(1, m, 1))


def random_encoder(dictionary: Dictionary, *address: str | int) -> Dictionary:
    """The decoder, and random encoder directions, each as long as the one it takes the place of."""
    drawn = random_directions(dictionary.n_latents, dictionary.d, (*address, "encoder")).to(dictionary.W_enc)
    return replace(dictionary, W_enc=dictionary.W_enc.norm(dim=1, keepdim=True) * drawn.T)


def redirected(dictionary: Dictionary, latents: Sequence[int], *address: str | int) -> Dictionary:
    """What a clamp or an ablation of `latents` does when their directions mean nothing: the null beside `matched`."""
    chosen = chosen_latents(latents, dictionary.n_latents, dictionary.where)
    drawn = random_directions(len(chosen), dictionary.d, (*address, "redirected")).to(dictionary.W_dec)
    W_dec = dictionary.W_dec.clone()
    W_dec[chosen] = W_dec[chosen].norm(dim=-1, keepdim=True) * drawn[:, None]
    return replace(dictionary, W_dec=W_dec)
