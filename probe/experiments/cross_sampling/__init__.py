"""How few tokens carry what RL did?"""
