"""Does steering do what RL did?"""
