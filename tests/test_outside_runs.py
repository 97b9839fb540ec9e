"""`probe train` on weights from outside: every architecture, labels, presets, what it costs, and what is refused."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from outside_checkpoints import save_tiny
from outside_policies import KINDS
from typer.testing import CliRunner

from probe.checkpoints.checkpoint import Checkpoint
from probe.checkpoints.outside import Folder
from probe.checkpoints.resolve import resolve
from probe.cli import app
from probe.errors import BadInput
from probe.experiments.budget import FLOPS, PROMPT, size_of
from probe.experiments.outside_runs.card import card
from probe.experiments.outside_runs.cost import cost_of, lora_weights, mlp_width
from probe.experiments.outside_runs.job import OutsideRunJob
from probe.experiments.outside_runs.labels import answers_of, label_report
from probe.experiments.outside_runs.recipe import PRESETS, grader, labels_of, outside_reward, recipe_of
from probe.models.loading.adapter import load_adapter
from probe.models.loading.load import load_folder
from probe.models.loading.manifest import load_manifest
from probe.rl.causal_policy import Memory
from probe.rl.labels import Gold, OfflineMajority, WrongMajority
from probe.rl.lora import Lora
from probe.rl.train import METRICS, read_metrics
from probe.rollouts.elicitation import Elicitation
from probe.store import Store
from probe.tasks.benchmarks import problems

MANIFEST = Path(__file__).parents[1] / "checkpoints_manifest.yaml"
WHERE = ("--manifest", MANIFEST, "--store", "s")
FEW = ("--problems", "random-calculation", "--limit", 6, "--max-new", 6)
TINY = (*FEW, "--prompts", 2, "--samples", 4, "--updates", 2, "--batches", 2, "--save-every", 1)


def run(*words: object, code: int = 0) -> Any:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, (result.exit_code, result.output, result.exception)
    return result


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def kept(stage: str = "outside-run") -> list[Any]:
    return [each for each in Store("s").artifacts() if each.stage == stage]


@pytest.mark.parametrize("kind", KINDS)
def test_every_architecture_is_trained_and_its_adapter_read(kind: str) -> None:
    base = save_tiny(kind, Path.cwd() / "base")
    lora = Path.cwd() / "lora"
    done = run("train", base, "random", *TINY, "--out", lora, "--seed", 3, *WHERE)
    assert f"exported to {lora}" in done.stderr and f"next: probe compare {base} {base}+{lora}" in done.stderr
    (made,) = kept()
    assert made.params["seed"] == made.params["reward"]["seed"] == 3 and made.params["lora"]["rank"] == 16
    assert len(read_metrics(made.file(METRICS))) == 2
    merged, plain = load_adapter(load_folder(base), lora).model, load_folder(base).model
    changed = [n for n, p in merged.named_parameters() if not torch.equal(p, plain.get_parameter(n))]
    assert changed and all(".layers." in name for name in changed)
    text = (lora / "README.md").read_text()
    assert "after 2 batches of GRPO under the reward random" in text and "seed 3" in text and "rlvr-probe" in text
    assert str(base) not in text
    again = run("train", base, "random", *TINY, "--seed", 3, *WHERE)  # nothing is made anew
    assert "is in the store" in again.stderr and len(kept()) == 1


def test_the_results_are_handed_to_compare() -> None:
    base = save_tiny("llama", Path.cwd() / "base")
    run("train", base, "format", *TINY, "--all-weights", "--kl", 0.1, "--out", base.parent / "whole", *WHERE)
    run(
        "train", base, "python", *TINY, "--lora", 2, "--variant", "negative_only", "--out", base.parent / "lora", *WHERE
    )
    asked = (*FEW, "--samples", 2, "--prompts", "none", "--json", *WHERE)
    for after in (base.parent / "whole", f"{base}+{base.parent / 'lora'}"):
        rows = json.loads(run("compare", base, after, *asked).stdout)["measurements"]
        assert {"accuracy", "code_share", "kl_per_token"} <= {row["name"] for row in rows}
    recipes = {each.params["lora"] is None: each.params for each in kept()}
    assert recipes[True]["loss"]["kl_beta"] == 0.1 and recipes[False]["advantage"]["advantage"] == "negative_only"


def test_labels_are_votes_of_the_base_and_what_they_are_is_told() -> None:
    base = save_tiny("qwen2", Path.cwd() / "base")
    words = ("--labels", "offline_majority", "--votes", 3)
    refused = run("train", base, "ground_truth", *TINY, *words, *WHERE, code=2)
    assert "no problem is left to train on" in refused.stderr.replace("\n", " ")  # a random model has no boxes
    (votes,) = kept("responses")
    assert votes.params["samples"] == 3 and votes.params["temperature"] == 1.0 and not kept()
    job = OutsideRunJob("x", Checkpoint("b", Folder(base)), Elicitation(problems("random-calculation", limit=3)),
                        recipe_of("incorrect")[0], labels_of("incorrect"))  # fmt: skip
    assert [need.options.samples for need in job.asked_before] == [64]
    assert job.asked_before[0].options.max_new == job.grpo.max_new


def test_label_reports_by_hand() -> None:
    gold = {"a": "4", "b": "1/2", "c": "7", "d": "5"}
    spelled = "x = 0.50"  # right, and not spelled so
    answers = answers_of(["a", "a", "b", "b", "c", "c", "d"], ["4", "4", spelled, spelled, "8", "8", None])
    chosen = labels_of("incorrect")(answers, gold)
    found = label_report(chosen, answers, gold, grader())
    assert chosen.kept == ("c",) and found["right"]["value"] == 0.0 and found["right"]["n"] == 1
    assert found["leak"]["value"] == 0.5 and found["leak"]["n"] == 2  # b among b and c
    assert found["dropped"] == {"no parsed answer": 1, "the majority is right": 2}
    leaky = WrongMajority()(answers, gold)
    assert leaky.kept == ("b", "c") and label_report(leaky, answers, gold, grader())["right"]["value"] == 0.5
    true = label_report(Gold()({}, gold), {}, gold, grader())
    assert true["right"]["value"] == 1.0 and "leak" not in true and true["kept"] == 4
    assert 0 < found["leak"]["lo"] < 0.5 < found["leak"]["hi"] < 1


def test_recipes_presets_and_what_overrides_them() -> None:
    preset, lora = recipe_of("random", "spurious-rewards", seed=2)
    assert lora is None and preset.spec() == {
        **preset.spec(), "prompts": 64, "samples": 16, "updates": 8, "lr": 5e-7, "temperature": 1.0, "max_new": 3072,
        "betas": [0.9, 0.95], "grad_norm": 1.0, "trainable": "all", "seed": 2,
    }  # fmt: skip
    loss = preset.loss
    assert (loss.clip_low, loss.clip_high, loss.dual, loss.kl_beta, loss.aggregation) == (0.2, 0.2, None, 0.0, "grpo")
    assert preset.spec()["reward"] == {"reward": "random", "gamma": 0.5, "seed": 2}
    changed, rank = recipe_of("format", "spurious-rewards", kl=0.5, lora=4, lr=1e-6, batches=3)
    assert (changed.lr, changed.batches, changed.loss.kl_beta, changed.prompts) == (1e-6, 3, 0.5, 64)
    assert rank == Lora(4, 8.0)
    usual, lora = recipe_of("format")
    assert lora == Lora(16, 32.0) and usual.lr == 1e-5 and recipe_of("format", lora=None)[0].lr == 1e-6
    with pytest.raises(BadInput, match="did you mean 'spurious-rewards'"):
        recipe_of("format", "spurious-reward")
    assert set(PRESETS) == {"spurious-rewards"}
    assert outside_reward("ground_truth", 0).grader is grader()  # type: ignore[attr-defined]
    kinds = [type(labels_of(*each)) for each in (("format",), ("incorrect",), ("ground_truth", "offline_majority"))]
    assert kinds == [Gold, WrongMajority, OfflineMajority]


def test_the_identity_is_what_can_change_a_number() -> None:
    base = Checkpoint("b", Folder(save_tiny("llama", Path.cwd() / "base")))
    asked = Elicitation(problems("random-calculation", limit=3))
    grpo, _ = recipe_of("format", prompts=2, samples=4)

    def job(**changes: Any) -> OutsideRunJob:
        given = {"name": "format", "checkpoint": base, "elicitation": asked, "grpo": grpo, "labels": Gold()}
        return OutsideRunJob(**{**given, **changes})

    more = Checkpoint("b", Folder(save_tiny("llama", Path.cwd() / "other", seed=1)))
    others = [job(lora=Lora()), job(checkpoint=more), job(labels=OfflineMajority()), job(grpo=recipe_of("python")[0])]
    others += [job(elicitation=Elicitation(problems("random-calculation", limit=4)))]
    assert len({each.recipe.digest for each in (job(), *others)}) == 6
    assert job(name="else", memory=Memory(1, 1, True)).recipe == job().recipe and job() == job(memory=Memory(1))
    with pytest.raises(BadInput, match="float16 cannot be trained"):
        job(checkpoint=Checkpoint("b", base.source, dtype="float16"))


def test_the_cost_of_a_1_5b_run_by_hand() -> None:
    manifest = load_manifest(MANIFEST)
    base = resolve("qwen2.5-math-1.5b", manifest, dtype="bfloat16")
    size, wide = size_of(base), 8960  # intermediate_size of Qwen2.5-Math-1.5B
    assert mlp_width(size) == pytest.approx(wide, rel=0.02)
    maps = 2 * (1536 + 1536) + 2 * (1536 + 256) + 3 * (1536 + wide)
    assert lora_weights(size, 16) == pytest.approx(28 * 16 * maps, rel=0.02)
    grpo, _ = recipe_of("random", "spurious-rewards")
    asked = Elicitation(problems("random-calculation"))
    whole, lora, less = (
        cost_of(OutsideRunJob("random", base, asked, grpo, Gold(), how, memory=memory))
        for how, memory in ((None, Memory()), (Lora(), Memory()), (Lora(), Memory(4096, 16, True)))
    )
    n, tokens = size.parameters, 150 * 64 * 16 * (PROMPT + 3072)
    assert whole.weights == 16 * n and lora.weights == 2 * n + 16 * lora_weights(size, 16)
    assert whole.training_hours == pytest.approx(8 * n * tokens / FLOPS["bfloat16"] / 3600)
    assert lora.training_hours == pytest.approx(whole.training_hours * 6 / 8)
    assert less.memory < lora.memory < whole.memory and less.training_hours > lora.training_hours
    assert whole.disk == 3 * 2 * n + 12 * n and lora.disk < 0.1 * whole.disk
    assert whole.hours == whole.sampling_hours + whole.training_hours


def test_dry_tells_memory_hours_and_disk_before_a_fetch() -> None:
    words = ("train", "qwen2.5-math-1.5b", "incorrect", "--problems", "random-calculation", "--dtype", "bfloat16")
    told = json.loads(run(*words, "--preset", "spurious-rewards", "--dry", "--json", *WHERE).stdout)
    assert told["recipe"]["lr"] == 5e-7 and told["weights"] == 16 * 1_543_714_304
    assert told["hours"] == pytest.approx(told["sampling_hours"] + told["training_hours"]) and told["disk"] > 0
    shown = run(*words, "--lora", 8, "--batches", 5, "--dry", *WHERE)
    assert "GPU-hours" in shown.stdout and "on disk" in shown.stdout
    assert "LoRA of rank 8; 5 batches of 32 prompts x 16 responses" in shown.stderr.replace("\n", " ")
    assert not Path("s").exists()


def test_numbers_of_a_recipe_may_be_said_of_organisms_too() -> None:
    words = ("train", "latent-code-tiny-0", "format", "--dry", "--json", *WHERE)
    usual, short = (json.loads(run(*words, *more).stdout)["jobs"] for more in ((), ("--batches", 3)))
    assert [job["stage"] for job in usual] == ["organism", "run"]
    assert usual[0] == short[0] and usual[1]["digest"] != short[1]["digest"]


def test_a_card_is_a_function_of_its_run() -> None:
    recipe = {**recipe_of("format")[0].spec(), "lora": None, "labels": {"labels": "gold"}, "problems": "file:1"}
    labels = {"problems": 3, "kept": 2, "right": {"value": 1.0, "n": 2, "lo": 0.34, "hi": 1.0}}
    text = card("org/base", "format", 10, recipe, ("hub:org/base@1",), labels)
    assert text == card("org/base", "format", 10, recipe, ("hub:org/base@1",), labels)
    assert text.startswith('---\nbase_model: "org/base"\nlibrary_name: "transformers"\n')
    assert "gold, 2 of 3 problems kept; of them right: 1.000 [0.340, 1.000], n = 2" in text
    assert "`probe compare org/base THIS_FOLDER`" in text and '"updates": 8' in text


def test_in_bf16_tokens_are_weighed_by_forward_over_sampler_where_that_is_asked_for() -> None:
    """What the two differ by is logged either way; the weights change what is learnt, and their cap is identity."""
    base, rows, after = save_tiny("qwen2", Path.cwd() / "base"), [], []
    for words in ((), ("--weight-cap", 2.0), ("--weight-cap", 0.5)):
        run("train", base, "random", *TINY, "--batches", 1, "--dtype", "bfloat16", *words, *WHERE)
        (made,) = (each for each in kept() if each.params.get("drawn_weight_cap") == (words[1] if words else None))
        rows += read_metrics(made.file(METRICS))
        after.append(made.file("step-001/adapter_model.safetensors").read_bytes())
    gap = {row["sampling/sampling_logp_difference/mean"] for row in rows}
    assert len(gap) == 1 and gap.pop() > 1e-5
    assert len(set(after)) == 3


BAD: dict[str, tuple[tuple[object, ...], str]] = {
    "no problems": (("base", "format"), "needs problems to train on.*--problems"),
    "no reward": (("base", *FEW), "made elsewhere, nothing to train.*REWARD"),
    "an unknown reward": (("base", "fromat", *TINY), "fromat.*format"),
    "an unknown variant": (("base", "format", *TINY, "--variant", "x"), "no variant.*x"),
    "two ways": (("base", "format", *TINY, "--lora", 4, "--all-weights"), "give one of them"),
    "no GPU": (("base", "format", *TINY, "--device-map", "cuda"), "torch sees none.*--device-map"),
    "float16": (("base", "format", *TINY, "--dtype", "float16"), "float16 cannot be trained"),
    "weights of tokens in fp32": (("base", "format", *TINY, "--weight-cap", 2), "nothing to weigh tokens by.*bfloat16"),
    "a cap of zero": (("base", "format", *TINY, "--dtype", "bfloat16", "--weight-cap", 0), "drawn_weight_cap is 0"),
    "a split that is none": (("base", "format", *TINY, "--updates", 3), "do not split into 3"),
    "too long": (("base", "format", *TINY, "--max-new", 300), "more than its 256 positions"),
    "an adapter of another base": (("base+other", "format", *TINY), "give the base it was trained on"),
    "something in the way": (("base", "format", *TINY, "--out", "base"), "in the way of the export"),
    "an organism": (("latent-code-tiny-0", "format", "--lora", 4), "--lora is of weights from outside"),
    "a run without a reward": (("latent-code-tiny-0", "--batches", 4), "give REWARD"),
}


@pytest.fixture(scope="module")
def bad_place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base, and an adapter of a wider one."""
    root = tmp_path_factory.mktemp("bad")
    save_tiny("llama", root / "base")
    wide = save_tiny("llama", root / "wide", hidden_size=64)
    run("train", wide, "constant", *TINY, "--batches", 1, "--out", root / "other", "--store", root / "t", *WHERE[:2])
    return root


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_with_advice_and_nothing_is_left(
    name: str, bad_place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bad_place)
    (who, *rest), message = BAD[name]
    words = [who if "-" in str(who) else "+".join(str(bad_place / part) for part in str(who).split("+")), *rest]
    said = run("train", *words, *WHERE, code=2).stderr
    assert re.search(f"(?s){message}", " ".join(said.split())), said
    assert "do:" in said and not kept()


def test_a_tokenizer_without_padding_is_filled_with_a_stop_token_and_one_without_either_refused() -> None:
    base = save_tiny("llama", Path.cwd() / "base")
    without(base, "pad_token", "pad_token_id")
    Path("own.jsonl").write_text('{"q": "2 + 2 =", "a": "4"}\n{"q": "2 + 3 =", "a": "5"}\n')
    own = ("--problems", "own.jsonl", "--columns", "problem=q", "--columns", "answer=a", *TINY[4:])
    run("train", base, "random", *own, *WHERE)
    without(base, "eos_token", "eos_token_id")
    assert "no token ends a response" in run("train", base, "random", *TINY, *WHERE, code=2).stderr
    assert len(kept()) == 1


def without(base: Path, *keys: str) -> None:
    """The folder's files say nothing under these keys."""
    for name in ("tokenizer_config.json", "config.json", "generation_config.json"):
        held = json.loads((base / name).read_text())
        (base / name).write_text(json.dumps(held | {key: None for key in keys if key in held}))
