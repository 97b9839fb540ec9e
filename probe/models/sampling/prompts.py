"""What is a model given to read? A template of the manifest, a question, and at times the first words of the answer.

    text   the template's text with the question in its slot, with what the tokenizer puts around a text (Llama: BOS)
    chat   the checkpoint's own chat template: [system,] question, and the opening of the assistant's turn

`prefix` is put into the model's mouth behind the prompt (2506.10947, "Let's solve this using Python."): it belongs to
the response, not to the prompt, and is graded with it. Chat templates run in the sandbox of transformers. A question is
data: markers such as <|im_end|> in it would end the user's turn, so a question that holds one is refused.
"""

from collections.abc import Sequence

from jinja2.exceptions import TemplateError
from transformers import PreTrainedTokenizerBase

from probe.errors import BadInput
from probe.models.loading.entries import Template


def prompt_ids(
    tokenizer: PreTrainedTokenizerBase, template: Template, questions: Sequence[str], prefix: str = ""
) -> tuple[list[list[int]], list[int]]:
    """The ids of every prompt, each followed by those of `prefix`, and the ids of the prefix alone.

    BadInput where the template asks for a chat template that the tokenizer lacks or that does not render, where a
    question holds a special token of this tokenizer, and where nothing is left to read.
    """
    _refuse_markers(tokenizer, questions)
    forced = _spelled(tokenizer, prefix) if prefix else []
    if template.chat:
        prompts = [_chat(tokenizer, template.system, question) for question in questions]
    else:
        prompts = [list(tokenizer(template.render(question))["input_ids"]) for question in questions]
    empty = next((i for i, prompt in enumerate(prompts) if not prompt), None)
    if empty is not None:
        raise BadInput(
            f"question {empty + 1} gives no tokens: {questions[empty][:60]!r}", do="check tokenizer and file"
        )
    return [prompt + forced for prompt in prompts], forced


def _spelled(tokenizer: PreTrainedTokenizerBase, prefix: str) -> list[int]:
    ids = list(tokenizer(prefix, add_special_tokens=False)["input_ids"])
    if tokenizer.decode(ids, clean_up_tokenization_spaces=False) != prefix:
        do = "give first words that this model can write"
        raise BadInput(f"this tokenizer cannot spell {prefix!r}", where=str(tokenizer.name_or_path), do=do)
    return ids


def _chat(tokenizer: PreTrainedTokenizerBase, system: str | None, question: str) -> list[int]:
    if not tokenizer.chat_template:
        do = "choose a template with a text (probe ls templates)"
        raise BadInput("this checkpoint has no chat template", where=str(tokenizer.name_or_path), do=do)
    turns = [{"role": "user", "content": question}]
    try:
        if system is None:
            return _render(tokenizer, turns)
        try:
            return _render(tokenizer, [{"role": "system", "content": system}, *turns])
        except TemplateError:  # Gemma has no system turn: the user says it
            return _render(tokenizer, [{"role": "user", "content": f"{system}\n\n{question}"}])
    except (TemplateError, ValueError, TypeError, KeyError) as err:
        do = "mend chat_template in the checkpoint, or choose a template with a text"
        raise BadInput(f"the chat template does not render: {err}", where=str(tokenizer.name_or_path), do=do) from err


def _render(tokenizer: PreTrainedTokenizerBase, turns: list[dict[str, str]]) -> list[int]:
    text = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])  # the template writes BOS itself


def _refuse_markers(tokenizer: PreTrainedTokenizerBase, questions: Sequence[str]) -> None:
    added = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
    markers = sorted({*added, *tokenizer.all_special_tokens} - {""})
    for i, question in enumerate(questions):
        special = next((marker for marker in markers if marker in question), None)
        if special:
            what = f"question {i + 1} holds the special token {special}"
            raise BadInput(what, do="take it out: it would end the prompt's turn")
