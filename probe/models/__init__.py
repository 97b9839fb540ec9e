"""Checkpoints: which there are, how they load, the organisms made here, and how to sample from them."""
