"""Hostile bytes for every decoder: the same entry functions for atheris, for Hypothesis, and for kept seeds."""
