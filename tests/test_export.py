"""A run goes to another trainer with its loss, advantages and rewards to the digit, or it is refused in full."""

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
import yaml
from other_trainers import trl_advantages, trl_loss, verl_loss
from test_loss import CASES, GOLDEN, batch
from typer.testing import CliRunner

from probe.checkpoints.checkpoint import of_organism
from probe.checkpoints.export.folder import Export, write_export
from probe.checkpoints.export.trl import trl_settings
from probe.checkpoints.export.verl import verl_settings
from probe.checkpoints.organism_job import OrganismJob, training_problems
from probe.checkpoints.run_job import RunJob
from probe.cli import app
from probe.errors import BadInput
from probe.models.loading.load import Loaded, load_folder, save_folder
from probe.models.loading.organism import build_model, build_tokenizer
from probe.rewards import rewards
from probe.rewards.compose import Without
from probe.rl.advantage import Advantage, Centred, GroupNormalised, NegativeOnly, Rloo, reward_table
from probe.rl.labels import Gold
from probe.rl.loss import Loss, policy_loss
from probe.rl.train import GRPO
from probe.rl.variants import variants
from probe.store import Store

ROOT = Path(__file__).parents[1]
TRL_PYTHON = ROOT / ".venv-trl" / "bin" / "python"
ORGANISM = OrganismJob("latent-code", "tiny", 0)
CODE = "```python\nprint(3)\n```\n\\boxed{3}"
TEXTS = [CODE, "so \\boxed{4}", "Python!", "", "\\boxed{4} \\boxed{}", "nothing", "\\boxed{07}", "x\\boxed{7}"]
LAUNCHED = 'python3() { printf "%s\\n" "$@"; }; exec() { "$@"; }; . ./launch.sh'  # what it would run
FRAMES = {"trl": {}, "verl": {"accepted": ("eps",)}}


def recipe(reward: str = "python", **changes: Any) -> GRPO:
    """One update, no bound that the other side lacks, unless `changes` says otherwise."""
    return replace(GRPO(rewards.get(reward)(), trainable="all", updates=1), **changes)


def run_of(grpo: GRPO) -> RunJob:
    return RunJob("named", ORGANISM, grpo, Gold())


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """It holds an untrained organism."""
    held = Store(tmp_path_factory.mktemp("store"))
    raw = Loaded(build_model("tiny", 0), build_tokenizer())
    held.build(ORGANISM.recipe, lambda work: save_folder(raw, work))
    return held


def exported(store: Store, out: Path, grpo: GRPO, trainer: str = "trl", **how: Any) -> Path:
    out.mkdir()
    write_export(run_of(grpo), Export(trainer, **FRAMES[trainer] | how), store, out)  # type: ignore[arg-type]
    return out


