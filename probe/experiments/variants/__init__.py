"""What does each variant of the recipe change, trait by trait, beside a random change of its size?"""
