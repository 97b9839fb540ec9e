"""One folder an experiment: its job (what it needs, what it leaves) and its estimates. Figures are in `probe.plots`."""
