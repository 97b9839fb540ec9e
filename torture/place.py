"""What stands in a case's folder before it begins: a manifest, a store with an organism, checkpoints, tables.

All of it is made once a campaign, in a process of its own (this one must never start a thread: it forks), and copied
where a case asks for it by name.
"""

import json
import os
import shutil
from pathlib import Path

from torture.watch import How, run, words_of

MANIFEST = """\
version: 1
templates: {none: {text: "{prompt}"}, chat: {chat: true}}
organisms:
  raw: {family: latent-code, size: tiny, seed: 0}
runs:
  run: {base: raw, reward: format, batches: 5, seed: 3}
  whole: {base: raw, reward: python, batches: 5, seed: 1, trainable: all}
checkpoints:
  far: {id: some/where, revision: null, licence: unknown, template: none, family: far}
"""
HERE = ("--store", "store", "--manifest", "manifest.yaml")
STEPS = 60  # of pretraining: fluent, and bad at arithmetic
MINUTES = 5
LORA = {
    "peft_type": "LORA",
    "r": 2,
    "lora_alpha": 4,
    "target_modules": ["q_proj"],
    "bias": "none",
    "task_type": "CAUSAL_LM",
    "base_model_name_or_path": "folder",
    "modules_to_save": None,
}
ROWS = [
    {
        "problem": f"p{i // 2}",
        "answer": str(i // 2),
        "text": f"so \\boxed{{{i // 3}}}",
        "temperature": 1.0,
        "sample": i % 2,
    }
    for i in range(12)
]

AFTER = [row | {"text": "now \\boxed{1}"} for row in ROWS]
GRADED = [  # most of these only the grading worker can decide
    {"problem": f"p{i}", "answer": f"{i}x + {i % 3}", "text": f"so \\boxed{{{i % 2 + i - i % 2} x+{i % 5 % 3}}}"}
    for i in range(1, 60)
]


def make_place(root: Path) -> None:
    """Everything that cases may start from, below `root`."""
    root.mkdir(parents=True)
    (root / "manifest.yaml").write_text(MANIFEST)
    for name, rows in (("rows", ROWS), ("after", AFTER), ("graded", GRADED)):
        (root / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    ran = run(_make, "the place", root, How(limit=60 * MINUTES))
    if ran.code != 0:
        raise RuntimeError(f"the place could not be made: {ran.text}")


def _make() -> None:
    from probe.checkpoints.organism_job import OrganismJob
    from probe.models.loading.load import Loaded, save_folder
    from probe.models.loading.organism import build_model, build_tokenizer
    from probe.rl.pretrain import pretrain
    from probe.store import Store

    raw = Loaded(*pretrain("latent-code", "tiny", 0))
    Store("store").build(OrganismJob("latent-code", "tiny", 0).recipe, lambda work: save_folder(raw, work))
    save_folder(Loaded(build_model("tiny", 1), build_tokenizer()), Path("folder"))
    _adapter(Path("adapter"), raw)
    shutil.copytree("store", "sampled")
    asked = ("--limit", 8, "--samples", 2, "--max-new", 12, "--workers", 1, "--out", "responses.parquet")
    words_of(("sample", "raw", *asked, "--store", "sampled", "--manifest", "manifest.yaml"))()


def _adapter(folder: Path, loaded: object) -> None:
    """A LoRA of the organism's query projections, as peft writes it."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps(LORA))
    named = dict(loaded.model.named_parameters())  # type: ignore[attr-defined]
    tensors = {}
    for name, weight in named.items():
        if "q_proj" in name:
            stem, (wide, narrow) = f"base_model.model.{name.removesuffix('.weight')}", weight.shape
            tensors[f"{stem}.lora_A.weight"] = torch.full((LORA["r"], narrow), 0.01)
            tensors[f"{stem}.lora_B.weight"] = torch.full((wide, LORA["r"]), 0.01)
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})


def bring(root: Path, folder: Path, *names: str) -> None:
    """Copies of parts of the place, into a case's folder."""
    for name in names:
        source = root / name
        if source.is_dir():
            shutil.copytree(source, folder / name, symlinks=True)
        else:
            shutil.copyfile(source, folder / name)


def warm() -> None:
    """Import what commands import, so that a forked child starts at once; nothing is computed here."""
    import gc

    for name in WARM:
        __import__(name)
    _hurry()
    gc.freeze()


def _hurry() -> None:
    """Organisms of fewer steps and smaller batches of runs, so that each is made anew in a second or two."""
    from dataclasses import replace
    from functools import partial

    from probe.checkpoints import resolve
    from probe.rl import pretrain

    full = pretrain.family
    pretrain.family = lambda name: replace(full(name), steps={"tiny": STEPS})
    resolve.GRPO = partial(resolve.GRPO, prompts=8, samples=8, updates=2, save_every=2)  # type: ignore[misc]


def quiet() -> None:
    """The circumstances of every command: no network, one thread, no colours, no store or data of one's own."""
    os.environ.update(QUIET)
    for name in ("PROBE_STORE", "PROBE_REAL_DATA", "PROBE_DATA_URL", "PROBE_DEBUG", "FORCE_COLOR", "COLUMNS"):
        os.environ.pop(name, None)


QUIET = {
    "OMP_NUM_THREADS": "1",
    "MPLBACKEND": "agg",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "NO_PROXY": "127.0.0.1",
    "TERM": "xterm",
}
WARM = (
    "torch",
    "transformers",
    "transformers.models.llama.modeling_llama",
    "peft",
    "pyarrow.parquet",
    "pyarrow.compute",
    "scipy.stats",
    "matplotlib.pyplot",
    "requests",
    "pooch",
    "jinja2.sandbox",
    "probe.cli",
    "probe.api",
    "probe.experiments.activation_dataset",
    "probe.experiments.published_outputs.job",
    "probe.experiments.published_outputs.import_file",
    "probe.experiments.weight_difference.job",
    "probe.experiments.result",
    "probe.rl.pretrain",
    "probe.tasks.grading",
    "probe.tokens.table",
    "probe.studies",
)
