"""A run as a folder that another trainer runs: settings, the reward, problems with their labels, the base, a launcher.

    TRL    config.yaml, train.py, reward.py, train.parquet (prompt, answers, problem), model/, fsdp.yaml, deepspeed.yaml
    verl   overrides.txt, reward.py, train.parquet (data_source, prompt, reward_model, extra_info), model/
    both   launch.sh, recipe.json (the run's own), README.md (what differs), standalone/ where it is asked for

The base is the organism as an ordinary Hugging Face folder; where its output head alone is trained, with one untied.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import yaml

from probe.checkpoints.cards import organism_card
from probe.checkpoints.export import texts
from probe.checkpoints.export.copied import copy_needed
from probe.checkpoints.export.reward_file import COPY, modules_of, trl_file, unfit_for_verl, verl_file
from probe.checkpoints.export.translated import Translated
from probe.checkpoints.export.trl import HEAD, in_reward_file, trl_settings
from probe.checkpoints.export.verl import ROLLOUT, verl_settings
from probe.checkpoints.organism_job import load_organism
from probe.checkpoints.run_job import RunJob
from probe.errors import BadInput
from probe.models.loading.load import Loaded, save_folder
from probe.models.loading.organism import untie
from probe.rl.policy import HEAD as HEAD_WEIGHT
from probe.rl.rollout import Question
from probe.store import Store, write_table

Trainer = Literal["trl", "verl"]
PLAIN_CHAT = "{% for message in messages %}{{ message['content'] }}{% endfor %}"  # a prompt is its question, no more
HERE = "@HERE@"  # launch.sh puts the folder there: the workers of Ray run elsewhere
NEEDS = {"trl": "trl 1.16, accelerate, datasets", "verl": "verl 0.9, Ray and vLLM, on GPUs"}
FILES = {
    "config.yaml": "`GRPOConfig`",
    "overrides.txt": "of `verl.trainer.main_ppo`, one a line",
    "train.py": "the trainer",
    "reward.py": "the reward",
    "train.parquet": "problems and the labels that the reward compares with",
    "model": "the base",
    "fsdp.yaml": "for accelerate",
    "deepspeed.yaml": "for accelerate",
    "recipe.json": "the recipe",
    COPY: "what the reward imports",
}


@dataclass(frozen=True)
class Export:
    """How a run is exported: to which trainer, over how many processes, with a reward that stands alone or not."""

    trainer: Trainer
    processes: int = 1
    standalone: bool = False
    accepted: tuple[str, ...] = ()

    def translated(self, run: RunJob) -> Translated:
        """The run's settings there. BadInput with everything that cannot be told."""
        if self.trainer == "trl":
            return trl_settings(run.grpo, self.processes).checked("TRL")
        told = verl_settings(run.grpo, self.processes, self.accepted)
        told.refused += unfit_for_verl(run.grpo.reward)
        return told.checked("verl")


def write_export(run: RunJob, how: Export, store: Store, out: Path) -> Translated:
    """Fill the folder `out`; what the run needs is in the store. BadInput where the trainer cannot be told the run."""
    told = how.translated(run)
    loaded = load_organism(store, run.organism)
    asked = run.questions(store, loaded)
    if run.grpo.trainable == HEAD:
        untie(loaded.model)
    write = _write_trl if how.trainer == "trl" else _write_verl
    write(run, how, told, loaded, asked, out)
    save_folder(loaded, out / "model", organism_card(run.organism, untied=run.grpo.trainable == HEAD))
    if how.standalone:
        copy_needed(modules_of(run.grpo.reward), out / COPY)
    (out / "recipe.json").write_text(json.dumps(dict(run.recipe.params), indent=1) + "\n", encoding="utf-8")
    (out / "launch.sh").chmod(0o755)
    (out / "README.md").write_text(_about(run, how, told, out), encoding="utf-8")
    return told


