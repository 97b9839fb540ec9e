"""From a folder, a hub id or a manifest entry to weights and a tokenizer that are what the files say."""
