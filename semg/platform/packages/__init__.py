"""What the first start installs: which build of PyTorch, how far pip is, and which index does not answer.

It runs with the system's Python before there is a ``.venv``: only the standard library is used.
"""
