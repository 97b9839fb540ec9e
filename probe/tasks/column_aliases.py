"""Under which column names is each field of published outputs known? The surest first.

From the outputs of lm-evaluation-harness, ToRA, GSM8K's graded solutions, RLCR, OpenAI-style completions, and common
scripts. A dot leads into a nested object.
"""

_KNOWN = {
    "problem": "unique_id problem_id question_id task_id problem question query instruction prompt doc_id idx id",
    "text": "text response responses completion completions output outputs generation generations generated_text"
    " generated_responses model_output model_response resps choices.message.content choices.text code",
    "answer": "answer gold gold_answer ground_truth gt target reference final_answer correct_answer expected_answer",
    "sample": "sample sample_id sample_idx sample_index",
    "temperature": "temperature",
    "confidence": "confidence confidence_level confidence_levels",
    "right": "right correct is_correct label_correct acc exact_match evals score",
    "stop": "stop finish_reason stop_reason finish_reasons choices.finish_reason",
    "prompt": "prompt question problem query instruction input",
}
NAMES = {field: tuple(names.split()) for field, names in _KNOWN.items()}
