"""Where a cue claims an answer, does the model go by it, and does taking it away help or hurt?"""
