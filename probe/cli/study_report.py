"""probe report STUDY: its figures and measurements, and an index of its pairs, whose pages --each makes."""

import shlex
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from probe.cli.dry_run import announce
from probe.cli.settings import Making
from probe.cli.show import emit, messages, say
from probe.errors import BadInput

if TYPE_CHECKING:
    from probe.checkpoints.pair import Pair
    from probe.pages.each import Pages, Wanted
    from probe.pages.pair_page import PairPage
    from probe.pages.study_page import StudyPage
    from probe.pages.study_pairs import Measured
    from probe.store import Store

SHOWN = 5  # pairs without a page that are named on the terminal
Build = Callable[["Pair"], "PairPage"]


def report_study(
    study: "StudyPage", run: Making, build: Build, out: Path, *, each: bool, held: bool, dry: bool, as_json: bool
) -> None:
    """Write the page of the study; with `each` those of its pairs before, with `held` without making anything."""
    from probe.models.loading.manifest import load_manifest
    from probe.pages.each import Pages, Wanted
    from probe.pages.study_page import with_pairs
    from probe.pages.study_pairs import pairs_of

    name, store = study.study.name, run.held
    command = f"probe report {shlex.quote(name)} --each"
    jobs = study.study.jobs(store.root)
    found = pairs_of(jobs, load_manifest(run.manifest), store.root)
    if each and not found:
        do = f"see its figures: probe report {name}"
        raise BadInput(f"the study {name} measures no pair of checkpoints that could have a page", do=do)
    wanted = [
        _wanted(one, build, name, command, store if held else None) if each else Wanted(one, command=_typed(one))
        for one in found
    ]
    pages = Pages(wanted, store, out, only_held=held)
    if dry:
        return _announced(pages, f"study {name}" + (", a page for each pair" if each else ""), run, as_json)
    page = study.page(store, jobs, must=not each and not any(line["href"] for line in pages.lines))

    def index() -> list[Path]:
        return with_pairs(page, pages.lines, command).write(out)

    written = index()
    for done in _made(pages, run):
        say(f"{done} of {len(pages.stale)} pages of pairs, in {out}")
        written = index()
    _said(pages, written, as_json)


def _wanted(one: "Measured", build: Build, study: str, command: str, store: "Store | None") -> "Wanted":
    """The pair with its page, or why it has none; with a store, of what is there."""
    from probe.pages import provenance
    from probe.pages.each import Wanted, told
    from probe.pages.held import held

    try:
        page = build(one.pair)
        every = command + provenance.asked(page.compare)
        page = replace(page, study=study, commands=() if one.typed else (every,))
        if store is not None:
            page = held(page, store, lambda said: provenance.command(page.compare, said) if one.typed else every)
    except BadInput as err:
        return Wanted(one, reason=told(err), command=_typed(one))
    return Wanted(one, page, command=provenance.command(page.compare, "report") if one.typed else every)


def _typed(one: "Measured") -> str:
    """The command of that pair alone, where names allow."""
    return shlex.join(["probe", "report", *(side.name for side in one.pair.sides.values())]) if one.typed else ""


def _made(pages: "Pages", run: Making) -> Iterator[int]:
    """Behind the progress bar, some at a time."""
    from probe.engine.pool import pool_size
    from probe.engine.progress import Progress

    if not pages.stale:
        return
    with Progress(messages(), pages.store, pool_size(run.workers)) as progress:
        yield from pages.write(run.workers, progress)


def _announced(pages: "Pages", title: str, run: Making, as_json: bool) -> None:
    """What --dry says."""
    if not as_json:
        _complained(pages)
        say(f"{len(pages.stale)} of {len(pages.wanted)} pages would be written")
    announce(pages.jobs, pages.store, run.workers, title, as_json)


def _said(pages: "Pages", written: list[Path], as_json: bool) -> None:
    failed = [one for one in pages.wanted if one.reason]
    links = sum(line["href"] is not None for line in pages.lines)
    if as_json:
        reasons = [
            {side: one.measured.about[side] for side in ("before", "after")} | {"reason": one.reason} for one in failed
        ]
        about = {"page": str(written[0]), "numbers": str(written[1]), "bytes": written[0].stat().st_size}
        return emit(about | {"pairs": len(pages.wanted), "pages": links, "failed": reasons})
    _complained(pages)
    say(f"wrote {written[0]}, an index of {len(pages.wanted)} pairs, {links} with a page; open it in a browser")


def _complained(pages: "Pages") -> None:
    """Which pairs have no page, and why: the first few of them."""
    failed = [one for one in pages.wanted if one.reason]
    for one in failed[:SHOWN]:
        say(f"no page of {one.measured.pair.label}: {one.reason}")
    if len(failed) > SHOWN:
        say(f"nor of {len(failed) - SHOWN} others: the index says why")
