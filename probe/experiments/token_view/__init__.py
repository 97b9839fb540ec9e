"""What do both checkpoints of a pair make of every token that either of them wrote?"""
