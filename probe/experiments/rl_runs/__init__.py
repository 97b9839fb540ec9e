"""What did a GRPO run change? Every measure, at every kept step."""
