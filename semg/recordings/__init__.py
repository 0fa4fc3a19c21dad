"""Recordings: import and export of files, sessions for training and review."""
