"""The groups of options that commands share, and what they come to."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from probe.cli.show import say
from probe.errors import BadInput

if TYPE_CHECKING:
    from probe.checkpoints.checkpoint import Checkpoint
    from probe.checkpoints.pair import Pair
    from probe.models.loading.entries import Template
    from probe.rollouts.elicitation import Elicitation
    from probe.rollouts.options import Compute, SamplingOptions
    from probe.store import Store

CHAIN = "chain"
FIGURES = Path("figures")
CHECKPOINT = "A name of the manifest, NAME@STEP of a run, a Hugging Face folder, ORG/NAME[@REVISION], or BASE+ADAPTER."

Before = Annotated[str, typer.Argument(help=CHECKPOINT)]
After = Annotated[str, typer.Argument(help="The same after RL.")]
MaybeAfter = Annotated[str | None, typer.Argument(help="The same after RL.")]
Outputs = Annotated[Path, typer.Argument(help="A published data set, the folder of a saved one, or the file BEFORE.")]
OutputsAfter = Annotated[Path | None, typer.Argument(help="The file AFTER.")]
Labels = Annotated[
    Literal["published", "probe"] | None, typer.Option(help="Labels: the authors' [where there are any], or ours.")
]
Other = Annotated[str | None, typer.Option(help="Another seed's run from the same base: a null that is no noise.")]
Root = Annotated[Path | None, typer.Option("--store", help="Folder or URL of the store [$PROBE_STORE, else .probe].")]
Figures = Annotated[Path, typer.Option("--figures", help="Folder of the figures.")]
ManifestFile = Annotated[
    Path | None, typer.Option("--manifest", help="Manifest [checkpoints_manifest.yaml here, else the project's].")
]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Processes [one per core].")]
On = Annotated[
    str | None,
    typer.Option(
        "--on",
        metavar="PLACE",
        help="Where jobs are made: pool, ray, ray://HOST:PORT, slurm[:partition=...,time=MINUTES], submitit-local.",
    ),
]
Out = Annotated[Path, typer.Option("--out", help="Parquet file to write.")]
MaybeOut = Annotated[Path | None, typer.Option("--out", help="Parquet file to write.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the file of --out.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable, on stdout and nothing else there.")]
Dry = Annotated[bool, typer.Option("--dry", help="Say what would be made, and about how long it takes.")]
Limit = Annotated[int | None, typer.Option(min=1, help="The first problems only.")]
Batch = Annotated[
    int | None, typer.Option(min=1, help="Rows sampled at a time [64; steer: 256]; halved where memory runs out.")
]
Prefix = Annotated[str, typer.Option(help="First words put into the model's mouth.")]
Samples = Annotated[int, typer.Option(min=1, help="Per problem, at --temperature; one greedy comes with them.")]
Warm = Annotated[float, typer.Option(min=0.01, max=100.0, help="Of what is not greedy.")]
BackendName = Annotated[str, typer.Option("--backend", help="What reads or edits: hooks, transformer-lens or nnsight.")]
SamplerOption = Annotated[
    Literal["transformers", "vllm"], typer.Option("--sampler", help="vllm: pip install rlvr-probe[vllm].")
]
Devices = Annotated[
    str, typer.Option(help="cuda:0,cuda:1: sample on copies of the model side by side [one, where it is loaded].")
]
Problems = Annotated[
    str, typer.Option(help="chain, math500, gsm8k, aime24, random-calculation, ..., or a file of one's own.")
]


Columns = Annotated[
    list[str] | None,
    typer.Option("--columns", metavar="FIELD=COLUMN", help="Of a file of problems: problem, answer, id, choices."),
]
KeepReadable = Annotated[
    bool, typer.Option("--keep-readable", help="Leave out rows that cannot be read or contradict others, and say why.")
]


@dataclass(frozen=True)
class Making:
    """Where things lie, and how many processes work."""

    workers: Workers = None
    store: Root = None
    manifest: ManifestFile = None

    @property
    def held(self) -> "Store":
        """The store."""
        return open_store(self.store)


@dataclass(frozen=True)
class Weights(Making):
    """And how weights from outside are loaded."""

    dtype: Annotated[
        Literal["float32", "bfloat16", "float16"], typer.Option("--dtype", help="Of weights from outside.")
    ] = "float32"
    device_map: Annotated[
        str | None, typer.Option("--device-map", help="cpu, cuda, auto: where weights from outside go.")
    ] = None

    def checkpoint(self, name: str) -> "Checkpoint":
        """The checkpoint meant; BadInput with the nearest names."""
        from probe.api import load

        how: dict[str, Any] = {"dtype": self.dtype, "device_map": self.device_map, "store": self.store}
        return load(name, manifest=self.manifest, **how)

    def pair(self, before: str, after: str | None = None, other: str | None = None) -> "Pair":
        """The pair meant."""
        from probe.api import pair

        return pair(*(name and self.checkpoint(name) for name in (before, after, other)))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Asked(Weights):
    """And what is asked."""

    problems: Problems = CHAIN
    limit: Limit = None
    template: Annotated[str | None, typer.Option("--template", help="Prompt template [the manifest's, else none].")] = (
        None
    )
    max_new: Annotated[int | None, typer.Option("--max-new", min=1, help="New tokens [chain: 20, else 3072].")] = None
    batch: Batch = None
    columns: Columns = None
    keep_readable: KeepReadable = False

    def of(self, base: "Checkpoint", **ask: Any) -> "tuple[Elicitation, SamplingOptions]":
        """The same for one base: under the template named, else the one the manifest gives it, else none."""
        from probe.api import asked

        names = ("problems", "limit", "template", "max_new", "keep_readable")
        named = {name: getattr(self, name) for name in names}
        columns = dict(pair_of(each, "--columns", "problem=their.column") for each in self.columns or ()) or None
        found = asked(base, self.manifest, columns=columns, **named, **ask)
        for why, n in found[0].problems.left_out:
            say(f"left out of {self.problems}, {n} rows: {why}")
        return found

    def compute(self, devices: str = "", batch: int = 64) -> "Compute":
        """In how large batches [of `batch`], and where."""
        from probe.rollouts.options import Compute

        return Compute(self.batch or batch, split(devices))


@dataclass(frozen=True)
class Settings(Weights):
    """Of an experiment: whether it is only announced, and what is shown of it."""

    dry: Dry = False
    figures: Figures = FIGURES
    as_json: AsJson = False


@dataclass(frozen=True)
class Asking(Settings, Asked):
    """Of an experiment that asks."""


def open_store(root: Path | None) -> "Store":
    """The store at that folder."""
    from probe.store import Store

    return Store(root)


def pair_of(said: str, option: str, example: str) -> tuple[str, str]:
    """NAME=VALUE of an option; BadInput where it is none."""
    name, sign, value = said.partition("=")
    if not sign:
        raise BadInput(f"{said!r} says nothing", where=option, do=f"write it as {option} {example}")
    return name.strip(), value.strip()


def split(names: str) -> tuple[str, ...]:
    """a,b -> ("a", "b")."""
    return tuple(name.strip() for name in names.split(",") if name.strip())


def other_prompts(
    wanted: str | None, asked: "Elicitation", base: "Checkpoint", manifest: Path | None
) -> tuple[tuple[str, "Template"], ...]:
    """The templates the base is tried under besides its own; by default all that its tokenizer can render."""
    from probe.grammar import GRAMMARS
    from probe.models.loading.manifest import load_manifest

    wanted = wanted or ("none" if asked.problems.name in GRAMMARS else "all")
    if wanted == "none":
        return ()
    known = load_manifest(manifest)
    names = list(known.templates) if wanted == "all" else split(wanted)
    tried = {name: known.template(name) for name in names if name != asked.template}
    if wanted == "all" and base.is_outside:
        chats = _has_chat_template(base)
        tried = {name: each for name, each in tried.items() if chats or not each.chat}
    return tuple(tried.items())


def _has_chat_template(base: "Checkpoint") -> bool:
    """Whether the checkpoint's files hold one. Weights that are not here yet are taken to."""
    try:
        folder = base.origin.files()  # type: ignore[union-attr]
    except BadInput:
        return True
    file = folder / "tokenizer_config.json"
    if (folder / "chat_template.jinja").is_file():
        return True
    from probe.models.loading.strict_json import read_json

    try:
        return bool(read_json(file).get("chat_template"))
    except BadInput:
        return False
