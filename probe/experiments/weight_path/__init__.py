"""Is the path of the weights a line?"""
