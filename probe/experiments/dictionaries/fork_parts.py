"""Which latents carry the KL between before and after where the base's answers fork, and more than others would?

fork_kl          nats a fork, by `cell`: all; latents (their parts together); rest (what no latent says at the site);
                 above (what the weights above the site do)                                (`diffing.fork_kl`)
latent_kl        part of one `latent`; `group` "carrier" (chosen by it) or "code" (chosen because it tells code)
latent_set_kl    part of the `k` best carriers together, `edit` "latents"; beside it, as means over draws with their
                 2.5th and 97.5th percentile and the p of the set among them:
                   matched      other latents that move a state as far (firing rate x mean x direction after)
                   redirected   the same latents, active as ever, their change of direction turned at random

A fork is one of the 20 % of tokens of the base's answers with the highest entropy (2506.01939); FORKS of them at most,
each text up to it once. Carriers are chosen on one half of the problems, and all is told on the other.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from probe.data import Estimate
from probe.dictionaries.audits.controls import random_directions
from probe.dictionaries.audits.matched import DRAWS, matched_sets, null_p
from probe.dictionaries.dictionary import Dictionary
from probe.dictionaries.diffing.fork_kl import Carried, Logits, carried, carriers, line_gradient
from probe.dictionaries.pair import directions
from probe.errors import BadInput
from probe.experiments.dictionaries.under_models import TEXTS, Answers
from probe.interventions.steering import part_of
from probe.models.hooks.anatomy import anatomy, final_hidden
from probe.models.hooks.edits import Edit
from probe.models.hooks.forward_hooks import editing, read
from probe.models.loading.loaded import Loaded, pad_id
from probe.models.sampling.padding import right_padded
from probe.rng import numpy_rng
from probe.stats.intervals import clustered_mean
from probe.tokens.forks import forks
from probe.tokens.score import score

FORKS, BATCH, TOP, SIZES = 512, 32, 10, (1, 3, 10)
LEAST = 1e-6  # nats a fork: below it nothing changed at the site


@dataclass(frozen=True, eq=False)
class AtForks:
    """What was carried at forks, a row each, and what null sets are made from."""

    carried: Carried
    f: Float[Tensor, "row latent"]
    gradient: Float[Tensor, "row d"]
    problem: np.ndarray  # of str

    @property
    def chosen(self) -> Bool[np.ndarray, "row"]:
        """The half of the problems on which carriers are chosen."""
        return np.array([part_of(name) == "choose" for name in self.problem.tolist()])

    def half(self, rows: Bool[np.ndarray, "row"]) -> "AtForks":
        """Those rows alone."""
        which, one = torch.from_numpy(rows), self.carried
        part = Carried(one.parts[which], one.rest[which], one.kl[which])
        return AtForks(part, self.f[which], self.gradient[which], self.problem[rows])


def prefixes(model: Loaded, answers: Answers, seed: int) -> list[tuple[str, tuple[int, ...]]]:
    """Problem and ids up to each fork of the base's first answers, each text once; FORKS of them, drawn by address."""
    rows = [row for row in answers.rows[:TEXTS] if row["completion_ids"]]
    prompts, written = ([list(row[name]) for row in rows] for name in ("prompt_ids", "completion_ids"))
    scores = score(model.model, prompts, written)
    here = np.flatnonzero(forks(scores.entropy))
    places = zip(scores.row[here].tolist(), scores.pos[here].tolist(), strict=True)
    found = [(rows[r]["problem"], (*prompts[r], *written[r][:t])) for r, t in places]
    every = list(dict.fromkeys(found))
    order = numpy_rng("forks", seed).permutation(len(every))[:FORKS]
    return [every[place] for place in sorted(order.tolist())]


def at_forks(dictionary: Dictionary, models: Sequence[Loaded], texts: Sequence[tuple[str, tuple[int, ...]]]) -> AtForks:
    """What is carried at the last token of each text."""
    parts, problem = [], np.array([name for name, _ in texts])
    for start in range(0, len(texts), BATCH):
        parts.append(_batch(dictionary, models, [ids for _, ids in texts[start : start + BATCH]]))
    part, rest, nats, f, gradient = (torch.cat(each) for each in zip(*parts, strict=True))
    return AtForks(Carried(part, rest, nats), f, gradient, problem)


def _batch(dictionary: Dictionary, models: Sequence[Loaded], ids: Sequence[tuple[int, ...]]) -> tuple[Tensor, ...]:
    """parts, rest, KL, latents, gradient."""
    at = [Last.of(model, dictionary, ids) for model in models]
    x = torch.stack([each.state.to(at[0].state.device) for each in at], dim=1)
    before, after = (each.logits(state).detach().to(x.device) for each, state in zip(at, x.unbind(1), strict=True))
    gradient = line_gradient(before, at[1].logits, x)
    with torch.no_grad():
        found = carried(dictionary, *(each.to(dictionary.W_dec.device) for each in (x, gradient, before, after)))
        return found.parts, found.rest, found.kl, dictionary.encode(x), gradient.to(found.parts)


