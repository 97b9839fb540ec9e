"""The policy loss: TRL's golden values, cases by hand, finite differences, the clip bias, the PSR and NSR gradients."""

import itertools
import json
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from probe.errors import BadInput
from probe.rl.advantage import GroupNormalised, NegativeOnly, PositiveOnly, reward_table
from probe.rl.clip_report import clip_report
from probe.rl.loss import Loss, entropy_mask, entropy_threshold, policy_loss
from probe.rng import torch_rng

GOLDEN = json.loads((Path(__file__).parent / "data" / "trl_golden.json").read_text())
CASES = sorted(GOLDEN["cases"])
TOTALS = {"n_tokens": GOLDEN["n_tokens"], "max_length": GOLDEN["max_length"]}
CLIPS = {
    "symmetric": Loss(),
    "asymmetric": Loss(clip_high=0.28),
    "upper": Loss(clip_low=None),
    "lower": Loss(clip_high=None),
    "dual": Loss(dual=3.0),
    "none": Loss(clip_low=None, clip_high=None),
    "dual alone": Loss(clip_low=None, clip_high=None, dual=3.0),
    "reinforce": Loss("reinforce"),
}


def batch(dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    """The golden inputs: 4 x 6 tokens, the last row masked out."""
    raw = {name: torch.tensor(value) for name, value in GOLDEN["batch"].items() if name == "mask"}
    return raw | {n: torch.tensor(v, dtype=dtype) for n, v in GOLDEN["batch"].items() if n != "mask"}


def evaluate(given: dict[str, Tensor], loss: Loss, **options: Any) -> tuple[Tensor, Tensor]:
    """Value and gradient with respect to the log-probs."""
    logprob = given["logprob"].clone().requires_grad_()
    value = policy_loss(
        logprob,
        given["old"],
        given["advantage"],
        given["mask"],
        loss=loss,
        entropy=given.get("entropy"),
        reference_logprob=given.get("reference"),
        **TOTALS | options,
    )
    return value, torch.autograd.grad(value, logprob)[0]


def one_token(ratio: float, advantage: float, loss: Loss) -> tuple[float, float]:
    """Value and gradient of a single token with log-prob log(.5 ratio)."""
    old = torch.tensor([[math.log(0.5)]], dtype=torch.float64)
    given = {
        "logprob": old + math.log(ratio),
        "old": old,
        "mask": torch.tensor([[True]]),
        "advantage": torch.tensor([advantage], dtype=torch.float64),
    }
    value, gradient = evaluate(given, loss)
    return value.item(), gradient.item()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_value_and_gradient_are_trls(name: str, dtype: torch.dtype, tolerance: float) -> None:
    case = GOLDEN["cases"][name]
    value, gradient = evaluate(batch(dtype), Loss(**case["loss"]))
    wanted = torch.tensor(case["gradient"], dtype=torch.float64)
    assert wanted.norm() > 0
    assert value.item() == pytest.approx(case["value"], rel=tolerance)
    assert (gradient.double() - wanted).norm() / wanted.norm() < tolerance
    assert value.dtype == dtype


@pytest.mark.parametrize("name", [name for name in CASES if GOLDEN["cases"][name]["metrics"]])
def test_clip_metrics_are_trls(name: str) -> None:
    given, case = batch(), GOLDEN["cases"][name]
    report = clip_report(given["logprob"], given["old"], given["advantage"], given["mask"], Loss(**case["loss"]))
    assert {metric: report[metric] for metric in case["metrics"]} == pytest.approx(case["metrics"], abs=1e-6)


def test_golden_file_covers_what_trl_can_do() -> None:
    losses = [Loss(**GOLDEN["cases"][name]["loss"]) for name in CASES]
    assert {loss.surrogate for loss in losses} == {"clip", "reinforce", "cispo", "sapo", "vespo"}
    assert {loss.aggregation for loss in losses} == {"grpo", "bnpo", "dr_grpo", "dapo", "luspo"}
    assert {loss.ratio for loss in losses} == {"token", "sequence"}
    assert len(losses) == len(set(losses)) >= 18


@pytest.mark.parametrize(
    ("clip", "ratio", "advantage", "value", "gradient"),
    [
        ("symmetric", 1.5, 1, -1.2, 0),
        ("symmetric", 1.5, -1, 1.5, 1.5),
        ("symmetric", 0.5, 1, -0.5, -0.5),
        ("symmetric", 0.5, -1, 0.8, 0),
        ("symmetric", 1.1, 2, -2.2, -2.2),
        ("asymmetric", 1.25, 1, -1.25, -1.25),
        ("asymmetric", 1.5, 1, -1.28, 0),
        ("upper", 1.5, 1, -1.2, 0),
        ("upper", 0.5, -1, 0.5, 0.5),
        ("lower", 1.5, 1, -1.5, -1.5),
        ("lower", 0.5, -1, 0.8, 0),
        ("dual", 4.0, -1, 3.0, 0),
        ("dual", 2.0, -1, 2.0, 2.0),
        ("dual", 4.0, 1, -1.2, 0),
        ("dual alone", 4.0, -1, 3.0, 0),
        ("dual alone", 2.0, -1, 2.0, 2.0),
        ("dual alone", 4.0, 1, -4.0, -4.0),
        ("none", 4.0, -1, 4.0, 4.0),
        ("none", 4.0, 1, -4.0, -4.0),
        ("reinforce", 4.0, 1, -1.0, -1.0),
        ("reinforce", 0.1, -1, 1.0, 1.0),
    ],
)
def test_clips_by_hand(clip: str, ratio: float, advantage: float, value: float, gradient: float) -> None:
    assert one_token(ratio, advantage, CLIPS[clip]) == pytest.approx((value, gradient), abs=1e-12)


@pytest.mark.parametrize(
    ("aggregation", "wanted"),
    # rows of 1 and 3 tokens whose terms are 1 and 2; 8 tokens in the whole batch; at most 5 a sequence
    [("grpo", (1 + 2) / 2), ("bnpo", 7 / 4), ("dr_grpo", 7 / 10), ("dapo", 7 / 8), ("luspo", 7 / 2)],
)
def test_aggregations_by_hand(aggregation: Any, wanted: float) -> None:
    given = {
        "logprob": torch.zeros(2, 3, dtype=torch.float64),
        "old": torch.zeros(2, 3, dtype=torch.float64),
        "mask": torch.tensor([[True, False, False], [True, True, True]]),
        "advantage": torch.tensor([-1.0, -2.0], dtype=torch.float64),
    }
    value, _ = evaluate(given, Loss(aggregation=aggregation), n_tokens=8, max_length=5)
    assert value.item() == pytest.approx(wanted)


SMOOTH = [*CLIPS.values(), Loss("sapo"), Loss(ratio="sequence"), Loss(kl_beta=0.5), Loss(entropy_quantile=0.5)]


@pytest.mark.parametrize("loss", [loss for loss in SMOOTH if loss.surrogate != "reinforce"])
def test_gradient_is_the_slope_of_the_value(loss: Loss) -> None:
    given = batch()

    def value(logprob: Tensor) -> Tensor:
        return evaluate_value(given | {"logprob": logprob}, loss)

    assert torch.autograd.gradcheck(value, given["logprob"].clone().requires_grad_(), eps=1e-7, atol=1e-6)


def evaluate_value(given: dict[str, Tensor], loss: Loss) -> Tensor:
    more: dict[str, Any] = {"entropy": given["entropy"], "reference_logprob": given["reference"]}
    return policy_loss(given["logprob"], given["old"], given["advantage"], given["mask"], loss=loss, **more, **TOTALS)


VARIANTS = [Loss(**GOLDEN["cases"][name]["loss"]) for name in CASES] + [
    Loss(entropy_quantile=0.5, entropy_side="bottom"),
    Loss(entropy_quantile=0.5, normalise_over="selected", kl_beta=0.1),
]


@pytest.mark.parametrize("loss", VARIANTS)
def test_masked_tokens_have_no_effect(loss: Loss) -> None:
    given = batch()
    clean_value, clean = evaluate(given, loss)
    for name in ("logprob", "old", "reference", "entropy"):
        given[name] = given[name].where(given["mask"], math.nan)
    value, gradient = evaluate(given, loss)
    assert value.item() == clean_value.item()
    assert torch.equal(gradient, clean)
    assert not gradient[~given["mask"]].any()


@pytest.mark.parametrize("loss", VARIANTS)
def test_order_of_responses_does_not_matter(loss: Loss) -> None:
    given, order = batch(), torch.tensor([2, 0, 3, 1])
    value, gradient = evaluate(given, loss)
    moved_value, moved = evaluate({name: tensor[order] for name, tensor in given.items()}, loss)
    assert moved_value.item() == pytest.approx(value.item(), rel=1e-12)
    assert torch.allclose(moved, gradient[order], rtol=1e-12)


@pytest.mark.parametrize("loss", [loss for loss in VARIANTS if loss.kl_beta == 0])
def test_zero_advantage_gives_zero_gradient(loss: Loss) -> None:
    given = batch()
    value, gradient = evaluate(given | {"advantage": torch.zeros(4, dtype=torch.float64)}, loss)
    assert value.item() == 0
    assert not gradient.any()


@pytest.mark.parametrize("loss", [loss for loss in VARIANTS if loss.aggregation != "bnpo"])
def test_micro_batches_sum_to_the_whole(loss: Loss) -> None:
    given = batch()
    value, gradient = evaluate(given, loss)
    cut = entropy_threshold(given["entropy"], given["mask"], loss)
    parts = [{name: tensor[rows] for name, tensor in given.items()} for rows in (slice(0, 1), slice(1, 4))]
    done = [evaluate(part, loss, n_sequences=4, threshold=cut) for part in parts]
    assert sum(part.item() for part, _ in done) == pytest.approx(value.item(), rel=1e-12)
    assert torch.allclose(torch.cat([part for _, part in done]), gradient, rtol=1e-12)


def test_vespo_weights_stay_finite_at_any_ratio() -> None:
    """A token's log-ratio is held within +-20, the sequence's within [log 1e-8, 20]; phi vanishes at both ends."""
    given = batch()
    far = torch.tensor([-300.0, -3.0, 3.0, 300.0], dtype=torch.float64)[:, None].expand(4, 6)
    given |= {"old": torch.full((4, 6), -300.0, dtype=torch.float64), "mask": torch.ones(4, 6, dtype=torch.bool)}
    _, gradient = evaluate(given | {"logprob": given["old"] + far, "advantage": torch.ones(4).double()}, Loss("vespo"))
    sequence = [math.log(1e-8), -18.0, 18.0, 20.0]
    phi = [math.exp(3 + 2 * w - 3 * math.exp(w)) for w in sequence]
    assert gradient[:, 0].tolist() == pytest.approx([-p / 24 for p in phi], rel=1e-9)


def test_advantage_may_be_given_per_token() -> None:
    given = batch()
    spread = given["advantage"][:, None].expand(4, 6)
    assert evaluate(given | {"advantage": spread}, Loss())[0].item() == evaluate(given, Loss())[0].item()


def test_a_batch_without_counted_tokens_has_no_loss() -> None:
    given = batch()
    for aggregation in ("grpo", "bnpo", "dr_grpo", "dapo", "luspo"):
        nothing = given | {"mask": torch.zeros(4, 6, dtype=torch.bool)}
        value, gradient = evaluate(nothing, Loss(aggregation=aggregation, entropy_quantile=0.5), n_tokens=0)
        assert value.item() == 0
        assert not gradient.any()


def test_top_and_bottom_entropy_split_the_tokens() -> None:
    given = batch()
    top = entropy_mask(given["entropy"], given["mask"], Loss(entropy_quantile=0.2))
    bottom = entropy_mask(given["entropy"], given["mask"], Loss(entropy_quantile=0.8, entropy_side="bottom"))
    assert int(top.sum()) == 3  # of 15: those at or above the 80th percentile
    assert torch.equal(top ^ bottom, given["mask"])
    assert not (top & bottom).any()
    assert given["entropy"][top].min() > given["entropy"][bottom].max()


@pytest.mark.parametrize("aggregation", ["grpo", "bnpo"])
def test_normalising_over_selected_tokens_is_masking_the_others(aggregation: Any) -> None:
    given, loss = batch(), Loss(entropy_quantile=0.4, normalise_over="selected", aggregation=aggregation, kl_beta=0.1)
    chosen = entropy_mask(given["entropy"], given["mask"], loss)
    value, gradient = evaluate(given, loss)
    wanted, same = evaluate(given | {"mask": chosen}, replace(loss, entropy_quantile=1.0))
    assert value.item() == pytest.approx(wanted.item(), rel=1e-12)
    assert torch.allclose(gradient, same, rtol=1e-12)
    assert not gradient[~chosen].any()


def logit_gradient(advantage: Tensor, logits: Tensor, sampled: int) -> Tensor:
    """The ascent direction of pi(sampled) * A on the logits: ratio to an old probability of 1, nothing clipped."""
    logits = logits.clone().requires_grad_()
    logprob = logits.log_softmax(-1)[sampled].view(1, 1)
    value = policy_loss(
        logprob, torch.zeros_like(logprob), advantage, torch.tensor([[True]]), loss=CLIPS["none"], **TOTALS
    )
    return -torch.autograd.grad(value, logits)[0]


def test_negative_only_pushes_the_rest_up_by_its_probability() -> None:
    logits = torch.tensor([0.3, -1.0, 2.0, 0.0], dtype=torch.float64)
    pi, y = logits.softmax(-1), 2
    wanted = pi[y] * pi
    wanted[y] = -pi[y] * (1 - pi[y])
    got = logit_gradient(NegativeOnly()(reward_table([0.0], 1)).value, logits, y)
    assert torch.allclose(got, wanted, rtol=1e-12)
    psr = logit_gradient(PositiveOnly()(reward_table([1.0], 1)).value, logits, y)
    assert torch.allclose(psr, -wanted, rtol=1e-12)


RATIOS = [0.5, 0.9, 1.1, 1.5]  # below, inside twice, above a clip of .2


def mean_gradient(ratios: list[float], loss: Loss) -> tuple[Tensor, float]:
    """Ascent direction per token averaged over all 16 equally likely reward vectors of a group of 4, and mu."""
    old = torch.full((4, 1), math.log(0.5), dtype=torch.float64)
    given = {"old": old, "logprob": old + torch.tensor(ratios).double().log()[:, None]}
    given["mask"] = torch.ones(4, 1, dtype=torch.bool)
    total, mu = torch.zeros(4, 1, dtype=torch.float64), 0.0
    for rewards in itertools.product([0.0, 1.0], repeat=4):
        advantage = GroupNormalised()(reward_table(rewards, 4)).value.double()
        total -= evaluate(given | {"advantage": advantage}, loss, n_sequences=1)[1] / 16
        mu += advantage.clamp(min=0).mean().item() / 16
    return total.flatten(), mu


def test_clip_bias_of_a_random_reward_is_the_papers() -> None:
    bias, mu = mean_gradient(RATIOS, Loss(aggregation="luspo"))
    assert mu > 0.3
    assert bias.tolist() == pytest.approx([mu * 0.5, 0, 0, -mu * 1.5], abs=1e-6)  # gradient of R is R


@pytest.mark.parametrize("loss", [CLIPS["none"], CLIPS["reinforce"]])
def test_without_clipping_a_random_reward_has_no_bias(loss: Loss) -> None:
    assert mean_gradient(RATIOS, replace(loss, aggregation="luspo"))[0].abs().max() < 1e-6


def test_first_update_has_no_bias_and_no_clipping() -> None:
    assert mean_gradient([1.0] * 4, Loss(aggregation="luspo"))[0].abs().max() < 1e-6
    given = batch()
    first = given | {"logprob": given["old"]}
    gradients = [evaluate(first, loss)[1] for loss in CLIPS.values()]
    assert all(torch.equal(gradient, gradients[0]) for gradient in gradients)
    report = clip_report(given["old"], given["old"], given["advantage"], given["mask"], Loss())
    assert report["clip_ratio/region_mean"] == 0


def test_upper_edge_is_out_of_reach_of_probable_tokens() -> None:
    """pi <= 1 and pi_old > 1 / 1.2, so pi / pi_old < 1.2."""
    old = torch.rand(64, 50, generator=torch_rng("test", "old"), dtype=torch.float64).log()
    new = torch.rand(64, 50, generator=torch_rng("test", "new"), dtype=torch.float64).log()
    mask, advantage = torch.ones(64, 50, dtype=torch.bool), torch.ones(64, dtype=torch.float64)
    report = clip_report(new, old, advantage, mask, Loss())
    assert report["clip_ratio/count/pi_old_0.8333_1"] > 300
    assert report["clip_ratio/high/pi_old_0.8333_1"] == 0
    assert report["clip_ratio/high/pi_old_0_0.1"] > report["clip_ratio/high/pi_old_0.1_0.5"] > 0.3
    assert report["clip_ratio/low/pi_old_0.8333_1"] == 0  # A > 0 never clips below
    negative = clip_report(new, old, -advantage, mask, Loss())
    assert negative["clip_ratio/low/pi_old_0.8333_1"] > 0.5
    assert negative["clip_ratio/high_mean"] == 0


def test_clip_report_by_hand() -> None:
    old = torch.tensor([[0.05, 0.3, 0.3, 0.6]]).log()
    new = torch.tensor([[0.10, 0.2, 0.9, 0.6]]).log()  # ratios 2, .67, 3, 1
    mask = torch.tensor([[True, True, False, True]])
    report = clip_report(new, old, torch.tensor([1.0]), mask, Loss())
    assert report["clip_ratio/high_mean"] == pytest.approx(1 / 3)
    assert report["clip_ratio/low_mean"] == 0
    assert report["clip_ratio/region_mean"] == pytest.approx(1 / 3)
    assert [report[f"clip_ratio/count/pi_old_{edge}"] for edge in ("0_0.1", "0.1_0.5", "0.5_0.8333", "0.8333_1")] == [
        1, 1, 1, 0,
    ]  # fmt: skip
    assert report["clip_ratio/high/pi_old_0_0.1"] == 1
    assert "clip_ratio/high/pi_old_0.8333_1" not in report  # nothing to take a share of
    alone = clip_report(new.T, old.T, torch.ones(4), mask.T, Loss())  # one token a response is still a share of tokens
    assert alone["clip_ratio/high_mean"] == pytest.approx(1 / 3)
    dual = clip_report(new, old, torch.tensor([-1.0]), mask, Loss(dual=1.5))
    assert dual["clip_ratio/dual_mean"] == pytest.approx(1 / 3)
    assert dual["clip_ratio/low_mean"] == pytest.approx(1 / 3)


def test_clip_report_agrees_with_where_the_gradient_stops() -> None:
    given = batch()
    for loss in (*CLIPS.values(), Loss(clip_low=None, clip_high=None, dual=1.5), Loss(dual=1.5)):
        stopped = (evaluate(given, loss)[1] == 0)[given["mask"]].double().mean().item()
        report = clip_report(given["logprob"], given["old"], given["advantage"], given["mask"], loss)
        assert report["clip_ratio/region_mean"] + report["clip_ratio/dual_mean"] == pytest.approx(stopped)


def test_a_loss_survives_json() -> None:
    for loss in VARIANTS:
        assert Loss(**json.loads(json.dumps(asdict(loss)))) == loss


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("surrogate", "ppo"),
        ("aggregation", "mean"),
        ("ratio", "word"),
        ("entropy_side", "left"),
        ("normalise_over", "some"),
        ("clip_low", 1.0),
        ("clip_low", -0.1),
        ("clip_high", math.inf),
        ("clip_high", math.nan),
        ("dual", 1.1),
        ("entropy_quantile", 0.0),
        ("entropy_quantile", 1.5),
        ("kl_beta", -1.0),
        ("kl_beta", math.nan),
        ("cispo_max", 0.0),
        ("sapo_tau_neg", 0.0),
    ],
)
def test_impossible_losses_are_refused(field: str, value: Any) -> None:
    with pytest.raises(BadInput, match=field):
        Loss(**{field: value})


