"""The options of what a checkpoint is asked and how, and what they come to."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from probe.errors import BadInput

if TYPE_CHECKING:
    from probe.checkpoints.resolve import Subject
    from probe.models.loading.manifest import Template
    from probe.rollouts.sample_job import How

CHAIN = "chain"
MAX_NEW = 3072  # tokens, as in 2506.10947

Problems = Annotated[
    str, typer.Option(help="chain, math500, gsm8k, aime24, random-calculation, ..., or a file of one's own.")
]
Limit = Annotated[int | None, typer.Option(min=1, help="The first problems only.")]
TemplateName = Annotated[str | None, typer.Option("--template", help="Prompt template [the manifest's, else none].")]
MaxNew = Annotated[int | None, typer.Option("--max-new", min=1, help=f"New tokens [chain: 20, else {MAX_NEW}].")]
Prefix = Annotated[str, typer.Option(help="First words put into the model's mouth.")]
Prompts = Annotated[
    str | None,
    typer.Option(help="Templates the base is also tried under: names with commas, all, or none [all; chain: none]."),
]
DtypeOption = Annotated[
    Literal["float32", "bfloat16", "float16"], typer.Option("--dtype", help="Of weights from outside.")
]
DeviceMap = Annotated[str | None, typer.Option("--device-map", help="cpu, cuda, auto: where weights from outside go.")]
SamplerOption = Annotated[
    Literal["transformers", "vllm"], typer.Option("--sampler", help="vllm: pip install rlvr-probe[vllm].")
]
Devices = Annotated[
    str, typer.Option(help="cuda:0,cuda:1: sample on copies of the model side by side [one, where it is loaded].")
]
Batch = Annotated[int, typer.Option(min=1, help="Rows sampled at a time; halved where memory runs out.")]


def how(
    problems: str,
    limit: int | None,
    template: str | None,
    max_new: int | None,
    prefix: str,
    base: "Subject",
    manifest: Path | None,
    sampler: Literal["transformers", "vllm"] = "transformers",
) -> "How":
    """What is asked, under the template named, else the one the manifest gives the base, else the question as it is."""
    from probe.models.loading.manifest import load_manifest
    from probe.rollouts.sample_job import CHAIN as AS_STUDIED
    from probe.tasks.benchmarks import problems as problem_set

    name = template or (base.entry.template if base.entry and problems != CHAIN else "none")
    text = load_manifest(manifest).template(name) if template or name != "none" else AS_STUDIED.text
    asked = AS_STUDIED.problems if problems == CHAIN and limit is None else problem_set(problems, limit=limit)
    length = max_new or (AS_STUDIED.max_new if problems == CHAIN else MAX_NEW)
    so: dict[str, Any] = {"problems": asked, "template": name, "text": text, "max_new": length}
    return replace(AS_STUDIED, prefix=prefix, sampler=sampler, **so)


def split(names: str) -> tuple[str, ...]:
    """a,b -> ("a", "b")."""
    return tuple(name.strip() for name in names.split(",") if name.strip())


def other_prompts(
    wanted: str | None, asked: "How", base: "Subject", manifest: Path | None
) -> tuple[tuple[str, "Template"], ...]:
    """The templates the base is tried under besides the study's; by default all that its tokenizer can render."""
    from probe.models.loading.manifest import load_manifest

    wanted = wanted or ("none" if asked.problems.name == CHAIN else "all")
    if wanted == "none":
        return ()
    known = load_manifest(manifest)
    names = list(known.templates) if wanted == "all" else split(wanted)
    found = {name: known.template(name) for name in names if name != asked.template}
    if wanted == "all" and not base.made_here:
        chats = _has_chat_template(base)
        found = {name: each for name, each in found.items() if chats or not each.chat}
    return tuple(found.items())


def _has_chat_template(base: "Subject") -> bool:
    """Whether the checkpoint's files hold one. Weights that are not here yet are taken to."""
    try:
        folder = base.source.files()  # type: ignore[union-attr]
    except BadInput:
        return True
    file = folder / "tokenizer_config.json"
    if (folder / "chat_template.jinja").is_file():
        return True
    try:
        return bool(json.loads(file.read_text(encoding="utf-8")).get("chat_template"))
    except (OSError, ValueError, AttributeError):
        return False
