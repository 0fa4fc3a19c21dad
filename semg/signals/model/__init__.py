"""Classifiers in use: weights, the forward pass, adaptation, decisions. No training, no torch."""
