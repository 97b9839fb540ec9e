"""probe features: did RL write new features, or turn up old ones?"""

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer

from probe.cli import settings
from probe.cli.experiment_command import present
from probe.cli.fitting import Answers, Fitting, SiteName
from probe.cli.groups import command
from probe.cli.show import interval, number, p_value, shown, table

Rows = Sequence[dict[str, Any]]
COMPARED = ("between", "FVU before", "FVU after", "live", "before alone", "95 %", "after alone", "95 % ")
CARRIED = ("of the change", "rl", "95 % interval", "walk", "other run")
LATENTS = ("latent", "AUROC", "95 % interval", "p", "prose before", "prose after", "code before", "code after")
AUDITED = ("latent", "token alone", "95 %", "other words", "95 % ", "other letter", "95 %  ")
FORKS = ("KL at forks", "nats", "95 % interval", "n", "problems")
SAID = ("side", "rows", "FVU", "95 % interval", "L0", "n", "problems")


@command("features", place=105)
def features(
    name: settings.Before,
    after: settings.After,
    run: settings.Asking,
    fitting: Fitting,
    other: settings.Other = None,
    site: SiteName = None,
    sae: Annotated[
        str | None, typer.Option("--sae", help="Somebody else's dictionary: a folder, a file, or SAELens' RELEASE/ID.")
    ] = None,
    sae_anyway: Annotated[
        bool, typer.Option("--sae-anyway", help="Take it, although it names another model than the pair.")
    ] = False,
    samples: Answers = 4,
    temperature: settings.Warm = 1.0,
) -> None:
    """Which features did RL write, and which did it turn up? Dictionaries of both, beside those in which none is new.

    A crosscoder is fitted to what both hold over the answers of both; the same recipe is fitted to the base and itself,
    to two halves of its problems, and to a random change as large as the run's. With --sae: what the latents of a
    dictionary that is there say of the pair, and how well it says what stands in it; one of another width is refused,
    and one of a model of another name, unless --sae-anyway says that the pair is that model.
    """
    from probe.experiments.dictionaries.foreign import ForeignFeaturesJob
    from probe.experiments.dictionaries.job import FeaturesJob, default_site

    pair = run.pair(name, after, other)
    elicitation, options = run.of(pair.before, temperature=temperature, samples=samples)
    if sae is not None:
        foreign = ForeignFeaturesJob(pair, sae, elicitation, options, run.compute(), anyway=sae_anyway)
        return present(foreign, run, lambda result: _show_foreign(result.rows, foreign.label))
    place = site or default_site(pair.before)
    job = FeaturesJob(pair, place, elicitation, options, fitting.of(pair.before), run.compute())
    return present(job, run, lambda result: _show(result.rows, job.label))


def _show(rows: Rows, label: str) -> None:
    """Exclusives beside their nulls, what carries the change, the latents of code, and the verdict."""
    table(COMPARED, list(_compared(rows)), f"{label}: latents that one side alone has", right=COMPARED[1:])
    carried = list(_carried(rows))
    if carried:
        table(CARRIED, carried, f"{label}: what carries the change over the same texts", right=CARRIED[1:])
    else:
        shown(f"{label}: nothing changed here, over the same texts: RL trained nothing in front of this site")
    _show_latents(rows, label)
    audited, forks = list(_audited(rows)), list(_forks(rows))
    if audited:
        title = f"{label}: of their class difference, what code's first words bring, and what other words keep"
        table(AUDITED, audited, title, right=AUDITED[1:])
    if forks:
        table(FORKS, forks, f"{label}: what carries the KL where answers fork", right=FORKS[1:])
    for row in rows:
        if row["name"] == "exclusive_verdict":
            shown(f"latents of {row['side']} alone: {row['reason']}")


def _show_foreign(rows: Rows, label: str) -> None:
    """How well it says what stands there, then its latents of code."""
    table(SAID, list(_said(rows)), f"{label}: what it leaves unsaid (FVU)", right=SAID[2:])
    _show_latents(rows, label)


