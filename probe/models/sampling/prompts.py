"""What is a model given to read? A template of the manifest, a question, and at times the first words of the answer.

    text   the template's text with the question in its slot, with what the tokenizer puts around a text (Llama: BOS)
    chat   the checkpoint's own chat template: [system,] question, and the opening of the assistant's turn

`prefix` is put into the model's mouth behind the prompt (2506.10947, "Let's solve this using Python."): it belongs to
the response, not to the prompt, and is graded with it. Chat templates, and tokenizers from outside, are programs of
strangers: they run in quarantine (`probe.models.loading.quarantine`), chat templates there in jinja's sandbox, too.
A question is data: markers such as <|im_end|> in it would end the user's turn, so a question that holds one is refused.
"""

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from probe.errors import BadInput
from probe.models.loading import quarantine
from probe.models.loading.entries import Template


def prompt_ids(
    tokenizer: PreTrainedTokenizerBase, template: Template, questions: Sequence[str], prefix: str = ""
) -> tuple[list[list[int]], list[int]]:
    """The ids of every prompt, each followed by those of `prefix`, and the ids of the prefix alone.

    BadInput where the template asks for a chat template that the tokenizer lacks, that does not render or does not end,
    where a question holds a special token of this tokenizer, and where nothing is left to read.
    """
    _refuse_markers(tokenizer, questions)
    prompts, forced, spelled = _spelled(tokenizer, template, questions, prefix)
    if prefix and spelled != prefix:
        do = "give first words that this model can write"
        raise BadInput(f"this tokenizer cannot spell {prefix!r}", where=str(tokenizer.name_or_path), do=do)
    empty = next((i for i, prompt in enumerate(prompts) if not prompt), None)
    if empty is not None:
        raise BadInput(
            f"question {empty + 1} gives no tokens: {questions[empty][:60]!r}", do="check tokenizer and file"
        )
    return [prompt + forced for prompt in prompts], forced


def _spelled(
    tokenizer: PreTrainedTokenizerBase, template: Template, questions: Sequence[str], prefix: str
) -> tuple[list[list[int]], list[int], str]:
    """Ids of the prompts, ids of the prefix, and how those read; here only where neither part comes from outside."""
    if template.chat:
        return quarantine.prompts(tokenizer, _chat_template(tokenizer), template.system, questions, prefix)
    texts = [template.render(question) for question in questions]
    if quarantine.is_stranger(tokenizer):
        return quarantine.prompts(tokenizer, None, None, texts, prefix)
    forced = list(tokenizer(prefix, add_special_tokens=False)["input_ids"]) if prefix else []
    spelled = tokenizer.decode(forced, clean_up_tokenization_spaces=False)
    return [list(tokenizer(text)["input_ids"]) for text in texts], forced, spelled


def _chat_template(tokenizer: PreTrainedTokenizerBase) -> str:
    """Its own, as text; the one called default where it has several."""
    if not tokenizer.chat_template:
        do = "choose a template with a text (probe ls templates)"
        raise BadInput("this checkpoint has no chat template", where=str(tokenizer.name_or_path), do=do)
    try:
        return str(tokenizer.get_chat_template())
    except ValueError as err:
        do = "name one of them default, or choose a template with a text"
        raise BadInput(f"no chat template is the default: {err}", where=str(tokenizer.name_or_path), do=do) from err


def _refuse_markers(tokenizer: PreTrainedTokenizerBase, questions: Sequence[str]) -> None:
    added = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
    markers = sorted({*added, *tokenizer.all_special_tokens} - {""})
    for i, question in enumerate(questions):
        special = next((marker for marker in markers if marker in question), None)
        if special:
            what = f"question {i + 1} holds the special token {special}"
            raise BadInput(what, do="take it out: it would end the prompt's turn")