@dataclass(frozen=True, eq=False)
class Last:
    """One model over texts: what stands at the site at their last token, and what follows from another state there."""

    state: Float[Tensor, "row d"]
    logits: Callable[[Tensor], Logits]

    @classmethod
    def of(cls, loaded: Loaded, dictionary: Dictionary, ids: Sequence[tuple[int, ...]]) -> "Last":
        """Read by `loaded`."""
        model, site = loaded.model, dictionary.site
        padded, mask = right_padded(ids, pad_id(loaded), model.get_input_embeddings().weight.device)
        rows, last = torch.arange(len(ids)), mask.sum(1) - 1

        def logits(state: Float[Tensor, "row d"]) -> Logits:
            edit = Edit(site, lambda x: state.to(x)[:, None].expand_as(x), "last")
            with editing(model, [edit], mask=mask):
                hidden = final_hidden(model, padded, mask)
            return anatomy(model).logits(hidden[rows, last]).float()

        return cls(read(model, padded, [site], mask=mask)[site][rows, last].float(), logits)


def fork_kl_of(
    dictionary: Dictionary, models: Sequence[Loaded], answers: Answers, code: Sequence[int], seed: int
) -> Iterator[Estimate]:
    """Everything above; `code` are the latents that tell code. Without a change at the site, no parts."""
    every = at_forks(dictionary, models, prefixes(models[0], answers, seed))
    chosen = every.chosen
    if not 0 < chosen.sum() < len(chosen):
        return
    first, told = every.half(chosen), every.half(~chosen)
    one = told.carried
    cells = {"all": one.kl, "latents": one.parts.sum(1), "rest": one.rest, "above": one.kl - one.explained}
    still = not float(first.carried.explained.abs().mean()) > LEAST  # both say the same: parts are the fit's own error
    cells = {cell: cells[cell] for cell in ("all", "above")} if still else cells
    for cell, values in cells.items():
        about: dict[str, Any] = {"unit": "nats", "null": 0.0, "params": {"cell": cell}}
        yield clustered_mean(values.double().numpy(force=True), told.problem, name="fork_kl", **about)
    best = [] if still else _carrying(first)
    groups = dict.fromkeys(code, "code") | dict.fromkeys(best, "carrier")
    if best:
        latents = list(groups)
        for each in carriers(Carried(one.parts[:, latents], one.rest, one.kl), told.problem):
            latent = latents[each.latent]
            yield replace(each.estimate, params={"latent": latent, "group": groups[latent]}, p=each.holm)
        for k in sorted({min(size, len(best)) for size in SIZES}):
            yield from _beside_nulls(dictionary, first, told, best[:k], seed)


def _carrying(first: AtForks) -> list[int]:
    """The latents with the largest part on the half that chooses, most of all first."""
    mean = first.carried.parts.double().mean(0)
    return [int(latent) for latent in mean.argsort(descending=True, stable=True)[:TOP] if mean[latent] > LEAST]


def _beside_nulls(
    dictionary: Dictionary, first: AtForks, told: AtForks, latents: Sequence[int], seed: int
) -> Iterator[Estimate]:
    parts = told.carried.parts.double().numpy(force=True)
    own = parts[:, list(latents)].sum(1)
    about: dict[str, Any] = {"k": len(latents)}
    one = clustered_mean(own, told.problem, name="latent_set_kl", unit="nats", null=0.0)
    yield replace(one, params=about | {"edit": "latents"})
    nulls = {"matched": _matched, "redirected": _redirected}
    for how, draw in nulls.items():
        params, n = about | {"edit": how}, len(np.unique(told.problem))
        try:
            values = draw(dictionary, first, told, latents, ("fork kl", seed, len(latents)))
        except BadInput as error:
            none = float("nan")
            yield Estimate("latent_set_kl", none, none, none, 0, n, "nats", params=params | {"reason": str(error)})
            continue
        low, high = np.quantile(values, (0.025, 0.975)).tolist()
        value, p = float(values.mean()), null_p(float(own.mean()), values)
        limits = (min(low, value), max(high, value))
        yield Estimate("latent_set_kl", value, *limits, len(values), n, "nats", null=0.0, p=p, params=params)


def _matched(
    dictionary: Dictionary, first: AtForks, told: AtForks, latents: Sequence[int], address: tuple[str | int, ...]
) -> Float[np.ndarray, "draw"]:
    """The part of other sets that move a state as far; magnitudes are read off the half that chooses."""
    norm = directions(dictionary, dictionary.models[1]).norm(dim=-1)
    magnitude = (first.f.double().mean(0) * norm.double()).numpy(force=True)
    sets = matched_sets(magnitude, latents, address, DRAWS).latents
    mean = told.carried.parts.double().mean(0).numpy(force=True)
    return mean[sets].sum(1)


def _redirected(
    dictionary: Dictionary, first: AtForks, told: AtForks, latents: Sequence[int], address: tuple[str | int, ...]
) -> Float[np.ndarray, "draw"]:
    """The part of the same activations along random directions as long as each latent's change of direction."""
    before, after = (directions(dictionary, model)[list(latents)] for model in dictionary.models)
    size, f = (after - before).norm(dim=-1).double(), told.f[:, list(latents)].double()
    pushed = torch.einsum("rl,rd->ld", f * size, told.gradient.double()) / len(f)  # sum over latents of it . direction
    drawn = (random_directions(len(latents), dictionary.d, (*address, draw)) for draw in range(DRAWS))
    return np.array([float((pushed * one.to(pushed)).sum()) for one in drawn])
