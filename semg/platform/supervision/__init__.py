"""The supervisor: every server and service started, watched, started again."""
