"""Ask a checkpoint: prompts, sampling, responses, grades."""
