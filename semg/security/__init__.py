"""Who is let in, with what, and what shows that nobody changed it: logins, factors, keys, the audit log's chain."""
