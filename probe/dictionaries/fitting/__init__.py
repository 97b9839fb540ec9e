"""How is a dictionary fitted, and is it a good one? The loop, its options, its rows, and what it should find."""
