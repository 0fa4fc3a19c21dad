"""Processes: what runs in one of its own, and what it may do there."""
