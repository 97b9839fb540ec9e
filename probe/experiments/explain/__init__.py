"""Which of the rival explanations accounts for what RL changed in accuracy?"""
