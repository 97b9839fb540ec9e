"""Dictionaries of what a pair holds, and what they say that RL changed."""
