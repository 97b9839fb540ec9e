"""Under which column names is each field of published outputs known? The surest first.

From the outputs of lm-evaluation-harness, Inspect, ToRA, GSM8K's graded solutions, RLCR, OpenAI-style completions and
chats, EvalPlus, the rollout dumps of verl, open-instruct and TRL, and common scripts. A dot leads into a nested object.
"""

_KNOWN = {
    "problem": "unique_id problem_id question_id task_id custom_id problem question query instruction prompt doc_id idx"
    " id raw_queries input",
    "text": "text response responses completion completions output outputs generation generations generated_text"
    " generated_responses model_output model_response resps decoded_responses output.choices.message.content"
    " choices.message.content response.body.choices.message.content choices.text code solution messages conversations",
    "answer": "answer gold gold_answer ground_truth ground_truths gt gts target reference final_answer correct_answer"
    " expected_answer",
    "sample": "sample sample_id sample_idx sample_index",
    "temperature": "temperature",
    "confidence": "confidence confidence_level confidence_levels",
    "right": "right correct is_correct label_correct acc exact_match evals score plus_status base_status",
    "stop": "stop finish_reason stop_reason finish_reasons choices.finish_reason",
    "prompt": "prompt question problem doc.question doc.problem query instruction raw_queries input messages",
}
NAMES = {field: tuple(names.split()) for field, names in _KNOWN.items()}
SCORES = "scores"  # of Inspect: {scorer: {value: ...}}
# what tells systems apart that may share a file: never merged without being asked
SYSTEMS = ("model", "model_name", "model_id", "system", "method", "policy", "checkpoint", "filter", "temperature")
STEPS = ("step", "training_step", "global_step")
ROW = "#"  # the number of the row; "#//8": eight rows a problem
