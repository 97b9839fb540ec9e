"""What does a checkpoint make of each token of a text, and where does the text fork?"""
