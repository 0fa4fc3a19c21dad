"""Who is let in, with what, and what shows that nobody changed it: passwords, keys, the audit log's chain."""
