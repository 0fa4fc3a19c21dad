"""What keeps others out, and what keeps a text from pretending to be something else."""
