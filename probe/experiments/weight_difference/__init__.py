"""How do the weights of two checkpoints differ?"""
