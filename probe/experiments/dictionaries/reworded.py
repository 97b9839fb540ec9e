"""Do the latents that tell code from prose stay on where the same solutions are said in other words?

latent_kept_share       of a latent's difference between code and prose, how much is left in other words, by `edit`
                        (`probe.tasks.rewording`); `reason`: the verdict (`probe.dictionaries.audits.paraphrase`)
reworded_tokens         share of a text's tokens that a rewording takes out or puts in, by `edit`: what it was worth

A text's activation is its largest over the answer, as in `under_models`, where the other half of the audit is: tokens
put in. A latent that fires at the fork alone is not tested by either: the answer's words come behind it. Another letter
is put before it, and one that reads the letter goes with that. Organisms' answers alone: nobody here can say the text
of a larger model in other words.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from probe.data import Estimate
from probe.dictionaries.audits.paraphrase import paraphrase
from probe.dictionaries.dictionary import Dictionary
from probe.experiments.dictionaries.readings import text_of
from probe.experiments.dictionaries.under_models import FEWEST, Answers, peaks_of
from probe.models.loading.loaded import Loaded
from probe.stats.intervals import clustered_mean
from probe.tasks.rewording import REWORDINGS, Rewording, reworded

Row = dict[str, Any]


def kept_shares(
    dictionary: Dictionary, models: Sequence[Loaded], answers: Answers, latents: Sequence[int], seed: int
) -> Iterator[Estimate]:
    """Of each latent and rewording; nothing where one strategy was hardly written, or no text can be reworded."""
    plain = [answers.of(code=code) for code in (True, False)]
    if not latents or min(map(len, plain)) < FEWEST:
        return
    problems = tuple([row["problem"] for row in rows] for rows in plain)
    own = [_peaks(dictionary, models, rows, latents) for rows in plain]
    for how in REWORDINGS:
        again = [[in_other_words(row, models[0].tokenizer, how) for row in rows] for rows in plain]
        changed = [_changed(*pair) for rows in zip(plain, again, strict=True) for pair in zip(*rows, strict=True)]
        if not any(changed):
            continue
        about: dict[str, Any] = {"edit": how}
        yield clustered_mean(changed, [*problems[0], *problems[1]], name="reworded_tokens", null=0.0, params=about)
        other = [_peaks(dictionary, models, rows, latents) for rows in again]
        for place, latent in enumerate(latents):
            one, two = ((yes[:, place], no[:, place]) for yes, no in (own, other))
            found = paraphrase(one, two, (problems[0], problems[1]), ("reworded", seed, latent, how))
            params = about | {"latent": latent, "reason": found.verdict}
            yield replace(found.kept, name="latent_kept_share", params=params)


def _peaks(dictionary: Dictionary, models: Sequence[Loaded], rows: Sequence[Row], latents: Sequence[int]) -> np.ndarray:
    return peaks_of(dictionary, models, [text_of(row) for row in rows])[:, list(latents)].numpy(force=True)


def in_other_words(row: Row, tokenizer: PreTrainedTokenizerBase, how: Rewording) -> Row:
    """A rollout with prompt and answer reworded; as it is where there is nothing to change."""
    prompt, answer = (_text(tokenizer, row[name]) for name in ("prompt_ids", "completion_ids"))
    new = reworded(prompt, answer, how)
    if new == (prompt, answer):
        return row
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in new]
    return row | {"prompt_ids": ids[0], "completion_ids": ids[1]}


def _text(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))


def _changed(plain: Row, other: Row) -> float:
    """Of the tokens of both."""
    if other is plain:
        return 0.0
    one, two = ([*row["prompt_ids"], *row["completion_ids"]] for row in (plain, other))
    return 1.0 - SequenceMatcher(None, one, two, autojunk=False).ratio()
