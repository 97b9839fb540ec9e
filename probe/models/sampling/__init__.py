"""From prompts to sampled tokens: organisms, transformers and vLLM, with draws that are addressed."""
