"""What do published outputs say before and after RL? No weights, text only."""
