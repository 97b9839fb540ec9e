"""What is asked, and was it answered right? Tasks and their texts, how answers are read and graded, published data."""
