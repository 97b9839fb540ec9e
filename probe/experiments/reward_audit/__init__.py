"""What does a reward pay for? Any reward on any rollouts, without training on it."""
