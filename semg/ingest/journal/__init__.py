"""Blocks to the journal (JetStream), and from there to PostgreSQL, exactly once."""
