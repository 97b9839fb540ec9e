"""Which share of RL's change do a few latents beside the MLPs of before recover?"""
