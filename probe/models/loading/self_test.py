"""Does this checkpoint behave as everything downstream assumes? Five identities on a few short prompts.

shapes    logits are [batch pos d_vocab] and finite
head      logits are what the anatomy says of the states after the final norm, which the final norm puts out
hook      adding a vector to a block's input at the last token moves its logits, not those before; gone, all are back
padding   a prompt padded on the right or on the left has the logits of the prompt alone
decoding  greedy: our sampler, where it knows the architecture, gives the very tokens of transformers' `generate`,
          elsewhere `generate` does for a prompt padded on the left; and each is the best of a forward without cache

Logits are compared position by position, d(a, b) = max |a - b| / |b| over the vocabulary. Rounding alone gave d of at
most 2e-6 in fp32 and 2e-2 in bf16 over random Qwen2, Qwen3, Llama, OLMo 2, Gemma 2 and 3 and Mistral of 2 or 3 blocks;
of 26 to 32 blocks 5e-6, 6e-2, and 1e-2 in fp16. A mask left out or wrong positions gave .8 to 1.7. TOLERANCE lies
between; the head, which is the same product twice, is held to a few roundings. A greedy token may be second to one
whose logit is as close as padding was seen to move logits: texts that part there differ for no fault of padding.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import GenerationConfig

from probe.errors import BadInput
from probe.models.hooks.anatomy import anatomy, final_hidden, positions
from probe.models.loading.loaded import Loaded, pad_id, stop_ids
from probe.models.loading.organism import MAX_NEW_TOKENS
from probe.models.sampling.organism_forward import weights_of
from probe.models.sampling.organism_sampler import sample
from probe.models.sampling.padding import left_padded, right_padded
from probe.rng import torch_rng
from probe.tasks.chain import chain_problems

QUESTIONS = (
    "What is 7 plus 5?",
    "Solve for x: 2x + 3 = 11.",
    "A train goes 60 km in 1 hour. How far does it go in 3 hours?",
    "Find the sum of the first ten positive integers, and say how you found it.",
)
TOLERANCE = {torch.float32: 1e-4, torch.float16: 3e-2, torch.bfloat16: 2e-1}  # of d
TIE = 8  # times the d of padding, in root mean squares of the logits: two logits, each off by four standard deviations
SAMPLED = ("llama", "qwen2")  # what our sampler may know
MORE = 3  # tokens of padding on the longest prompt


@dataclass(frozen=True)
class Check:
    """One identity: its name, whether it holds, and what was found."""

    name: str
    holds: bool
    detail: str


def self_test(loaded: Loaded) -> list[Check]:
    """The five checks, in order. BadInput where the model has no such anatomy, or no token to stop at."""
    prompts = _prompts(loaded)
    checks = (_shapes, _head, _hook, _padding, _decoding)
    with torch.inference_mode():
        return [check(loaded, prompts) for check in checks]


def check_itself(loaded: Loaded, where: str) -> None:
    """BadInput naming the checks that fail."""
    failed = [check for check in self_test(loaded) if not check.holds]
    if failed:
        what = "; ".join(f"{check.name}: {check.detail}" for check in failed)
        do = "nothing measured on this model could be trusted; another dtype or transformers version may help"
        raise BadInput(f"the model fails its self-test: {what}", where=where, do=do)


def _prompts(loaded: Loaded) -> list[list[int]]:
    """English if the tokenizer can spell it, an organism's own problems if it can spell those, else random ids."""
    for texts in (QUESTIONS, [p.prompt for p in chain_problems(2 * len(QUESTIONS), "test", 0)]):
        prompts = [loaded.tokenizer(text)["input_ids"] for text in texts]
        back = [loaded.tokenizer.decode(ids, skip_special_tokens=True) for ids in prompts]
        if all(prompts) and [text.strip() for text in back] == [text.strip() for text in texts]:
            return prompts
    rng, tokens = torch_rng("self-test prompts"), loaded.model.get_input_embeddings().weight.shape[0]
    return [torch.randint(tokens, (length,), generator=rng).tolist() for length in (5, 8, 13)]


