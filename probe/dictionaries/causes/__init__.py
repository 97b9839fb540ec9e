"""What does a model do when latents are turned by hand, or put beside its MLPs?"""
