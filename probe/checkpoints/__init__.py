"""Which weights are meant by a name, and the jobs that make the ones made here."""
