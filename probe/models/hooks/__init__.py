"""Read and edit what stands at a site of a model, on plain hooks, TransformerLens or nnsight."""
