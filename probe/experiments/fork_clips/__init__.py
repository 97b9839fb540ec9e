"""Where a response chooses its strategy, at its first token: what does the clip cut, and on which side?"""
