"""Breaking a running system on purpose, and proving what became of the data."""
