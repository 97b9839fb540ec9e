"""GRPO on any causal LM: the recipe, its labels, what it costs, the job, and the model card of what it leaves."""
