"""How much does a model gain for each nat that it moves, by asking it otherwise and by RL?"""
