"""GRPO as pure functions and one loop: advantages, loss, labels; sample, score, update; and pretraining."""