def _show_latents(rows: Rows, label: str) -> None:
    found = list(_latents(rows))
    if not found:
        return shown("one strategy alone was written: no latent tells it from another")
    title = f"{label}: latents that tell code at the fork, and how often they fire"
    table(LATENTS, found, title, right=LATENTS[1:])
    for row in rows:
        if row["name"] == "direction_auroc":
            told = f"{number(row['value'])} {interval(row['lo'], row['hi'])}"
            shown(f"the difference of means tells it with AUROC {told}")
    return None


def _compared(rows: Rows) -> Iterator[tuple[str, ...]]:
    at = {(row["name"], row["side"], row["part"]): row for row in rows}
    for part in dict.fromkeys(row["part"] for row in rows if row["name"] == "exclusive_latents"):
        fvu = [number(at["dictionary_fvu", side, part]["value"]) for side in ("before", "after")]
        alone = [at["exclusive_latents", side, part] for side in ("before", "after")]
        cells = [cell for row in alone for cell in (number(row["value"]), interval(row["lo"], row["hi"]))]
        yield (part, *fvu, str(alone[0]["n"]), *cells)


def _carried(rows: Rows) -> Iterator[tuple[str, ...]]:
    at = {(row["part"], row["cell"]): row for row in rows if row["name"] == "change_share"}
    for cell in dict.fromkeys(cell for _, cell in at):
        own = at["rl", cell]
        if math.isnan(own["value"]):
            return
        beside = [number(at[part, cell]["value"]) if (part, cell) in at else "" for part in ("walk", "other run")]
        yield (cell, number(own["value"]), interval(own["lo"], own["hi"]), *beside)


def _latents(rows: Rows) -> Iterator[tuple[str, ...]]:
    rates = {(row["latent"], row["group"], row["side"]): row for row in rows if row["name"] == "latent_rate"}
    for row in rows:
        if row["name"] == "latent_auroc":
            told = (number(row["value"]), interval(row["lo"], row["hi"]), p_value(row["p"]))
            places = [(group, side) for group in ("prose", "code") for side in ("before", "after")]
            fired = [rates.get((row["latent"], *place)) for place in places]
            yield (str(row["latent"]), *told, *(number(each["value"]) if each else "" for each in fired))


def _audited(rows: Rows) -> Iterator[tuple[str, ...]]:
    """Every named latent: what the token alone brings of its class difference, and what other words keep."""
    kept = {(row["latent"], row["edit"]): row for row in rows if row["name"] == "latent_kept_share"}
    for row in rows:
        if row["name"] == "latent_token_share":
            found = (row, *(kept.get((row["latent"], edit)) for edit in ("answer", "letter")))
            cells = [(number(one["value"]), interval(one["lo"], one["hi"])) if one else ("", "") for one in found]
            yield (str(row["latent"]), *(cell for pair in cells for cell in pair))


def _forks(rows: Rows) -> Iterator[tuple[str, ...]]:
    """The whole, its parts, and the best carriers together beside their nulls."""
    for row in rows:
        if row["name"] in ("fork_kl", "latent_set_kl"):
            part = row["cell"] or f"{row['k']} {'best' if row['edit'] == 'latents' else row['edit']} latents"
            told = (number(row["value"]), interval(row["lo"], row["hi"]))
            yield (part, *told, str(row["n"]), str(row["n_problems"]))


def _said(rows: Rows) -> Iterator[tuple[str, ...]]:
    active = {(row["side"], row["group"]): row["value"] for row in rows if row["name"] == "dictionary_l0"}
    for row in rows:
        if row["name"] == "dictionary_fvu":
            where = (row["side"], row["group"])
            told = (number(row["value"]), interval(row["lo"], row["hi"]), number(active[where]))
            yield (*where, *told, str(row["n"]), str(row["n_problems"]))