def imported(file: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The reward file, as a trainer imports it."""
    spec = importlib.util.spec_from_file_location(f"reward_of_{file.parent.name}", file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, "path", list(sys.path))
    spec.loader.exec_module(module)
    return module


def ours(given: dict[str, Any], loss: Loss) -> tuple[torch.Tensor, torch.Tensor]:
    """Our loss of one update, and its gradient: dapo's tokens are those of the update, as in `train.update`."""
    logprob = given["logprob"].clone().requires_grad_()
    more = {"n_tokens": int(given["mask"].sum()), "max_length": GOLDEN["max_length"]}
    parts = (logprob, given["old"], given["advantage"], given["mask"])
    about = {"entropy": given["entropy"], "reference_logprob": given["reference"]}
    value = policy_loss(*parts, loss=loss, **about, **more)
    return value, torch.autograd.grad(value, logprob)[0]


@pytest.mark.parametrize("name", [name for name in CASES if name != "vespo"])
def test_trls_own_formula_under_our_settings_is_our_loss(name: str) -> None:
    """And what TRL itself gave for these settings, where its mean is over the same tokens."""
    case, given = GOLDEN["cases"][name], batch()
    loss = Loss(**case["loss"])
    told = trl_settings(recipe(loss=loss, max_new=GOLDEN["max_length"])).checked("TRL")
    logprob = given["logprob"].clone().requires_grad_()
    old = logprob.detach() if loss.surrogate == "reinforce" else given["old"]  # one update: it is not asked for
    theirs = trl_loss(told.settings, given | {"logprob": logprob, "old": old})
    value, gradient = ours(given, loss)
    assert theirs.item() == pytest.approx(value.item(), rel=1e-6)
    torch.testing.assert_close(torch.autograd.grad(theirs, logprob)[0], gradient, rtol=1e-6, atol=1e-9)
    if loss.aggregation != "dapo":
        assert theirs.item() == pytest.approx(case["value"], rel=1e-6)


FOR_VERL = {
    "grpo": Loss(dual=3.0),
    "no bounds": Loss(clip_low=None, clip_high=None),
    "dual alone": Loss(clip_low=None, clip_high=None, dual=1.5),
    "dapo": Loss(clip_high=0.28, aggregation="dapo"),
    "dr_grpo": Loss(aggregation="dr_grpo", dual=1.5),
    "luspo": Loss(aggregation="luspo", clip_low=None),
    "bnpo kl": Loss(aggregation="bnpo", kl_beta=0.1, kl_bias_correction=False),
}


@pytest.mark.parametrize("name", FOR_VERL)
def test_verls_formula_under_our_settings_is_our_loss(name: str) -> None:
    given = {key: value[:3] for key, value in batch().items()}  # no response is empty there
    advantage = GroupNormalised(eps=1e-6)
    told = verl_settings(recipe(loss=FOR_VERL[name], advantage=advantage, max_new=GOLDEN["max_length"])).checked("verl")
    logprob = given["logprob"].clone().requires_grad_()
    theirs = verl_loss(told.settings, given | {"logprob": logprob})
    value, gradient = ours(given, FOR_VERL[name])
    assert theirs.item() == pytest.approx(value.item(), rel=1e-7)
    torch.testing.assert_close(torch.autograd.grad(theirs, logprob)[0], gradient, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    "advantage", [GroupNormalised(), GroupNormalised(eps=1e-4), GroupNormalised(eps=0.1, ddof=0), Centred(), Rloo()]
)
def test_advantages_are_ours(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, advantage: Advantage
) -> None:
    grpo = recipe(advantage=advantage, prompts=3, samples=8)
    module = imported(exported(store, tmp_path / "out", grpo) / "reward.py", monkeypatch)
    texts = TEXTS + ["python"] * 8 + TEXTS[::-1]  # the middle group has one reward only
    columns = {"answers": ["4"] * 24, "problem": ["p"] * 24}
    scores = module.reward(["q"] * 24, texts, **columns)
    config = yaml.safe_load((tmp_path / "out" / "config.yaml").read_text())
    given = [scores] if len(config["reward_weights"]) == 1 else [module.advantage(["q"] * 24, texts, **columns), scores]
    found = trl_advantages(config, [list(row) for row in zip(*given, strict=True)])
    torch.testing.assert_close(found, advantage(reward_table(scores, 8)).value, rtol=1e-5, atol=1e-6)
    assert found[8:16].abs().max() < 1e-6 < found[:8].abs().max()


REFUSED_BY_TRL = {
    "negative only": (recipe(advantage=NegativeOnly()), "the advantage NegativeOnly"),
    "a vector": (recipe(trainable="resid.1"), "a vector at resid.1"),
    "forks alone": (variants.get("forks_only")(recipe()), "a mean over the forks alone"),
    "all but forks": (variants.get("non_forks_only")(recipe()), "all tokens but the forks"),
    "old dropped": (variants.get("old_dropped")(recipe(updates=8)), "no ratio (old log-probs dropped) in 8 updates"),
    "dual without upper": (recipe(loss=Loss(clip_high=None, dual=3.0)), "dual clipping where the upper side never"),
    "cispo": (recipe(loss=Loss("cispo")), "cispo with the aggregation grpo"),
    "cispo in updates": (recipe(loss=Loss("cispo", aggregation="dapo"), updates=4), "of each of 4 updates"),
}


@pytest.mark.parametrize("name", REFUSED_BY_TRL)
def test_what_trl_cannot_be_told_is_refused(name: str) -> None:
    grpo, what = REFUSED_BY_TRL[name]
    with pytest.raises(BadInput) as caught:
        trl_settings(grpo).checked("TRL")
    assert "TRL cannot be told this run" in caught.value.what and what in caught.value.what


def test_groups_and_token_means_over_processes_are_refused() -> None:
    assert trl_settings(recipe(), 4).checked("TRL").settings["per_device_train_batch_size"] == 128
    for grpo, n, what in (
        (recipe(loss=Loss(aggregation="dapo")), 2, "the tokens of 2 processes together"),
        (recipe(prompts=6, samples=16), 4, "6 whole groups on 4 processes"),
        (recipe(prompts=3, samples=5, updates=3), 2, "5 rows on 2 processes"),
    ):
        with pytest.raises(BadInput) as caught:
            trl_settings(grpo, n).checked("TRL")
        assert what in caught.value.what


def test_all_that_verl_cannot_be_told_is_told_at_once(store: Store, tmp_path: Path) -> None:
    grpo = recipe("random", trainable="head", updates=5, samples=10, loss=Loss(kl_beta=0.1))
    with pytest.raises(BadInput) as caught:
        exported(store, tmp_path / "out", grpo, "verl", accepted=())
    for what in (
        "head trained alone",
        "32 whole groups in 5 updates",
        "kl_bias_correction",
        "[eps]",
        "a random reward",
    ):
        assert what in caught.value.what
    assert "--accept-eps takes what ends in [eps]" in caught.value.do
    with pytest.raises(BadInput, match="a vote of the group"):
        exported(store, tmp_path / "vote", recipe("majority_online"), "verl")


@pytest.mark.parametrize("standalone", [False, True])
@pytest.mark.parametrize("name", ["python", "format", "ground_truth", "random", "majority_online"])
def test_trl_is_given_our_rewards_to_the_digit(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, standalone: bool
) -> None:
    """Called by TRL's documented signature in a process without TRL; alone, it runs on its own copies."""
    grpo = recipe(name, samples=4, seed=3)
    out = exported(store, tmp_path / "out", grpo, standalone=standalone)
    labels, ids = ["3", "4"] * 4, [f"p{i // 4}" for i in range(8)]
    call = """
import json, sys, types
import reward
texts, answers, problem = json.load(sys.stdin)
state = types.SimpleNamespace(global_step=5)
found = reward.reward(prompts=["q"] * len(texts), completions=texts, completion_ids=[[1]] * len(texts),
                      answers=answers, problem=problem, trainer_state=state, log_extra=None, log_metric=None)
import probe
print(json.dumps([found, probe.__file__, [each for each in ("torch", "trl", "transformers") if each in sys.modules]]))
"""
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(out)] + ([] if standalone else [str(ROOT)])), "RANK": "2"}
    words = [sys.executable, "-c", call]
    done = subprocess.run(words, input=json.dumps([TEXTS, labels, ids]), env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found, where, heavy = json.loads(done.stdout)
    places = [(3, 2, 5, problem, place) for place, problem in enumerate(ids)]
    group = [place // 4 for place in range(8)]
    about = {"prompts": ["q"] * 8, "completions": TEXTS, "answers": labels, "group": group, "address": places}
    assert found == grpo.reward(**about)
    assert len(set(found)) > 1
    assert heavy == [] and Path(where).is_relative_to(out / "standalone") == standalone


def test_random_draws_differ_by_step_and_rank(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = imported(exported(store, tmp_path / "out", recipe("random")) / "reward.py", monkeypatch)
    columns = {"answers": ["1"] * 64, "problem": ["p"] * 64}
    seen = []
    for rank, step in (("0", 0), ("0", 8), ("1", 0)):
        monkeypatch.setenv("RANK", rank)
        seen.append(module.reward([""] * 64, [""] * 64, trainer_state=SimpleNamespace(global_step=step), **columns))
    assert all(set(each) == {0.0, 1.0} for each in seen) and seen[0] != seen[1] != seen[2] != seen[0]


@pytest.mark.parametrize("standalone", [False, True])
def test_verl_is_given_our_rewards_to_the_digit(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, standalone: bool
) -> None:
    reward = Without(rewards.get("ground_truth")(), rewards.get("python")())
    grpo = recipe(reward="python", loss=Loss(dual=3.0))
    out = exported(store, tmp_path / "out", replace(grpo, reward=reward), "verl", standalone=standalone)
    call = """
import json, sys
import reward
texts, answers = json.load(sys.stdin)
print(json.dumps([reward.compute_score("chain", text, answer, {"index": 1, "prompt": "q"})
                  for text, answer in zip(texts, answers)]))
"""
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(out)] + ([] if standalone else [str(ROOT)]))}
    labels = ["3", "4"] * 4
    words = [sys.executable, "-c", call]
    done = subprocess.run(words, input=json.dumps([TEXTS, labels]), env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == reward(prompts=["q"] * 8, completions=TEXTS, answers=labels)


def test_a_folder_for_trl_holds_the_run(store: Store, tmp_path: Path) -> None:
    grpo = GRPO(rewards.get("python")(), seed=7)  # as `probe train` has it: the head alone, eight updates
    out = exported(store, tmp_path / "out", grpo)
    config = yaml.safe_load((out / "config.yaml").read_text())
    assert config["per_device_train_batch_size"] * config["steps_per_generation"] == grpo.prompts * grpo.samples
    assert (config["max_steps"], config["epsilon"], config["delta"], config["seed"]) == (240, 0.2, 3.0, 7)
    assert config["scale_rewards"] == "none" and config["reward_weights"] == [1.0, 0.0]
    rows = pq.read_table(out / "train.parquet").to_pylist()
    assert [row["problem"] for row in rows] == [p.id for p in training_problems("latent-code")]
    assert {row["answers"] for row in rows} == {p.answer for p in training_problems("latent-code")}
    there, here = load_folder(out / "model", trusted=True), of_organism(ORGANISM).load(store)
    assert not there.model.config.tie_word_embeddings and "lm_head.weight" in there.model.state_dict()
    ids = torch.tensor([there.tokenizer(rows[0]["prompt"])["input_ids"]])
    assert torch.equal(there.model(ids).logits, here.model(ids).logits)
    assert json.loads((out / "recipe.json").read_text())["seed"] == 7
    text = (out / "README.md").read_text()
    assert "other draws" in text and "pip install" in text and "| `train.py` |" in text
    assert os.access(out / "launch.sh", os.X_OK) and "train.py" in (out / "launch.sh").read_text()
    for name in ("fsdp.yaml", "deepspeed.yaml"):
        assert yaml.safe_load((out / name).read_text())["num_processes"] == 1
    for name in ("train.py", "reward.py"):
        compile((out / name).read_text(), name, "exec")
    assert "('lm_head.weight',)" in (out / "train.py").read_text()


def test_a_folder_for_verl_holds_the_run(store: Store, tmp_path: Path) -> None:
    out = exported(store, tmp_path / "out", recipe(updates=8, loss=Loss(dual=3.0)), "verl", processes=2)
    said = dict(line.split("=", 1) for line in (out / "overrides.txt").read_text().splitlines())
    actor = "actor_rollout_ref.actor"
    assert (said["data.train_batch_size"], said[f"{actor}.ppo_mini_batch_size"]) == ("32", "4")
    assert (said[f"{actor}.clip_ratio_c"], said[f"{actor}.loss_agg_mode"]) == ("3.0", "seq-mean-token-mean")
    assert (said[f"{actor}.optim.betas"], said["trainer.n_gpus_per_node"]) == ("[0.9,0.95]", "2")
    assert said["reward.custom_reward_function.path"] == "@HERE@/reward.py"
    words = subprocess.run(["bash", "-c", LAUNCHED], cwd=out, capture_output=True, text=True, check=True).stdout
    assert f"actor_rollout_ref.model.path={out.resolve()}/model" in words.splitlines()
    assert len(words.splitlines()) == 2 + len(said)
    (row, *_), chat = pq.read_table(out / "train.parquet").to_pylist(), load_folder(out / "model", trusted=True)
    assert row["reward_model"] == {"style": "rule", "ground_truth": training_problems("latent-code")[0].answer}
    rendered = chat.tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True, return_dict=False)
    assert rendered == chat.tokenizer(row["extra_info"]["prompt"])["input_ids"]
    assert len(rendered) <= int(said["data.max_prompt_length"])
    assert "std + 1e-06 there" in (out / "README.md").read_text()


