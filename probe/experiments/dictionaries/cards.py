"""What is there to know of each latent that is named, before it gets a name? Cards, as an artifact and as rows.

    cards.json          every named latent (`diffing.card`): its strongest contexts as text, activations by writer and
                        strategy, neighbours in both models, tokens whose logits it raises and lowers

and of the first CARDS of them, as rows:

latent_histogram    share of the rows of a strategy (`group`) with an activation from `bin` on; the first bin is above 0
latent_context      activation in the `k`-th strongest context, one a problem; `reason`: its text, the token marked
latent_token        share of all its activation that lies on the `k`-th token (`reason`); null: its share of rows
latent_logit        what one unit does to the logit of the `k`-th token (`reason`), by `side`: those that the base's
                    raises or lowers most (`part` up, down); null: the most of a random direction of its norm, a mean
latent_neighbour    cosine with the nearest other latent (`reason`), by `side`; null: mean largest of random directions
latent_match        best cosine with a latent of the other dictionary seed; null: of random directions

Text is a model's, and data: it is kept as it is here, and made harmless where it is shown.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.activations.shards import Rows as Places
from probe.data import Estimate
from probe.dictionaries.audits.controls import random_directions
from probe.dictionaries.audits.stability import Matches, best_cosines
from probe.dictionaries.dictionary import Dictionary
from probe.dictionaries.diffing.card import card, neighbours
from probe.dictionaries.diffing.sameness import Unembedding, logit_effects
from probe.dictionaries.pair import BEFORE, directions
from probe.experiments.dictionaries.readings import Labels
from probe.experiments.responses import ROLLOUTS, SampleJob
from probe.measurements import MARKED
from probe.models.hooks.anatomy import anatomy
from probe.models.loading.loaded import Loaded
from probe.stats.intervals import clustered_mean, clustered_ratio
from probe.store import Store

CARDS = 3  # latents with rows of their own
BINS, CONTEXTS, TOKENS, LOGITS, DRAWS = 12, 4, 5, 3, 100
AROUND = 10  # tokens on either side of the marked one
Said = Callable[[Sequence[int]], str]


@dataclass(frozen=True, eq=False)
class Read:
    """Every row of a reading: where it stands, what is known of it, and the text that was read."""

    places: Places
    known: Labels
    texts: dict[tuple[str, int], tuple[int, ...]]  # ids by problem and sample
    loaded: Loaded

    @classmethod
    def of(cls, places: Places, known: Labels, store: Store, written: Sequence[SampleJob], loaded: Loaded) -> "Read":
        """Of rollouts that were made."""
        texts = {}
        for writer, job in enumerate(written):
            for row in store.get(job.recipe).read_table(ROLLOUTS).to_pylist():
                key = row["problem"], writer * job.options.samples + row["sample"]
                texts[key] = (*row["prompt_ids"], *row["completion_ids"])
        return cls(places, known, texts, loaded)

    def ids(self, row: int) -> tuple[int, ...]:
        """The whole text of a row."""
        return self.texts[str(self.places.problem[row]), int(self.places.sample[row])]

    @functools.cached_property
    def token(self) -> Int[np.ndarray, "row"]:
        """The id that stands at each row."""
        return np.array([self.ids(row)[pos] for row, pos in enumerate(self.places.pos.tolist())])

    def context(self, row: int) -> str:
        """The text around a row, its token marked."""
        ids = self.ids(row)
        at = int(self.places.pos[row])
        parts = ids[max(0, at - AROUND) : at], ids[at : at + 1], ids[at + 1 : at + 1 + AROUND]
        before, here, behind = (self.said(part) for part in parts)
        return f"{before}{MARKED[0]}{here}{MARKED[1]}{behind}"

    def said(self, ids: Sequence[int]) -> str:
        """Those tokens as text."""
        tokenizer = self.loaded.tokenizer
        return str(tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))


def unembedding(loaded: Loaded) -> Unembedding:
    """The output head with the gain of the final norm folded in, [vocab d]."""
    parts = anatomy(loaded.model)
    probe = torch.ones_like(parts.head_weight[0])
    probe[::2] = -1.0  # mean 0 and size 1: whatever the norm, it comes back times the gain, plus a bias
    with torch.no_grad():
        gain = (parts.final_norm(probe) - parts.final_norm(-probe)) / 2 * probe
    return parts.head_weight.detach().float().cpu() * gain.float().cpu()


def cards_of(
    dictionary: Dictionary, f: Float[Tensor, "row latent"], latents: Sequence[int], read: Read, models: Sequence[Loaded]
) -> list[dict[str, Any]]:
    """As plain dicts; `f` holds the activations of `latents` alone, in their order."""
    heads = dict(zip(dictionary.models, map(unembedding, models), strict=True))
    heads = heads if dictionary.site.kind == "resid" else {}
    found = []
    for place, latent in enumerate(latents):
        told = card(dictionary, latent, f[:, place], read.known.groups, heads).json()
        told["top"] = [{"activation": value, "text": read.context(row)} for row, value in told["top"]]
        for name in ("up", "down"):
            told[name] = {model: [[read.said([i]), by] for i, by in most] for model, most in told[name].items()}
        found.append(told)
    return found


def card_rows(
    dictionary: Dictionary, f: Float[Tensor, "row latent"], latents: Sequence[int], read: Read,
    models: Sequence[Loaded], again: Matches, seed: int,
) -> Iterator[Estimate]:  # fmt: skip
    """The rows of the first CARDS latents."""
    for place, latent in enumerate(latents[:CARDS]):
        active = f[:, place].double().numpy(force=True)
        told = [*histogram_of(active, read.known), *_contexts(active, read), *_tokens(active, read)]
        told += [*_neighbours(dictionary, latent, seed), _match(again, latent)]
        if dictionary.site.kind == "resid":
            told += card_logits(dictionary, latent, models, read.said, seed)
        for each in told:
            yield replace(each, params=each.params | {"latent": latent})


def histogram_of(active: np.ndarray, known: Labels, lowest: float = 0.0) -> Iterator[Estimate]:
    """Shares of all rows of a strategy above `lowest`, so that the bins sum to how often it fires there."""
    edges = np.linspace(lowest, max(float(active.max()), lowest) or 1.0, BINS + 1)
    which = np.where(active > lowest, np.clip(np.digitize(active, edges) - 1, 0, BINS - 1), -1)
    for group, here in (("code", known.code), ("prose", ~known.code)):
        for place in range(BINS if here.any() else 0):
            params = {"group": group, "bin": round(float(edges[place]), 6)}
            hit = (which[here] == place).astype(float)
            yield clustered_mean(hit, known.problem[here], name="latent_histogram", params=params)


def _contexts(active: np.ndarray, read: Read) -> Iterator[Estimate]:
    """The strongest, one a problem."""
    none, seen = float("nan"), set[str]()
    for row in np.argsort(-active, kind="stable").tolist():
        problem = str(read.places.problem[row])
        if active[row] <= 0 or len(seen) == CONTEXTS:
            return
        if problem not in seen:
            seen.add(problem)
            params = {"k": len(seen), "reason": read.context(row)}
            yield Estimate("latent_context", float(active[row]), none, none, 1, 1, "none", params=params)


def _tokens(active: np.ndarray, read: Read) -> Iterator[Estimate]:
    """Those on which most of it lies."""
    names, code = np.unique(read.token, return_inverse=True)
    mass = np.bincount(code, active)
    for k, place in enumerate(np.argsort(-mass, kind="stable")[:TOKENS].tolist(), start=1):
        if mass[place] <= 0:
            return
        here = code == place
        params = {"k": k, "reason": read.said([int(names[place])])}
        one = clustered_ratio(active * here, active, read.known.problem, name="latent_token")
        yield replace(one, null=float(here.mean()), params=params)


def _neighbours(dictionary: Dictionary, latent: int, seed: int) -> Iterator[Estimate]:
    n, none = dictionary.n_latents, float("nan")
    drawn = (random_directions(size, dictionary.d, ("neighbours", seed, size)) for size in (DRAWS, n - 1))
    chance = float(best_cosines(*drawn)[0].mean())
    for side in dictionary.models:
        for other, cosine in neighbours(dictionary, side, latent, 1):
            params = {"side": side, "reason": f"latent {other}"}
            yield Estimate("latent_neighbour", cosine, none, none, n, n, "none", chance, params=params)


def _match(again: Matches, latent: int) -> Estimate:
    n, none = len(again.cosine), float("nan")
    return Estimate("latent_match", float(again.cosine[latent]), none, none, n, n, "none", again.chance)


def card_logits(
    dictionary: Dictionary, latent: int, models: Sequence[Loaded], said: Said, seed: int
) -> Iterator[Estimate]:
    """latent_logit of one latent of a dictionary of the residual stream."""
    own = [directions(dictionary, model)[latent].float().cpu() for model in dictionary.models]
    yield from logits_of(own, models, dictionary.models, said, ("logits", seed, latent))


def logits_of(
    own: Sequence[Float[Tensor, "d"]], models: Sequence[Loaded], sides: Sequence[str], said: Said,
    address: tuple[str | int, ...],
) -> Iterator[Estimate]:  # fmt: skip
    """latent_logit of a direction of the residual stream, one a model; `said` spells a token."""
    heads, none = [unembedding(each) for each in models], float("nan")
    effects = [logit_effects(head, line[None])[0] for head, line in zip(heads, own, strict=True)]
    order = effects[BEFORE].argsort(descending=True, stable=True).tolist()
    chosen = {"up": order[:LOGITS], "down": order[::-1][:LOGITS]}
    for side, head, line, effect in zip(sides, heads, own, effects, strict=True):
        drawn = random_directions(DRAWS, len(line), address, float(line.norm()))
        null = float(logit_effects(head, drawn).abs().amax(-1).mean())
        for part, tokens in chosen.items():
            for k, token in enumerate(tokens, start=1):
                params = {"side": side, "part": part, "k": k, "reason": said([token])}
                sign = 1 if part == "up" else -1
                told = Estimate("latent_logit", float(effect[token]), none, none, DRAWS, DRAWS, "none")
                yield replace(told, null=sign * null, params=params)
