"""Identity of an installation: its processes, its state, its `.env`."""
