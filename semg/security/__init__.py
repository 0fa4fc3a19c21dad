"""Who is let in, how much a caller may ask, and what is kept encrypted."""
