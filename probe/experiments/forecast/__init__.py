"""What will RL under each reward change, before any RL?"""
