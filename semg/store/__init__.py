"""Every SQL query of the project; one module per subject.

Functions take an open transaction (``Transaction``, from ``pool.Pool.transaction``) as their first argument and
never commit: the outer edge does. ``get_*`` raises ``NotFoundError``, ``find_*`` returns None.
"""
