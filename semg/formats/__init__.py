"""File formats of other tools, out and in: one module a format, none of which knows the database."""
