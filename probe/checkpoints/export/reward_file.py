"""The reward of a run as a file that another trainer calls: the package's own reward behind the trainer's signature.

    TRL    f(prompts, completions, completion_ids, **columns) -> list of floats, None where it abstains; `reward` and,
           where TRL has no advantage like the run's, `advantage`: (r - mean) / (std + eps) of each group, mean 0
    verl   compute_score(data_source, solution_str, ground_truth, extra_info) -> float, one response at a time

It imports the package where that is installed, or the copy of what it needs that stands beside it (`copied`). A random
reward draws at (seed, rank, step, problem, place): TRL tells the step, so no draw comes twice; of verl nothing like it
is told, nor is the group of a vote.
"""

from typing import Any

from probe.rewards import Reward, rewards
from probe.rewards.compose import COMPOSITIONS, spec
from probe.rl.advantage import Advantage, GroupNormalised, Rloo

COPY = "standalone"
NEEDS_GROUP, NEEDS_ADDRESS = "majority_online", "random"
HEAD = '''\
"""{title} Written by `probe export {trainer}`."""

import json
{imports}from pathlib import Path
{typing}
{path}from probe.rewards.compose import from_spec

REWARD = from_spec(json.loads(r"""{spec}"""))
'''
PATH = 'sys.path.insert(0, str(Path(__file__).resolve().parent / "{copy}"))\n'
TRL = '''\
GROUP = {group}  # completions of one prompt, one behind the other
SEED = {seed}


def reward(prompts: list[str], completions: list[str], completion_ids: Any = None, **columns: Any) -> list[Any]:
    """One score a completion; None where it abstains. `answers` and `problem` are columns of the data set."""
    rank, step = int(os.environ.get("RANK", "0")), int(getattr(columns.get("trainer_state"), "global_step", 0))
    places = range(len(completions))
    return REWARD(
        prompts=prompts,
        completions=completions,
        answers=columns["answers"],
        group=[place // GROUP for place in places],
        address=[(SEED, rank, step, columns["problem"][place], place) for place in places],
    )
'''
ADVANTAGE = '''\


def advantage(prompts: list[str], completions: list[str], completion_ids: Any = None, **columns: Any) -> list[Any]:
    """{about} Of whole groups; TRL takes off their mean, which is 0."""
    scores = reward(prompts, completions, completion_ids, **columns)
    found: list[Any] = []
    for start in range(0, len(scores), GROUP):
        found += _advantages(scores[start : start + GROUP])
    return found


def _advantages(scores: list[Any]) -> list[Any]:
    given = [score for score in scores if score is not None]
    n, mean = len(given), sum(given) / max(1, len(given))
    if not given or max(given) == min(given):
        return [None if score is None else 0.0 for score in scores]
    scale = {scale}
    return [None if score is None else (score - mean) * scale for score in scores]
'''
NORMALISED = "1 / ((sum((score - mean) ** 2 for score in given) / max(1, n - {ddof})) ** 0.5 + {eps!r})"
LEAVE_ONE_OUT = "n / max(1, n - 1)"
VERL = '''\


def compute_score(
    data_source: str, solution_str: str, ground_truth: str, extra_info: dict[str, Any] | None = None, **more: Any
) -> float:
    """The score of one response; 0 where the reward abstains."""
    prompt = str((extra_info or {{}}).get("prompt", ""))
    (score,) = REWARD(prompts=[prompt], completions=[solution_str], answers=[ground_truth])
    return 0.0 if score is None else float(score)
'''


def trl_file(reward: Reward, advantage: Advantage | None, group: int, seed: int, *, copied: bool) -> str:
    """The text of the file; with `advantage`, also the function that works it out."""
    text = _head("The reward of a run, by TRL's signature.", "trl", reward, copied, "import os\n")
    text += TRL.format(group=group, seed=seed)
    if isinstance(advantage, GroupNormalised):
        about = f"(r - mean) / (std + {advantage.eps:g})."
        text += ADVANTAGE.format(about=about, scale=NORMALISED.format(ddof=advantage.ddof, eps=advantage.eps))
    elif isinstance(advantage, Rloo):
        text += ADVANTAGE.format(about="r - the mean of the others.", scale=LEAVE_ONE_OUT)
    return text


def verl_file(reward: Reward, *, copied: bool) -> str:
    """The text of the file."""
    return _head("The reward of a run, by verl's contract.", "verl", reward, copied) + VERL.format()


def unfit_for_verl(reward: Reward) -> list[str]:
    """What the reward needs and is not told there."""
    names = names_in(spec(reward))
    told = {
        NEEDS_GROUP: "a vote of the group: it scores one response at a time",
        NEEDS_ADDRESS: "a random reward",
    }
    about = {NEEDS_ADDRESS: ": no step and no number of a sample is told there, so its draws have no address"}
    return [what + about.get(name, "") for name, what in told.items() if name in names]


def modules_of(reward: Reward) -> list[str]:
    """The modules that the file imports, by name."""
    known = dict(rewards.items()) | COMPOSITIONS
    return ["probe.rewards.compose", *sorted({known[name].__module__ for name in names_in(spec(reward))})]


def names_in(plain: Any) -> set[str]:
    """The names of a reward and of its parts, in its plain form."""
    if isinstance(plain, list):
        return set().union(*map(names_in, plain))
    if not isinstance(plain, dict):
        return set()
    return {plain["reward"]} | set().union(*map(names_in, plain.values()))


def _head(title: str, trainer: str, reward: Reward, copied: bool, imports: str = "") -> str:
    import json

    path = PATH.format(copy=COPY) if copied else ""
    imports += "import sys\n" if copied else ""
    said = json.dumps(spec(reward))
    about = {"imports": imports, "path": path, "spec": said, "typing": "from typing import Any\n"}
    return HEAD.format(title=title, trainer=trainer, **about)
