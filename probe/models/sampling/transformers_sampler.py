"""What does any Hugging Face causal LM answer, sampled in batches with our own draws?

`sample` in `decode` knows organisms; this one leaves the forward, the cache and the padding to transformers' own
`generate` and takes over one thing, the choice of the token. It sits where logits processors sit: float32 logits over
the whole vocabulary in, the log-prob and entropy of the sampling distribution (T applied) recorded, and the token that
the inverse CDF gives for this row's own uniform put so far ahead that greedy search must take it. So a row's draws
depend on its address alone, never on its batch; in half precision a batch may still round its logits differently.

    rows = prompts x n_samples, longest prompt first, `batch` at a time; left-padded; out of memory halves the batch

Nothing of the checkpoint's generation_config.json (top_p, top_k, penalties, suppressed or forced tokens, ...) takes
part: settings that are None in a GenerationConfig are filled in from the model's, so the model is given a blank one.

Left out: beams, truncated distributions, and what `group_sampler` does: dropping finished rows from a batch, and
sharing the prefill of a prompt that is sampled more than once.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessorList, PreTrainedModel

from probe.errors import BadInput, ProbeError
from probe.models.sampling.batches import OnRows, by_length, over_devices, silent
from probe.models.sampling.inverse_cdf import choose
from probe.models.sampling.organism_sampler import Samples
from probe.models.sampling.padding import left_padded

Row = tuple[Tensor, Tensor, Tensor, bool]  # ids, logprob, entropy, stopped


@dataclass(eq=False)
class _Chooser:
    """A logits processor: decides each row's token and keeps its log-prob and the entropy."""

    uniforms: Float[Tensor, "batch pos"] | None
    temperature: float
    logprob: list[Float[Tensor, "batch"]] = field(default_factory=list)  # one per step
    entropy: list[Float[Tensor, "batch"]] = field(default_factory=list)

    def __call__(
        self, input_ids: Int[Tensor, "batch seen"], scores: Float[Tensor, "batch d_vocab"]
    ) -> Float[Tensor, "batch d_vocab"]:
        u = None if self.uniforms is None else self.uniforms[:, len(self.logprob)]
        if self.temperature != 1:
            scores.div_(self.temperature)  # `generate` hands over a float32 copy: it is ours to change
        token, logprob, entropy = choose(scores, u)
        self.logprob.append(logprob)
        self.entropy.append(entropy)
        return scores.scatter_(1, token[:, None], float("inf"))


def generate(
    model: PreTrainedModel,
    prompts: list[list[int]],
    *,
    n_samples: int,
    max_new: int,
    stop: Sequence[int],
    pad: int,
    uniforms: Float[Tensor, "rows pos"] | None,
    temperature: float = 1.0,
    batch: int = 64,
    replicas: Sequence[PreTrainedModel] = (),
    on_rows: OnRows = silent,
) -> Samples:
    """`n_samples` completions of each prompt. `uniforms` [len(prompts) * n_samples, max_new] in (0, 1); None is greedy.

    A row ends after the first token in `stop`. `replicas` are further copies of the model, each worked in a thread of
    its own. `on_rows` hears how many rows were just done. `hidden` is not kept.

    Raises BadInput on an empty prompt, ids outside the vocabulary, wrong shapes or a temperature <= 0; ProbeError where
    the model's output is not finite or one row does not fit into memory.
    """
    check_request(model, prompts, n_samples, max_new, pad, uniforms, temperature)
    owner = [prompt for prompt in prompts for _ in range(n_samples)]
    config = _config(max_new, stop, pad)

    def run(worker: PreTrainedModel, rows: list[int]) -> list[Row]:
        draws = None if uniforms is None else uniforms[rows]
        return _one_batch(worker, [owner[row] for row in rows], draws, temperature, config)

    lengths = [len(prompt) for prompt in owner]
    most = [length + max_new for length in lengths]
    done = over_devices((model, *replicas), by_length(lengths, batch), run, on_rows, most)
    return assemble(done, max_new, pad)


