"""A classifier at work: its weights, the forward pass, adaptation, decisions. No training, no torch."""
