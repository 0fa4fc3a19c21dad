"""Simulated devices: sources of samples, boards that sign, a bad network, and a virtual wearer that follows prompts."""
