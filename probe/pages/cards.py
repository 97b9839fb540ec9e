"""Feature cards as a page tells them: what is known of each latent, beside what no training made.

    latents      the rows of `FeaturesJob`, its audits as `probe.plots` judges them, contexts over the page's own texts
    direction    from prose to code          untrained, random    nulls: the same rows, of what was fitted to nothing

Nothing is computed here but the shades of tokens (`probe.pages.pack.Levels`). Texts are a model's: data.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from probe.data import SIDES
from probe.experiments.token_view.beside import DIRECTION, LATENT, RANDOM, UNTRAINED
from probe.experiments.token_view.latents import BESIDE_FILE, CONTEXTS_FILE, LatentTokensJob
from probe.measurements import Row, Rows
from probe.pages.pack import Both, Levels, Texts
from probe.plots._cards import audits
from probe.plots._replicates import pick
from probe.store import Store

KEPT = ("value", "lo", "hi", "n", "n_problems", "null", "p")
ABOUT = ("problem", "sample", "pos")  # columns that are no values
STEPS, LINE = 16, 12  # of a shade: 500 long answers leave room for no more, least where every token has a value
TITLES = {
    DIRECTION: "The direction from prose to code",
    UNTRAINED: "An untrained dictionary's best latent",
    RANDOM: "A random direction",
}
ONE_STRATEGY = "One strategy alone was written here: no latent and no direction tells it from another."


def told(job: LatentTokensJob, store: Store) -> dict[str, Any]:
    """Every card, latents first; which of them have a colour in the token view (`shades`)."""
    held, rows = store.get(job.recipe), store.get(job.features.recipe).read_table().to_pylist()
    beside, contexts = (json.loads(held.file(name).read_bytes()) for name in (BESIDE_FILE, CONTEXTS_FILE))
    latents = [int(thing.partition(":")[2]) for thing in contexts if thing.startswith(f"{LATENT}:")]
    cards = [_latent(rows, j, contexts) for j in latents]
    for name in (DIRECTION, UNTRAINED, RANDOM):
        if name in beside:
            thing = next(each for each in contexts if each.partition(":")[0] == name)
            own = [dict.fromkeys(("side", "group", "part", "k", "bin", "reason")) | row for row in beside[name]]
            cards.append(_card(thing, TITLES[name], own, contexts) | {"audits": [], "tokens": [], "neighbours": []})
    about = {"site": job.features.site, "samples": job.features.options.samples}
    return about | {"nothing": None if cards else ONE_STRATEGY, "cards": Texts(cards)}


def shades(table: pa.Table) -> dict[str, Levels | Both]:
    """What a token can be coloured by: of each latent a value a token, of the direction one in either model."""
    values = {name: table[name].to_numpy() for name in table.column_names if name not in ABOUT}
    found: dict[str, Levels | Both] = {name: Levels(each, STEPS) for name, each in values.items() if _is_one(name)}
    before, after = (values.get(f"{DIRECTION}:{side}") for side in SIDES)
    return found if before is None or after is None else found | {DIRECTION: Both.levels(before, after, LINE)}


def _is_one(name: str) -> bool:
    return name.partition(":")[0] in (LATENT, UNTRAINED)


def _latent(rows: Rows, latent: int, contexts: Mapping[str, Any]) -> dict[str, Any]:
    """One of the pair's own."""
    own = pick(rows, latent=latent)
    tokens = [{"token": row["reason"], **_estimate(row)} for row in pick(own, name="latent_token")]
    near = [{"side": r["side"], "latent": r["reason"], **_estimate(r)} for r in pick(own, name="latent_neighbour")]
    found = [{"said": each.said, "text": each.text} for each in audits(rows, latent)]
    card = _card(f"{LATENT}:{latent}", f"Latent {latent}", [r for r in own if r["name"] != "best_auroc"], contexts)
    return card | {"audits": found, "tokens": tokens, "neighbours": near}


def _card(thing: str, title: str, rows: Sequence[Row], contexts: Mapping[str, Any]) -> dict[str, Any]:
    auroc = pick(rows, name="latent_auroc")
    return {
        "thing": thing,
        "title": title,
        "auroc": _estimate(auroc[0]) if auroc else None,
        "rates": _rates(pick(rows, name="latent_rate")),
        "histogram": _histogram(pick(rows, name="latent_histogram")),
        "logits": _logits(pick(rows, name="latent_logit")),
        "contexts": contexts[thing],
    }


def _estimate(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in KEPT}


def _rates(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """How often it fires, by strategy: before, after, and the change."""
    groups = dict.fromkeys(row["group"] for row in rows)
    return [{"group": group, **{row["side"]: _estimate(row) for row in pick(rows, group=group)}} for group in groups]


def _histogram(rows: Sequence[Row]) -> dict[str, Any]:
    """Shares of the rows of each strategy, by the lower edge of the bin."""
    groups = {group: pick(rows, group=group) for group in dict.fromkeys(row["group"] for row in rows)}
    return {
        "edges": [row["bin"] for row in next(iter(groups.values()), [])],
        "groups": {group: [row["value"] for row in each] for group, each in groups.items()},
        "n": {group: each[0]["n"] for group, each in groups.items()},
        "n_problems": {group: each[0]["n_problems"] for group, each in groups.items()},
    }


def _logits(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The tokens it raises, then those it lowers, the most first: by one unit, in both models."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for row in rows:
        line = found.setdefault((row["part"], row["k"]), {"part": row["part"], "token": row["reason"]})
        line |= {row["side"]: row["value"], f"null_{row['side']}": row["null"]}
    return list(found.values())