def _write_trl(
    run: RunJob, how: Export, told: Translated, loaded: Loaded, asked: Sequence[Question], out: Path
) -> None:
    recipe = run.grpo
    worked_out = recipe.advantage if in_reward_file(recipe.advantage) else None
    _text(out / "config.yaml", yaml.safe_dump(told.settings, sort_keys=False))
    functions = "reward.advantage, reward.reward" if worked_out else "reward.reward"
    only = (HEAD_WEIGHT,) if recipe.trainable == HEAD else ()
    _text(out / "train.py", texts.TRAIN.format(only=only, functions=functions))
    file = trl_file(recipe.reward, worked_out, recipe.samples, recipe.seed, copied=how.standalone)
    _text(out / "reward.py", file)
    for name, text in {
        "fsdp.yaml": texts.FSDP,
        "deepspeed.yaml": texts.DEEPSPEED,
        "launch.sh": texts.TRL_LAUNCH,
    }.items():
        _text(out / name, text.format(processes=how.processes))
    rows = {
        "prompt": [each.problem.prompt for each in asked],
        "answers": [each.label for each in asked],
        "problem": [each.problem.id for each in asked],
    }
    write_table(out / "train.parquet", pa.table(rows))


def _write_verl(
    run: RunJob, how: Export, told: Translated, loaded: Loaded, asked: Sequence[Question], out: Path
) -> None:
    loaded.tokenizer.chat_template = PLAIN_CHAT
    longest = max(len(_ids(loaded, each)) for each in asked)
    here = {
        "data.train_files": f"{HERE}/train.parquet",
        "data.val_files": f"{HERE}/train.parquet",
        "data.max_prompt_length": longest,
        "actor_rollout_ref.model.path": f"{HERE}/model",
        "actor_rollout_ref.model.enable_gradient_checkpointing": False,
        f"{ROLLOUT}.max_model_len": longest + run.grpo.max_new,
        "reward.custom_reward_function.path": f"{HERE}/reward.py",
        "reward.custom_reward_function.name": "compute_score",
    }
    lines = [f"{key}={_said(value)}\n" for key, value in {**told.settings, **here}.items()]
    _text(out / "overrides.txt", "".join(lines))
    _text(out / "reward.py", verl_file(run.grpo.reward, copied=how.standalone))
    _text(out / "launch.sh", texts.VERL_LAUNCH)
    rows = [
        {
            "data_source": each.problem.source,
            "prompt": [{"role": "user", "content": each.problem.prompt}],
            "ability": "math",
            "reward_model": {"style": "rule", "ground_truth": each.label},
            "extra_info": {"index": number, "problem": each.problem.id, "prompt": each.problem.prompt},
        }
        for number, each in enumerate(asked)
    ]
    write_table(out / "train.parquet", pa.Table.from_pylist(rows))


def _ids(loaded: Loaded, question: Question) -> list[int]:
    """The prompt as verl renders it. BadInput where that is not the prompt that the run has."""
    turn = [{"role": "user", "content": question.problem.prompt}]
    ids: list[int] = loaded.tokenizer.apply_chat_template(turn, add_generation_prompt=True, return_dict=False)
    if ids != question.ids:
        raise BadInput("this tokenizer puts more around a text than a chat template can", where=question.problem.id)
    return ids


def _said(value: Any) -> str:
    """As hydra reads an override."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return json.dumps(value).replace(" ", "") if isinstance(value, list) else str(value)


def _about(run: RunJob, how: Export, told: Translated, out: Path) -> str:
    there = [name for name in FILES if (out / name).exists()]
    return texts.ABOUT.format(
        label=run.label,
        trainer={"trl": "TRL", "verl": "verl"}[how.trainer],
        word=how.trainer,
        files="".join(f"| `{name}` | {FILES[name]} |\n" for name in there),
        needs=NEEDS[how.trainer],
        reward=texts.ALONE if how.standalone else texts.IMPORTED,
        differs="".join(f"* {each}\n" for each in told.differs).rstrip("\n"),
    )


def _text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
