"""Would as much be found where nothing is new? Nulls, controls, other seeds, matched latents, injected tokens."""
