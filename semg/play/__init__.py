"""Measured play: a Fitts' law test and a reaction test, steered by the recognised gestures."""
