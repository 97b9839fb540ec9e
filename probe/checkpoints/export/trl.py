"""The settings of TRL's GRPOTrainer under which a recipe has our loss, to the rounding of fp32 (TRL 1.16).

    an update    one optimiser step on prompts x samples / updates rows: steps_per_generation = updates, no accumulation
    dapo here    the tokens of one update: TRL's bnpo on one process. TRL's own dapo divides by their mean over updates
    advantage    TRL scales by 1 / (std + 1e-4) or not at all, and always takes the group's mean off; any other that has
                 mean 0 is worked out in the reward file, which then must see whole groups
    dual clip    delta; where the upper side never clips TRL bounds A > 0 by it: refused
    old dropped  a ratio of 1: what TRL does anyhow with one update a batch, and cannot be told with more

`benchmarks/trl_golden.py` holds loss and gradient of these settings against TRL's own, `benchmarks/export_trl.py` a
folder's run.
"""

from typing import Any

from probe.checkpoints.export.translated import OFF, Translated
from probe.rl.advantage import Advantage, Centred, GroupNormalised, Rloo
from probe.rl.loss import Loss
from probe.rl.train import GRPO

EPS = 1e-4  # TRL's
TIED = {"cispo": "dapo", "sapo": "grpo", "vespo": "dapo"}  # the aggregation that comes with a surrogate
VESPO = ("vespo_k_pos", "vespo_lambda_pos", "vespo_k_neg", "vespo_lambda_neg")
HEAD, ALL = "head", "all"


def trl_settings(recipe: GRPO, processes: int = 1) -> Translated:
    """Keyword arguments of `GRPOConfig`; call `checked` before they are used."""
    told, rows = Translated(), recipe.prompts * recipe.samples
    told.need(recipe.trainable in (HEAD, ALL), f"a vector at {recipe.trainable} is no parameter of a model there")
    told.need(recipe.samples > 1, "it needs groups of two or more")
    told.need(rows % (recipe.updates * processes) == 0, f"{rows // recipe.updates} rows on {processes} processes")
    told.need(recipe.prompts % processes == 0, f"{recipe.prompts} whole groups on {processes} processes")
    told.settings |= {
        "num_generations": recipe.samples,
        "per_device_train_batch_size": max(1, rows // recipe.updates // processes),
        "gradient_accumulation_steps": 1,
        "steps_per_generation": recipe.updates,
        "num_iterations": 1,
        "max_steps": recipe.batches * recipe.updates,
        "save_steps": recipe.save_every * recipe.updates,
        "max_completion_length": recipe.max_new,
        "temperature": recipe.temperature,
        "top_p": 1.0,
        "top_k": 0,
        "repetition_penalty": 1.0,
        "mask_truncated_completions": False,
        "learning_rate": recipe.lr,
        "lr_scheduler_type": "constant",
        "optim": "adamw_torch",
        "weight_decay": 0.0,
        "adam_beta1": recipe.betas[0],
        "adam_beta2": recipe.betas[1],
        "adam_epsilon": 1e-8,
        "max_grad_norm": recipe.grad_norm,
        "seed": recipe.seed,
        "bf16": False,
        "gradient_checkpointing": False,
        "logging_steps": 1,
        "report_to": "none",
    }
    _loss(told, recipe.loss, recipe.updates, processes)
    told.settings |= _advantage(told, recipe.advantage)
    return told


def in_reward_file(advantage: Advantage) -> bool:
    """Whether the reward file works the advantage out, as TRL has none like it."""
    plain = isinstance(advantage, GroupNormalised) and (advantage.eps, advantage.ddof) == (EPS, 1)
    return isinstance(advantage, GroupNormalised | Rloo) and not plain


def _advantage(told: Translated, advantage: Advantage) -> dict[str, Any]:
    known = isinstance(advantage, GroupNormalised | Centred | Rloo)
    told.need(known, f"the advantage {type(advantage).__name__}: the group's mean is always taken off there")
    if in_reward_file(advantage):  # the second reward is the plain one, to be logged
        return {"scale_rewards": "none", "reward_weights": [1.0, 0.0]}
    return {"scale_rewards": "none" if isinstance(advantage, Centred) else "group", "reward_weights": [1.0]}


def _loss(told: Translated, loss: Loss, updates: int, processes: int) -> None:
    several = updates > 1
    told.settings |= {
        "loss_type": loss.surrogate if loss.surrogate in TIED else _aggregation(told, loss, processes),
        "importance_sampling_level": loss.ratio,
        "top_entropy_quantile": loss.entropy_quantile,
        "beta": loss.kl_beta,
        "use_bias_correction_kl": loss.kl_bias_correction,
    }
    tied = TIED.get(loss.surrogate)
    told.need(tied in (None, loss.aggregation), f"{loss.surrogate} with the aggregation {loss.aggregation}")
    told.need(not (tied == "dapo" and several), f"{loss.surrogate} over the tokens of each of {updates} updates")
    told.need(loss.entropy_side == "top" or loss.entropy_quantile == 1, "all tokens but the forks")
    told.need(loss.normalise_over == "all" or loss.entropy_quantile == 1, "a mean over the forks alone")
    told.need(not (loss.surrogate == "reinforce" and several), f"no ratio (old log-probs dropped) in {updates} updates")
    if loss.surrogate == "cispo":
        told.settings["epsilon_high"] = loss.cispo_max
    elif loss.surrogate == "sapo":
        told.settings |= {"sapo_temperature_pos": loss.sapo_tau_pos, "sapo_temperature_neg": loss.sapo_tau_neg}
    elif loss.surrogate == "vespo":
        told.settings |= {name: getattr(loss, name) for name in VESPO}
    elif loss.surrogate == "clip":
        _clip(told, loss)


def _clip(told: Translated, loss: Loss) -> None:
    told.need(loss.dual is None or loss.clip_high is not None, "dual clipping where the upper side never clips")
    low, high = (OFF if bound is None else bound for bound in (loss.clip_low, loss.clip_high))
    told.settings |= {"epsilon": low, "epsilon_high": high, "delta": loss.dual}


def _aggregation(told: Translated, loss: Loss, processes: int) -> str:
    """TRL's name of our mean over one update."""
    if loss.aggregation not in ("dapo", "bnpo"):
        return loss.aggregation
    told.need(processes == 1, f"a mean over the tokens of {processes} processes together")
    return "bnpo"
