"""The command line ``semg``: files out and in; starting and stopping lie in ``semg.platform``."""
