"""Training of classifiers, and their reports."""