def _shapes(loaded: Loaded, prompts: list[list[int]]) -> Check:
    logits = _logits(loaded, prompts[0])
    wanted = (len(prompts[0]), loaded.model.config.get_text_config().vocab_size)
    holds = tuple(logits.shape) == wanted and bool(logits.isfinite().all())
    return Check("shapes", holds, f"logits {[1, *logits.shape]}{'' if holds else f', not finite or not {wanted}'}")


def _head(loaded: Loaded, prompts: list[list[int]]) -> Check:
    parts, ids = anatomy(loaded.model), _ids(loaded, prompts[0])
    seen: list[Tensor] = []
    handle = parts.final_norm.register_forward_hook(lambda _module, _args, out: seen.append(out))
    try:
        hidden = final_hidden(loaded.model, ids)[0]
    finally:
        handle.remove()
    normed = len(seen) == 1 and torch.equal(seen[0][0], hidden)
    far = _far(parts.logits(hidden.to(parts.head_weight.device)), _logits(loaded, prompts[0]))
    detail = f"logits differ by {far:.1e} of their size" + (
        "" if normed else "; the final norm's output is not the state"
    )
    return Check("head", normed and far <= max(TOLERANCE[torch.float32], 2 * _eps(loaded)), detail)


def _hook(loaded: Loaded, prompts: list[list[int]]) -> Check:
    blocks, tolerance = anatomy(loaded.model).blocks, _tolerance(loaded)
    back = 0.0 if loaded.model.device.type == "cpu" else tolerance  # sums in another order, elsewhere
    plain, holds, moves = _logits(loaded, prompts[0]), True, []
    for layer in sorted({0, len(blocks) // 2, len(blocks) - 1}):
        with _pushed(blocks[layer]):
            there = _logits(loaded, prompts[0])
        earlier = _far(there[:-1], plain[:-1]) if len(plain) > 1 else 0.0
        moves.append(_far(there[-1:], plain[-1:]))
        holds &= moves[-1] > tolerance and earlier <= tolerance and _far(_logits(loaded, prompts[0]), plain) <= back
    detail = f"{len(moves)} of {len(blocks)} blocks: the last token's logits move by {min(moves):.1e} of their size"
    return Check("hook", holds, detail + ("" if holds else ", or others moved, or the old ones did not come back"))


def _padding(loaded: Loaded, prompts: list[list[int]]) -> Check:
    far = {side: _moved_by_padding(loaded, prompts, side) for side in ("right", "left")}
    detail = ", ".join(f"{value:.1e} of their size ({side})" for side, value in far.items())
    return Check("padding", max(far.values()) <= _tolerance(loaded), f"logits differ by {detail}")


def _moved_by_padding(loaded: Loaded, prompts: list[list[int]], side: str) -> float:
    padded = right_padded if side == "right" else left_padded
    ids, mask = padded(prompts, pad_id(loaded), loaded.model.device, MORE)
    together = loaded.model(input_ids=ids, attention_mask=mask, position_ids=positions(mask)).logits
    alone = [_logits(loaded, prompt) for prompt in prompts]
    return max(_far(row[kept.bool()], each) for row, kept, each in zip(together, mask, alone, strict=True))


def _decoding(loaded: Loaded, prompts: list[list[int]]) -> Check:
    decode, name = (_sampled, "our sampler's") if _can_sample(loaded) else (_generated_padded, "the same with padding")
    alone = [_generated(loaded, _ids(loaded, prompt), None)[0] for prompt in prompts]
    pairs = list(zip(prompts, alone, decode(loaded, prompts), strict=True))
    behind = [max(_behind(loaded, prompt, a), _behind(loaded, prompt, b)) for prompt, a, b in pairs]
    moved = max(_moved_by_padding(loaded, prompts, "left"), _eps(loaded)) if any(behind) else 0.0
    near = TIE * min(moved, _tolerance(loaded))
    strays = sum(far > near for far in behind)
    ended = sum(a != b and (a[: len(b)] == b or b[: len(a)] == a) for _, a, b in pairs)  # one stopped, one went on
    same = sum(a == b for _, a, b in pairs)
    detail = f"{same} of {len(pairs)} greedy answers of generate are {name}"
    detail += f", {strays} stray from the plain forward" if strays else ""
    detail += f", {len(pairs) - same} part at a tie" if same < len(pairs) and not strays and not ended else ""
    return Check("decoding", not strays and not ended, detail)


def _can_sample(loaded: Loaded) -> bool:
    model = loaded.model
    if model.config.model_type not in SAMPLED or model.dtype is not torch.float32 or model.device.type != "cpu":
        return False
    try:
        weights_of(model, 1)
    except BadInput:
        return False
    return len(stop_ids(loaded)) == 1


def _sampled(loaded: Loaded, prompts: list[list[int]]) -> list[list[int]]:
    stop, pad = stop_ids(loaded)[0], pad_id(loaded)
    ours = sample(loaded.model, prompts, n_samples=1, max_new=MAX_NEW_TOKENS, stop=stop, pad=pad, uniforms=None)
    return [row[:length].tolist() for row, length in zip(ours.ids, ours.lengths, strict=True)]


def _generated_padded(loaded: Loaded, prompts: list[list[int]]) -> list[list[int]]:
    return _generated(loaded, *left_padded(prompts, pad_id(loaded), loaded.model.device, MORE))


def _generated(loaded: Loaded, ids: Tensor, mask: Tensor | None) -> list[list[int]]:
    """Greedy, with none of the checkpoint's own penalties; each up to its first stop token."""
    model, stops = loaded.model, stop_ids(loaded)
    plain = GenerationConfig(
        max_new_tokens=MAX_NEW_TOKENS, do_sample=False, eos_token_id=stops, pad_token_id=pad_id(loaded)
    )
    own, model.generation_config = model.generation_config, plain  # given as an argument, its gaps would be filled
    try:
        new = model.generate(ids, attention_mask=torch.ones_like(ids) if mask is None else mask)
    finally:
        model.generation_config = own
    rows = new[:, ids.shape[1] :].tolist()
    ends = [next((at + 1 for at, token in enumerate(row) if token in stops), len(row)) for row in rows]
    return [row[:end] for row, end in zip(rows, ends, strict=True)]


def _behind(loaded: Loaded, prompt: list[int], answer: list[int]) -> float:
    """How far any token's logit is below the best one, in root mean squares of the logits, without a cache."""
    logits = _logits(loaded, prompt + answer)[len(prompt) - 1 : -1]
    chosen = logits.gather(-1, torch.tensor(answer, device=logits.device)[:, None])[:, 0]
    return ((logits.amax(-1) - chosen) / logits.square().mean(-1).sqrt()).max().item()


@contextmanager
def _pushed(block: nn.Module) -> Iterator[None]:
    """Within it, a vector as long as the states is added to the block's input at the last position."""

    def push(_module: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        hidden = (args[0] if args else kwargs["hidden_states"]).clone()
        direction = torch.randn(hidden.shape[-1], generator=torch_rng("self-test push"))
        hidden[:, -1] += direction.to(hidden) * hidden[:, -1].std()
        return ((hidden, *args[1:]), kwargs) if args else (args, kwargs | {"hidden_states": hidden})

    handle = block.register_forward_pre_hook(push, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def _ids(loaded: Loaded, prompt: list[int]) -> Tensor:
    return torch.tensor([prompt], device=loaded.model.device)


def _logits(loaded: Loaded, prompt: list[int]) -> Tensor:
    return loaded.model(input_ids=_ids(loaded, prompt)).logits[0].float()


def _far(a: Tensor, b: Tensor) -> float:
    """d of the docstring; infinite where a value is not a number."""
    d = (a.to(b.device).float() - b).norm(dim=-1) / b.norm(dim=-1)
    return d.nan_to_num(float("inf"), float("inf")).max().item()


def _tolerance(loaded: Loaded) -> float:
    return TOLERANCE[loaded.model.dtype]


def _eps(loaded: Loaded) -> float:
    return torch.finfo(loaded.model.dtype).eps
