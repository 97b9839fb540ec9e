"""Has a checkpoint read these problems, and did RL wake what it remembers?"""
