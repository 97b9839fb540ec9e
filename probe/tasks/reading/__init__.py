"""What is an answer? Its dress taken off, and read as a number, a unit, a region, a group, a word: one file each."""
