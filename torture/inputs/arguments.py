"""Command lines: every command and option that there is, with values that none of them can mean."""

import os
import random
from typing import Any

from torture.inputs import strange
from torture.scene import Scene, case

HERE = ("--store", "store", "--manifest", "manifest.yaml", "--workers", "1")
ASKS = ("sample", "compare", "probes", "steer", "prefix")
NUMBERS = ("--limit", "--samples", "--max-new", "--batch", "--seed", "--temperature", "--workers")
NO_NUMBERS = ("0x10", "1e3", "nan", "inf", "-1", "1,5", "one", "", " ", "٣", "1_0", "9" * 5000, "-" + "9" * 400, "1.5")
NAMES = (
    "",
    " ",
    ".",
    "..",
    "raw@",
    "@3",
    "raw@x",
    "raw@-1",
    "run@999999",
    "raw+",
    "+",
    "raw+raw",
    "a/b/c",
    "-",
    "~",
    "raw ",
)
UNKNOWN = (
    "rwa",
    "RAW",
    "no-such",
    "far2",
    "../raw",
    "./gone",
    "x" * 5000,
    "raw\n",
    "http://a/b",
    "C:\\x",
    "%s",
    "$(id)",
    "raw;id",
)
FLAGS = {"--json", "--dry", "--full", "--all", "--delete", "--overwrite"}
CHOICES = ("--dtype", "--sampler", "--grading", "--extract", "--grade", "--log")


def commands() -> dict[str, list[Any]]:
    """Every command with its parameters, asked of the command line itself."""
    import typer

    from probe.cli.app import app

    return {name: list(each.params) for name, each in typer.main.get_command(app).commands.items()}  # type: ignore[attr-defined]


def options_of(parameters: list[Any]) -> list[str]:
    """The long names of the options."""
    return [each.opts[0] for each in parameters if each.param_type_name == "option"]


def arguments_of(parameters: list[Any]) -> int:
    """How many arguments there are."""
    return sum(each.param_type_name == "argument" for each in parameters)


def hostile(rng: random.Random) -> str:
    """A word that nothing can be called by; no NUL, which no argument can hold."""
    if rng.random() < 0.25:
        return os.fsdecode(bytes(rng.randrange(128, 256) for _ in range(rng.randint(1, 9))))
    return rng.choice((*UNKNOWN, strange.text(rng, 300).replace("\0", "") or "?"))


@case("input", "option", 4)
def option(scene: Scene) -> None:
    """Any command with options it does not have, numbers that are none, choices that it does not offer."""
    rng = scene.rng
    known = commands()
    name = rng.choice(sorted(known))
    words: list[str] = [name, *("raw" for _ in range(arguments_of(known[name])))]
    options = options_of(known[name])
    how = rng.randrange(4)
    offered = [each for each in (NUMBERS if how == 0 else CHOICES) if each in options]
    if how < 2 and offered:
        chosen = rng.choice(offered)
        no_number = "no number" if chosen == "--temperature" else rng.choice(NO_NUMBERS[:13])
        words += [chosen, no_number if how == 0 and no_number not in ("inf", "1_0", "٣") else "neither"]
    elif how == 2:
        words += [rng.choice(("--no-such", "-x", "--limi", "--OUT", "--json=maybe", f"--{hostile(rng)}"))]
    else:
        valued = [each for each in options if each not in FLAGS]
        words += [rng.choice(valued)] if valued and rng.random() < 0.3 else [hostile(rng) for _ in range(9)]
    scene.bring("manifest.yaml")
    scene.check(*words, bad=True)


@case("input", "name", 4)
def name(scene: Scene) -> None:
    """A checkpoint, study, data set or figure that there is not, under every command that takes one."""
    rng = scene.rng
    known = commands()
    taking = {each for each in known if arguments_of(known[each])}  # `mend` and `gc` take no name
    command = rng.choice(sorted(taking - {"gc", "import-rollouts", "ls", "check", "figure"}))
    options = options_of(known[command])
    words = [
        rng.choice((*NAMES, hostile(rng), hostile(rng), hostile(rng))) for _ in range(arguments_of(known[command]))
    ]
    here = [part for at in range(0, len(HERE), 2) if HERE[at] in options for part in HERE[at : at + 2]]
    needed = ["--scorer", "raw", "--out", "x.parquet"] if command == "score" else []
    dry = ["--dry"] if "--dry" in options and rng.random() < 0.5 else []
    scene.bring("manifest.yaml", "store")
    scene.check(command, *needed, *here, *dry, "--", *words, bad=True)


@case("input", "too-much", 2)
def too_much(scene: Scene) -> None:
    """What would take for ever or more than any memory is refused before it begins; contradictions are refused."""
    rng = scene.rng
    scene.bring("manifest.yaml", "store", "folder")
    huge = str(rng.choice((10**11, 10**15, 2**63, 10**30)))
    who = rng.choice(("raw", "./folder"))
    asked = (
        ("--samples", huge),
        ("--max-new", huge),
        ("--samples", str(10**7), "--max-new", str(10**7)),
        ("--temperature", "nan"),
        ("--temperature", "inf"),
        ("--temperature", "-1"),
        ("--template", "no-such"),
        ("--template", "\x1b[31mx"),
        ("--problems", "no-such"),
        ("--problems", "./gone.jsonl"),
        ("--devices", "cuda:0,cuda:99"),
        ("--devices", "x,y"),
        ("--device-map", "nowhere"),
        ("--sampler", "vllm", "--prefix", "x"),
        ("--prefix", os.fsdecode(b"\xff\xfe")),
        ("--store", "manifest.yaml"),
        ("--manifest", "gone.yaml"),
        ("--manifest", "store"),
    )
    words = ["sample", who, *rng.choice(asked)]
    outside_only = words[2] in ("--devices", "--device-map", "--sampler")
    given = {each for each in words if each.startswith("--")}
    here = [part for at in range(0, len(HERE), 2) if HERE[at] not in given for part in HERE[at : at + 2]]
    scene.check(*words, "--limit", 2, *here, bad=None if who == "raw" and outside_only else True)


@case("input", "map", 2)
def mapped(scene: Scene) -> None:
    """`--map` to columns that are not there, or cannot be what they are said to be."""
    rng = scene.rng
    scene.bring("rows.jsonl")
    wrong = (
        *("", "=", "text", "=x", "nothing=text", "text=no.such", "text=text.0.1", "text=" + "a." * 4000, "text==text"),
        *("confidence=text", "sample=text", "right=text", "temperature=text", f"text={hostile(rng)}", hostile(rng)),
    )
    maps = [part for each in strange.pick(rng, wrong, 2) for part in ("--map", each)]
    if rng.random() < 0.2:
        maps += ["--map", f"prompt={rng.choice(('problem', 'text', 'answer'))}"]
    scene.check("import-rollouts", "rows.jsonl", "--out", "out.parquet", *maps, bad=True)
