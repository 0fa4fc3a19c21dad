<<<<<<< HEAD
"""Who is let in, with what, and what shows that nobody changed it: logins, factors, keys, the audit log's chain."""
=======
"""Who is let in, how much a caller may ask, and what is kept encrypted."""
>>>>>>> edge
