"""The predictor of the API: cached classifiers that turn windows into probabilities, and the live viewers."""
