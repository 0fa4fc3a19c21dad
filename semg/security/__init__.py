"""Passwords, logins, keys, and what is encrypted with them."""
