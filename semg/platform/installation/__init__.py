"""What tells this installation from another: its processes, its state, its `.env`."""
