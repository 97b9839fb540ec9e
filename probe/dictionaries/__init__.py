"""Sparse dictionaries of activations, of one model (SAE) or a pair at once (crosscoder): fitted, read, exchanged."""
