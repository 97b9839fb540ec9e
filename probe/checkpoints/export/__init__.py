"""A run of the recipe as a folder that another trainer runs: TRL's, or verl's (`probe export`)."""
