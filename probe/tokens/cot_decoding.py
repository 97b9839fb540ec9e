r"""What does a model answer if its first token is not the likeliest one? CoT decoding (2402.10200), on any causal LM.

    paths        the k likeliest first tokens of an answer, each continued greedily
    confidence   mean over the tokens t of the answer of  p(y_t | x, y_<t) - p_(2)(. | x, y_<t)          in [0, 1]
    the answer   the path with the largest confidence; of equals the one whose first token is likelier

p_(2) is the second-highest probability, so every token of a greedy path counts the lead of the first choice over the
second. The tokens of the answer are those that spell what stands in the last complete box. A path without a box is
never preferred to one that has one, and neither is a path whose answer holds the first token, where that was a third
choice or worse: its p_(2) is not at hand (`self_confidence`). A first token that the model would never write counts as
much as any, as in the paper: where there are fewer ways to begin than k, the surest path may be nonsense.
Left out: the paper's sum of confidences over paths with one answer, other ways to mark an answer than a box.
"""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from probe.errors import BadInput
from probe.models.hooks.anatomy import anatomy, final_hidden
from probe.models.loading.loaded import Loaded, pad_id, stop_ids
from probe.models.sampling.batches import by_length
from probe.models.sampling.padding import right_padded
from probe.rollouts.samplers import Sample
from probe.tasks.answers import boxes, own_turn
from probe.tokens.score import score
from probe.tokens.self_confidence import answer_confidence, disparity

BRANCHES, BATCH = 8, 128


@dataclass(frozen=True)
class Path:
    """One continuation: ids with the stop token, whether it has one, and how sure its answer is (nan: no answer)."""

    ids: list[int]
    stopped: bool
    confidence: float


def cot_paths(
    loaded: Loaded, sample: Sample, prompts: list[list[int]], *, max_new: int, k: int = BRANCHES
) -> list[list[Path]]:
    """The k paths of each prompt, the likeliest first token first. BadInput where there are no k first tokens."""
    if not 1 <= k <= loaded.model.config.get_text_config().vocab_size or max_new < 2:
        what = f"{k} first tokens, {max_new} new tokens"
        raise BadInput(what, where="CoT decoding", do="give 1 first token or more, and 2 new tokens or more")
    asked = [prompt for prompt in prompts for _ in range(k)]
    firsts = [token for row in first_tokens(loaded, prompts, k).tolist() for token in row]
    begun = [[*prompt, first] for prompt, first in zip(asked, firsts, strict=True)]
    found = sample(begun, n_samples=1, max_new=max_new - 1, uniforms=None, temperature=1.0)
    ended, stops = found.stopped.tolist(), set(stop_ids(loaded))
    rest = [row[:n] for row, n in zip(found.ids.tolist(), found.lengths.tolist(), strict=True)]
    ids = [[first] if first in stops else [first, *more] for first, more in zip(firsts, rest, strict=True)]
    sure = confidence(loaded, asked, ids)
    stopped = [first in stops or end for first, end in zip(firsts, ended, strict=True)]
    paths = [Path(*each) for each in zip(ids, stopped, sure.tolist(), strict=True)]
    return [paths[start : start + k] for start in range(0, len(paths), k)]


def surest(paths: Sequence[Path]) -> Path:
    """The path that is the answer: the first where none has an answer."""
    return max(paths, key=lambda path: -1.0 if np.isnan(path.confidence) else path.confidence)


@torch.inference_mode()
def first_tokens(loaded: Loaded, prompts: list[list[int]], k: int) -> Int[Tensor, "prompt k"]:
    """The k likeliest first tokens of each prompt's answer, in their order."""
    parts, found = anatomy(loaded.model), torch.empty(len(prompts), k, dtype=torch.long)
    device = loaded.model.get_input_embeddings().weight.device
    for rows in by_length([len(prompt) for prompt in prompts], BATCH):
        ids, mask = right_padded([prompts[row] for row in rows], pad_id(loaded), device)
        last = final_hidden(loaded.model, ids)[torch.arange(len(rows)), mask.sum(1) - 1]
        found[rows] = parts.logits(last).topk(k).indices.cpu()
    return found


def confidence(loaded: Loaded, prompts: list[list[int]], ids: list[list[int]]) -> Float[np.ndarray, "row"]:
    """How sure the answer in each completion is, by its tokens; nan without one."""
    scores = score(loaded.model, prompts, ids)
    lead = disparity(scores.logprob, scores.margin, scores.rank)
    answer = np.concatenate([answer_tokens(loaded.tokenizer, row, stop_ids(loaded)) for row in ids])
    return answer_confidence(lead, scores.row, answer, len(ids))


def answer_tokens(
    tokenizer: PreTrainedTokenizerBase, ids: list[int], stops: Sequence[int] = ()
) -> Bool[np.ndarray, "token"]:
    """Which tokens spell the answer in the last complete box; none without one."""
    kept = ids[:-1] if ids and ids[-1] in stops else ids

    def length(n: int) -> int:
        return len(_text(tokenizer, kept[:n]))

    chosen, text = np.zeros(len(ids), dtype=bool), own_turn(_text(tokenizer, kept))
    start, answer = max(boxes(text), default=(-1, ""))
    if answer:
        at = text.index(answer, start + len("\\boxed" if text.startswith("\\boxed", start) else "\\fbox"))
        first = bisect.bisect_right(range(len(kept) + 1), at, key=length) - 1
        chosen[first : bisect.bisect_left(range(len(kept) + 1), at + len(answer), key=length)] = True
    return chosen


def _text(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)) if ids else ""