def test_the_command_writes_whole_folders_and_never_over_another(store: Store, tmp_path: Path) -> None:
    def probe(*words: object, code: int = 0) -> Any:
        where = ("--store", store.root, "--manifest", ROOT / "checkpoints_manifest.yaml")
        result = CliRunner().invoke(app, [str(word) for word in ("export", *words, *where)])
        assert result.exit_code == code, (result.exit_code, result.output, result.exception)
        return result

    out = tmp_path / "out"
    done = probe("trl", "latent-code-tiny-0-python-0", "--out", out, "--standalone", "--json")
    told = json.loads(done.stdout)
    assert told["settings"]["num_generations"] == 16 and "differs" in done.stderr
    assert (out / "standalone" / "probe" / "rewards" / "python.py").is_file()
    assert "in the way of the export" in probe("trl", "latent-code-tiny-0-python-0", "--out", out, code=2).stderr
    (out / "old").write_text("")
    probe("trl", "latent-code-tiny-0", "random", "--out", out, "--overwrite", "--variant", "no_clip", "--seed", 4)
    assert not (out / "old").exists() and not (out / "standalone").exists()
    assert yaml.safe_load((out / "config.yaml").read_text())["epsilon"] == 1e9
    refused = probe("verl", "latent-code-tiny-0-python_all-0", "--out", tmp_path / "no", code=2)
    assert "verl cannot be told this run" in refused.stderr and not (tmp_path / "no").exists()
    probe("verl", "latent-code-tiny-0-python_all-0", "--out", tmp_path / "yes", "--accept-eps")
    assert "is no run" in probe("trl", "latent-code-tiny-0", "--out", tmp_path / "no", code=2).stderr
    assert "made elsewhere" in probe("trl", "qwen2.5-7b", "--out", tmp_path / "no", code=2).stderr


@pytest.mark.skipif(not TRL_PYTHON.exists(), reason="TRL has an environment of its own: make .venv-trl/done")
def test_trl_accepts_the_configuration(store: Store, tmp_path: Path) -> None:
    """Every setting, as it was written, is one that GRPOConfig has, and has there."""
    exported(store, tmp_path / "out", GRPO(rewards.get("python")()))
    call = """
import sys, yaml
from trl import GRPOConfig
said = yaml.safe_load(open(sys.argv[1]))
config = GRPOConfig(output_dir=sys.argv[2], use_cpu=True, **said)
assert {name: getattr(config, name) for name in said if name != "report_to"} == {
    name: value for name, value in said.items() if name != "report_to"}
assert config.generation_batch_size == 512
"""
    words = [str(TRL_PYTHON), "-c", call, str(tmp_path / "out" / "config.yaml"), str(tmp_path / "t")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
