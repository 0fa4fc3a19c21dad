"""Text datagrams (v1): decoded, told apart by boot, put in order."""
