"""Where in the model is the fork decided, and which layer carries what RL gave?"""
