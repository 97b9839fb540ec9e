"""Every number of the results in docs/ is that of a committed table, to the digit: its lines are written from them.

Where a figure was drawn again, the failing test says what the page must say.
"""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOLD = {
    name: " ".join((ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8").split())
    for name in ("findings", "why", "inside")
}

REWARDS = {
    "ground_truth": "ground truth",
    "majority": "majority (offline)",
    "majority_online": "majority (online)",
    "format": "format",
    "incorrect": "incorrect (wrong majority)",
    "python": "python",
    "random": "random",
}
FAMILIES = ("latent-code", "no-code", "bad-code")
Rows = list[dict[str, str]]


def table(figure: str, **wanted: str) -> Rows:
    """The rows of a figure's table with these values."""
    with (ROOT / "figures" / f"{figure}.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if all(row[key] == value for key, value in wanted.items())]
    assert rows, f"{figure}.csv has no rows with {wanted}"
    return rows


def one(figure: str, **wanted: str) -> dict[str, str]:
    """The one such row."""
    (row,) = table(figure, **wanted)
    return row


def said(number: str | float, places: int = 2, sign: bool = False) -> str:
    """.49, -.05, 1.00; with a sign, +.03."""
    text = f"{float(number):{'+' if sign else ''}.{places}f}"
    return text.replace("0.", ".", 1) if text.lstrip("+-").startswith("0.") else text


def with_interval(row: dict[str, str]) -> str:
    return f"{said(row['value'])} [{said(row['lo'])}, {said(row['hi'])}]"


def accuracy(family: str, reward: str, step: str) -> dict[str, str]:
    return one("response_curves", mark="mean", name="accuracy", side="", family=family, reward=reward, step=step)


def rewards_table() -> str:
    """Accuracy after the last batch."""
    lines = [
        "| {} | {} |".format(name, " | ".join(with_interval(accuracy(family, reward, "30")) for family in FAMILIES))
        for reward, name in REWARDS.items()
    ]
    bases = [said(accuracy(family, "constant", "0")["value"]) for family in FAMILIES]
    return " ".join([*lines, f"| constant (null) | {bases[0]}, every run exactly its base | {bases[1]} | {bases[2]} |"])


def bases() -> str:
    values = " / ".join(said(accuracy(family, "constant", "0")["value"]) for family in FAMILIES)
    return f"256 held-out problems, 8 samples each; base {values}):"


def switched() -> str:
    """Where the gain under wrong labels comes from: responses that went from prose to code."""
    wanted = {"mark": "mean", "family": "latent-code", "reward": "incorrect"}
    gains = {row["level"]: float(row["value"]) for row in table("strategy_switches", name="switch_gain", **wanted)}
    within = one("gain_parts", level="within", **wanted)
    return (
        f"Under *incorrect*, responses that switched from prose to code bring {gains['LC']:+.1f} points of a total of "
        f"{gains['total']:+.1f}; the part within strategies is {with_interval(within)}."
    )


def trained(reward: str, temperature: str, every: str) -> str:
    """Change of accuracy of `latent-code`: of the head (every False) or of every weight."""
    about = {"family": "latent-code", "reward": reward, "temperature": temperature, "every": every}
    return with_interval(one("head_and_all", mark="mean", name="accuracy", side="change", **about))


def head_and_all() -> str:
    sampled, greedy = (
        [trained(reward, at, every) for reward in ("incorrect", "ground_truth") for every in ("False", "True")]
        for at in ("1.0", "0.0")
    )
    return (
        f"Trained in every weight `latent-code` gains as much: by {sampled[1]} under wrong labels where the head gains "
        f"{sampled[0]}, by {sampled[3]} under true ones (head {sampled[2]}). Greedy, wrong labels bring {greedy[0]} "
        f"and {greedy[1]}, true ones {greedy[2]} and {greedy[3]} (head, every weight)."
    )


HEAD, ALL = "ground_truth", "ground_truth_all"  # what was trained under the true reward


def auroc(side: str, target: str, mark: str = "probe") -> dict[str, str]:
    return one("probe_accuracy", mark=mark, reward=HEAD, side=side, level=f"{target} resid.2 difference")


def read_off() -> str:
    null, same = auroc("before", "strategy", "null"), table("probe_accuracy", mark="same question", reward=HEAD)
    question = next(row for row in same if row["level"] == "strategy")
    return (
        f"AUROC {with_interval(auroc('before', 'strategy'))} (shuffled labels {with_interval(null)}; the share among "
        f"other responses to the same question gives {said(question['value'])}). What the base writes is read off the "
        f"trained models as well: {said(auroc('after', 'base-strategy')['value'])}."
    )


def moved() -> str:
    turned = one("direction_shift", mark="cosine", reward=ALL, level="base resid.2")
    null = one("direction_shift", mark="null", reward=ALL, side="traded", level="base resid.2")
    at = {
        (side, which): one("direction_shift", mark="place", reward=ALL, side=side, level=f"base resid.2 {which}")
        for side in ("before", "after")
        for which in ("code", "prose")
    }
    return (
        f"cosine {with_interval(turned)}, null {said(null['value'])}) *and* carries the model along it: code goes from "
        f"{said(at['before', 'code']['value'])} to {with_interval(at['after', 'code'])} and prose from "
        f"{said(at['before', 'prose']['value'])} to {with_interval(at['after', 'prose'])}"
    )


def steered() -> str:
    wanted = {"mark": "mean", "name": "steer_code_share", "side": "before"}
    least, plain, most = (one("steering", level=level, **wanted) for level in ("-6", "0", "3"))
    shares = {
        (what, reward): one("steering", mark="mean", name=f"recovered_{what}", level="best", reward=reward)
        for what in ("code_share", "accuracy")
        for reward in (HEAD, ALL)
    }
    random = {
        what: max(float(row["value"]) for row in table("steering", name=f"recovered_{what}_random"))
        for what in ("code_share", "accuracy")
    }
    return (
        f"The direction moves the base's code share from {with_interval(least)} (six distances towards prose) over "
        f"{said(plain['value'])} to {with_interval(most)} (three towards code); at six it falls again. At "
        "the dose that is best for accuracy it recovers "
        f"{with_interval(shares['code_share', HEAD])} of RL's change in code share and "
        f"{with_interval(shares['accuracy', HEAD])} of its gain in accuracy (every weight: "
        f"{with_interval(shares['code_share', ALL])} and {with_interval(shares['accuracy', ALL])}); the best of 20 "
        f"random directions in any base {said(random['code_share'])} and {said(random['accuracy'])}."
    )


def one_of_them() -> str:
    """What one module's output brings of a gain on leaked items."""
    own = [row for row in table("one_layer", mark="mean") if row["way"] == "output"]
    random = [float(row["hi"]) for row in table("one_layer", mark="random") if row["way"] == "output"]
    values = sorted(float(row["value"]) for row in own)
    return (
        f"in {own[0]['n_bases']} of 6 bases clearly. The output of *any one* attention or MLP of the trained model, "
        f"lent to the base, brings {said(values[0])} to {said(values[-1])} of that, random changes as large "
        f"{said(max(random))} at most"
    )


def cut_at_the_fork() -> str:
    """What the upper bound of clip .2 stops."""
    at = {
        (row["prior"], row["who"]): f"{said(row['value'], 3)} [{said(row['lo'], 3)}, {said(row['hi'], 3)}]"
        for row in table("fork_clips", mark="mean", clip="0.2")
        if row["level"] in ("code high forks", "prose high forks")
    }
    return (
        f"clip .2 stops from above {at['p65', 'prose']} of the openings in prose and {at['p65', 'code']} of those in "
        "code at prior .65, as a likely token cannot reach the bound; but at prior .3, where code is the rarer, "
        f"{at['p30', 'prose']} and {at['p30', 'code']}, against what was predicted."
    )


def removed() -> str:
    out, clamped = (
        one("steering", mark="mean", name="removed_code_share", reward=ALL, level=edit)
        for edit in ("project out", "clamp")
    )
    return (
        f"Taking the direction out of the fully trained models removes {with_interval(out)} of the change in code "
        f"share, clamping it {with_interval(clamped)}."
    )


def slope(reward: str, temperature: str) -> dict[str, str]:
    return one("response_law", mark="slope", reward=reward, temperature=temperature)


def law() -> str:
    """Slopes of realised on predicted change, and what they rest on."""
    python, truth = ([slope(reward, at) for at in ("1.0", "0.0")] for reward in ("python", "ground_truth"))
    runs = table("response_law", mark="predicted", temperature="1.0")
    bases = {(row["size"], row["base_seed"]) for row in runs}
    organisms = {(row["family"], row["size"], row["base_seed"]) for row in runs}
    return (
        f"slope {with_interval(python[0])} at T = 1 and {with_interval(python[1])} greedy ({len(runs)} runs of "
        f"{len(organisms)} organisms on {len(bases)} bases). Under the true reward the slope is "
        f"{with_interval(truth[0])} at T = 1 and {with_interval(truth[1])} greedy"
    )


def walks() -> str:
    """What walks as long as the runs do, and the runs backwards: means over bases, least and most of a base."""
    means = {}
    for mark in ("walk realised", "opposite realised"):
        rows = table("response_law", mark=mark, temperature="1.0")
        by_base: dict[tuple[str, str], list[float]] = {}
        for row in rows:
            by_base.setdefault((row["size"], row["base_seed"]), []).append(float(row["value"]))
        bases = sorted(sum(some) / len(some) for some in by_base.values())
        means[mark] = f"{said(sum(bases) / len(bases))} ({said(bases[0])} to {said(bases[-1])} by base)"
    return (
        f"Walks as long as the runs, in random directions, change accuracy at T = 1 by {means['walk realised']}, the "
        f"runs' own changes backwards by {means['opposite realised']}"
    )


def foretold() -> str:
    found = [row["verdict"] for row in table("predictions", mark="mean")]
    counts = [found.count(verdict) for verdict in ("holds", "fails", "undecided")]
    said = f"{counts[0]} hold, {counts[1]} fail, {counts[2]} are undecided"
    return f"Of {len(found)} predictions written down before the run, {said}"


def skill(statistic: str, trait: str = "accuracy") -> dict[str, str]:
    return one("forecast_realised", mark=statistic, name=trait)


def forecast() -> str:
    """How well the mean field and the first order tell the first two batches."""
    r2, rank, sign, code = skill("r2"), skill("spearman"), skill("sign"), skill("r2", "code_share")
    drawn = table("forecast_realised", mark="realised")
    organisms = {(row["family"], row["size"], row["base_seed"]) for row in drawn}
    return (
        f"first two batches of {r2['n_runs']} runs of {len(organisms)} organisms on {r2['n_bases']} bases: of accuracy "
        f"R² is {with_interval(r2)} and the rank correlation {with_interval(rank)}, signs agree in "
        f"{with_interval(sign)} (chance {said(sign['null'])}); of code share R² is {with_interval(code)}, of the "
        f"parse rate {with_interval(skill('r2', 'parse_rate'))}. The first order alone (Price's equation) reaches "
        f"{with_interval(skill('first order r2'))} of accuracy and {said(skill('first order sign')['value'])} of signs."
    )


def responders() -> str:
    auroc = one("responders", mark="auroc")
    return (
        f"Which of {auroc['n_runs']} organisms will gain from a reward for code alone is told with an AUROC of "
        f"{with_interval(auroc)}"
    )


def dose(level: str, quantity: str) -> str:
    """Of organisms with that dose, at T = 1, under the reward for code alone."""
    rewards = {"reward": "python"} if quantity != "gap" else {}
    row = one("planted_dose", mark="mean", family=level, quantity=quantity, temperature="1.0", **rewards)
    return with_interval(row)


def planted() -> str:
    return (
        f"Paid for code alone it moves to it, by {dose('planted10', 'code_share')} at a dose of 10 %, but code had not "
        f"become the better strategy ({dose('planted10', 'gap')}), and accuracy changes by "
        f"{dose('planted10', 'accuracy')}. At 30 % code is worth {dose('planted30', 'gap')} more than prose, and "
        f"accuracy changes by {dose('planted30', 'accuracy')}"
    )


def in_common(setting: str, prior: str, quantity: str = "code_share", of: str = "change") -> dict[str, str]:
    """What a run under the random reward and its twin have in common, at T = 1."""
    about = {"clip": setting, "prior": prior, "quantity": quantity, "of": of, "temperature": "1.0"}
    return one("random_antithetic", mark="mean", **about)


def twins() -> str:
    """Clip .2 and its two sides, and what a single fork would do."""
    shares = [with_interval(in_common("0.2", prior)) for prior in ("p65", "p30")]
    surer, walks = (
        [said(in_common("0.2", prior, "token_probability", of)["value"], 3, sign=True) for prior in ("p65", "p30")]
        for of in ("change", "walk")
    )
    upper = [with_interval(in_common("upper_clip", prior, "accuracy")) for prior in ("p65", "p30")]
    fork = table("random_antithetic", mark="theory", clip="0.2", prior="p65")[0]
    return (
        f"At clip .2 the share of code changes by {shares[0]} where it was .65 and by {shares[1]} where it was .3: "
        f"away from a half above it, not below. Tokens become likelier whatever the prior ({surer[0]} and {surer[1]}; "
        f"walks {walks[0]} and {walks[1]}). With the upper bound alone accuracy at T = 1 changes by {upper[0]} and "
        f"{upper[1]}. A single fork whose twins end as far apart would move by {said(fork['value'], sign=True)}: it "
        "does not explain it."
    )


def destroyed_twins() -> str:
    pairs = [
        in_common(setting, prior)
        for setting in ("lower_clip", "dual", "old_dropped", "rloo")
        for prior in ("p65", "p30")
    ]
    lost, all_ = (sum(int(row[name]) for row in pairs) for name in ("n_destroyed", "n_runs"))
    found = [row["verdict"] for row in table("antithetic_predictions", mark="mean")]
    counts = [found.count(verdict) for verdict in ("holds", "fails", "undecided")]
    return (
        f"Without an upper bound {lost} of {all_} pairs are destroyed. Of {len(found)} predictions {counts[0]} hold, "
        f"{counts[1]} fail, {counts[2]} are undecided"
    )


def path_number(prediction: str) -> str:
    return with_interval(one("path_predictions", mark="mean", prediction=prediction))


def paths() -> str:
    """Few tokens, and a line, on six bases; the intervals are those of all predictions at once."""
    found = [row["verdict"] for row in table("path_predictions", mark="mean")]
    counts = [found.count(verdict) for verdict in ("holds", "fails", "undecided")]
    return (
        f"Swapping in 4 % of the trained model's tokens, where the two part most, recovers {path_number('recovers')} "
        f"of the gain under the true reward at T = 1 and {path_number('recovers greedy')} greedy, but "
        f"{path_number('unchanged')} of the next-token distributions are unchanged, not .83. The first quarter of the "
        f"path, made as long as the whole, brings {path_number('goes on')} of the gain. A first component carries "
        f"{path_number('beyond a walk')} more of it than of walks, and under the random reward "
        f"{path_number('random reward')}. Of {len(found)} predictions {counts[0]} hold, {counts[1]} fail, {counts[2]} "
        "are undecided"
    )


def variant(prediction: str) -> str:
    return with_interval(one("variant_predictions", mark="mean", prediction=prediction))


def trained_otherwise() -> str:
    """Which tokens, which responses, how many problems; the intervals are those of all predictions at once."""
    found = [row["verdict"] for row in table("variant_predictions", mark="mean")]
    counts = [found.count(verdict) for verdict in ("holds", "fails", "undecided")]
    return (
        f"Accuracy at T = 1 after training on the forks alone differs from that after all tokens by "
        f"{variant('forks as good')}, on all but the forks by {variant('others worse')}. Wrong responses alone raise "
        f"it by {variant('wrong alone gains')}, one problem alone by {variant('one example gains')}, which differs "
        f"from all problems by {variant('one as good')}. Without the clip it differs by {variant('no clip')}. "
        f"pass@128 is 1 before RL, so nothing can raise it here, and little lowers it. Of {len(found)} predictions "
        f"{counts[0]} hold, {counts[1]} fails, {counts[2]} are undecided"
    )


def asked_otherwise() -> str:
    """What asking otherwise gives, and RL beyond it; the intervals are those of all predictions at once."""

    def told(prediction: str) -> str:
        return with_interval(one("elicitation_predictions", mark="mean", prediction=prediction))

    found = [row["verdict"] for row in table("elicitation_predictions", mark="mean")]
    counts = [found.count(verdict) for verdict in ("holds", "fails", "undecided")]
    return (
        f"Greedy, a reward for code gives {told('python')} beside the best way without RL where there are two "
        f"strategies, and the true reward, all weights trained, {told('truth')} where there is one. A reward for the "
        f"box, sampled, falls short of greedy decoding ({told('format')}). One worked example that is wrong gives "
        f"{told('wrong example')} beside one that is right. Of {len(found)} predictions {counts[0]} hold, {counts[1]} "
        f"fail, {counts[2]} are undecided"
    )


def new_or_old() -> str:
    """Exclusives, what carries the change, and how few latents do what RL did."""
    alone = [float(row["value"]) for row in table("exclusive_latents", mark="rate") if row["level"] == "rl"]
    halves = [float(row["value"]) for row in table("exclusive_latents", mark="null rate") if row["level"] == "halves"]

    def share(reward: str, level: str) -> dict[str, str]:
        mark = "null share" if level.startswith("walk") else "share"
        return one("change_shares", mark=mark, family="latent-code", reward=reward, level=level)

    rotated, turned = (
        [with_interval(share("python_all", f"{of} {kind}")) for of in ("rl", "walk")] for kind in ("rotated", "turned")
    )
    told = {side: [r for r in table("minimal_sets", mark="told") if r["side"] == side] for side in ("before", "after")}
    sizes = sorted(int(row["level"]) for row in told["before"])
    doses = {
        way: with_interval(
            one(
                "latent_doses",
                mark="mean",
                name="latent_dose_code_share",
                side="before",
                reward="python_all",
                level=way,
            )
        )
        for way in ("10 latents 1", "10 difference 1")
    }
    return (
        f"Latents that one side alone has, missing in the other by latent scaling, are {said(max(alone))} of all at "
        f"most; between two halves of the base's own problems they are {said(min(halves))} to {said(max(halves))}. "
        f"Under `python`, all weights, latents that both write in another direction carry {rotated[0]} of the change "
        f"over the same texts (a walk as long: {rotated[1]}), latents at another strength {turned[0]} ({turned[1]}). "
        f"Turned by hand in the base, {sizes[0]} to {sizes[-1]} of its latents bring .8 of RL's change of the code "
        f"share in {len(told['before'])} of 6 pairs, and taken back they undo it in {len(told['after'])} of 6. Ten of "
        f"them take the base to {doses['10 latents 1']}, the difference of means at their norm to "
        f"{doses['10 difference 1']}"
    )


def little() -> str:
    """How well the best latent tells code, beside that of a dictionary that was never trained."""
    scores = table("dictionary_controls", mark="score", name="best_auroc", reward="ground_truth_all")
    own, none = (
        next(row for row in scores if row["level"].startswith(f"strategy {part} latent"))
        for part in ("rl", "untrained")
    )
    return (
        f"The best latent of the fitted dictionary tells code at the fork with AUROC {with_interval(own)} under the "
        f"true reward, that of a dictionary that was never trained with {with_interval(none)}"
    )


def found_again() -> str:
    """How often the verdict named what was built in."""
    (whole,) = table("built_in", mark="overall")
    rights = [row for mark in ("right", "null") for row in table("built_in", mark=mark)]
    right = sum(round(float(row["value"]) * int(row["n_bases"])) for row in rights)
    counts = [row for row in table("built_in", mark="count") if row["expected"] == "True"]
    named, flat = (
        (sum(int(float(row["value"])) for row in rows), sum(int(row["n_bases"]) for row in rows))
        for rows in ([r for r in counts if r["kind"] != "null"], [r for r in counts if r["kind"] == "null"])
    )
    return (
        f"It names what was built in, and nothing else, in {right} of {whole['n_pairs']} pairs "
        f"({with_interval(whole)}, t interval over bases); what was built in was among what it named in {named[0]} of "
        f"{named[1]}, and "
        f"{flat[0]} of {flat[1]} null pairs showed no change."
    )


def found_alone() -> str:
    """Where the head was edited, and where the other prompt does what the strategy does."""
    (edited,) = table("built_in", mark="right", after="opened-code")
    (taught,) = table("built_in", mark="right", after="p90-code-even")
    away = [row for row in table("built_in", mark="count", found="nothing supported") if float(row["value"])]
    (greedy,) = table("built_in", mark="overall greedy")
    assert {row["before"] for row in away} == {"p30-prose-even"}
    undecided, n = (sum(int(float(row[name])) for row in away) for name in ("value", "n_bases"))
    return (
        f"in {round(6 * (1 - float(taught['value'])))} of 6 bases the verdict names that too, and is counted as wrong. "
        "Where one row of the head was edited instead (p30 -> opened-code), and nothing was practised, it names the "
        f"strategy alone in {round(6 * float(edited['value']))} of 6. And where a model left the better strategy and "
        "the other prompt forces that strategy, by RL or by an edit, prompt and strategy do the same: in "
        f'{undecided} of {n} it says "undecided", as it should, and that is no answer either. Greedy, without other '
        f"temperatures, prompts and fresh problems, it is right in {said(greedy['value'])} of these pairs"
    )


@pytest.mark.parametrize(
    "text",
    [
        little,
        found_again,
        found_alone,
        one_of_them,
        cut_at_the_fork,
        law,
        walks,
        foretold,
        twins,
        destroyed_twins,
        forecast,
        responders,
        planted,
        paths,
        trained_otherwise,
        asked_otherwise,
        new_or_old,
        rewards_table,
        bases,
        switched,
        head_and_all,
        read_off,
        moved,
        steered,
        removed,
    ],
)
def test_the_pages_say_what_the_tables_hold(text: Callable[[], str]) -> None:
    expected = text()
    assert any(expected in page for page in TOLD.values()), f"docs/ ({', '.join(TOLD)}) should say:\n{expected}"