@pytest.mark.parametrize(
    ("change", "loss", "says"),
    [
        ({"old": torch.zeros(4, 5)}, Loss(), "old_logprob"),
        ({"mask": torch.ones(3, 6, dtype=torch.bool)}, Loss(), "mask"),
        ({"advantage": torch.zeros(6)}, Loss(), "advantage"),
        ({"advantage": torch.tensor([0.0, math.nan, 0.0, math.inf])}, Loss(), r"rows \[1, 3\]"),
        ({"entropy": None}, Loss(entropy_quantile=0.5), "entropy"),
        ({"reference": None}, Loss(kl_beta=0.1), "reference_logprob"),
        ({"reference": torch.zeros(4, 5)}, Loss(kl_beta=0.1), "reference_logprob"),
    ],
)
def test_bad_tensors_are_named(change: dict[str, Any], loss: Loss, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        evaluate(batch() | change, loss)


@pytest.mark.parametrize(("aggregation", "total"), [("dapo", "n_tokens"), ("dr_grpo", "max_length")])
def test_totals_are_never_guessed(aggregation: Any, total: str) -> None:
    with pytest.raises(BadInput, match=total):
        evaluate(batch(), Loss(aggregation=aggregation), **{total: None})


def test_an_empty_batch_is_refused() -> None:
    empty = {name: tensor[:0] for name, tensor in batch().items()}
    with pytest.raises(BadInput, match="empty"):
        evaluate(empty, Loss())
