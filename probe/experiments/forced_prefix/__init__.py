"""What changes when the first words are put into the model's mouth?"""
