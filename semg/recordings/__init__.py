"""Recordings: files in and out, sessions as training and review see them."""
