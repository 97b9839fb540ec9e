"""What is different between two checkpoints?"""
