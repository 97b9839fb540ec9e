"""What does a reward without information do once its draws cancel? A run, its twin with every reward turned round."""