def _config(max_new: int, stop: Sequence[int], pad: int) -> GenerationConfig:
    """Greedy, so that no sampling setting is read at all, and cached; everything else is off by default."""
    return GenerationConfig(
        max_new_tokens=max_new,
        eos_token_id=list(stop) or None,
        pad_token_id=pad,
        do_sample=False,
        num_beams=1,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        use_cache=True,
        disable_compile=True,
    )


def _one_batch(
    model: PreTrainedModel,
    prompts: list[list[int]],
    uniforms: Float[Tensor, "batch pos"] | None,
    temperature: float,
    config: GenerationConfig,
) -> list[Row]:
    device = device_of(model)
    ids, mask = left_padded(prompts, config.pad_token_id, device)
    chooser = _Chooser(None if uniforms is None else uniforms.to(device), temperature)
    blank = copy.copy(model)  # shares every weight and module
    blank.generation_config = GenerationConfig()
    out = blank.generate(
        ids, attention_mask=mask, generation_config=config, logits_processor=LogitsProcessorList([chooser])
    )
    new = out[:, ids.shape[1] :].cpu()
    scores = [torch.stack(steps, 1).cpu() for steps in (chooser.logprob, chooser.entropy)]
    ends = torch.isin(new, torch.tensor(config.eos_token_id or [], dtype=torch.long))
    stopped = ends.any(1)
    lengths = torch.where(stopped, ends.int().argmax(1) + 1, new.shape[1]).tolist()
    parts = zip(new, *scores, lengths, stopped.tolist(), strict=True)
    return [(i[:n].clone(), logp[:n].clone(), h[:n].clone(), end) for i, logp, h, n, end in parts]


def device_of(model: PreTrainedModel) -> torch.device:
    """Where token ids go in; hooks move them on where the embedding is kept elsewhere."""
    device = model.get_input_embeddings().weight.device
    return torch.device("cpu") if device.type == "meta" else device


def assemble(rows: list[Row], max_new: int, pad: int) -> Samples:
    """Samples of rows in their order. ProbeError where a log-prob or an entropy is not finite."""
    ids = torch.full((len(rows), max_new), pad)
    logprob, entropy = torch.zeros(len(rows), max_new), torch.zeros(len(rows), max_new)
    for r, (tokens, logp, h, _) in enumerate(rows):
        n = len(tokens)
        ids[r, :n], logprob[r, :n], entropy[r, :n] = tokens, logp, h
    broken = (~(logprob + entropy).isfinite()).any(1).nonzero().flatten().tolist()
    if broken:
        raise ProbeError(
            f"the model's logits are not finite in {len(broken)} of {len(rows)} samples",
            where=f"generate, sample {broken[0]}",
            do="load it in float32 or bfloat16: float16 overflows in models that were trained in bfloat16",
        )
    lengths = torch.tensor([len(row[0]) for row in rows])
    return Samples(ids, lengths, torch.tensor([row[3] for row in rows]), logprob, entropy, hidden=None)


def check_request(
    model: PreTrainedModel,
    prompts: list[list[int]],
    n_samples: int,
    max_new: int,
    pad: int,
    uniforms: Tensor | None,
    temperature: float,
) -> None:
    """BadInput where that cannot be sampled."""
    if not prompts or not all(prompts) or n_samples < 1 or max_new < 1:
        raise BadInput("sampling needs at least one non-empty prompt, one sample and one new token", where="generate")
    if not temperature > 0:
        raise BadInput(
            f"temperature {temperature} is not positive", where="generate", do="pass uniforms=None for greedy"
        )
    rows = len(prompts) * n_samples
    if uniforms is not None and tuple(uniforms.shape) != (rows, max_new):
        raise BadInput(
            f"uniforms have shape {tuple(uniforms.shape)}, not {(rows, max_new)}",
            where="generate",
            do="give one row of max_new draws per prompt and sample",
        )
    known = range(model.get_input_embeddings().weight.shape[0])
    for name, token in [("pad", pad), *(("a prompt", extreme(p)) for p in prompts for extreme in (min, max))]:
        if token not in known:
            do = "the tokenizer is not this model's" if name != "pad" else "take any token: padding is masked"
            raise BadInput(f"{name} has token {token}, the model has {len(known)}", where="generate", do=do)
