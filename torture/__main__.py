"""python -m torture: options, the run, the report. See the package's docstring."""

import argparse
import os
import platform
import secrets
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from torture import report
from torture.campaign import campaign, play, prepared
from torture.scene import CLASSES, Kind

REPORT = Path(__file__).parents[1] / "benchmarks" / "torture.json"


def main() -> int:
    """0: nothing was wrong, and enough was tried."""
    given = _options().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that nothing is left behind
    root = Path(tempfile.mkdtemp(prefix="torture-"))
    try:
        return one(given.case, root) if given.case else many(given, root)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="python -m torture", description="Kills, damages and bad inputs, at random.")
    options.add_argument("--minutes", type=float, default=20, help="at most, about [20]")
    options.add_argument("--seed", type=int, help="of the campaign [a new one, which is printed]")
    options.add_argument("--kills", type=int, default=200)
    options.add_argument("--damages", type=int, default=300)
    options.add_argument("--inputs", type=int, default=2000)
    options.add_argument("--only", default="", help="classes, by commas [all]")
    options.add_argument(
        "--json", type=Path, default=REPORT, help="where the report is written [benchmarks/torture.json]"
    )
    options.add_argument("--case", metavar="CLASS:SEED", help="this one case, and all that it said")
    return options


def many(given: argparse.Namespace, root: Path) -> int:
    """The campaign."""
    seed = given.seed if given.seed is not None else secrets.randbelow(10**9)
    print(f"seed {seed}, at most {given.minutes:g} minutes", flush=True)
    wanted: dict[Kind, int] = {"kill": given.kills, "damage": given.damages, "input": given.inputs}
    if given.only:
        chosen = set(given.only.split(","))
        for name in [name for name in CLASSES if name not in chosen]:
            del CLASSES[name]
        wanted = {kind: n for kind, n in wanted.items() if any(each.kind == kind for each in CLASSES.values())}
    with prepared(root, {kind for kind, n in wanted.items() if n}) as place:
        found = campaign(root, seed, wanted, given.minutes, place)
    report.write(found, f"{os.cpu_count()} cores, {platform.machine()}", given.json)
    print(report.table(found))
    return int(found.failed)


def one(name: str, root: Path) -> int:
    """One case again."""
    kind, folder = CLASSES[name.partition(":")[0]].kind, root / "here"
    folder.mkdir()
    with prepared(root, {kind}) as place:
        scene = play(name, folder, place)
    for ran in scene.ran:
        print(f"$ {ran.words!r}\n  code {ran.code}, signal {ran.signal}, {ran.seconds:.1f} s")
        print("\n".join(f"  | {line!r}" for line in ran.text.splitlines()[:60]))
    for fault in scene.faults:
        print(f"{fault.kind}: {fault.detail}")
    return int(bool(scene.faults))


if __name__ == "__main__":
    sys.exit(main())
