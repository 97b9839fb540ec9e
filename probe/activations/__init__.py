"""What do activations say? Collected at chosen rows, read by linear probes, turned into directions."""
