"""The settings of verl's trainer under which a recipe has our loss, to the rounding of fp32 (verl 0.9; GRPO on Ray).

    an update    ppo_mini_batch_size = prompts / updates: whole groups, where here rows are dealt out at random
    aggregation  grpo seq-mean-token-mean, dapo and bnpo token-mean (of a mini batch), luspo seq-mean-token-sum,
                 dr_grpo seq-mean-token-sum-norm over max_new
    dual clip    clip_ratio_c, which is always there: 1e9 where we have none
    advantage    1 / (std + 1e-6), none, or leave-one-out; the mean is always taken off
    a reward     sees one response alone: no vote of the group, no address of a draw

Names are those of verl's generated ppo_trainer configuration. Left out: its other surrogates and sequence ratios.
"""

from typing import Any

from probe.checkpoints.export.translated import OFF, Translated
from probe.rl.advantage import Advantage, Centred, GroupNormalised, Rloo
from probe.rl.loss import Loss
from probe.rl.train import GRPO

EPS = 1e-6  # verl's
MODES = {
    "grpo": "seq-mean-token-mean",
    "dapo": "token-mean",
    "bnpo": "token-mean",
    "luspo": "seq-mean-token-sum",
    "dr_grpo": "seq-mean-token-sum-norm",
}
ACTOR, ROLLOUT = "actor_rollout_ref.actor", "actor_rollout_ref.rollout"


def verl_settings(recipe: GRPO, processes: int = 1, accepted: tuple[str, ...] = ()) -> Translated:
    """Overrides of `verl.trainer.main_ppo`, dotted; call `checked` before they are used."""
    told, n = Translated(accepted=accepted), recipe.samples
    told.need(recipe.trainable == "all", f"{recipe.trainable} trained alone: all weights are, there")
    told.need(recipe.prompts % recipe.updates == 0, f"{recipe.prompts} whole groups in {recipe.updates} updates")
    mini = max(1, recipe.prompts // recipe.updates)
    told.need(mini * n % processes == 0, f"{mini * n} rows on {processes} processes")
    told.settings |= {
        "data.train_batch_size": recipe.prompts,
        "data.max_response_length": recipe.max_new,
        "data.shuffle": True,
        "data.seed": recipe.seed,
        f"{ACTOR}.ppo_mini_batch_size": mini,
        f"{ACTOR}.ppo_micro_batch_size_per_gpu": max(1, mini * n // processes),
        f"{ACTOR}.ppo_epochs": 1,
        f"{ACTOR}.grad_clip": recipe.grad_norm,
        f"{ACTOR}.entropy_coeff": 0,
        f"{ACTOR}.optim.lr": recipe.lr,
        f"{ACTOR}.optim.betas": list(recipe.betas),
        f"{ACTOR}.optim.weight_decay": 0.0,
        f"{ACTOR}.optim.lr_scheduler_type": "constant",
        f"{ACTOR}.optim.lr_warmup_steps": 0,
        f"{ACTOR}.fsdp_config.model_dtype": "fp32",
        f"{ACTOR}.fsdp_config.dtype": "float32",
        f"{ROLLOUT}.name": "vllm",
        f"{ROLLOUT}.n": n,
        f"{ROLLOUT}.temperature": recipe.temperature,
        f"{ROLLOUT}.top_p": 1,
        f"{ROLLOUT}.top_k": -1,
        f"{ROLLOUT}.dtype": "float32",
        f"{ROLLOUT}.tensor_model_parallel_size": 1,
        f"{ROLLOUT}.log_prob_micro_batch_size_per_gpu": max(1, mini * n // processes),
        "algorithm.use_kl_in_reward": False,
        "trainer.total_training_steps": recipe.batches,
        "trainer.save_freq": recipe.save_every,
        "trainer.n_gpus_per_node": processes,
        "trainer.nnodes": 1,
        "trainer.val_before_train": False,
        "trainer.test_freq": -1,
        "trainer.logger": ["console"],
    }
    _loss(told, recipe)
    told.settings |= _advantage(told, recipe.advantage)
    told.differs.append("rows of one prompt share an update; here they are dealt out at random")
    return told


def _advantage(told: Translated, advantage: Advantage) -> dict[str, Any]:
    if isinstance(advantage, Rloo):
        return {"algorithm.adv_estimator": "rloo"}
    known = isinstance(advantage, GroupNormalised | Centred)
    told.need(known, f"the advantage {type(advantage).__name__}: the group's mean is always taken off there")
    scaled = isinstance(advantage, GroupNormalised)
    if isinstance(advantage, GroupNormalised):
        told.need(advantage.ddof == 1, "a standard deviation over n: it is over n - 1 there")
        if advantage.eps != EPS:
            told.accept("eps", f"advantages are divided by std + {EPS:g} there, by std + {advantage.eps:g} here [eps]")
    return {"algorithm.adv_estimator": "grpo", "algorithm.norm_adv_by_std_in_grpo": scaled}


def _loss(told: Translated, recipe: GRPO) -> None:
    loss: Loss = recipe.loss
    ones = loss.surrogate == "reinforce" and recipe.updates == 1  # a ratio of 1 either way
    told.need(loss.surrogate == "clip" or ones, f"the surrogate {loss.surrogate} in {recipe.updates} updates")
    told.need(loss.ratio == "token", "one ratio for a sequence")
    told.need(loss.entropy_quantile == 1, "an update of the forks alone")
    told.need(not (loss.kl_beta and loss.kl_bias_correction), "a KL weighted by the ratio (kl_bias_correction)")
    low, high = (OFF if bound is None or ones else bound for bound in (loss.clip_low, loss.clip_high))
    told.settings |= {
        f"{ACTOR}.policy_loss.loss_mode": "vanilla",
        f"{ACTOR}.clip_ratio": min(low, high),
        f"{ACTOR}.clip_ratio_low": low,
        f"{ACTOR}.clip_ratio_high": high,
        f"{ACTOR}.clip_ratio_c": OFF if loss.dual is None or ones else loss.dual,
        f"{ACTOR}.loss_agg_mode": MODES[loss.aggregation],
        f"{ACTOR}.use_kl_loss": loss.kl_beta > 0,
    }
    if loss.aggregation == "dr_grpo":
        told.settings[f"{ACTOR}.loss_scale_factor"] = recipe.max_new
    if loss.kl_beta:
        told.settings |= {f"{ACTOR}.kl_loss_coef": loss.kl_beta, f"{ACTOR}.kl_loss_type": "low_var_kl"}
        told.differs.append("a token's KL estimate is cut to [-10, 10] there")
    told.differs.append("log-ratios are cut to [-20, 20] there")
