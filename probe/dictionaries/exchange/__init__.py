"""Dictionaries on disk: ours, SAELens', Qwen-Scope's, Llama Scope's; and those of SAELens' own trainer."""
