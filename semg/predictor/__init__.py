"""The predictor of the API: classifiers in memory, windows in, probabilities out, and who watches live."""
