"""Training a classifier, and what its report says."""
