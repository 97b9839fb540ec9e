"""What can be read off a checkpoint's residual stream, and did RL move it?"""
