"""Does the verdict find the explanation that was built in? A pair whose cause is known, and what was said of it."""
