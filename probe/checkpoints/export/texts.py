"""The files of an exported folder that are the same for every run, but for a word or a number: how it is started."""

TRAIN = '''\
"""The run under TRL's GRPOTrainer, from what stands beside this file: see README.md. Written by `probe export trl`."""

import sys
from pathlib import Path

import pyarrow.parquet as pq
import torch
import yaml
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOConfig, GRPOTrainer

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import reward  # noqa: E402

ONLY = {only!r}  # the weights that are trained; none named: all
FUNCTIONS = [{functions}]


def trainer(**changes):
    """The trainer; `changes` go over config.yaml."""
    said = yaml.safe_load((HERE / "config.yaml").read_text(encoding="utf-8"))
    where = {{"output_dir": str(HERE / "out"), "use_cpu": not torch.cuda.is_available()}}
    model = AutoModelForCausalLM.from_pretrained(HERE / "model", dtype=torch.float32)
    for name, weight in model.named_parameters():
        weight.requires_grad_(not ONLY or name in ONLY)
    return GRPOTrainer(
        model=model,
        reward_funcs=FUNCTIONS,
        args=GRPOConfig(**(said | where | changes)),
        train_dataset=Dataset.from_list(pq.read_table(HERE / "train.parquet").to_pylist()),
        processing_class=AutoTokenizer.from_pretrained(HERE / "model", padding_side="left"),
    )


if __name__ == "__main__":
    trainer().train()
'''
TRL_LAUNCH = """\
#!/bin/bash
# ./launch.sh; on several GPUs ACCELERATE=fsdp.yaml ./launch.sh, or ACCELERATE=deepspeed.yaml
cd "$(dirname "$0")" || exit 1
if [ -n "$ACCELERATE" ]; then exec accelerate launch --config_file "$ACCELERATE" train.py; fi
exec accelerate launch --num_processes {processes} train.py
"""
FSDP = """\
compute_environment: LOCAL_MACHINE
distributed_type: FSDP
mixed_precision: "no"
num_machines: 1
num_processes: {processes}
fsdp_config:
  fsdp_version: 2
  fsdp_auto_wrap_policy: TRANSFORMER_BASED_WRAP
  fsdp_reshard_after_forward: true
  fsdp_state_dict_type: SHARDED_STATE_DICT
"""
DEEPSPEED = """\
compute_environment: LOCAL_MACHINE
distributed_type: DEEPSPEED
mixed_precision: "no"
num_machines: 1
num_processes: {processes}
deepspeed_config:
  zero_stage: 2
  offload_optimizer_device: none
  offload_param_device: none
"""
VERL_LAUNCH = """\
#!/bin/bash
# On a machine with Ray, verl and a GPU: ./launch.sh; more overrides may follow
cd "$(dirname "$0")" || exit 1
mapfile -t overrides < <(sed "s|@HERE@|$PWD|" overrides.txt)
exec python3 -m verl.trainer.main_ppo "${overrides[@]}" "$@"
"""
ABOUT = """\
# {label}, for {trainer}

The run `{label}` as {trainer} runs it, written by `probe export {word}`: `./launch.sh`.

| file | what |
|---|---|
{files}
Needs {needs}. {reward}

The loss is that of the recipe (`recipe.json`), to the rounding of fp32. What differs all the same:

{differs}
"""
ALONE = (
    "The reward stands alone: `standalone/` holds the files of rlvr-probe that it needs (and they numpy and pyarrow)."
)
IMPORTED = "The reward imports rlvr-probe: `pip install` it there, or export with `--standalone`."
