"""The supervisor: starts, monitors and restarts every server and service."""
