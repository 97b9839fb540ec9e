"""Change something inside a model and see what it says: lenses, patching, transplants, weight differences."""
